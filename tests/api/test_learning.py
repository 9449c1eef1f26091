"""Reports on the learning loop over HTTP: agreement, licences, the learning curve, and taking a licence back."""

from __future__ import annotations

from typing import Any

from tests.support.gateway import House
from tests.support.teams import draft


async def _answer(house: House, who: str, item: str, label: str, **more: Any) -> None:
    body = {"payload": {"labels": [label]}, "labelset_version": 1, **more}
    (await house.put(who, f"/v1/items/{item}/annotation", body)).raise_for_status()


async def _items(house: House, dataset: str) -> list[str]:
    page = (await house.get("admin", f"/v1/datasets/{dataset}/items?limit=100")).json()
    return [item["id"] for item in page["items"]]


class TestAgreement:
    async def test_nobody_answered_twice_gives_a_plain_note(self, house: House) -> None:
        dataset = await house.dataset()
        report = (await house.get("reviewer", f"/v1/datasets/{dataset}/agreement")).json()
        assert (report["items"], report["overall"], report["pairs"]) == (0, [], [])
        assert "overlap" in report["note"]

    async def test_two_people_are_measured_with_an_interval_and_a_model_beside_them(self, house: House) -> None:
        dataset = await house.dataset(items=12, settings={"overlap": 2})
        items = await _items(house, dataset)
        rows = [draft(i, "positive") for i in items]
        await house.rpc.call("save_predictions", actor=house.people["admin"].id, dataset=dataset, rows=rows)
        for number, item in enumerate(items):
            label = ("positive", "negative")[number % 2]
            await _annotate_by_lease(house, dataset, item, label, label if number else "negative")
        report = (await house.get("reviewer", f"/v1/datasets/{dataset}/agreement")).json()
        assert (report["items"], report["annotators"], report["kind"]) == (12, 2, "classification")
        by_name = {measure["name"]: measure for measure in report["overall"]}
        assert 0.6 < by_name["krippendorff-nominal"]["value"] < 1
        assert (
            by_name["krippendorff-nominal"]["low"]
            <= by_name["krippendorff-nominal"]["value"]
            <= by_name["krippendorff-nominal"]["high"]
        )
        assert abs(report["pairs"][0]["measure"]["observed"] - 11 / 12) < 1e-9
        [model] = report["models"]
        assert (model["model"], model["blind"], model["measure"]["items"]) == ("test-model", None, 12)
        assert sum(row["size"] for row in model["reliability"]) == 12

    async def test_one_class_for_everything_says_why_there_is_no_number(self, house: House) -> None:
        dataset = await house.dataset(items=3, settings={"overlap": 2})
        for item in await _items(house, dataset):
            await _annotate_by_lease(house, dataset, item, "positive", "positive")
        report = (await house.get("reviewer", f"/v1/datasets/{dataset}/agreement")).json()
        assert all(measure["value"] is None and measure["note"] for measure in report["overall"])


class TestLearning:
    async def test_nothing_verified_gives_an_empty_curve_and_says_so(self, house: House) -> None:
        dataset = await house.dataset()
        metrics = (await house.get("annotator", f"/v1/datasets/{dataset}/metrics")).json()
        assert (metrics["curve"], metrics["calibrations"]) == ([], [])
        assert metrics["stopping"]["points"] is None
        assert "too little is verified" in metrics["stopping"]["reason"]

    async def test_curve_and_what_more_labels_buy_in_points_hours_and_usd(self, house: House) -> None:
        dataset = await house.dataset(items=40)
        for item in (await _items(house, dataset))[:3]:
            await _answer(house, "admin", item, "positive", lead_time_ms=7200)
        for labels, accuracy in ((50, 0.70), (100, 0.80), (200, 0.85), (400, 0.87)):
            await house.rpc.call(
                "save_student", dataset=dataset, labelset_version=1, model="m", blob="", trained_on=labels,
                metrics={"accuracy": accuracy, "ece": 0.03},
            )  # fmt: skip
        metrics = (await house.get("annotator", f"/v1/datasets/{dataset}/metrics?next_labels=20")).json()
        assert [point["trained_on"] for point in metrics["curve"]] == [50, 100, 200, 400]
        stopping = metrics["stopping"]
        assert stopping["labels"] == 20
        assert 0 <= stopping["points"]["low"] <= stopping["points"]["value"] <= stopping["points"]["high"] < 5
        assert abs(stopping["hours"] - 20 * 7.2 / 3600) < 1e-9
        assert stopping["usd"] is None


class TestLicence:
    async def test_without_one_the_report_says_how_to_get_it(self, house: House) -> None:
        dataset = await house.dataset()
        report = (await house.get("annotator", f"/v1/datasets/{dataset}/licence")).json()
        assert (report["in_force"], report["history"]) == ([], [])
        assert "auto_accept" in report["note"]

    async def test_audit_under_way_grant_and_revocation_are_told(self, house: House) -> None:
        dataset = await house.dataset(items=6)
        admin = house.people["admin"].id
        items = await _items(house, dataset)
        rows = [draft(i, "positive") for i in items]
        await house.rpc.call("save_predictions", actor=admin, dataset=dataset, rows=rows)
        drafts = await house.rpc.call("list_accept_candidates", actor=admin, dataset=dataset)
        plan = {
            "model": "test-model", "labelset_version": 1, "alpha": 0.1, "delta": 0.05, "candidates": 6,
            "reason": "planned", "regions": [{"threshold": 0.5, "size": 6, "predicted_error": 0.01}],
        }  # fmt: skip
        licence = await house.rpc.call(
            "create_licence", actor=admin, dataset=dataset, job=None, plan=plan, seqs=drafts["seqs"],
            predictions=drafts["predictions"], confidences=drafts["probabilities"], audit=drafts["seqs"][:1],
        )  # fmt: skip
        report = (await house.get("annotator", f"/v1/datasets/{dataset}/licence")).json()
        assert "0 of 1 audit items are answered" in report["note"]
        verdict = {
            "granted": True, "threshold": 0.5, "coverage": 1.0, "bound": 0.09, "audit_size": 1, "audit_errors": 0,
            "method": "hypergeometric", "reason": "none was wrong",
        }  # fmt: skip
        await house.rpc.call("decide_licence", actor=admin, licence=licence["id"], verdict=verdict)
        report = (await house.get("annotator", f"/v1/datasets/{dataset}/licence")).json()
        assert (report["in_force"][0]["bound"], report["accepted"]) == (0.09, 5)
        revoked = await house.post("admin", f"/v1/datasets/{dataset}/licence/revoke", {"reason": "new guidelines"})
        assert (revoked.json()["in_force"], revoked.json()["accepted"]) == ([], 0)
        assert "new guidelines" in revoked.json()["note"]


async def _annotate_by_lease(house: House, dataset: str, item: str, first: str, second: str) -> None:
    """Two people answer the item that stands at the head of the queue for them."""
    admin = house.people["admin"].id
    await house.rpc.call("set_priorities", actor=admin, dataset=dataset, rows=[{"id": item, "priority": 9}])
    for who, label in (("annotator", first), ("admin", second)):
        claimed = (await house.post(who, f"/v1/datasets/{dataset}/claim", {"count": 1})).json()["claims"][0]
        assert claimed["item"]["id"] == item
        lease = {"lease_id": claimed["lease"]["id"], "token": claimed["lease"]["token"]}
        await _answer(house, who, item, label, **lease)
