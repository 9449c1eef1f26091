"""The queue over HTTP: claiming, holding, giving back, answering, taking back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.database import Clock
from tests.support.gateway import House


async def claim(house: House, who: str, dataset: str, count: int = 1) -> list[dict[str, Any]]:
    response = await house.post(who, f"/v1/datasets/{dataset}/claim", {"count": count})
    assert response.status_code == 200
    claims: list[dict[str, Any]] = response.json()["claims"]
    return claims


def answer(held: dict[str, Any], label: str = "positive", **more: Any) -> dict[str, Any]:
    lease = held["lease"]
    return {
        "payload": {"labels": [label]},
        "labelset_version": 1,
        "lease_id": lease["id"],
        "token": lease["token"],
        **more,
    }


class TestClaim:
    async def test_two_people_never_get_the_same_item(self, house: House) -> None:
        dataset = await house.dataset(items=6)
        taken = await asyncio.gather(*(claim(house, who, dataset, 2) for who in ("annotator", "reviewer", "admin")))
        ids = [held["item"]["id"] for claims in taken for held in claims]
        assert len(ids) == len(set(ids)) == 6

    async def test_what_one_holds_is_handed_out_again_first(self, house: House) -> None:
        dataset = await house.dataset()
        first = await claim(house, "annotator", dataset)
        assert [c["item"]["id"] for c in await claim(house, "annotator", dataset)] == [first[0]["item"]["id"]]

    async def test_nothing_left_gives_an_empty_list(self, house: House) -> None:
        assert await claim(house, "annotator", await house.dataset(items=0)) == []

    @pytest.mark.parametrize("body", [{"count": 0}, {"count": 101}, {"count": "many"}, {"lease_seconds": 5}])
    async def test_malformed_order_is_refused_with_invalid(self, house: House, body: dict[str, Any]) -> None:
        dataset = await house.dataset()
        response = await house.post("annotator", f"/v1/datasets/{dataset}/claim", body)
        assert (response.status_code, response.json()["code"]) == (422, "invalid")


class TestLease:
    async def test_renewing_moves_its_end(self, house: House, clock: Clock) -> None:
        held = (await claim(house, "annotator", await house.dataset()))[0]["lease"]
        clock.advance(minutes=5)
        renewed = (await house.post("annotator", f"/v1/leases/{held['id']}/renew", {"token": held["token"]})).json()
        assert renewed["expires_at"] > held["expires_at"]
        assert renewed["token"] == held["token"]

    async def test_ended_lease_is_refused_with_lease_expired(self, house: House, clock: Clock) -> None:
        held = (await claim(house, "annotator", await house.dataset()))[0]["lease"]
        clock.advance(hours=1)
        response = await house.post("annotator", f"/v1/leases/{held['id']}/renew", {"token": held["token"]})
        assert (response.status_code, response.json()["code"]) == (409, "lease-expired")

    async def test_released_item_goes_to_the_next(self, house: House) -> None:
        dataset = await house.dataset(items=1)
        held = (await claim(house, "annotator", dataset))[0]
        lease = held["lease"]
        response = await house.post("annotator", f"/v1/leases/{lease['id']}/release", {"token": lease["token"]})
        assert response.json()["state"] == "new"
        assert (await claim(house, "reviewer", dataset))[0]["item"]["id"] == held["item"]["id"]

    async def test_released_with_a_reason_the_item_is_skipped(self, house: House) -> None:
        dataset = await house.dataset(items=1)
        lease = (await claim(house, "annotator", dataset))[0]["lease"]
        body = {"token": lease["token"], "skip_reason": "unreadable"}
        assert (await house.post("annotator", f"/v1/leases/{lease['id']}/release", body)).json()["state"] == "skipped"
        assert await claim(house, "reviewer", dataset) == []

    async def test_somebody_elses_lease_is_not_found_or_forbidden(self, house: House) -> None:
        lease = (await claim(house, "annotator", await house.dataset()))[0]["lease"]
        response = await house.post("reviewer", f"/v1/leases/{lease['id']}/renew", {"token": lease["token"]})
        assert response.status_code in {403, 404, 409}


class TestSubmit:
    async def test_answer_is_stored_and_the_item_verified(self, house: House) -> None:
        held = (await claim(house, "annotator", await house.dataset()))[0]
        response = await house.put(
            "annotator", f"/v1/items/{held['item']['id']}/annotation", answer(held, lead_time_ms=1234)
        )
        assert response.status_code == 200
        stored = response.json()
        assert stored["created"] is True
        assert stored["item"]["state"] == "verified"
        assert stored["annotation"]["payload"] == {"labels": ["positive"]}
        assert stored["annotation"]["lead_time_ms"] == 1234
        assert stored["annotation"]["user_id"] == house.people["annotator"].id

    async def test_same_key_again_stores_nothing(self, house: House) -> None:
        held = (await claim(house, "annotator", await house.dataset()))[0]
        path = f"/v1/items/{held['item']['id']}/annotation"
        first = (await house.put("annotator", path, answer(held, key="k-1"))).json()
        again = (await house.put("annotator", path, answer(held, key="k-1"))).json()
        assert (first["created"], again["created"]) == (True, False)
        assert again["annotation"]["id"] == first["annotation"]["id"]

    async def test_item_that_passed_on_is_refused_with_stale_token(self, house: House, clock: Clock) -> None:
        dataset = await house.dataset(items=1)
        held = (await claim(house, "annotator", dataset))[0]
        clock.advance(hours=1)
        await claim(house, "reviewer", dataset)
        response = await house.put("annotator", f"/v1/items/{held['item']['id']}/annotation", answer(held))
        assert (response.status_code, response.json()["code"]) == (409, "stale-token")

    async def test_ended_lease_is_refused_with_lease_expired(self, house: House, clock: Clock) -> None:
        held = (await claim(house, "annotator", await house.dataset()))[0]
        clock.advance(hours=1)
        response = await house.put("annotator", f"/v1/items/{held['item']['id']}/annotation", answer(held))
        assert (response.status_code, response.json()["code"]) == (409, "lease-expired")

    async def test_revision_of_ones_own_answer_needs_no_lease(self, house: House) -> None:
        held = (await claim(house, "annotator", await house.dataset()))[0]
        path = f"/v1/items/{held['item']['id']}/annotation"
        await house.put("annotator", path, answer(held))
        body = {"payload": {"labels": ["negative"]}, "labelset_version": 1}
        changed = (await house.put("annotator", path, body)).json()
        assert (changed["annotation"]["revision"], changed["annotation"]["payload"]) == (2, {"labels": ["negative"]})

    @pytest.mark.parametrize(
        ("payload", "code"),
        [
            ({"labels": ["unheard of"]}, "invalid-payload"),
            ({"labels": []}, "invalid-payload"),
            ({"labels": ["positive", "negative"]}, "invalid-payload"),
            ({"spans": []}, "invalid-payload"),
            ({"labels": "positive"}, "invalid-payload"),
            ({}, "invalid-payload"),
            ("positive", "invalid-payload"),
            ({"labels": [""]}, "invalid-payload"),
        ],
    )
    async def test_answer_that_the_labelset_does_not_allow_is_refused(
        self, house: House, payload: Any, code: str
    ) -> None:
        held = (await claim(house, "annotator", await house.dataset()))[0]
        path = f"/v1/items/{held['item']['id']}/annotation"
        response = await house.put("annotator", path, answer(held) | {"payload": payload})
        assert (response.status_code, response.json()["code"]) == (422, code)
        assert (await house.put("annotator", path, answer(held))).status_code == 200


class TestUndo:
    async def test_takes_the_last_answer_back_and_holds_the_item_again(self, house: House) -> None:
        dataset = await house.dataset(items=2)
        held = (await claim(house, "annotator", dataset))[0]
        await house.put("annotator", f"/v1/items/{held['item']['id']}/annotation", answer(held))
        undone = (await house.post("annotator", f"/v1/datasets/{dataset}/undo")).json()
        assert undone["item"]["id"] == held["item"]["id"]
        assert undone["item"]["annotation"] is None
        assert undone["lease"]["token"] > held["lease"]["token"]

    async def test_without_an_answer_it_is_refused_with_nothing_to_undo(self, house: House) -> None:
        response = await house.post("annotator", f"/v1/datasets/{await house.dataset()}/undo")
        assert (response.status_code, response.json()["code"]) == (409, "nothing-to-undo")
