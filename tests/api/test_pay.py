"""Pay over HTTP."""

from __future__ import annotations

import csv
import io

from tests.support.gateway import House


async def paying(house: House, **options: object) -> str:
    """A dataset that pays 10 cents an answer, with 1.00 in its escrow."""
    dataset = await house.dataset(**options)  # type: ignore[arg-type]
    path = f"/v1/datasets/{dataset}/pay"
    (await house.put("admin", path, {"currency": "EUR"})).raise_for_status()
    (await house.put("admin", f"{path}/prices", {"prices": [{"amount": 10}]})).raise_for_status()
    (await house.post("admin", f"{path}/funds", {"amount": 100, "key": "first"})).raise_for_status()
    return dataset


async def work(house: House, dataset: str) -> str:
    """The annotator answers one item; its id."""
    claim = (await house.post("annotator", f"/v1/datasets/{dataset}/claim", {"count": 1})).json()["claims"][0]
    body = {
        "payload": {"labels": ["positive"]}, "labelset_version": 1, "lease_id": claim["lease"]["id"],
        "token": claim["lease"]["token"],
    }  # fmt: skip
    item: str = claim["item"]["id"]
    (await house.put("annotator", f"/v1/items/{item}/annotation", body)).raise_for_status()
    return item


async def test_work_is_paid_from_funding_to_payout(house: House) -> None:
    dataset = await paying(house)
    path = f"/v1/datasets/{dataset}/pay"
    item = await work(house, dataset)
    assert (await house.get("admin", path)).json()["payable"] == 10
    [line] = (await house.get("annotator", f"{path}/statement")).json()
    assert (line["item_id"], line["amount"]) == (item, 10)
    [mine] = (await house.get("annotator", "/v1/pay/earnings")).json()
    assert (mine["dataset_id"], mine["payable"], mine["currency"]) == (dataset, 10, "EUR")
    batch = (await house.post("admin", f"{path}/payouts", {"key": "may"})).json()
    assert batch["total"] == 10
    done = await house.ask(
        "admin", "PATCH", f"{path}/payouts", json={"batch_id": batch["id"], "state": "paid", "reference": "bank"}
    )
    assert done.json()["payouts"][0]["state"] == "paid"
    assert (await house.get("admin", path)).json()["paid"] == 10
    ledger = (await house.get("admin", f"{path}/ledger")).json()
    assert [entry["kind"] for entry in ledger] == ["fund", "hold", "release", "payout", "payout_paid"]
    assert all(sum(side["amount"] for side in entry["entries"]) == 0 for entry in ledger)


async def test_statement_as_csv_runs_no_formula(house: House) -> None:
    dataset = await paying(house)
    path = f"/v1/datasets/{dataset}/pay"
    await work(house, dataset)
    bonus = {"user_id": house.people["annotator"].id, "amount": 5, "key": "b", "reason": "=HYPERLINK(1)"}
    (await house.post("admin", f"{path}/adjustments", bonus)).raise_for_status()
    answer = await house.get("annotator", f"{path}/statement?format=csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["kind"], row["amount"], row["balance"]) for row in rows] == [
        ("release", "10", "10"),
        ("adjust", "5", "15"),
    ]
    assert rows[1]["note"] == "'=HYPERLINK(1)"
    (await house.post("admin", f"{path}/payouts", {"key": "may"})).raise_for_status()
    rows = list(csv.DictReader(io.StringIO((await house.get("admin", f"{path}/payouts?format=csv")).text)))
    assert [(row["email"], row["amount"], row["currency"]) for row in rows] == [("annotator@example.org", "15", "EUR")]


async def test_empty_escrow_is_402_and_says_what_is_needed(house: House) -> None:
    dataset = await paying(house)
    (await house.post("admin", f"/v1/datasets/{dataset}/pay/funds", {"amount": -95, "key": "out"})).raise_for_status()
    refused = await house.post("annotator", f"/v1/datasets/{dataset}/claim", {"count": 1})
    assert (refused.status_code, refused.json()["code"], refused.json()["needed"]) == (402, "escrow-empty", 10)


async def test_dataset_with_money_is_409_on_delete(house: House) -> None:
    dataset = await paying(house)
    refused = await house.delete("admin", f"/v1/datasets/{dataset}")
    assert (refused.status_code, refused.json()["code"]) == (409, "money-held")


async def test_wrong_amounts_are_refused(house: House) -> None:
    dataset = await paying(house)
    path = f"/v1/datasets/{dataset}/pay"
    for body in ({"amount": 0, "key": "x"}, {"amount": 1.5, "key": "x"}, {"amount": 10**13, "key": "x"}, {"amount": 1}):
        assert (await house.post("admin", f"{path}/funds", body)).status_code == 422
    prices = {"prices": [{"amount": 1, "per": "minute", "level": 2}]}
    assert (await house.put("admin", f"{path}/prices", prices)).status_code == 422
