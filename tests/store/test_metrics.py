"""Counting behind the work: every answer and draft once, whatever is taken back, comes late or goes away."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import psycopg
import pytest

from store.rpc import Rpc
from tests.support.database import Clock
from tests.support.people import new_user
from tests.support.teams import Team, draft, failure, refusal


async def roll(rpc: Rpc) -> dict[str, Any]:
    done: dict[str, Any] = await rpc.call("roll_up_metrics")
    return done


def answers(raw: dict[str, Any]) -> dict[str, int]:
    """Answers by person."""
    found: dict[str, int] = defaultdict(int)
    for user, _, _, _, _, n, _ in raw["people"]:
        found[user] += n
    return dict(found)


def labels(raw: dict[str, Any]) -> dict[tuple[str, str], int]:
    """Labels by source and key."""
    found: dict[tuple[str, str], int] = defaultdict(int)
    for _, source, counts in raw["labels_series"]:
        for label, n in counts.items():
            found[source, label] += n
    return dict(found)


def kept(raw: dict[str, Any]) -> dict[tuple[str, str, int], int]:
    """Judged drafts by model, what was shown and became of it, and bin."""
    return {(model, b, at): n for model, b, at, n, _ in raw["judged"]}


async def test_answers_are_counted_by_person_time_taken_and_what_became_of_the_draft(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=3)
    person = await team.member()
    items = [item["id"] for item in await team.items()]
    await team.call("save_predictions", rows=[draft(item, "good", probability=0.83) for item in items[:2]])
    for item, label, took in zip(items, ("good", "bad", "ugly"), (1000, 2000, None), strict=True):
        [claim] = [c for c in await team.claim(person, 3) if c["item"]["id"] == item]
        await team.submit(person, claim, label, lead_time_ms=took)
    raw = await team.call("get_metrics")
    assert answers(raw) == {person: 3}
    assert {(at, n, ms) for _, _, _, _, at, n, ms in raw["people"]} == {(8, 1, 1000), (12, 1, 2000), (-1, 1, 0)}
    assert kept(raw) == {("test-model", "plain/kept", 16): 1, ("test-model", "plain/changed", 16): 1}
    assert labels(raw) == {("human", "good"): 1, ("human", "bad"): 1, ("human", "ugly"): 1, ("draft", "good"): 2}
    assert raw["states"] == {"verified": 3}


async def test_answer_that_was_taken_back_counts_no_more(pg_rpc: Rpc) -> None:
    team = await Team.of(pg_rpc, items=2)
    person = await team.member()
    for before in (True, False):
        [claim] = await team.claim(person)
        await team.submit(person, claim)
        if before:
            await roll(pg_rpc)
        await team.call("undo_submit", person)
        raw = await team.call("get_metrics")
        assert answers(raw) == ({} if before else {person: 1})
        assert sum(labels(raw).values()) == (0 if before else 1)
        [claim] = await team.claim(person)
        await team.submit(person, claim)
        assert answers(await team.call("get_metrics")) == {person: 1 if before else 2}


async def test_rows_are_counted_once_however_often_is_counted(pg_rpc: Rpc) -> None:
    team = await Team.of(pg_rpc, items=5)
    for item in await team.items():
        await team.submit(team.admin, item["id"])
    counted = [await pg_rpc.call("roll_up_metrics", most=2) for _ in range(9)]
    assert counted[0]["behind"]
    assert counted[-1] == {"counted": 0, "behind": False}
    assert answers(await team.call("get_metrics")) == {team.admin: 5}


async def test_answer_whose_transaction_ended_after_later_ones_is_counted(pg_rpc: Rpc, database_dsn: str) -> None:
    team = await Team.of(pg_rpc, items=4)
    items = [item["id"] for item in await team.items()]
    await team.submit(team.admin, items[0])
    await roll(pg_rpc)
    late = """
        insert into labelcrew.annotations (
          item_id, dataset_id, user_id, payload, labelset_version, level, revision, state_before
        ) values (%s, %s, %s, '{"labels": ["bad"]}', 1, 1, 1, 'new')
    """
    with psycopg.connect(database_dsn) as slow:
        slow.execute(late, [items[1], team.dataset, team.admin])
        slow.execute(
            "select nextval(pg_get_serial_sequence('labelcrew.annotations', 'number'))"
        )  # one that never comes
        slow.execute(late, [items[2], team.dataset, team.admin])
        await team.submit(team.admin, items[3])
        await roll(pg_rpc)
        assert answers(await team.call("get_metrics")) == {team.admin: 2}
        slow.commit()
    await roll(pg_rpc)
    await roll(pg_rpc)
    assert answers(await team.call("get_metrics")) == {team.admin: 4}


async def test_numbers_that_never_come_are_looked_for_twenty_minutes(
    pg_rpc: Rpc, database_dsn: str, clock: Clock
) -> None:
    team = await Team.of(pg_rpc, items=2)
    first, second = [item["id"] for item in await team.items()]
    await team.submit(team.admin, first)
    await roll(pg_rpc)
    with psycopg.connect(database_dsn, autocommit=True) as connection:
        connection.execute("select nextval(pg_get_serial_sequence('labelcrew.annotations', 'number'))")
        await team.submit(team.admin, second)
        await roll(pg_rpc)
        gaps = "select count(*) from labelcrew.metric_gaps where source = 'annotations' and first > 1"
        assert connection.execute(gaps).fetchone() == (1,)
        clock.advance(minutes=21)
        await roll(pg_rpc)
        assert connection.execute(gaps).fetchone() == (0,)


async def test_drafts_are_counted_with_cost_failures_and_histograms(pg_rpc: Rpc) -> None:
    team = await Team.of(pg_rpc, items=3)
    items = [item["id"] for item in await team.items()]
    usage = {"input_tokens": 10, "output_tokens": 1, "cost_usd": 0.25}
    rows = [
        draft(items[0], confidence=1.0, usage=usage),
        draft(items[1], probability=None, usage=usage),
        failure(items[2]),
    ]
    await team.call("save_predictions", rows=rows)
    raw = await team.call("get_metrics")
    assert sorted(raw["drafts"]) == [["test-model", "llm", 0, 2, 0.5], ["test-model", "llm", 1, 1, 0]]
    histograms = {(measure, at): n for measure, _, at, n, _ in raw["histograms"]}
    assert histograms == {("confidence", 19): 1, ("confidence", 18): 1, ("probability", 16): 1}


async def test_import_that_was_rolled_back_leaves_no_counts(pg_rpc: Rpc) -> None:
    team = await Team.of(pg_rpc)
    job = await team.call("create_job", kind="import")
    rows = [{"text": f"row {k}", "prediction": {"payload": {"labels": ["good"]}}} for k in range(3)]
    await team.call("create_items", rows=[*rows, {"text": "kept", "annotation": {"labels": ["bad"]}}], job=job["id"])
    await team.call("create_items", rows=[{"text": "other", "annotation": {"labels": ["ugly"]}}])
    assert labels(await team.call("get_metrics"))["draft", "good"] == 3
    await pg_rpc.call("rollback_import", actor=team.admin, job=job["id"])
    assert ("draft", "good") not in labels(await team.call("get_metrics"))
    assert labels(await team.call("get_metrics"))["import", "ugly"] == 1


async def test_series_have_a_point_a_bucket_and_a_span_cuts_them(pg_rpc: Rpc, clock: Clock) -> None:
    team = await Team.of(pg_rpc, items=4)
    items = [item["id"] for item in await team.items()]
    for item in items[:2]:
        await team.submit(team.admin, item)
    await roll(pg_rpc)
    clock.advance(days=1)
    await team.submit(team.admin, items[2])
    raw = await team.call("get_metrics")
    assert [(row[1], row[2]) for row in raw["people_series"]] == [(team.admin, 2), (team.admin, 1)]
    second = raw["people_series"][1][0]
    assert [row[2] for row in (await team.call("get_metrics", bucket=900))["people_series"]] == [1]
    assert [row[2] for row in (await team.call("get_metrics", bucket=7200))["people_series"]] == [2, 1]
    assert answers(await team.call("get_metrics", since=second)) == {team.admin: 1}
    assert answers(await team.call("get_metrics", until=second)) == {team.admin: 2}
    assert [states["verified"] for _, states in raw["states_series"]] == [2, 3]
    weekly = await team.call("get_metrics", bucket=7 * 86400)
    assert sum(row[2] for row in weekly["people_series"]) == 3
    await refusal(team.call("get_metrics", bucket=1000), "invalid")
    await refusal(team.call("get_metrics", since=second, until=second), "invalid")


async def test_annotators_see_only_their_own_work(pg_rpc: Rpc) -> None:
    team = await Team.of(pg_rpc, items=2)
    one, other = await team.member(), await team.member()
    for person in (one, other):
        [claim] = await team.claim(person)
        await team.submit(person, claim)
    assert answers(await team.call("get_metrics", one)) == {one: 1}
    assert answers(await team.call("get_metrics", await team.member("reviewer"))) == {one: 1, other: 1}
    await refusal(team.call("get_metrics", await new_user(pg_rpc)), "not-found")


@pytest.mark.parametrize("arm", ["audit", "control"])
async def test_answers_without_sight_of_the_draft_are_told_apart(pg_rpc: Rpc, database_dsn: str, arm: str) -> None:
    team = await Team.of(pg_rpc, items=1)
    [item] = await team.items()
    await team.call("save_predictions", rows=[draft(item["id"])])
    with psycopg.connect(database_dsn, autocommit=True) as connection:
        connection.execute("update labelcrew.items set arm = %s where id = %s", [arm, item["id"]])
    await team.submit(team.admin, item["id"])
    [(_, shown, _)] = kept(await team.call("get_metrics"))
    assert shown == ("blind/kept" if arm == "audit" else "plain/kept")


async def test_snapshot_tells_labels_now_and_verified_items_by_model_and_is_not_taken_twice(pg_rpc: Rpc) -> None:
    team = await Team.of(pg_rpc, items=3)
    items = [item["id"] for item in await team.items()]
    await team.call("save_predictions", rows=[draft(item) for item in items])
    await team.submit(team.admin, items[0], "bad")
    assert await pg_rpc.call("take_snapshot")
    assert not await pg_rpc.call("take_snapshot")
    snapshot = (await team.call("get_metrics"))["snapshot"]
    assert snapshot["labels"] == {"good": 2, "bad": 1}
    assert snapshot["verified_by_model"] == {"test-model": 1}


async def test_snapshot_tells_how_often_others_found_an_answer_right(pg_rpc: Rpc) -> None:
    team = await Team.of(pg_rpc, items=2)
    person, reviewer = await team.member(), await team.member("reviewer")
    for label in ("good", "bad"):
        [claim] = await team.claim(person)
        await team.submit(person, claim, "good")
        await team.submit(reviewer, claim["item"]["id"], label)
    await pg_rpc.call("take_snapshot")
    arms = (await team.call("get_metrics"))["snapshot"]["arms"]
    assert arms["plain"] == {"judged": 2, "right": 1, "suggested": 0, "followed": 0}


async def test_dataset_that_goes_takes_its_counts_along(pg_rpc: Rpc, database_dsn: str) -> None:
    team = await Team.of(pg_rpc, items=1)
    [item] = await team.items()
    await team.submit(team.admin, item["id"])
    await roll(pg_rpc)
    await pg_rpc.call("take_snapshot")
    await team.call("delete_dataset")
    await roll(pg_rpc)
    with psycopg.connect(database_dsn, autocommit=True) as connection:
        assert connection.execute("select count(*) from labelcrew.metric_counts").fetchone() == (0,)
