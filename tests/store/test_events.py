"""The audit log: written by what happens, read by reviewers, changed by nobody."""

from __future__ import annotations

import psycopg
import pytest

from schemas.errors import Forbidden
from schemas.world import Event
from store.rpc import Rpc
from tests.support.people import new_dataset, new_member, new_user


@pytest.mark.parametrize(
    "statement",
    [
        "update labelcrew.events set kind = 'rewritten'",
        "delete from labelcrew.events",
        "truncate labelcrew.events",
        "truncate labelcrew.events, labelcrew.jobs cascade",
    ],
)
async def test_even_the_databases_owner_cannot_change_it(pg_rpc: Rpc, clean_dsn: str, statement: str) -> None:
    await new_user(pg_rpc)
    with psycopg.connect(clean_dsn) as connection, pytest.raises(psycopg.Error, match="append-only"):
        connection.execute(statement.encode())


async def test_what_happened_to_members_and_jobs_is_on_record(rpc: Rpc) -> None:
    admin = await new_user(rpc)
    dataset = await new_dataset(rpc, admin)
    member = await new_member(rpc, admin, dataset, "annotator")
    job = await rpc.call("create_job", actor=admin, dataset=dataset, kind="prelabel")
    await rpc.call("control_job", actor=admin, job=job["id"], action="cancel")
    await rpc.call("remove_member", actor=admin, dataset=dataset, user=member)
    kinds = ["member_added", "job_created", "job_cancelled", "member_removed"]
    events = [
        Event.model_validate(event)
        for event in await rpc.call("list_events", actor=admin, dataset=dataset, kinds=kinds)
    ]
    assert [event.kind for event in events] == kinds
    assert [event.subject_id for event in events] == [member, job["id"], job["id"], member]
    assert {event.actor_id for event in events} == {admin}


async def test_pages_follow_each_other_and_the_newest_come_without_a_cursor(rpc: Rpc) -> None:
    admin = await new_user(rpc)
    dataset = await new_dataset(rpc, admin)
    for _ in range(5):
        await rpc.call("create_job", actor=admin, dataset=dataset, kind="prelabel")
    everything = await rpc.call("list_events", actor=admin, dataset=dataset, kinds=["job_created"])
    ids = [event["id"] for event in everything]
    assert ids == sorted(ids)
    newest = await rpc.call("list_events", actor=admin, dataset=dataset, kinds=["job_created"], limit=2)
    assert newest == everything[-2:]
    page = await rpc.call("list_events", actor=admin, dataset=dataset, kinds=["job_created"], after=ids[1], limit=2)
    assert page == everything[2:4]


async def test_annotators_do_not_read_it(rpc: Rpc) -> None:
    admin = await new_user(rpc)
    dataset = await new_dataset(rpc, admin)
    annotator = await new_member(rpc, admin, dataset, "annotator")
    with pytest.raises(Forbidden):
        await rpc.call("list_events", actor=annotator, dataset=dataset)
