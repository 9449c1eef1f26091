"""Search: words, meaning and labels fused; every filter, every kind of question, and neighbours under filters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from store.rpc import Rpc
from tests.support.people import new_user
from tests.support.teams import Team, draft, refusal

MODEL = "test-embedder"
TEXTS = ("late card payment", "card payment refused", "lost my card", "refund of a fee", "opening hours of the bank")


def axis(k: int, other: int | None = None) -> list[float]:
    """A unit vector, leaning towards another one if named."""
    vector = np.zeros(384)
    vector[k] = 1
    if other is not None:
        vector[other] = 0.5
    return (vector / np.linalg.norm(vector)).tolist()


async def stocked(rpc: Rpc) -> tuple[Team, list[str]]:
    """Five items on axes of their own; the third leans towards the first."""
    team = await Team.of(rpc)
    ids = await team.add(*TEXTS)
    vectors = [axis(0), axis(1), axis(2, 0), axis(3), axis(4)]
    rows = [{"id": item, "vector": vector} for item, vector in zip(ids, vectors, strict=True)]
    await team.call("save_embeddings", model=MODEL, rows=rows)
    return team, ids


def places(hits: list[dict[str, Any]], ids: list[str]) -> list[int]:
    return [ids.index(hit["item"]["id"]) for hit in hits]


async def test_item_that_words_and_meaning_both_find_comes_first(rpc: Rpc) -> None:
    team, ids = await stocked(rpc)
    hits = await team.call("search_items", q="card payment", vector=axis(0))
    assert places(hits, ids)[0] == 0
    assert hits[0]["by"] == ["meaning", "words"]
    assert hits[0]["similarity"] == pytest.approx(1.0, abs=1e-3)
    assert set(places(hits, ids)) == {0, 1, 2, 3, 4}
    scores = [hit["score"] for hit in hits]
    assert scores == sorted(scores, reverse=True)


async def test_words_alone_find_those_with_all_of_them_before_those_with_some(rpc: Rpc) -> None:
    team, ids = await stocked(rpc)
    hits = await team.call("search_items", q="card payment")
    assert set(places(hits, ids)[:2]) == {0, 1}
    assert places(hits, ids)[2:] == [2]
    assert all(hit["by"] == ["words"] and hit["similarity"] is None for hit in hits)


async def test_more_like_an_item_leaves_the_item_out(rpc: Rpc) -> None:
    team, ids = await stocked(rpc)
    hits = await team.call("search_items", item=ids[0])
    assert places(hits, ids)[0] == 2
    assert ids[0] not in {hit["item"]["id"] for hit in hits}
    other, theirs = await stocked(rpc)
    await refusal(team.call("search_items", item=theirs[0]), "not-found")
    assert other.dataset != team.dataset


async def test_items_with_a_label_that_is_spoken_of_rank_in_a_list_of_their_own(pg_rpc: Rpc) -> None:
    team, ids = await stocked(pg_rpc)
    await team.submit(team.admin, ids[4], "ugly")
    hits = await team.call("search_items", q="ugly things", vector=axis(9), labels=["ugly"])
    [labelled] = [hit for hit in hits if "label" in hit["by"]]
    assert places([labelled], ids) == [4]


@pytest.mark.parametrize("ask", [{"q": "card"}, {"vector": axis(0)}, {"q": "card", "vector": axis(0)}])
async def test_every_filter_narrows_words_and_meaning_alike(pg_rpc: Rpc, ask: dict[str, Any]) -> None:
    team, ids = await stocked(pg_rpc)
    annotator = await team.member()
    rows = [draft(ids[1], "bad", route="crew"), draft(ids[2], "good")]
    await team.call("save_predictions", rows=rows)
    [claim] = await team.claim(annotator)
    answered = ids.index(claim["lease"]["item_id"])
    await team.submit(annotator, claim, "bad")
    changed = (await team.item(ids[answered]))["updated_at"]
    cases: list[tuple[dict[str, Any], set[int]]] = [
        ({"states": ["verified"]}, {answered}),
        ({"states": ["drafted"], "label": "good"}, {2}),
        ({"sources": ["human"]}, {answered}),
        ({"annotator": annotator}, {answered}),
        ({"annotator": team.admin}, set()),
        ({"since": changed}, {answered}),
        ({"until": "2000-01-01T00:00:00Z"}, set()),
    ]
    for narrowed, wanted in cases:
        hits = await team.call("search_items", **ask, filter=narrowed)
        shown = set(places(hits, ids))
        assert shown <= wanted, narrowed
        if "vector" in ask:
            assert shown == wanted, narrowed


@pytest.mark.parametrize("narrowed", [{"colour": "red"}, {"states": "verified"}, {"states": ["asleep"]}, [1]])
async def test_filter_that_does_not_exist_is_refused_with_invalid(pg_rpc: Rpc, narrowed: Any) -> None:
    team = await Team.of(pg_rpc, items=1)
    await refusal(team.call("search_items", q="text", filter=narrowed), "invalid")
    await refusal(team.call("nearest_items", vector=axis(0), filter=narrowed), "invalid")


@pytest.mark.parametrize("q", ["'", "\\", "🙂🙃", "& | ! ( : *", "שלום עולם", "x" * 1000, "  "])
async def test_any_question_has_an_answer(pg_rpc: Rpc, q: str) -> None:
    team, _ = await stocked(pg_rpc)
    assert await team.call("search_items", q=q) == []
    assert len(await team.call("search_items", q=q, vector=axis(0))) == 5


async def test_external_id_finds_its_item(pg_rpc: Rpc) -> None:
    team = await Team.of(pg_rpc)
    await team.call("create_items", rows=[{"text": "something", "external_id": "order-77/a"}])
    [hit] = await team.call("search_items", q="order-77/a")
    assert hit["item"]["external_id"] == "order-77/a"


async def test_strangers_are_told_there_is_no_such_dataset(pg_rpc: Rpc) -> None:
    team, _ = await stocked(pg_rpc)
    await refusal(team.call("search_items", await new_user(pg_rpc), q="card"), "not-found")


async def test_neighbours_under_every_filter_are_those_that_pass_it(pg_rpc: Rpc) -> None:
    team, ids = await stocked(pg_rpc)
    await team.submit(team.admin, ids[3], "bad")
    await team.submit(team.admin, ids[4], "good")
    for narrowed, wanted in (
        ({"states": ["verified"]}, [3, 4]),
        ({"label": "bad"}, [3]),
        ({"label": "bad", "states": ["new"]}, []),
        ({"annotator": team.admin, "sources": ["human"]}, [3, 4]),
    ):
        similar = await pg_rpc.call("similar_items", actor=team.admin, item=ids[0], filter=narrowed)
        assert sorted(places(similar, ids)) == wanted, narrowed
