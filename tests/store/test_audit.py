"""The audit log's chain: whatever is done to an event behind the product's back, the check names it."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import Any

import psycopg
import pytest

from formats.audit import check_export
from jobs.sealing import seal
from schemas.audit import AuditCheck, AuditState
from store.rpc import Rpc, request_id
from tests.support.people import new_dataset, new_user
from tests.support.teams import Team, refusal


def tamper(dsn: str, statement: str, *values: Any) -> None:
    """Change a table as somebody with all rights and past the triggers might."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute(statement.encode(), values)


async def sealed_team(rpc: Rpc) -> tuple[Team, list[int]]:
    """A dataset with events under three seals, and their ids."""
    team = await Team.of(rpc, items=2)
    await seal(rpc)
    for name in ("b", "c"):
        for n in range(4):
            await team.call("update_dataset", patch={"name": f"{name}{n}"})
        await seal(rpc)
    events = await team.call("list_events", limit=1000)
    return team, [event["id"] for event in events]


async def check(team: Team, **params: Any) -> AuditCheck:
    return AuditCheck.model_validate(await team.call("verify_audit", **params))


async def broken(team: Team) -> tuple[str, int | None]:
    """What the check says is wrong."""
    found = (await check(team)).broken
    assert found is not None
    return found.problem, found.event_id


async def export(team: Team) -> list[bytes]:
    lines, after = [], 0
    while True:
        page = await team.call("export_audit", after=after, most=1)
        lines += [line.encode() for line in page["lines"]]
        if page["next"] is None:
            return lines
        after = page["next"]


class TestSealing:
    async def test_what_happened_is_sealed_and_whole(self, rpc: Rpc) -> None:
        team, ids = await sealed_team(rpc)
        state = AuditState.model_validate(await team.call("get_audit"))
        assert (state.seals, state.sealed, state.unsealed) == (3, len(ids), 0)
        found = await check(team)
        assert (found.broken, found.events, found.next, found.head) == (None, len(ids), None, state.head)

    async def test_sealing_again_seals_nothing(self, pg_rpc: Rpc) -> None:
        team, _ = await sealed_team(pg_rpc)
        before = await team.call("get_audit")
        assert await seal(pg_rpc) == 0
        assert await team.call("get_audit") == before

    async def test_check_goes_on_where_it_stopped(self, pg_rpc: Rpc) -> None:
        team, ids = await sealed_team(pg_rpc)
        first = await check(team, most=2)
        assert (first.seals, first.next) == (2, 2)
        rest = await check(team, after=2)
        assert (rest.seals, rest.next, first.events + rest.events) == (1, None, len(ids))

    async def test_many_events_are_sealed_in_batches(self, pg_rpc: Rpc) -> None:
        team = await Team.of(pg_rpc)
        for n in range(7):
            await team.call("update_dataset", patch={"name": f"n{n}"})
        done = await pg_rpc.call("seal_events", most=3)
        assert (done["sealed"], done["behind"]) == (3, True)
        await seal(pg_rpc)
        assert (await team.call("get_audit"))["unsealed"] == 0
        assert (await check(team)).broken is None

    async def test_accounts_have_a_chain_of_their_own(self, pg_rpc: Rpc) -> None:
        owner = await new_user(pg_rpc)
        await seal(pg_rpc)
        found = AuditCheck.model_validate(await pg_rpc.call("verify_audit", actor=owner, operator=True))
        assert (found.broken, found.events) == (None, 1)
        assert [chain["dataset_id"] for chain in await pg_rpc.call("list_audits", actor=owner)] == [None]

    async def test_chain_of_a_deleted_dataset_can_still_be_checked_by_the_owner(self, pg_rpc: Rpc) -> None:
        team, _ = await sealed_team(pg_rpc)
        await team.call("delete_dataset")
        await seal(pg_rpc)
        assert (await check(team, operator=True)).broken is None
        await refusal(team.call("verify_audit"), "not-found")

    async def test_event_that_commits_late_is_waited_for(self, pg_rpc: Rpc, clean_dsn: str) -> None:
        team = await Team.of(pg_rpc)
        await seal(pg_rpc)
        insert = "insert into labelcrew.events (dataset_id, kind) values (%s, 'late_one') returning id"
        with psycopg.connect(clean_dsn) as late:
            row = late.execute(insert, [team.dataset]).fetchone()
            await team.call("update_dataset", patch={"name": "after the late one"})
            assert await seal(pg_rpc) == 0
            assert await seal(pg_rpc) == 0
            late.commit()
        assert row is not None
        assert await seal(pg_rpc) == 2
        events = await team.call("list_events")
        assert row[0] in {event["id"] for event in events}
        assert (await check(team)).broken is None

    async def test_event_that_is_rolled_back_leaves_no_gap_in_the_chain(self, pg_rpc: Rpc, clean_dsn: str) -> None:
        team = await Team.of(pg_rpc)
        with psycopg.connect(clean_dsn) as other:
            other.execute("insert into labelcrew.events (dataset_id, kind) values (%s, 'never_was')", [team.dataset])
            await team.call("update_dataset", patch={"name": "another"})
            await seal(pg_rpc)
            other.rollback()
        await seal(pg_rpc)
        assert (await check(team)).broken is None
        assert (await team.call("get_audit"))["unsealed"] == 0

    async def test_chain_is_whole_with_many_writers_and_sealers(self, pg_rpc: Rpc, clean_dsn: str) -> None:
        team = await Team.of(pg_rpc)
        stop = threading.Event()
        written = [0] * 6

        def write(number: int) -> None:
            dice = random.Random(number)
            insert = "insert into labelcrew.events (dataset_id, kind) values (%s, 'it_happened')"
            with psycopg.connect(clean_dsn) as connection:
                while not stop.is_set():
                    count = dice.randint(1, 4)
                    for _ in range(count):
                        connection.execute(insert, [team.dataset], prepare=True)
                        if dice.random() < 0.3:
                            stop.wait(0.01)
                    if dice.random() < 0.2:
                        connection.rollback()
                    else:
                        connection.commit()
                        written[number] += count

        threads = [threading.Thread(target=write, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        sealed = 0
        for _ in range(60):
            sealed += sum(await asyncio.gather(seal(pg_rpc), seal(pg_rpc)))
            await asyncio.sleep(0.02)
        stop.set()
        for thread in threads:
            await asyncio.to_thread(thread.join)
        assert sealed > 0
        sealed += await seal(pg_rpc)
        state = await team.call("get_audit")
        assert (state["unsealed"], state["sealed"]) == (0, sum(written) + 2)
        assert (await check(team, most=500)).broken is None


class TestTampering:
    async def test_changed_event_is_named(self, pg_rpc: Rpc, clean_dsn: str) -> None:
        team, ids = await sealed_team(pg_rpc)
        tamper(clean_dsn, "update labelcrew.events set data = '{}' where id = %s", ids[5])
        tamper(clean_dsn, "update labelcrew.events set actor_id = null where id = %s", ids[7])
        assert await broken(team) == ("changed", ids[5])

    @pytest.mark.parametrize("column", ["dataset_id", "actor_id", "kind", "subject_id", "before", "created_at"])
    async def test_no_column_can_be_changed(self, pg_rpc: Rpc, clean_dsn: str, column: str) -> None:
        team, ids = await sealed_team(pg_rpc)
        values = {"kind": "'x'", "before": "'{}'", "created_at": "created_at + interval '1 us'"}
        value = values.get(column, "gen_random_uuid()")
        tamper(clean_dsn, f"update labelcrew.events set {column} = {value} where id = %s", ids[4])
        assert await broken(team) == ("missing" if column == "dataset_id" else "changed", ids[4])

    async def test_removed_event_is_named(self, pg_rpc: Rpc, clean_dsn: str) -> None:
        team, ids = await sealed_team(pg_rpc)
        tamper(clean_dsn, "delete from labelcrew.events where id = %s", ids[6])
        assert await broken(team) == ("missing", ids[6])

    async def test_event_that_was_slipped_in_is_named(self, pg_rpc: Rpc, clean_dsn: str) -> None:
        team, ids = await sealed_team(pg_rpc)
        tamper(clean_dsn, "delete from labelcrew.events where id = %s", ids[6])
        tamper(
            clean_dsn,
            "insert into labelcrew.events (id, dataset_id, kind) overriding system value values (%s, %s, 'forged')",
            ids[6], team.dataset,
        )  # fmt: skip
        assert await broken(team) == ("changed", ids[6])
        other = await new_dataset(pg_rpc, team.admin)
        tamper(clean_dsn, "update labelcrew.events set dataset_id = %s where id = %s", other, ids[6])
        foreign = await pg_rpc.call("list_events", actor=team.admin, dataset=other)
        await seal(pg_rpc)
        tamper(clean_dsn, "update labelcrew.events set dataset_id = %s where dataset_id = %s", team.dataset, other)
        assert len(foreign) == 2
        assert (await broken(team))[0] == "changed"

    async def test_event_that_was_put_behind_the_last_seal_is_named(self, pg_rpc: Rpc, clean_dsn: str) -> None:
        team, ids = await sealed_team(pg_rpc)
        late = await Team.of(pg_rpc)
        await seal(pg_rpc)
        events = await late.call("list_events")
        tamper(clean_dsn, "update labelcrew.events set dataset_id = %s where id = %s", team.dataset, events[0]["id"])
        assert events[0]["id"] > ids[-1]
        assert await broken(team) == ("added", events[0]["id"])

    async def test_seal_that_was_made_to_fit_breaks_the_next(self, pg_rpc: Rpc, clean_dsn: str) -> None:
        team, ids = await sealed_team(pg_rpc)
        tamper(clean_dsn, "update labelcrew.events set data = '{\"n\": 1}' where id = %s", ids[0])
        refit = """
            with refitted as (
              select string_agg(labelcrew.event_hash(e), ''::bytea order by e.id) as hashes
              from labelcrew.events e join labelcrew.event_seals s
                on s.dataset_id = e.dataset_id and s.number = 1 and e.id = any (s.ids) and s.dataset_id = %s
            )
            update labelcrew.event_seals s set hashes = r.hashes, hash = labelcrew.seal_hash(
              labelcrew.seal_line(s.dataset_id, s.number, s.first_id, s.last_id, s.count, s.previous), r.hashes)
            from refitted r where s.dataset_id = %s and s.number = 1
        """
        tamper(clean_dsn, refit, team.dataset, team.dataset)
        found = (await check(team)).broken
        assert found is not None
        assert (found.seal, found.problem) == (2, "unchained")

    async def test_missing_and_changed_seals_are_named(self, pg_rpc: Rpc, clean_dsn: str) -> None:
        team, _ = await sealed_team(pg_rpc)
        tamper(clean_dsn, "update labelcrew.event_seals set first_id = first_id - 1 where number = 3")
        assert await broken(team) == ("changed", None)
        tamper(clean_dsn, "delete from labelcrew.event_seals where number = 2")
        assert await broken(team) == ("missing", None)

    async def test_head_that_was_noted_tells_that_the_end_was_cut_off(self, pg_rpc: Rpc, clean_dsn: str) -> None:
        team, ids = await sealed_team(pg_rpc)
        head = (await team.call("get_audit"))["head"]
        assert await team.call("find_seal", hash=head) == 3
        tamper(clean_dsn, "delete from labelcrew.event_seals where number = 3")
        tamper(clean_dsn, "delete from labelcrew.events where id >= %s", ids[-4])
        assert (await check(team)).broken is None
        assert await team.call("find_seal", hash=head) is None

    @pytest.mark.parametrize(
        "statement",
        [
            "update labelcrew.event_seals set count = 1",
            "delete from labelcrew.event_seals",
            "truncate labelcrew.event_seals",
        ],
    )
    async def test_even_the_databases_owner_cannot_change_a_seal(
        self, pg_rpc: Rpc, clean_dsn: str, statement: str
    ) -> None:
        await sealed_team(pg_rpc)
        with psycopg.connect(clean_dsn) as connection, pytest.raises(psycopg.Error, match="append-only"):
            connection.execute(statement.encode())


class TestExport:
    async def test_exported_file_is_checked_without_the_database(self, rpc: Rpc) -> None:
        team, ids = await sealed_team(rpc)
        await team.call("update_dataset", patch={"name": "not sealed yet"})
        found = check_export(await export(team))
        state = await team.call("get_audit")
        assert (found.broken, found.events, found.seals, found.unsealed) == (None, len(ids), 3, 1)
        assert found.head == state["head"]
        assert found.head in found.heads

    @pytest.mark.parametrize("what", ["change", "remove", "swap", "add", "seal"])
    async def test_every_change_to_the_file_is_noticed(self, pg_rpc: Rpc, what: str) -> None:
        team, _ = await sealed_team(pg_rpc)
        lines = await export(team)
        assert check_export(lines).broken is None
        if what == "change":
            lines[1] = lines[1].replace(b"labelset_created", b"labelset_removed")
        elif what == "remove":
            del lines[1]
        elif what == "swap":
            lines[0], lines[1] = lines[1], lines[0]
        elif what == "add":
            lines.insert(1, lines[0])
        else:
            del lines[next(n for n, line in enumerate(lines) if b'"seal"' in line)]
        assert check_export(lines).broken is not None

    async def test_file_that_is_no_log_is_refused(self) -> None:
        async def read() -> None:
            check_export([b"not json"])

        await refusal(read(), "unreadable-file")


class TestWhatEventsSay:
    async def test_change_of_a_dataset_is_told_with_before_and_after(self, rpc: Rpc) -> None:
        team = await Team.of(rpc)
        await team.call("update_dataset", patch={"name": "renamed", "guidelines": "a secret text"})
        event = (await team.call("list_events"))[-1]
        assert event["after"]["name"] == "renamed"
        assert set(event["before"]) == {"name", "guidelines"}
        assert "secret" not in str(event)

    async def test_change_of_a_role_is_told_with_before_and_after(self, rpc: Rpc) -> None:
        team = await Team.of(rpc)
        member = await team.member("annotator")
        email = next(m["email"] for m in await team.call("list_members") if m["user_id"] == member)
        await team.call("add_member", email=email, role="reviewer")
        await team.call("remove_member", user=member)
        *_, first, second, third = await team.call("list_events")
        told = [(event["before"], event["after"]) for event in (first, second, third)]
        assert told == [
            ({"role": None}, {"role": "annotator"}),
            ({"role": "annotator"}, {"role": "reviewer"}),
            ({"role": "reviewer"}, {"role": None}),
        ]

    async def test_verified_item_is_told_with_its_states(self, rpc: Rpc) -> None:
        team = await Team.of(rpc, items=1)
        annotator = await team.member()
        [claim] = await team.claim(annotator)
        done = await team.submit(annotator, claim)
        event = [e for e in await team.call("list_events") if e["kind"] == "item_verified"][-1]
        assert event["before"] == {"state": "new", "annotation_id": None}
        assert event["after"] == {"state": "verified", "annotation_id": done["annotation"]["id"]}

    async def test_events_carry_the_id_of_the_request(self, rpc: Rpc) -> None:
        team = await Team.of(rpc)
        token = request_id.set("req-7.a_B")
        try:
            await team.call("update_dataset", patch={"name": "by a request"})
        finally:
            request_id.reset(token)
        await team.call("update_dataset", patch={"name": "by nobody"}, timeout=5)
        *_, first, second = await team.call("list_events")
        assert (first["request_id"], second["request_id"]) == ("req-7.a_B", None)

    async def test_request_id_that_is_none_is_left_out(self, rpc: Rpc) -> None:
        team = await Team.of(rpc)
        token = request_id.set("no id: 'quote")
        try:
            await team.call("update_dataset", patch={"name": "x"}, timeout=5)
        finally:
            request_id.reset(token)
        assert (await team.call("list_events"))[-1]["request_id"] is None


class TestWhoMayLook:
    @pytest.mark.parametrize("function", ["get_audit", "verify_audit", "export_audit"])
    async def test_only_admins_and_the_owner_of_the_installation(self, pg_rpc: Rpc, function: str) -> None:
        owner = await new_user(pg_rpc)
        team = await Team.of(pg_rpc)
        await pg_rpc.call(function, actor=owner, dataset=team.dataset, operator=True)
        await refusal(team.call(function, owner), "not-found")
        await refusal(team.call(function, operator=True), "forbidden")
        await team.call(function)
        await refusal(team.call(function, await team.member("super_reviewer")), "forbidden")
        await refusal(team.call(function, await new_user(pg_rpc)), "not-found")
        await refusal(pg_rpc.call(function, actor=team.admin), "not-found")
