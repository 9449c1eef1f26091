"""Reviews, appeals, known answers and operations on many items over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateway import House


async def answered(house: House, dataset: str, who: str = "annotator", label: str = "positive") -> str:
    """The item that somebody was handed and has answered."""
    [held] = (await house.post(who, f"/v1/datasets/{dataset}/claim", {"count": 1})).json()["claims"]
    body = {
        "payload": {"labels": [label]}, "labelset_version": 1, "lease_id": held["lease"]["id"],
        "token": held["lease"]["token"],
    }  # fmt: skip
    (await house.put(who, f"/v1/items/{held['item']['id']}/annotation", body)).raise_for_status()
    return str(held["item"]["id"])


async def levels(house: House, count: int = 2, **settings: Any) -> str:
    return await house.dataset(settings={"review_levels": count, **settings})


class TestReview:
    async def test_claimed_approved_and_told_again_by_the_same_key(self, house: House) -> None:
        dataset = await levels(house)
        item = await answered(house, dataset)
        taken = await house.post("reviewer", f"/v1/datasets/{dataset}/reviews/claim", {"level": 2, "count": 3})
        [claim] = taken.json()["claims"]
        assert (claim["item"]["id"], len(claim["answers"]), claim["question"]) == (item, 1, None)
        body = {
            "decision": "approved", "lease_id": claim["lease"]["id"], "token": claim["lease"]["token"], "key": "k",
        }  # fmt: skip
        first, again = [(await house.post("reviewer", f"/v1/items/{item}/review", body)).json() for _ in range(2)]
        assert (first["item"]["state"], first["created"], again["created"]) == ("verified", True, False)
        said = (await house.get("annotator", f"/v1/items/{item}/reviews")).json()
        assert [review["decision"] for review in said["reviews"]] == ["approved"]

    async def test_own_work_is_refused_with_own_work(self, house: House) -> None:
        dataset = await levels(house)
        item = await answered(house, dataset, "reviewer")
        response = await house.post("reviewer", f"/v1/items/{item}/review", {"decision": "approved"})
        assert (response.status_code, response.json()["code"]) == (409, "own-work")

    async def test_stale_token_is_told_what_became_of_the_item(self, house: House) -> None:
        dataset = await levels(house)
        item = await answered(house, dataset)
        [held] = (await house.post("reviewer", f"/v1/datasets/{dataset}/reviews/claim", {})).json()["claims"]
        (await house.put("annotator", f"/v1/items/{item}/annotation", {
            "payload": {"labels": ["negative"]}, "labelset_version": 1,
        })).raise_for_status()  # fmt: skip
        body = {"decision": "approved", "lease_id": held["lease"]["id"], "token": held["lease"]["token"]}
        response = await house.post("reviewer", f"/v1/items/{item}/review", body)
        assert (response.status_code, response.json()["code"]) == (409, "stale-token")
        assert response.json()["state"] == "annotated"

    async def test_rejected_appealed_and_decided_for_good(self, house: House) -> None:
        dataset = await levels(house)
        item = await answered(house, dataset)
        body = {"decision": "rejected", "comment": "it is ironic"}
        rejected = (await house.post("reviewer", f"/v1/items/{item}/review", body)).json()
        assert rejected["item"]["state"] == "returned"
        appealed = await house.post("annotator", f"/v1/items/{item}/appeal", {"comment": "it is not"})
        assert appealed.json()["state"] == "reviewed"
        [claim] = (await house.post("super_reviewer", f"/v1/datasets/{dataset}/reviews/claim", {"level": 3})).json()[
            "claims"
        ]
        assert (claim["question"]["kind"], claim["question"]["comment"]) == ("appeal", "it is not")
        done = await house.post("super_reviewer", f"/v1/items/{item}/review", {"decision": "approved"})
        assert done.json()["item"]["state"] == "verified"
        final = await house.post("annotator", f"/v1/items/{item}/appeal", {"comment": "again"})
        assert (final.status_code, final.json()["code"]) == (409, "illegal-transition")

    @pytest.mark.parametrize(
        "body",
        [{"decision": "maybe"}, {}, {"decision": "approved", "lease_id": "7"}, {"decision": "approved", "why": "x"}],
    )
    async def test_malformed_review_is_refused_with_invalid(self, house: House, body: dict[str, Any]) -> None:
        item = await answered(house, await levels(house))
        response = await house.post("reviewer", f"/v1/items/{item}/review", body)
        assert (response.status_code, response.json()["code"]) == (422, "invalid")


class TestQueue:
    async def test_skip_is_taken_back(self, house: House) -> None:
        dataset = await house.dataset(items=1)
        [held] = (await house.post("annotator", f"/v1/datasets/{dataset}/claim", {"count": 1})).json()["claims"]
        body = {"token": held["lease"]["token"], "skip_reason": "unreadable"}
        await house.post("annotator", f"/v1/leases/{held['lease']['id']}/release", body)
        item = held["item"]["id"]
        assert (await house.post("reviewer", f"/v1/items/{item}/unskip")).json()["code"] == "nothing-to-undo"
        back = (await house.post("annotator", f"/v1/items/{item}/unskip")).json()
        assert (back["item"]["state"], back["lease"]["item_id"]) == ("new", item)

    async def test_item_becomes_gold_and_stops_being_it(self, house: House) -> None:
        dataset = await house.dataset(items=1)
        item = (await house.get("admin", f"/v1/datasets/{dataset}/items")).json()["items"][0]["id"]
        made = (await house.put("reviewer", f"/v1/items/{item}/gold", {"payload": {"labels": ["positive"]}})).json()
        assert (made["gold"], made["state"]) == (True, "verified")
        assert (await house.get("annotator", f"/v1/items/{item}")).json()["annotation"] is None
        assert (await house.delete("reviewer", f"/v1/items/{item}/gold")).json()["gold"] is False

    async def test_full_day_is_refused_with_daily_limit(self, house: House) -> None:
        dataset = await house.dataset(items=2, settings={"max_per_day": 1})
        await answered(house, dataset)
        response = await house.post("annotator", f"/v1/datasets/{dataset}/claim", {"count": 1})
        assert (response.status_code, response.json()["code"]) == (409, "daily-limit")


class TestBulk:
    async def test_counted_then_ordered(self, house: House) -> None:
        dataset = await levels(house)
        await answered(house, dataset)
        body: dict[str, Any] = {"action": "approve", "filter": {"states": ["annotated"]}}
        path = f"/v1/datasets/{dataset}/items/bulk"
        counted = await house.post("reviewer", path, {**body, "dry_run": True})
        assert (counted.status_code, counted.json()["able"]) == (200, 1)
        ordered = await house.post("reviewer", path, body)
        assert (ordered.status_code, ordered.json()["kind"], ordered.json()["total"]) == (202, "bulk", 1)
        undo = await house.post("reviewer", f"/v1/jobs/{ordered.json()['id']}/undo")
        assert (undo.status_code, undo.json()["code"]) == (409, "illegal-job-state")

    @pytest.mark.parametrize(
        "body",
        [
            {"action": "approve"},
            {"action": "approve", "filter": {}, "ids": ["00000000-0000-4000-8000-000000000000"]},
            {"action": "set_class", "filter": {}},
            {"action": "approve", "filter": {}, "payload": {"labels": ["positive"]}},
            {"action": "assign", "filter": {}},
            {"action": "approve", "filter": {"state": "new"}},
            {"action": "approve", "ids": []},
        ],
    )
    async def test_order_that_means_nothing_is_refused_with_invalid(self, house: House, body: dict[str, Any]) -> None:
        dataset = await house.dataset()
        response = await house.post("reviewer", f"/v1/datasets/{dataset}/items/bulk", body)
        assert (response.status_code, response.json()["code"]) == (422, "invalid")
