"""Operations on many items: counted before, done row by row with a reason for each refusal, undone as a whole."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from schemas.reviews import BulkCount, Refusals
from store.rpc import Rpc
from tests.support.database import Clock
from tests.support.people import new_user
from tests.support.queue_truth import contradictions
from tests.support.teams import Team, draft, refusal


async def order(team: Team, actor: str, action: str, **params: Any) -> dict[str, Any]:
    params.setdefault("filter", None if "ids" in params else {})
    params.setdefault("options", {"comment": "because"})
    done: dict[str, Any] = await team.call("order_bulk", actor, action=action, **params)
    return done


async def carry_out(team: Team, job: dict[str, Any], most: int = 3) -> dict[str, Any]:
    """What the worker does; the job as it is then."""
    await team.rpc.call("start_job", job=job["id"])
    while (await team.rpc.call("run_bulk", job=job["id"], most=most))["left"]:
        pass
    counts = await team.rpc.call("count_bulk", job=job["id"])
    await team.rpc.call("finish_job", job=job["id"], result=counts)
    found: dict[str, Any] = await team.rpc.call("find_job", job=job["id"])
    return found


async def answered(team: Team, person: str, *labels: str) -> list[str]:
    """Items that a person has answered with these labels."""
    ids = []
    for label in labels:
        [claim] = await team.claim(person)
        await team.submit(person, claim, label)
        ids.append(claim["item"]["id"])
    return ids


def truth(dsn: str) -> list[tuple[Any, ...]]:
    """Everything about the items that an operation may change; the tables agree with each other."""
    with psycopg.connect(dsn) as connection:
        assert contradictions(connection) == []
        return connection.execute(
            "select state, annotation_id, answered_by, reviewed_by, labels, source, reserved_for, reserved_until, "
            "reviewer_id, array(select a.id from labelcrew.annotations a where a.item_id = i.id and a.current order by 1) "
            "from labelcrew.items i order by seq"
        ).fetchall()


async def test_dry_run_counts_and_changes_nothing(rpc: Rpc, database_dsn: str) -> None:
    team = await Team.of(rpc, items=4, review_levels=2)
    person, reviewer = await team.member(), await team.member("reviewer")
    await answered(team, person, "good", "bad")
    await answered(team, reviewer, "good")
    before = truth(database_dsn)
    counted = BulkCount.model_validate(await order(team, reviewer, "approve", dry_run=True))
    assert (counted.items, counted.able) == (4, 2)
    assert counted.refused == {"illegal-transition": 1, "own-work": 1}
    assert counted.states == {"annotated": 3, "new": 1}
    counted = BulkCount.model_validate(
        await order(team, reviewer, "approve", filter={"states": ["annotated"], "label": "bad"}, dry_run=True)
    )
    assert (counted.items, counted.able) == (1, 1)
    assert truth(database_dsn) == before


async def test_approved_in_one_job_with_a_reason_for_each_refusal(rpc: Rpc, database_dsn: str) -> None:
    team = await Team.of(rpc, items=5, review_levels=2)
    person, reviewer = await team.member(), await team.member("reviewer")
    ids = await answered(team, person, "good", "bad", "good")
    [own] = await answered(team, reviewer, "good")
    job = await carry_out(team, await order(team, reviewer, "approve"), most=2)
    assert (job["state"], job["total"], job["done"], job["failed"]) == ("done", 5, 3, 2)
    assert job["result"] == {"done": 3, "refused": {"illegal-transition": 1, "own-work": 1}}
    assert {(await team.item(item))["state"] for item in ids} == {"verified"}
    page = Refusals.model_validate(await rpc.call("list_refusals", actor=reviewer, job=job["id"]))
    assert [r.code for r in page.refusals] == ["own-work", "illegal-transition"]
    assert page.refusals[0].item_id == own
    first = Refusals.model_validate(await rpc.call("list_refusals", actor=reviewer, job=job["id"], limit=1))
    rest = await rpc.call("list_refusals", actor=reviewer, job=job["id"], limit=1, after=first.next)
    assert [r["code"] for r in rest["refusals"]] == ["illegal-transition"]
    await refusal(rpc.call("list_refusals", actor=person, job=job["id"]), "forbidden")
    assert truth(database_dsn)


@pytest.mark.parametrize("action", ["approve", "reject", "set_class", "assign", "send_back"])
async def test_every_operation_is_undone_as_a_whole(rpc: Rpc, database_dsn: str, action: str) -> None:
    team = await Team.of(rpc, items=8, review_levels=3, overlap=1)
    people = {role: await team.member(role) for role in ("annotator", "reviewer", "super_reviewer")}
    ids = [item["id"] for item in await team.items()]
    await team.call("save_predictions", rows=[draft(item) for item in ids[5:]])
    await answered(team, people["annotator"], "good", "bad", "ugly", "good")
    await rpc.call("review_item", actor=people["reviewer"], item=ids[1], decision="approved")
    await rpc.call(
        "review_item", actor=people["reviewer"], item=ids[2], decision="corrected", payload={"labels": ["good"]}
    )
    await rpc.call("review_item", actor=people["reviewer"], item=ids[3], decision="rejected", comment="no")
    [claim] = [c for c in await team.claim(people["annotator"], 9) if c["item"]["id"] == ids[4]]
    lease = {"lease": claim["lease"]["id"], "token": claim["lease"]["token"]}
    await rpc.call("release_lease", actor=people["annotator"], skip_reason="unclear", **lease)
    before = truth(database_dsn)
    options = {
        "set_class": {"payload": {"labels": ["ugly"]}}, "assign": {"user": people["annotator"], "hours": 5},
    }.get(action, {"comment": "because"})  # fmt: skip
    job = await carry_out(team, await order(team, people["super_reviewer"], action, options=options))
    assert job["done"] > 1
    after = truth(database_dsn)
    assert after != before
    undone = await carry_out(team, await rpc.call("undo_bulk", actor=people["super_reviewer"], job=job["id"]))
    assert (undone["done"], undone["failed"]) == (job["done"], 0)
    assert truth(database_dsn) == before
    again = await rpc.call("undo_bulk", actor=people["super_reviewer"], job=job["id"])
    assert again["id"] == undone["id"]


async def test_undo_leaves_alone_what_somebody_has_worked_on_since(rpc: Rpc, database_dsn: str) -> None:
    team = await Team.of(rpc, items=3)
    person, reviewer = await team.member(), await team.member("reviewer")
    ids = await answered(team, person, "good", "bad", "bad")
    job = await carry_out(team, await order(team, reviewer, "send_back", ids=ids))
    await answered(team, person, "ugly")
    undone = await carry_out(team, await rpc.call("undo_bulk", actor=reviewer, job=job["id"]))
    assert undone["result"] == {"done": 2, "refused": {"conflict": 1}}
    labels = [item["annotation"]["payload"]["labels"] for item in await team.items()]
    assert labels == [["ugly"], ["bad"], ["bad"]]
    assert truth(database_dsn)


async def test_assigned_items_are_handed_to_that_person_first_and_to_nobody_else(rpc: Rpc, clock: Clock) -> None:
    team = await Team.of(rpc, items=4)
    one, two = await team.member(), await team.member()
    ids = [item["id"] for item in await team.items()]
    options = {"user": two, "hours": 2}
    await carry_out(team, await order(team, team.admin, "assign", ids=ids[:2] + ids[3:], options=options))
    assert [c["item"]["id"] for c in await team.claim(one, 4)] == [ids[2]]
    assert [c["item"]["id"] for c in await team.claim(two, 1)] == [ids[0]]
    clock.advance(hours=2)
    assert {c["item"]["id"] for c in await team.claim(one, 4)} == set(ids)


async def test_drafts_that_nobody_answered_can_be_approved(rpc: Rpc, database_dsn: str) -> None:
    team = await Team.of(rpc, items=2)
    ids = [item["id"] for item in await team.items()]
    await team.call("save_predictions", rows=[draft(ids[0], "bad")])
    await carry_out(
        team, await order(team, team.admin, "approve", filter={"states": ["drafted"], "min_probability": 0.5})
    )
    [item] = await team.items(states=["verified"])
    assert (item["annotation"]["payload"], item["annotation"]["level"]) == ({"labels": ["bad"]}, 3)
    assert truth(database_dsn)


async def test_search_and_sources_choose_items(rpc: Rpc) -> None:
    team = await Team.of(rpc)
    await team.add("the refund is late", "where is my refund", "another matter")
    counted = await order(
        team, team.admin, "set_class", filter={"q": "refund"}, options={"payload": {"labels": ["good"]}}, dry_run=True
    )
    assert (counted["items"], counted["able"]) == (2, 2)
    assert (await order(team, team.admin, "send_back", filter={"sources": ["human"]}, dry_run=True))["items"] == 0


async def test_paused_job_goes_on_where_it_stopped(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=5)
    job = await order(team, team.admin, "set_class", options={"payload": {"labels": ["good"]}})
    await rpc.call("start_job", job=job["id"])
    await rpc.call("run_bulk", job=job["id"], most=2)
    await rpc.call("control_job", actor=team.admin, job=job["id"], action="pause")
    assert await rpc.call("run_bulk", job=job["id"]) == {"done": 0, "refused": 0, "left": 0}
    await refusal(rpc.call("undo_bulk", actor=team.admin, job=job["id"]), "illegal-job-state")
    await rpc.call("control_job", actor=team.admin, job=job["id"], action="resume")
    done = await carry_out(team, job)
    assert (done["done"], done["failed"]) == (5, 0)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"action": "explode"}, "invalid"),
        ({"action": "reject", "options": {}}, "invalid"),
        ({"action": "set_class", "options": {"payload": {"labels": ["unheard of"]}}}, "invalid-payload"),
        ({"action": "set_class", "options": {}}, "invalid-payload"),
        ({"action": "assign", "options": {"user": "00000000-0000-4000-8000-000000000000"}}, "not-found"),
        ({"action": "approve", "ids": ["00000000-0000-4000-8000-000000000000"], "filter": {}}, "invalid"),
        ({"action": "approve", "filter": {"states": ["odd"]}}, "invalid"),
    ],
)
async def test_order_that_cannot_be_carried_out_is_refused(rpc: Rpc, params: dict[str, Any], code: str) -> None:
    team = await Team.of(rpc, items=1)
    await refusal(order(team, team.admin, **params), code)


async def test_annotators_and_strangers_order_nothing(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1)
    person, stranger = await team.member(), await new_user(rpc)
    await refusal(order(team, person, "approve"), "forbidden")
    await refusal(order(team, stranger, "approve"), "not-found")
    job = await order(team, team.admin, "send_back")
    await refusal(rpc.call("undo_bulk", actor=person, job=job["id"]), "forbidden")
    await refusal(rpc.call("undo_bulk", actor=stranger, job=job["id"]), "not-found")
    reviewer = await team.member("reviewer")
    await refusal(rpc.call("undo_bulk", actor=reviewer, job=job["id"]), "forbidden")


async def test_same_key_orders_the_same_job(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1)
    jobs = [await order(team, team.admin, "send_back", key="once") for _ in range(2)]
    assert jobs[0]["id"] == jobs[1]["id"]
