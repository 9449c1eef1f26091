"""Consensus over HTTP: the report, and ordering a run."""

from __future__ import annotations

from jobs.consensus import run_consensus
from tests.support.gateway import House


async def _answer_twice(house: House, dataset: str, labels: dict[str, tuple[str, str]]) -> None:
    for who, place in (("annotator", 0), ("reviewer", 1)):
        claims = (await house.post(who, f"/v1/datasets/{dataset}/claim", {"count": 10})).json()["claims"]
        for claim in claims:
            label = labels[claim["item"]["external_id"]][place]
            body = {
                "payload": {"labels": [label]}, "labelset_version": 1, "lease_id": claim["lease"]["id"],
                "token": claim["lease"]["token"],
            }  # fmt: skip
            (await house.put(who, f"/v1/items/{claim['item']['id']}/annotation", body)).raise_for_status()


async def test_before_any_run_the_report_says_how_to_get_one(house: House) -> None:
    dataset = await house.dataset(items=2)
    report = (await house.get("reviewer", f"/v1/datasets/{dataset}/consensus")).json()
    assert (report["run"], report["items"], report["method"]) == (None, [], "majority")
    assert "kind consensus" in report["note"]


async def test_report_names_annotators_with_their_interval_and_the_items_people_disagree_on(house: House) -> None:
    dataset = await house.dataset(items=3, settings={"overlap": 2, "consensus": "pooled", "blind_share": 0})
    labels = {
        "e-0": ("positive", "positive"), "e-1": ("negative", "negative"), "e-2": ("positive", "negative"),
    }  # fmt: skip
    await _answer_twice(house, dataset, labels)
    await run_consensus(house.rpc, dataset)
    report = (await house.get("reviewer", f"/v1/datasets/{dataset}/consensus")).json()
    assert (report["agreed"], report["disagreed"], report["run"]["method"]) == (2, 1, "pooled-dawid-skene")
    assert [row["external_id"] for row in report["items"]] == ["e-2"]
    assert {p["user"] for p in report["items"][0]["people"]} == {p["user"] for p in report["run"]["annotators"]}
    assert all(p["low"] <= p["quality"] <= p["high"] for p in report["run"]["annotators"])
    assert "2 of 3 items have one answer of all" in report["note"]


async def test_annotators_do_not_see_what_others_said(house: House) -> None:
    dataset = await house.dataset(items=1)
    refused = await house.get("annotator", f"/v1/datasets/{dataset}/consensus")
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


async def test_run_is_ordered_as_a_job_and_estimated_before(house: House) -> None:
    dataset = await house.dataset(items=2, settings={"overlap": 2, "blind_share": 0})
    await _answer_twice(house, dataset, {"e-0": ("positive", "positive"), "e-1": ("positive", "negative")})
    plan = {"kind": "consensus", "params": {"method": "glad", "extra": 5}}
    estimate = (await house.post("admin", f"/v1/datasets/{dataset}/jobs/estimate", plan)).json()
    assert (estimate["items"], estimate["cost_usd"]) == (2, 0.0)
    assert estimate["human_minutes"] > 0
    made = await house.post("admin", f"/v1/datasets/{dataset}/jobs", plan)
    assert (made.status_code, made.json()["params"]["method"]) == (202, "glad")
    wrong = await house.post(
        "admin", f"/v1/datasets/{dataset}/jobs", {"kind": "consensus", "params": {"method": "oracle"}}
    )
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid")
