"""Embeddings: what lacks one, and neighbours that are the same as numpy finds, with and without the index."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray

from schemas.world import SimilarItem
from store.rpc import Rpc
from tests.support.people import new_user
from tests.support.teams import Team, refusal

MODEL = "test-embedder"


def unit_vectors(n: int) -> NDArray[np.float32]:
    """Vectors in a few heaps."""
    rng = np.random.default_rng(3)
    heaps = rng.normal(size=(8, 384))
    vectors = heaps[rng.integers(0, 8, n)] + 0.5 * rng.normal(size=(n, 384))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


async def embed(team: Team, n: int) -> tuple[list[str], NDArray[np.float32]]:
    """Items with vectors."""
    ids, vectors = await team.add(*(f"text {k}" for k in range(n))), unit_vectors(n)
    rows = [{"id": i, "vector": v.tolist()} for i, v in zip(ids, vectors, strict=True)]
    assert await team.call("save_embeddings", model=MODEL, rows=rows) == n
    return ids, vectors


async def test_items_without_a_vector_of_the_model_are_listed_by_seq(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=5)
    first = await team.call("list_unembedded", model=MODEL, limit=2)
    assert [row["text"] for row in first] == ["text number 1", "text number 2"]
    rows = [{"id": row["id"], "vector": [0.1] * 384} for row in first]
    await team.call("save_embeddings", model=MODEL, rows=rows)
    assert (await team.call("get_dataset"))["embedding_model"] == MODEL
    left = await team.call("list_unembedded", model=MODEL)
    assert [row["text"] for row in left] == ["text number 3", "text number 4", "text number 5"]
    assert len(await team.call("list_unembedded", model=MODEL, after=left[0]["seq"])) == 2
    assert len(await team.call("list_unembedded", model="another")) == 5


@pytest.mark.parametrize("vector", [[0.1] * 383, "0.1", None])
async def test_vector_of_another_length_is_refused(pg_rpc: Rpc, vector: Any) -> None:
    team = await Team.of(pg_rpc, items=1)
    [item] = await team.items()
    await refusal(team.call("save_embeddings", model=MODEL, rows=[{"id": item["id"], "vector": vector}]), "invalid")
    await refusal(team.call("nearest_items", vector=vector), "invalid")


async def test_vectors_of_items_of_other_datasets_are_not_taken(rpc: Rpc) -> None:
    team, other = await Team.of(rpc), await Team.of(rpc, items=1)
    [item] = await other.items()
    assert await team.call("save_embeddings", model=MODEL, rows=[{"id": item["id"], "vector": [0.1] * 384}]) == 0


async def test_neighbours_are_those_that_numpy_finds(rpc: Rpc) -> None:
    team = await Team.of(rpc)
    ids, vectors = await embed(team, 60)
    expected = [ids[k] for k in np.argsort(-(vectors @ vectors[7]), kind="stable") if k != 7]
    similar = await rpc.call("similar_items", actor=team.admin, item=ids[7], limit=10)
    assert [s["item"]["id"] for s in similar] == expected[:10]
    best = SimilarItem.model_validate(similar[0])
    assert best.similarity == pytest.approx(float(vectors[7] @ vectors[ids.index(best.item.id)]), abs=1e-3)
    nearest = await team.call("nearest_items", vector=vectors[7].tolist(), limit=5)
    assert [s["item"]["id"] for s in nearest] == [ids[7], *expected[:4]]


async def test_verified_neighbours_are_exactly_the_verified_ones(rpc: Rpc) -> None:
    team = await Team.of(rpc)
    ids, _ = await embed(team, 40)
    for item in (ids[1], ids[30]):
        await team.submit(team.admin, item)
    similar = await rpc.call("similar_items", actor=team.admin, item=ids[7], verified=True)
    assert {s["item"]["id"] for s in similar} == {ids[1], ids[30]}
    assert similar[0]["similarity"] >= similar[1]["similarity"]
    assert [s["item"]["state"] for s in similar] == ["verified", "verified"]


async def test_vectors_of_verified_items_are_kept_beside_the_others_whatever_comes_first(
    rpc: Rpc, database_dsn: str
) -> None:
    def kept() -> dict[str, str]:
        with psycopg.connect(database_dsn) as connection:
            rows = connection.execute("select item_id::text, vector::text from labelcrew.verified_vectors").fetchall()
            held = connection.execute(
                "select e.item_id::text, e.vector::text from labelcrew.embeddings e"
                " join labelcrew.items i on i.id = e.item_id where i.state = 'verified'"
            ).fetchall()
        assert sorted(rows) == sorted(held)
        return dict(rows)

    team = await Team.of(rpc)
    ids, _ = await embed(team, 3)
    [late] = await team.add("verified before it has a vector")
    for item in (ids[0], ids[1], late):
        await team.submit(team.admin, item)
    assert set(kept()) == {ids[0], ids[1]}
    moved = [{"id": item, "vector": [0.0, 1.0] + [0.0] * 382} for item in (ids[0], late)]
    await team.call("save_embeddings", model="m", rows=moved)
    now = kept()
    assert set(now) == {ids[0], ids[1], late}
    assert now[ids[0]] == now[late]
    await rpc.call("return_item", actor=team.admin, item=ids[1])
    assert set(kept()) == {ids[0], late}
    await rpc.call("delete_dataset", actor=team.admin, dataset=team.dataset)
    assert kept() == {}


async def test_item_without_a_vector_has_no_neighbours(rpc: Rpc) -> None:
    team = await Team.of(rpc)
    await embed(team, 3)
    [lonely] = await team.add("no vector")
    assert await rpc.call("similar_items", actor=team.admin, item=lonely) == []
    assert await (await Team.of(rpc)).call("nearest_items", vector=[0.1] * 384) == []


async def test_index_is_not_made_for_few_vectors(rpc: Rpc) -> None:
    team = await Team.of(rpc)
    await embed(team, 3)
    assert await team.call("index_embeddings") is False
    await refusal(team.call("index_embeddings", await new_user(rpc)), "not-found")


async def test_index_finds_nearly_what_reading_everything_finds(pg_rpc: Rpc, database_dsn: str) -> None:
    team = await Team.of(pg_rpc)
    ids, vectors = await embed(team, 600)
    for item in ids[::20]:
        await team.submit(team.admin, item)
    query = """
        select n.o_ids from labelcrew.embeddings v
        cross join lateral labelcrew.nearest_by_index(%s, v.vector, 10, %s::jsonb, null) n where v.item_id = %s
    """
    index = (
        "create index embeddings_near on labelcrew.embeddings using hnsw (vector extensions.halfvec_cosine_ops); "
        "set enable_seqscan = off; set enable_bitmapscan = off"
    )
    with psycopg.connect(database_dsn) as connection:
        connection.execute(index)
        for verified in (False, True):
            among = [k for k in range(600) if not verified or k % 20 == 0]
            narrowed = '{"states": ["verified"]}' if verified else "{}"
            found = 0
            for probe in range(0, 600, 60):
                row = connection.execute(query, [team.dataset, narrowed, ids[probe]]).fetchone()
                assert row is not None
                true = sorted(among, key=lambda k: -float(vectors[k] @ vectors[probe]))[:10]
                found += len({str(i) for i in row[0]} & {ids[k] for k in true})
            assert found >= 95
        connection.rollback()


async def test_training_rows_bring_vectors_as_numbers_or_bytes(rpc: Rpc) -> None:
    team = await Team.of(rpc)
    ids, vectors = await embed(team, 2)
    await team.submit(team.admin, ids[1], "bad")
    [row] = await team.call("list_training_rows")
    assert (row["item_id"], row["payload"], row["labelset_version"]) == (ids[1], {"labels": ["bad"]}, 1)
    np.testing.assert_allclose(row["vector"], vectors[1], atol=1e-3)
    [packed] = await team.call("list_training_rows", vectors="base64")
    np.testing.assert_allclose(np.frombuffer(base64.b64decode(packed["vector"]), ">f2"), vectors[1], atol=1e-3)
    await refusal(team.call("list_training_rows", vectors="pictures"), "invalid")
