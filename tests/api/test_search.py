"""Search over HTTP: questions in words, more like this, filters, and what the note says when something is missing."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.vectors import embed_missing
from tests.support.gateway import House

TEXTS = (
    "My parcel has still not come", "The delivery is a week late", "I love this shop", "Wonderful service, thank you",
    "Where do I find the invoice",
)  # fmt: skip


async def stocked(house: House, *, embedded: bool = True) -> str:
    dataset = await house.dataset(items=0)
    await house.post("admin", f"/v1/datasets/{dataset}/items", {"rows": [{"text": text} for text in TEXTS]})
    if embedded:
        await embed_missing(house.rpc, house.people["admin"].id, dataset)
    return dataset


async def find(house: House, dataset: str, **params: Any) -> dict[str, Any]:
    response = await house.get("annotator", f"/v1/datasets/{dataset}/search", params=params)
    response.raise_for_status()
    found: dict[str, Any] = response.json()
    return found


class TestSearch:
    async def test_question_finds_what_means_the_same_in_other_words(self, house: House) -> None:
        found = await find(house, await stocked(house), q="the package did not arrive")
        assert found["hits"][0]["item"]["text"] == TEXTS[0]
        assert found["hits"][0]["similarity"] > 0.4
        assert found["note"] == ""

    async def test_class_that_the_question_names_is_recognised(self, house: House) -> None:
        dataset = await stocked(house)
        [first] = (await find(house, dataset, q="love", limit=1))["hits"]
        body = {"payload": {"labels": ["positive"]}, "labelset_version": 1}
        (await house.put("admin", f"/v1/items/{first['item']['id']}/annotation", body)).raise_for_status()
        found = await find(house, dataset, q="positive")
        assert found["labels"] == ["positive"]
        assert "label" in found["hits"][0]["by"]

    async def test_more_like_this_is_by_meaning(self, house: House) -> None:
        dataset = await stocked(house)
        [first] = (await find(house, dataset, q="parcel", mode="words", limit=1))["hits"]
        like = await find(house, dataset, item=first["item"]["id"], limit=1)
        assert like["hits"][0]["item"]["text"] == TEXTS[1]

    async def test_filters_of_the_query_narrow_the_answer(self, house: House) -> None:
        dataset = await stocked(house)
        assert (await find(house, dataset, q="parcel", state="verified"))["hits"] == []
        assert len((await find(house, dataset, q="parcel", state=["new", "drafted"]))["hits"]) == 5
        assert (await find(house, dataset, q="parcel", since="2100-01-01T00:00:00Z"))["hits"] == []

    async def test_without_vectors_words_are_searched_and_the_note_says_so(self, house: House) -> None:
        found = await find(house, await stocked(house, embedded=False), q="parcel")
        assert [hit["by"] for hit in found["hits"]] == [["words"]]
        assert "embed" in found["note"]

    @pytest.mark.parametrize("params", [{}, {"q": "   "}, {"q": "a", "item": "0199e5c0-0000-7000-8000-000000000000"}])
    async def test_neither_or_both_is_refused_with_invalid(self, house: House, params: dict[str, str]) -> None:
        dataset = await house.dataset()
        response = await house.get("annotator", f"/v1/datasets/{dataset}/search", params=params)
        assert (response.status_code, response.json()["code"]) == (422, "invalid")
