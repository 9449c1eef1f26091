"""Predictions: drafts and failures, once a job and item, the newest good one in front."""

from __future__ import annotations

import asyncio

from schemas.world import Item, Prediction
from store.rpc import Rpc
from tests.support.people import new_user
from tests.support.teams import Team, draft, failure, refusal


async def test_draft_is_stored_whole_and_becomes_the_items_draft(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=2)
    [one, two] = [item["id"] for item in await team.items()]
    full = draft(
        one, "bad", alternatives=[{"label": "good", "probability": 0.1}], rationale="because", prompt_hash="ab12",
        route_reason="no student yet", usage={"input_tokens": 12, "cached_tokens": 2, "output_tokens": 3,
                                              "cost_usd": 0.000123, "latency_ms": 81.5},
    )  # fmt: skip
    done = await team.call("save_predictions", rows=[full])
    assert (done["created"], done["duplicates"]) == (1, 0)
    item = Item.model_validate(await team.item(one))
    assert item.state == "drafted"
    assert item.draft is not None
    assert item.draft.id == done["ids"][0]
    stored = item.draft.model_dump(mode="json")
    assert {key: stored[key] for key in full} == full
    assert (await team.item(two))["state"] == "new"


async def test_failure_is_stored_and_never_becomes_the_draft(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1)
    [item] = [i["id"] for i in await team.items()]
    assert (await team.call("save_predictions", rows=[failure(item)]))["errors"] == 1
    assert await team.states() == {"new": 1}
    await team.call("save_predictions", rows=[draft(item, "good")])
    await team.call("save_predictions", rows=[failure(item)])
    found = await team.item(item)
    assert found["draft"]["payload"] == {"labels": ["good"]}
    history = await rpc.call("list_predictions", actor=team.admin, item=item)
    assert [Prediction.model_validate(p).error is None for p in history] == [False, True, False]


async def test_newer_draft_takes_the_place_of_the_older(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1)
    [item] = [i["id"] for i in await team.items()]
    for label in ("good", "bad"):
        await team.call("save_predictions", rows=[draft(item, label)])
    assert [i["id"] for i in await team.items(label="bad")] == [item]
    assert await team.items(label="good") == []


async def test_answer_that_the_labelset_refuses_is_kept_as_a_failure_and_spares_the_batch(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=2)
    [one, two] = [item["id"] for item in await team.items()]
    done = await team.call("save_predictions", rows=[draft(one, "unheard of"), draft(two)])
    assert (done["created"], done["errors"]) == (2, 1)
    assert await team.states() == {"new": 1, "drafted": 1}
    [kept] = await rpc.call("list_predictions", actor=team.admin, item=one)
    assert (kept["payload"], kept["error"]["code"]) == (None, "invalid-payload")


async def test_job_stores_one_draft_an_item_however_often_it_is_retried(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=3)
    ids = [item["id"] for item in await team.items()]
    job = (await team.call("create_job", kind="prelabel"))["id"]
    first = await team.call("save_predictions", job=job, rows=[draft(ids[0]), draft(ids[1]), draft(ids[1], "bad")])
    assert (first["created"], first["duplicates"]) == (2, 1)
    assert first["ids"][1] == first["ids"][2]
    again = await team.call("save_predictions", job=job, rows=[draft(i, "ugly") for i in ids])
    assert (again["created"], again["duplicates"]) == (1, 2)
    assert again["ids"][:2] == first["ids"][:2]
    assert [i["draft"]["payload"]["labels"] for i in await team.items()] == [["good"], ["good"], ["ugly"]]


async def test_workers_that_save_the_same_batch_at_once_store_it_once(pg_rpc: Rpc) -> None:
    team = await Team.of(pg_rpc, items=100)
    ids = [item["id"] for item in await team.items()]
    job = (await team.call("create_job", kind="prelabel"))["id"]
    batches = [ids, ids[::-1], ids[50:] + ids[:50]]
    done = await asyncio.gather(*(
        team.call("save_predictions", job=job, rows=[draft(i) for i in batch]) for batch in batches
    ))  # fmt: skip
    assert sum(d["created"] for d in done) == 100
    assert await team.states() == {"drafted": 100}


async def test_draft_after_an_answer_changes_neither_state_nor_label(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1)
    [item] = [i["id"] for i in await team.items()]
    await team.submit(team.admin, item, "good")
    await team.call("save_predictions", rows=[draft(item, "bad")])
    found = await team.item(item)
    assert (found["state"], found["draft"]["payload"]["labels"]) == ("verified", ["bad"])
    assert [i["id"] for i in await team.items(label="good", sources=["human"])] == [item]
    assert await team.items(label="bad") == []


async def test_rows_of_other_datasets_or_labelsets_are_refused_as_a_whole(rpc: Rpc) -> None:
    team, other = await Team.of(rpc, items=1), await Team.of(rpc, items=1)
    [mine], [theirs] = await team.items(), await other.items()
    await refusal(team.call("save_predictions", rows=[draft(mine["id"]), draft(theirs["id"])]), "not-found")
    await refusal(team.call("save_predictions", rows=[draft(mine["id"], labelset_version=7)]), "not-found")
    job = (await other.call("create_job", kind="prelabel"))["id"]
    await refusal(team.call("save_predictions", rows=[draft(mine["id"])], job=job), "not-found")
    assert await team.states() == {"new": 1}


async def test_annotators_may_draft_by_hand_and_only_admins_for_a_job(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1)
    annotator = await team.member()
    [item] = [i["id"] for i in await team.items()]
    job = (await team.call("create_job", kind="prelabel"))["id"]
    await refusal(team.call("save_predictions", annotator, rows=[draft(item)], job=job), "forbidden")
    assert (await team.call("save_predictions", annotator, rows=[draft(item)]))["created"] == 1


async def test_next_job_items_are_those_that_the_job_has_not_answered(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=6)
    ids = [item["id"] for item in await team.items()]
    job = (await team.call("create_job", kind="prelabel"))["id"]

    async def left(**params: object) -> list[str]:
        rows = await rpc.call("next_job_items", actor=team.admin, job=job, **{"limit": 10, **params})
        return [row["id"] for row in rows]

    await team.call("save_predictions", rows=[draft(ids[1])])
    await team.call("save_predictions", job=job, rows=[draft(ids[0]), failure(ids[2])])
    await team.submit(team.admin, ids[3])
    assert await left() == [ids[1], ids[4], ids[5]]
    assert await left(exclude_human=False) == [ids[1], *ids[3:]]
    assert await left(limit=1) == [ids[1]]
    [row] = await rpc.call("next_job_items", actor=team.admin, job=job, limit=1, vectors=True)
    assert (row["text"], row["vector"]) == ("text number 2", None)
    assert await left(after=row["seq"]) == ids[4:]
    await refusal(rpc.call("next_job_items", actor=await new_user(rpc), job=job, limit=1), "not-found")
