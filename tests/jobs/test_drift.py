"""Looks for drift as the worker makes them: when it is time, with what they found kept, and people and models watched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jobs.drift import report_drift, set_windows, watch_drift
from jobs.drift_outcomes import watch_all
from schemas.drift import DriftReference, DriftWindows
from store.rpc import Rpc
from tests.support.people import new_member
from tests.support.teams import Team, draft, refusal


async def fill(team: Team, count: int, *, towards: int = 0, share: float = 1 / 3, seed: int = 0) -> list[str]:
    """Items with vectors that lie about an axis, drafted as good in ``share`` of the cases."""
    rng = np.random.default_rng(seed)
    start = (await team.call("get_dataset"))["items"]
    ids = await team.add(*(f"text {start + k}" for k in range(count)))
    vectors = 0.3 * rng.normal(size=(count, 384))
    vectors[:, towards] += 1
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [{"id": item, "vector": vector} for item, vector in zip(ids, np.round(vectors, 4).tolist(), strict=True)]
    await team.call("save_embeddings", model="test-embedder", rows=rows)
    labels = np.where(rng.random(count) < share, "good", rng.choice(["bad", "ugly"], count))
    await team.call(
        "save_predictions", rows=[draft(item, label) for item, label in zip(ids, labels.tolist(), strict=True)]
    )
    return ids


def windows(**fields: Any) -> DriftWindows:
    return DriftWindows(reference=DriftReference(first=200), **fields)


async def test_without_windows_the_report_says_how_to_choose_them(pg_rpc: Rpc) -> None:
    team = await Team.of(pg_rpc)
    report = await report_drift(pg_rpc, team.admin, team.dataset)
    assert (report.watching, report.score, report.alarm) == (False, None, False)
    assert "PUT" in report.note


async def test_look_waits_for_enough_items_and_is_then_made_once(pg_rpc: Rpc) -> None:
    team = await Team.of(pg_rpc)
    await fill(team, 260)
    report = await set_windows(pg_rpc, team.admin, team.dataset, windows())
    assert (report.score, report.next_look, report.reference_items) == (None, 75, 200)
    await fill(team, 30, seed=1)
    for _ in range(3):
        await watch_drift(pg_rpc)
    report = await report_drift(pg_rpc, team.admin, team.dataset)
    assert (len(report.history), report.seen, report.next_look) == (1, 90, 150)
    assert not report.alarm
    assert report.latest
    assert report.latest.labels_by == "draft"
    assert report.latest.reason.startswith("no drift")


async def test_change_of_topic_raises_an_alarm_and_names_the_items(pg_rpc: Rpc) -> None:
    team = await Team.of(pg_rpc)
    await fill(team, 200)
    odd = await fill(team, 80, towards=7, seed=1)
    report = await set_windows(pg_rpc, team.admin, team.dataset, windows())
    assert report.alarm
    assert report.score
    assert report.score >= report.threshold
    assert report.latest
    assert set(report.latest.drivers) <= set(odd)
    assert "differ from the reference" in report.note
    [event] = await team.call("list_events", kinds=["drift_alarm"])
    assert event["data"]["about"] == "data"


async def test_shift_of_the_mix_names_the_class_that_grew(pg_rpc: Rpc) -> None:
    team = await Team.of(pg_rpc)
    await fill(team, 200)
    await fill(team, 100, share=0.8, seed=2)
    report = await set_windows(pg_rpc, team.admin, team.dataset, windows())
    assert report.alarm
    assert report.latest
    assert report.latest.shifts[0].label == "good"
    assert report.latest.shifts[0].now > report.latest.shifts[0].before
    assert report.latest.psi
    assert report.latest.psi > 0.1


async def test_items_without_vectors_and_labels_give_a_plain_answer(pg_rpc: Rpc) -> None:
    team = await Team.of(pg_rpc, items=300)
    report = await set_windows(pg_rpc, team.admin, team.dataset, windows())
    assert (report.alarm, report.score) == (False, 0.0)
    assert "too little to compare" in report.note


async def test_identical_texts_of_one_class_are_no_drift(pg_rpc: Rpc) -> None:
    team = await Team.of(pg_rpc)
    ids = await team.add(*(f"same {k}" for k in range(300)))
    await team.call("save_embeddings", model="m", rows=[{"id": item, "vector": [0.05] * 384} for item in ids])
    await team.call("save_predictions", rows=[draft(item, "good") for item in ids])
    report = await set_windows(pg_rpc, team.admin, team.dataset, windows())
    assert (report.alarm, report.score) == (False, 0.0)


async def test_annotators_are_not_told_of_other_people(pg_rpc: Rpc) -> None:
    team = await Team.of(pg_rpc)
    await fill(team, 220)
    await set_windows(pg_rpc, team.admin, team.dataset, windows())
    watches = {"watches": [
        {"about": "annotator", "who": team.admin, "by": "draft", "score": 0.2, "alarm": False, "before": 0.1, "now": 0.1,
         "n": 5, "reason": "disagreement is 10%, was 10%"},
    ]}  # fmt: skip
    await pg_rpc.call("save_drift_watches", dataset=team.dataset, run=1, watches=watches, alarms=[])
    assert len((await report_drift(pg_rpc, team.admin, team.dataset)).people) == 1
    annotator = await new_member(pg_rpc, team.admin, team.dataset, "annotator")
    assert (await report_drift(pg_rpc, annotator, team.dataset)).people == []
    await refusal(set_windows(pg_rpc, annotator, team.dataset, windows()), "forbidden")


class TestOutcomes:
    def test_person_who_drifts_is_found_and_others_are_not(self) -> None:
        rng = np.random.default_rng(1)
        rows = [
            (user, "m", 0.9, bool(rng.random() > (0.5 if user == "b" and k > 150 else 0.1)), None)
            for k in range(400) for user in ("a", "b")
        ]  # fmt: skip
        found = {(one["about"], one["who"]): one["alarm"] for one in watch_all(rows, 0.05)}
        assert found["annotator", "b"]
        assert not found["annotator", "a"]
        assert found["agreement", "m"]

    def test_decisions_of_others_outweigh_drafts(self) -> None:
        rows = [("a", "m", None, True, k < 120) for k in range(400)]
        [person] = [one for one in watch_all(rows, 0.05) if one["about"] == "annotator"]
        assert (person["by"], person["alarm"]) == ("others", True)

    def test_model_that_claims_too_much_is_found_and_its_course_told(self) -> None:
        rows = [("a", "m", 0.95, k % 2 == 0, None) for k in range(300)]
        by = {one["about"]: one for one in watch_all(rows, 0.05)}
        assert by["calibration"]["alarm"]
        assert not by["agreement"]["alarm"]
        assert sum(point["size"] for point in by["agreement"]["over_time"]) == 300
        assert by["agreement"]["over_time"][0]["ece"] == pytest.approx(0.45)

    def test_too_little_tells_of_nobody(self) -> None:
        assert watch_all([], 0.05) == []
        assert watch_all([("a", None, None, None, None)] * 300, 0.05) == []
        assert watch_all([("a", "m", 0.5, True, None)] * 100, 0.05) == []
