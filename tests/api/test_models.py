"""Drafts and similar items over HTTP: by the embedded model, and by a crew that speaks to a language model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from jobs.vectors import embed_missing
from schemas.settings import Settings
from store.rpc import Rpc
from tests.support.gateway import House, open_house
from tests.support.openai_server import KEY, StandIn

LOCAL = "local/minilm-l6"


async def one_item(house: House, text: str = "I love it, it is great", **options: Any) -> str:
    dataset = await house.dataset(items=0, **options)
    made = await house.post("admin", f"/v1/datasets/{dataset}/items", {"rows": [{"text": text}]})
    item: str = made.json()["results"][0]["id"]
    return item


class TestLocal:
    async def test_draft_is_stored_with_its_probability_reason_and_price(self, house: House) -> None:
        item = await one_item(house)
        response = await house.post("annotator", f"/v1/items/{item}/prelabel")
        assert response.status_code == 200
        draft = response.json()
        assert draft["payload"] == {"labels": ["positive"]}
        assert draft["model"] == LOCAL
        assert 0.5 < draft["probability"] <= 1
        assert draft["route_reason"]
        assert draft["usage"]["cost_usd"] == 0
        shown = (await house.get("annotator", f"/v1/items/{item}")).json()
        assert (shown["state"], shown["draft"]["id"]) == ("drafted", draft["id"])

    async def test_without_a_labelset_it_is_refused_with_no_labelset(self, house: House) -> None:
        dataset = (await house.post("admin", "/v1/datasets", {"name": "bare"})).json()["id"]
        made = (await house.post("admin", f"/v1/datasets/{dataset}/items", {"rows": [{"text": "x"}]})).json()
        response = await house.post("admin", f"/v1/items/{made['results'][0]['id']}/prelabel")
        assert (response.status_code, response.json()["code"]) == (409, "no-labelset")

    @pytest.mark.parametrize("model", ["gpt-4.1-mini", "local/unheard-of"])
    async def test_model_that_is_not_there_is_refused_with_unknown_model(self, house: House, model: str) -> None:
        response = await house.post("annotator", f"/v1/items/{await one_item(house)}/prelabel", {"model": model})
        assert (response.status_code, response.json()["code"]) == (422, "unknown-model")


class TestLimit:
    async def test_one_more_than_allowed_in_a_minute_is_refused_with_rate_limited(
        self, settings: Settings, pg_rpc: Rpc
    ) -> None:
        async with open_house(settings.model_copy(update={"prelabel_per_minute": 2}), pg_rpc) as house:
            item = await one_item(house)
            for left in ("1", "0"):
                response = await house.post("annotator", f"/v1/items/{item}/prelabel")
                assert response.status_code == 200
                assert response.headers["ratelimit-limit"] == "2"
                assert response.headers["ratelimit-remaining"] == left
            response = await house.post("annotator", f"/v1/items/{item}/prelabel")
            assert (response.status_code, response.json()["code"]) == (429, "rate-limited")
            assert 1 <= int(response.headers["retry-after"]) <= 61
            assert response.json()["retry_after"] == int(response.headers["retry-after"])
            assert response.headers["ratelimit-remaining"] == "0"
            other = await house.post("reviewer", f"/v1/items/{item}/prelabel")
            assert other.status_code == 200


class TestLanguageModel:
    @pytest_asyncio.fixture
    async def server(self) -> AsyncIterator[StandIn]:
        async with StandIn() as server:
            yield server

    @pytest_asyncio.fixture
    async def house(self, settings: Settings, pg_rpc: Rpc, server: StandIn) -> AsyncIterator[House]:
        changes = {"openai_api_key": SecretStr(KEY), "openai_base_url": server.base_url, "model": "gpt-4.1-mini"}
        async with open_house(settings.model_copy(update=changes), pg_rpc) as opened:
            yield opened

    async def test_draft_comes_from_the_crew_with_its_price(self, house: House, server: StandIn) -> None:
        item = await one_item(house, "a positive review")
        draft = (await house.post("annotator", f"/v1/items/{item}/prelabel")).json()
        assert draft["payload"] == {"labels": ["positive"]}
        assert (draft["route"], draft["model"]) == ("crew", "gpt-4.1-mini")
        assert draft["usage"]["cost_usd"] > 0
        assert len(server.chats) >= 2

    async def test_refused_key_is_told_as_model_auth_without_the_key(
        self, settings: Settings, pg_rpc: Rpc, server: StandIn
    ) -> None:
        changes = {"openai_api_key": SecretStr("sk-wrong"), "openai_base_url": server.base_url, "model": "gpt-4.1-mini"}
        async with open_house(settings.model_copy(update=changes), pg_rpc) as house:
            response = await house.post("annotator", f"/v1/items/{await one_item(house)}/prelabel")
        assert (response.status_code, response.json()["code"]) == (502, "model-auth")
        assert "sk-wrong" not in response.text


class TestSimilar:
    async def test_nearest_in_meaning_come_first(self, house: House) -> None:
        dataset = await house.dataset(items=0)
        texts = ["the parcel came late", "delivery was delayed by days", "the soup was too salty"]
        rows = [{"text": text} for text in texts]
        made = (await house.post("admin", f"/v1/datasets/{dataset}/items", {"rows": rows})).json()
        first = made["results"][0]["id"]
        assert (await house.get("annotator", f"/v1/items/{first}/similar")).json() == []
        await embed_missing(house.rpc, house.people["admin"].id, dataset)
        found = (await house.get("annotator", f"/v1/items/{first}/similar")).json()
        assert [near["item"]["text"] for near in found] == texts[1:]
        assert found[0]["similarity"] > found[1]["similarity"]
        verified = await house.get("annotator", f"/v1/items/{first}/similar", params={"verified": True})
        assert verified.json() == []

    @pytest.mark.parametrize("limit", [0, 101, "many"])
    async def test_malformed_limit_is_refused_with_invalid(self, house: House, limit: Any) -> None:
        response = await house.get("annotator", f"/v1/items/{await one_item(house)}/similar", params={"limit": limit})
        assert (response.status_code, response.json()["code"]) == (422, "invalid")
