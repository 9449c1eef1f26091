"""Calibrations: what they learn from, which version is in force, and when there is something new to learn."""

from __future__ import annotations

from typing import Any

from store.rpc import Rpc
from tests.support.teams import Team, draft, refusal

CURVE = {
    "version": 1, "method": "platt", "params": {"theta": [0.0, 0.0]}, "n": 1, "log_loss": None, "ece": None,
    "covariance": [],
}  # fmt: skip


async def _save(team: Team, **fields: Any) -> int:
    given = {
        "model": "test-model", "route": "llm", "labelset_version": 1, "curve": CURVE, "blend": None, "metrics": {},
        "trained_on": 1, **fields,
    }  # fmt: skip
    saved: dict[str, int] = await team.rpc.call("save_calibration", dataset=team.dataset, **given)
    return saved["version"]


async def test_judged_drafts_say_what_was_claimed_by_whom_and_whether_it_was_right(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=3)
    ids = [i["id"] for i in await team.items()]
    rows = [draft(ids[0], signals={"student": 0.4}), draft(ids[1], "bad", route="crew"), draft(ids[2])]
    await team.call("save_predictions", rows=rows)
    for item in ids[:2]:
        await team.submit(team.admin, item, "good")
    judged = await rpc.call("list_judged_drafts", dataset=team.dataset, model="test-model")
    assert [(j["route"], j["right"], j["signals"]) for j in judged] == [
        ("crew", False, {}), ("llm", True, {"student": 0.4}),
    ]  # fmt: skip
    only = await rpc.call("list_judged_drafts", dataset=team.dataset, model="test-model", route="crew")
    assert len(only) == 1


async def test_draft_made_after_the_answer_was_not_judged_by_it(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1)
    [item] = [i["id"] for i in await team.items()]
    await team.submit(team.admin, item)
    await team.call("save_predictions", rows=[draft(item)])
    assert await rpc.call("list_judged_drafts", dataset=team.dataset, model="test-model") == []


async def test_labels_in_another_order_are_the_same_answer(rpc: Rpc) -> None:
    team = await Team.of(rpc, labelset=False)
    await team.labelset(multi=True)
    [item] = await team.add("a text")
    await team.call("save_predictions", rows=[draft(item, payload={"labels": ["good", "bad"]})])
    await team.submit(team.admin, item, payload={"labels": ["bad", "good"]})
    [judged] = await rpc.call("list_judged_drafts", dataset=team.dataset, model="test-model")
    assert judged["right"] is True


async def test_newest_version_of_each_route_is_in_force(rpc: Rpc) -> None:
    team = await Team.of(rpc)
    assert [await _save(team), await _save(team, trained_on=9), await _save(team, route="crew")] == [1, 2, 1]
    found = await rpc.call("find_calibrations", dataset=team.dataset, model="test-model", labelset_version=1)
    assert {(c["route"], c["version"]) for c in found} == {("llm", 2), ("crew", 1)}
    assert await rpc.call("find_calibrations", dataset=team.dataset, model="other", labelset_version=1) == []


async def test_curve_of_an_earlier_labelset_serves_until_the_new_one_has_its_own(rpc: Rpc) -> None:
    team = await Team.of(rpc)
    await _save(team)
    await team.labelset()
    ask = {"dataset": team.dataset, "model": "test-model", "labelset_version": 2}
    assert [c["labelset_version"] for c in await rpc.call("find_calibrations", **ask)] == [1]
    await _save(team, labelset_version=2)
    assert [c["labelset_version"] for c in await rpc.call("find_calibrations", **ask)] == [2]
    assert [c["labelset_version"] for c in await team.call("list_calibrations")] == [1, 2]


async def test_route_is_stale_until_its_curve_has_seen_every_verdict(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=2)
    ids = [i["id"] for i in await team.items()]
    await team.call("save_predictions", rows=[draft(i) for i in ids])
    assert await rpc.call("list_stale_calibrations", dataset=team.dataset) == []
    await team.submit(team.admin, ids[0])
    [stale] = await rpc.call("list_stale_calibrations", dataset=team.dataset)
    assert stale == {
        "model": "test-model", "route": "llm", "labelset_version": 1, "judged": 1, "trained_on": None,
    }  # fmt: skip
    await _save(team)
    assert await rpc.call("list_stale_calibrations", dataset=team.dataset) == []


async def test_interval_and_signals_of_a_draft_come_back_as_stored(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1)
    [item] = [i["id"] for i in await team.items()]
    sure = {"signals": {"student": 0.7}, "probability_interval": [0.5, 0.9]}
    await team.call("save_predictions", rows=[draft(item, **sure)])
    stored = (await team.item(item))["draft"]
    assert {name: stored[name] for name in sure} == sure


async def test_calibration_of_no_dataset_is_refused_and_strangers_see_none(rpc: Rpc) -> None:
    team = await Team.of(rpc)
    stranger = (await Team.of(rpc)).admin
    await refusal(team.call("list_calibrations", stranger), "not-found")
    await refusal(_save(Team(rpc, team.admin, team.admin)), "not-found")
