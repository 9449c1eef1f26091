"""Datasets: shapes, names, settings, counters, and who may do what."""

from __future__ import annotations

import asyncio

import pytest

from schemas.world import Dataset
from store.rpc import Rpc
from tests.support.people import new_dataset, new_user
from tests.support.teams import Team, draft, refusal


async def test_new_dataset_has_the_shape_of_the_vocabulary(rpc: Rpc) -> None:
    admin = await new_user(rpc)
    made = await rpc.call("create_dataset", actor=admin, name=" Mail ", guidelines="# How", settings={"overlap": 2})
    dataset = Dataset.model_validate(made)
    assert (dataset.name, dataset.role, dataset.items, dataset.labelset) == ("Mail", "admin", 0, None)
    assert dataset.settings.overlap == 2
    assert set(made["states"].values()) == {0}
    assert await rpc.call("get_dataset", actor=admin, dataset=dataset.id) == made
    assert await rpc.call("list_datasets", actor=admin) == [made]


async def test_second_dataset_of_the_same_name_is_refused_with_duplicate_name(rpc: Rpc) -> None:
    one, two = await new_user(rpc), await new_user(rpc)
    await rpc.call("create_dataset", actor=one, name="Mail")
    await refusal(rpc.call("create_dataset", actor=one, name="Mail"), "duplicate-name")
    await rpc.call("create_dataset", actor=two, name="Mail")
    other = await new_dataset(rpc, one)
    await refusal(rpc.call("update_dataset", actor=one, dataset=other, patch={"name": "Mail"}), "duplicate-name")


@pytest.mark.parametrize(
    "settings",
    [{"overlap": 0}, {"overlap": 1.5}, {"overlap": "2"}, {"lease_seconds": 5}, {"unheard_of": 1}, {"model": 3}, []],
)
async def test_settings_that_would_not_read_back_are_refused(pg_rpc: Rpc, settings: object) -> None:
    admin = await new_user(pg_rpc)
    await refusal(pg_rpc.call("create_dataset", actor=admin, name="x", settings=settings), "invalid")


@pytest.mark.parametrize("name", ["", "   ", "x" * 201])
async def test_name_without_letters_or_too_long_is_refused(pg_rpc: Rpc, name: str) -> None:
    await refusal(pg_rpc.call("create_dataset", actor=await new_user(pg_rpc), name=name), "invalid")


async def test_patch_changes_what_it_names_and_keeps_the_rest(rpc: Rpc) -> None:
    team = await Team.of(rpc, overlap=2, model="m")
    changed = await team.call("update_dataset", patch={"guidelines": "new", "settings": {"overlap": 3}})
    assert changed["guidelines"] == "new"
    assert changed["settings"] == {"overlap": 3, "model": "m", "blind_share": 0}
    await refusal(team.call("update_dataset", patch={"owner_id": team.admin}), "invalid")


async def test_smaller_overlap_finishes_items_that_have_answers_enough(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=2, overlap=2)
    annotator = await team.member()
    [claim] = await team.claim(annotator)
    await team.submit(annotator, claim)
    assert await team.states() == {"new": 2}
    await team.call("update_dataset", patch={"settings": {"overlap": 1}})
    assert await team.states() == {"new": 1, "verified": 1}


async def test_fewer_review_levels_verify_what_was_waiting(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1, review_levels=2)
    annotator = await team.member()
    [claim] = await team.claim(annotator)
    assert (await team.submit(annotator, claim))["item"]["state"] == "annotated"
    await team.call("update_dataset", patch={"settings": {"review_levels": 1}})
    assert await team.states() == {"verified": 1}


async def test_counters_follow_items_through_their_states(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=5)
    items = await team.items()
    await team.call("save_predictions", rows=[draft(item["id"]) for item in items[:3]])
    await team.submit(team.admin, items[0]["id"])
    assert await team.states() == {"new": 2, "drafted": 2, "verified": 1}
    assert (await team.call("get_dataset"))["items"] == 5


async def test_strangers_find_no_dataset_and_annotators_may_not_change_it(rpc: Rpc) -> None:
    team = await Team.of(rpc)
    stranger, annotator = await new_user(rpc), await team.member()
    for function, params in [
        ("get_dataset", {}),
        ("update_dataset", {"patch": {}}),
        ("delete_dataset", {}),
        ("create_labelset", {"kind": "classification", "classes": [{"name": "x"}]}),
        ("create_items", {"rows": []}),
        ("list_items", {}),
        ("export_items", {}),
        ("claim_items", {}),
    ]:
        await refusal(team.call(function, stranger, **params), "not-found")
        if function not in {"get_dataset", "list_items", "claim_items"}:
            await refusal(team.call(function, annotator, **params), "forbidden")
    assert await rpc.call("list_datasets", actor=stranger) == []
    assert [d["role"] for d in await rpc.call("list_datasets", actor=annotator)] == ["annotator"]


async def test_deleted_dataset_takes_everything_along_but_the_audit_log(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=3)
    other = await Team.of(rpc, items=1)
    annotator = await team.member()
    [claim] = await team.claim(annotator)
    await team.call("save_predictions", rows=[draft(claim["item"]["id"])])
    await team.submit(annotator, claim)
    await team.call("save_embeddings", model="m", rows=[{"id": claim["item"]["id"], "vector": [0.05] * 384}])
    await rpc.call(
        "save_student", dataset=team.dataset, labelset_version=1, model="m", metrics={}, blob="", trained_on=1
    )
    assert await team.call("delete_dataset") == {"deleted": True}
    await refusal(team.call("get_dataset"), "not-found")
    await refusal(rpc.call("get_item", actor=team.admin, item=claim["item"]["id"]), "not-found")
    assert await other.states() == {"new": 1}


async def test_two_who_create_the_same_name_at_once_get_one_dataset(pg_rpc: Rpc) -> None:
    admin = await new_user(pg_rpc)
    calls = [pg_rpc.call("create_dataset", actor=admin, name="same") for _ in range(5)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(result, dict) for result in results) == 1
    assert len(await pg_rpc.call("list_datasets", actor=admin)) == 1
