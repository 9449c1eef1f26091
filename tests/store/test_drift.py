"""What drift reads and keeps: windows by arrival or time, looks once each, the first alarm as an event."""

from __future__ import annotations

from typing import Any

from store.rpc import Rpc
from tests.support.database import Clock
from tests.support.people import new_user
from tests.support.teams import Team, draft, refusal

FIRST = {"first": 20}


async def watched(rpc: Rpc, **params: Any) -> Team:
    """Thirty items, the first twenty of which are the reference."""
    team = await Team.of(rpc, items=30)
    await team.call("set_drift_windows", **{"reference": FIRST, "newest": 100, "alpha": 0.05, **params})
    return team


async def kept(team: Team, look: int, *, alarm: bool = False, run: int = 1) -> bool:
    done: bool = await team.rpc.call(
        "save_drift_report", dataset=team.dataset, run=run, look=look, seen=75 * look, last_seq=10**6,
        score=2.0 if alarm else 0.1, alarm=alarm, report={"reason": "because"},
    )  # fmt: skip
    return done


async def alarms(team: Team) -> list[dict[str, Any]]:
    events = await team.call("list_events", kinds=["drift_alarm"])
    return [event["data"] for event in events]


async def test_reference_is_the_first_items_and_what_follows_is_fresh(rpc: Rpc) -> None:
    team = await watched(rpc)
    [monitor] = await rpc.call("list_drift_monitors", dataset=team.dataset)
    assert (monitor["fresh"], monitor["seen"], monitor["windows"]["items"]) == (10, 0, 20)
    window = await rpc.call(
        "read_drift_window",
        dataset=team.dataset,
        **{"from": monitor["windows"]["from"], "to": monitor["windows"]["to"]},
    )
    items = [item["id"] for item in await team.items()]
    assert (window["n"], window["ids"]) == (20, items[:20])
    newest = await rpc.call(
        "read_drift_window", dataset=team.dataset, **{"from": monitor["windows"]["to"] + 1}, newest=4
    )
    assert newest["ids"] == items[-4:]


async def test_reference_by_time_holds_what_came_in_then(pg_rpc: Rpc, clock: Clock) -> None:
    team = await Team.of(pg_rpc, items=25)
    clock.advance(days=1)
    await team.add("later one", "later two")
    until = (await team.items())[-1]["created_at"]
    await team.call("set_drift_windows", reference={"until": until}, newest=100, alpha=0.05)
    [monitor] = await pg_rpc.call("list_drift_monitors", dataset=team.dataset)
    assert (monitor["windows"]["items"], monitor["fresh"]) == (25, 2)


async def test_windows_bring_vectors_and_labels_of_drafts_and_answers(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=3)
    items = [item["id"] for item in await team.items()]
    await team.call("save_predictions", rows=[draft(items[0], "good"), draft(items[1], "bad")])
    await team.submit(team.admin, items[1], "ugly")
    await team.call("save_embeddings", model="m", rows=[{"id": items[2], "vector": [0.5] * 384}])
    window = await rpc.call("read_drift_window", dataset=team.dataset, **{"from": 0})
    assert window["ids"] == items
    assert window["with_vector"] == [2]
    assert len(window["vectors"]) == 384 * 2 * 4 / 3
    assert window["drafts"] == [["good"], ["bad"], None]
    assert window["answers"] == [None, ["ugly"], None]
    assert len((await rpc.call("read_drift_window", dataset=team.dataset, **{"from": 0}, most=2))["ids"]) == 2


async def test_look_is_kept_once_and_the_first_alarm_is_an_event(rpc: Rpc) -> None:
    team = await watched(rpc)
    assert await kept(team, 1)
    assert not await kept(team, 1)
    assert await kept(team, 2, alarm=True)
    assert await kept(team, 3, alarm=True)
    found = await team.call("get_drift")
    assert (found["looks"], found["seen"], [look["look"] for look in found["reports"]]) == (3, 225, [3, 2, 1])
    assert found["alarmed_at"]
    assert await alarms(team) == [{"about": "data", "score": 2.0, "look": 2, "seen": 150, "reason": "because"}]


async def test_choosing_windows_anew_begins_anew(pg_rpc: Rpc) -> None:
    team = await watched(pg_rpc)
    await kept(team, 1, alarm=True)
    found = await team.call("set_drift_windows", reference={"first": 25}, newest=75, alpha=0.01)
    assert (found["run"], found["looks"], found["alarmed_at"], found["reports"]) == (2, 0, None, [])
    assert not await kept(team, 2)
    assert await kept(team, 1, run=2)


async def test_outcomes_tell_of_drafts_and_of_what_others_decided(pg_rpc: Rpc) -> None:
    team = await Team.of(pg_rpc, items=2)
    person, reviewer = await team.member(), await team.member("reviewer")
    items = [item["id"] for item in await team.items()]
    await team.call("save_predictions", rows=[draft(items[0], "good", probability=0.75)])
    [one, _] = await team.claim(person, 2)
    await team.submit(person, one, "good")
    await team.submit(reviewer, items[0], "bad")
    rows = await pg_rpc.call("list_outcomes", dataset=team.dataset)
    assert rows == [[person, "test-model", 0.75, True, False], [reviewer, "test-model", 0.75, False, None]]


async def test_watches_are_kept_and_their_alarms_are_events(pg_rpc: Rpc) -> None:
    team = await watched(pg_rpc)
    alarm = {"about": "annotator", "who": team.admin, "score": 1.5, "reason": "disagreement rose"}
    assert await pg_rpc.call(
        "save_drift_watches", dataset=team.dataset, run=1, watches={"watches": [alarm]}, alarms=[alarm]
    )
    assert not await pg_rpc.call("save_drift_watches", dataset=team.dataset, run=7, watches={}, alarms=[alarm])
    assert await alarms(team) == [alarm]
    assert (await team.call("get_drift"))["watches"] == {"watches": [alarm]}


async def test_windows_are_for_admins_and_need_a_reference(pg_rpc: Rpc) -> None:
    team = await Team.of(pg_rpc, items=5)
    order = {"reference": FIRST, "newest": 100, "alpha": 0.05}
    await refusal(team.call("set_drift_windows", await team.member("reviewer"), **order), "forbidden")
    await refusal(team.call("set_drift_windows", await new_user(pg_rpc), **order), "not-found")
    await refusal(team.call("set_drift_windows", **order), "invalid")
    await refusal(
        team.call("set_drift_windows", **{**order, "reference": {"since": "2030-01-02", "until": "2030-01-01"}}),
        "invalid",
    )
    assert await team.call("get_drift", await team.member()) is None
