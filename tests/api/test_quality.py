"""Conflicts over HTTP: pages, one with its evidence, and settling them."""

from __future__ import annotations

from typing import Any

from tests.support.gateway import House


async def planted(house: House, count: int = 1) -> tuple[str, list[dict[str, Any]]]:
    """A dataset with ``count`` conflicts, one an item, and those."""
    dataset = await house.dataset(items=count + 1)
    items = (await house.get("admin", f"/v1/datasets/{dataset}/items")).json()["items"]
    rows = [
        {
            "kind": "label_error", "severity": 0.9 - n / 10, "fingerprint": f"f:{item['id']}", "item_id": item["id"],
            "evidence": {
                "stamp": "s", "summary": "doubtful", "given": {"labels": ["positive"]}, "items": [{"id": items[-1]["id"]}],
            },
            "proposal": {"action": "relabel", "payload": {"labels": ["negative"]}, "reason": "so say models"},
        }
        for n, item in enumerate(items[:count])
    ]  # fmt: skip
    await house.rpc.call("save_findings", dataset=dataset, kinds=["label_error"], rows=rows)
    page = (await house.get("reviewer", f"/v1/datasets/{dataset}/conflicts")).json()
    return dataset, page["conflicts"]


class TestList:
    async def test_pages_hold_the_worst_first_with_counts_by_kind(self, house: House) -> None:
        dataset, _ = await planted(house, 3)
        first = (await house.get("reviewer", f"/v1/datasets/{dataset}/conflicts?limit=2")).json()
        assert [c["severity"] for c in first["conflicts"]] == [0.9, 0.8]
        assert first["counts"] == {"label_error": 3}
        assert first["conflicts"][0]["item"]["text"] == "text number 0"
        rest = await house.get("reviewer", f"/v1/datasets/{dataset}/conflicts?limit=2&cursor={first['next_cursor']}")
        assert ([c["severity"] for c in rest.json()["conflicts"]], rest.json()["next_cursor"]) == ([0.7], None)

    async def test_filters_and_what_they_refuse(self, house: House) -> None:
        dataset, found = await planted(house, 2)
        path = f"/v1/datasets/{dataset}/conflicts"
        one = await house.get("reviewer", f"{path}?item={found[1]['item_id']}&kind=label_error&min_severity=0.5")
        assert [c["id"] for c in one.json()["conflicts"]] == [found[1]["id"]]
        assert (await house.get("reviewer", f"{path}?state=dismissed&state=resolved")).json()["conflicts"] == []
        for bad in ("kind=nonsense", "state=shut", "min_severity=2", "item=7", "cursor=x"):
            answer = await house.get("reviewer", f"{path}?{bad}")
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), bad


class TestGet:
    async def test_the_item_and_the_evidence_come_whole(self, house: House) -> None:
        _, [conflict] = await planted(house)
        whole = (await house.get("reviewer", f"/v1/conflicts/{conflict['id']}")).json()
        assert whole["item"]["id"] == conflict["item_id"]
        assert [other["id"] for other in whole["others"]] == [conflict["evidence"]["items"][0]["id"]]


class TestResolve:
    async def test_relabelling_stores_the_answer_and_settles_it(self, house: House) -> None:
        _, [conflict] = await planted(house)
        path = f"/v1/conflicts/{conflict['id']}/resolve"
        body = {"action": "relabel", "payload": {"labels": ["negative"]}, "comment": "plainly so"}
        done = (await house.post("reviewer", path, body)).json()
        assert (done["state"], done["resolution"], done["comment"]) == ("resolved", "relabelled", "plainly so")
        assert done["item"]["annotation"]["payload"] == {"labels": ["negative"]}
        again = await house.post("admin", path, {"action": "keep"})
        assert (again.status_code, again.json()["code"]) == (409, "already-resolved")

    async def test_a_class_outside_the_labelset_is_refused_and_it_stays_open(self, house: House) -> None:
        _, [conflict] = await planted(house)
        path = f"/v1/conflicts/{conflict['id']}"
        answer = await house.post(
            "reviewer", f"{path}/resolve", {"action": "relabel", "payload": {"labels": ["fraud"]}}
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-payload")
        assert (await house.get("reviewer", path)).json()["state"] == "open"
        for bad in (
            {"action": "forget"},
            {},
            {"action": "keep", "why": "x"},
            {"action": "relabel", "payload": {"x": 1}},
        ):
            assert (await house.post("reviewer", f"{path}/resolve", bad)).status_code == 422


async def test_a_scan_is_ordered_and_estimated_like_any_job(house: House) -> None:
    dataset, _ = await planted(house)
    order = {"kind": "quality_scan", "params": {"kinds": ["label_error"], "adjudicate": 0}}
    estimate = await house.post("annotator", f"/v1/datasets/{dataset}/jobs/estimate", order)
    assert (estimate.status_code, estimate.json()["cost_usd"]) == (200, 0.0)
    job = await house.post("admin", f"/v1/datasets/{dataset}/jobs", order)
    assert (job.status_code, job.json()["kind"]) == (202, "quality_scan")
    bad = await house.post(
        "admin", f"/v1/datasets/{dataset}/jobs", {"kind": "quality_scan", "params": {"kinds": ["x"]}}
    )
    assert bad.status_code == 422
