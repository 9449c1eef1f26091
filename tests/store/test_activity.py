"""The audit log: narrowed by kind, person, subject and time, in pages that miss nothing."""

from __future__ import annotations

from typing import Any

import psycopg

from store.rpc import Rpc
from tests.support.database import Clock
from tests.support.people import new_user
from tests.support.teams import Team, refusal


async def at_work(rpc: Rpc) -> tuple[Team, str, list[str]]:
    """Six items, half of them answered by an annotator, half by the admin."""
    team = await Team.of(rpc, items=6)
    person = await team.member()
    items = [item["id"] for item in await team.items()]
    for claim in await team.claim(person, 3):
        await team.submit(person, claim)
    for item in await team.items(states=["new"]):
        await team.submit(team.admin, item["id"])
    return team, person, items


def kinds(events: list[dict[str, Any]]) -> set[str]:
    return {event["kind"] for event in events}


async def test_events_are_narrowed_by_kind_person_and_subject(rpc: Rpc) -> None:
    team, person, items = await at_work(rpc)
    everything = await team.call("list_activity")
    assert [event["id"] for event in everything] == sorted(event["id"] for event in everything)
    for narrowed in (
        {"kinds": ["item_submitted"]},
        {"kinds": ["item_submitted", "items_claimed", "item_claimed", "item_submitted"], "who": person},
        {"who": person},
        {"who": team.admin},
        {"subject": items[0]},
        {"subject": items[0], "kinds": ["item_submitted"]},
        {"subject": items[0], "who": team.admin},
        {"kinds": []},
    ):
        wanted = [
            event["id"] for event in everything
            if ("kinds" not in narrowed or event["kind"] in narrowed["kinds"])
            and ("who" not in narrowed or event["actor_id"] == narrowed["who"])
            and ("subject" not in narrowed or event["subject_id"] == narrowed["subject"])
        ]  # fmt: skip
        assert [event["id"] for event in await team.call("list_activity", **narrowed)] == wanted, narrowed
    assert "item_submitted" in kinds(await team.call("list_activity", who=person))


async def test_pages_back_and_forth_hold_every_event_once(pg_rpc: Rpc) -> None:
    team, person, _ = await at_work(pg_rpc)
    for narrowed in ({}, {"who": person}, {"kinds": ["item_submitted"]}):
        whole = [event["id"] for event in await team.call("list_activity", **narrowed)]
        back: list[int] = []
        before = None
        while page := await team.call("list_activity", **narrowed, before=before, limit=2):
            back = [event["id"] for event in page] + back
            before = back[0]
        assert back == whole
        forth: list[int] = []
        while page := await team.call("list_activity", **narrowed, after=forth[-1] if forth else 0, limit=2):
            forth += [event["id"] for event in page]
        assert forth == whole


async def test_span_of_time_holds_exactly_its_events(pg_rpc: Rpc, clock: Clock) -> None:
    team = await Team.of(pg_rpc, items=3)
    items = [item["id"] for item in await team.items()]
    times = []
    for item in items:
        clock.advance(hours=1)
        await team.submit(team.admin, item)
        times.append((await team.call("list_activity", subject=item))[-1]["created_at"])
    in_span = await team.call("list_activity", since=times[1], until=times[2])
    assert {event["subject_id"] for event in in_span} == {items[1]}
    assert {event["subject_id"] for event in await team.call("list_activity", since=times[2])} == {items[2]}
    assert items[0] not in {event["subject_id"] for event in await team.call("list_activity", until=times[0])}


async def test_event_that_was_begun_early_and_written_late_is_in_its_span(
    pg_rpc: Rpc, database_dsn: str, clock: Clock
) -> None:
    team = await Team.of(pg_rpc, items=2)
    items = [item["id"] for item in await team.items()]
    await team.submit(team.admin, items[0])
    first = (await team.call("list_activity", subject=items[0]))[-1]["created_at"]
    clock.advance(minutes=9)
    await team.submit(team.admin, items[1])
    with psycopg.connect(database_dsn, autocommit=True) as connection:
        connection.execute(
            "insert into labelcrew.events (dataset_id, kind, created_at) values (%s, 'long_import_done', %s)",
            [team.dataset, first],
        )
    last = (await team.call("list_activity", subject=items[1]))[-1]["created_at"]
    assert "long_import_done" in kinds(await team.call("list_activity", since=first, until=last))
    assert "long_import_done" not in kinds(await team.call("list_activity", since=last))


async def test_log_is_for_reviewers_of_the_dataset(pg_rpc: Rpc) -> None:
    team = await Team.of(pg_rpc)
    await refusal(team.call("list_activity", await team.member()), "forbidden")
    await refusal(team.call("list_activity", await new_user(pg_rpc)), "not-found")
    assert await team.call("list_activity", await team.member("reviewer"))
