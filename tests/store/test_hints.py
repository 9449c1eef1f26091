"""Hints in the database: what they are made of, that they are logged and joined to answers, and their budget."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from schemas.errors import Conflict
from schemas.guidance import HintEffect
from store.rpc import Rpc
from tests.store.test_embeddings import MODEL, unit_vectors
from tests.support.database import Clock
from tests.support.teams import Team, draft, refusal


async def team_of(rpc: Rpc, **settings: Any) -> Team:
    return await Team.of(rpc, **{"blind_share": 0, **settings})


async def verified(team: Team, count: int, label: str = "good") -> list[str]:
    """Verified items with vectors."""
    ids = await team.add(*(f"{label} {n}" for n in range(count)), annotation={"labels": [label]})
    rows = [{"id": i, "vector": v.tolist()} for i, v in zip(ids, unit_vectors(count), strict=True)]
    await team.call("save_embeddings", model=MODEL, rows=rows)
    return ids


def run(dsn: str, statement: str, *values: Any) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement, values)  # type: ignore[arg-type]


async def hint(rpc: Rpc, actor: str, item: str, **fields: Any) -> dict[str, Any]:
    row = {"labelset_version": 1, "suggested": {"labels": ["good"]}, "worded_by": "template", **fields}
    saved: dict[str, Any] = await rpc.call("save_hint", actor=actor, item=item, hint=row)
    return saved


async def test_basis_has_verified_neighbours_with_vectors_nearest_first_and_not_the_item(rpc: Rpc) -> None:
    team = await team_of(rpc)
    ids = await verified(team, 8)
    basis = await rpc.call("get_hint_basis", actor=team.admin, item=ids[0], limit=5)
    near = basis["neighbours"]
    assert len(near) == 5
    assert ids[0] not in [row["id"] for row in near]
    assert [row["similarity"] for row in near] == sorted((row["similarity"] for row in near), reverse=True)
    assert all(row["vector"] and row["payload"] == {"labels": ["good"]} for row in near)
    assert (basis["verified"], basis["role"], basis["dataset_id"]) == (8, "admin", team.dataset)


async def test_item_without_a_vector_has_no_neighbours_until_one_is_given(rpc: Rpc) -> None:
    team = await team_of(rpc)
    await verified(team, 3)
    [item] = await team.add("new")
    assert (await rpc.call("get_hint_basis", actor=team.admin, item=item))["neighbours"] == []
    vector = unit_vectors(1)[0].tolist()
    assert len((await rpc.call("get_hint_basis", actor=team.admin, item=item, vector=vector))["neighbours"]) == 3
    await refusal(rpc.call("get_hint_basis", actor=team.admin, item=item, vector=[1.0]), "invalid")


async def test_items_with_a_known_answer_are_nobodys_example(pg_rpc: Rpc, clean_dsn: str) -> None:
    team = await team_of(pg_rpc)
    ids = await verified(team, 4)
    run(clean_dsn, 'update labelcrew.items set gold_payload = \'{"labels": ["good"]}\' where id = %s', ids[1])
    basis = await pg_rpc.call("get_hint_basis", actor=team.admin, item=ids[0])
    assert ids[1] not in [row["id"] for row in basis["neighbours"]]


@pytest.mark.parametrize("arm", ["audit", "blind"])
async def test_item_drawn_to_be_answered_unaided_is_refused_with_blind_item(
    pg_rpc: Rpc, clean_dsn: str, arm: str
) -> None:
    team = await team_of(pg_rpc)
    [item] = await team.add("one")
    run(clean_dsn, "update labelcrew.items set arm = %s where id = %s", arm, item)
    await refusal(pg_rpc.call("get_hint_basis", actor=team.admin, item=item), "blind-item")
    await refusal(team.call("begin_chat", question="x", item=item), "blind-item")
    found = await team.call("find_item", name=item)
    assert (found["blind"], found["item"]["draft"]) == (True, None)


async def test_who_looks_before_claiming_learns_no_more_than_who_claims(rpc: Rpc) -> None:
    team = await team_of(rpc, blind_share=0.5)
    ids = await team.add(*(f"text {n}" for n in range(40)))
    refused = set()
    for item in ids:
        try:
            await rpc.call("get_hint_basis", actor=team.admin, item=item)
        except Conflict:
            refused.add(item)
    assert 5 < len(refused) < 35
    worker = await team.member()
    claims = await team.claim(worker, 40)
    assert {c["item"]["id"] for c in claims if c["item"]["arm"] == "blind"} == refused


async def test_what_is_cited_and_not_verified_any_more_is_not_kept(rpc: Rpc) -> None:
    team = await team_of(rpc)
    [good, gone] = await verified(team, 2)
    [item] = await team.add("new")
    other = await team_of(rpc)
    [elsewhere] = await verified(other, 1)
    await rpc.call("return_item", actor=team.admin, item=gone)
    saved = await hint(rpc, team.admin, item, examples=[good, gone, elsewhere, item])
    assert saved["examples"] == [good]


async def test_first_answers_are_told_apart_by_what_was_seen_before(pg_rpc: Rpc, clean_dsn: str) -> None:
    team = await team_of(pg_rpc)
    ids = await team.add("hinted", "drafted", "bare", "blind", "later")
    await team.call("save_predictions", rows=[draft(ids[0]), draft(ids[1]), draft(ids[3])])
    worker = await team.member()
    await hint(pg_rpc, worker, ids[0], suggested={"labels": ["bad"]})
    run(clean_dsn, "update labelcrew.items set arm = 'blind' where id = %s", ids[3])
    claims = {c["item"]["id"]: c for c in await team.claim(worker, 5)}
    for item, label in zip(ids, ("bad", "ugly", "good", "good", "good"), strict=True):
        await team.submit(worker, claims[item], label, lead_time_ms=1000)
    await hint(pg_rpc, worker, ids[4])
    reviewer = await team.member("reviewer")
    effect = await team.call("get_hint_effect", reviewer)
    HintEffect.model_validate(effect)
    arms = {a["arm"]: (a["answers"], a["suggested"], a["as_suggested"]) for a in effect["arms"]}
    assert arms == {"hinted": (1, 1, 1), "drafted": (1, 1, 0), "bare": (2, 0, 0), "blind": (1, 1, 1)}
    await refusal(team.call("get_hint_effect", worker), "forbidden")


async def test_confusions_count_drafts_that_people_corrected(rpc: Rpc) -> None:
    team = await team_of(rpc)
    ids = await team.add("one", "two", "three")
    await team.call("save_predictions", rows=[draft(i, "bad") for i in ids])
    for item, label in zip(ids, ("good", "good", "bad"), strict=True):
        await team.submit(team.admin, item, label)
    assert await team.call("count_confusions") == [{"drafted": "bad", "answered": "good", "n": 2}]


class TestBudget:
    async def test_calls_fit_the_budget_of_the_dataset_together(self, rpc: Rpc) -> None:
        team = await team_of(rpc, budget_usd=1.0)
        first = await team.call("reserve_guidance", usd=0.6)
        assert first["granted"]
        assert not (await team.call("reserve_guidance", usd=0.6))["granted"]
        assert await team.call("settle_guidance", usd=0.1, reservation=first["id"]) == pytest.approx(0.1)
        assert (await team.call("reserve_guidance", usd=0.9))["granted"]
        assert not (await team.call("reserve_guidance", usd=0.01))["granted"]

    async def test_what_was_never_settled_is_free_again_after_a_while(self, pg_rpc: Rpc, clock: Clock) -> None:
        team = await team_of(pg_rpc, budget_usd=1.0)
        assert (await team.call("reserve_guidance", usd=1.0))["granted"]
        assert not (await team.call("reserve_guidance", usd=1.0))["granted"]
        clock.advance(minutes=11)
        assert (await team.call("reserve_guidance", usd=1.0))["granted"]

    async def test_without_a_budget_the_costs_are_counted(self, rpc: Rpc) -> None:
        team = await team_of(rpc)
        assert (await team.call("reserve_guidance", usd=1e6))["granted"]
        await team.call("settle_guidance", usd=0.25)
        assert (await team.call("get_hint_effect"))["cost_usd"] == pytest.approx(0.25)
