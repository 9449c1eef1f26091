"""What the learning loop knows about a dataset, for people: its licences, its learning curve, and whether to go on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from jobs.auto_accepting import missing_in_words
from schemas.insights import (
    CalibrationRow,
    CurvePoint,
    Expected,
    LearningMetrics,
    Licence,
    LicenceReport,
    StoppingReport,
)
from store.rpc import Rpc

Rows = Sequence[Mapping[str, Any]]
NEXT_LABELS = 500
MS_AN_HOUR = 3_600_000


async def report_licences(rpc: Rpc, actor: str, dataset: str) -> LicenceReport:
    """Where the dataset stands with skipping the human."""
    licences = await rpc.call("list_licences", actor=actor, dataset=dataset)
    found = await rpc.call("get_dataset", actor=actor, dataset=dataset)
    history = [Licence.model_validate({**one, "watch_test": one["watch_test"] or None}) for one in licences]
    in_force = [one for one in history if one.state == "granted"]
    auditing = [one for one in history if one.state == "auditing"]
    accepted = found["states"].get("auto_accepted", 0)
    return LicenceReport(
        in_force=in_force,
        auditing=auditing,
        history=history,
        accepted=accepted,
        note=_in_words(in_force, [one for one in licences if one["state"] == "auditing"], history, accepted),
    )


async def report_learning(rpc: Rpc, actor: str, dataset: str, *, next_labels: int = NEXT_LABELS) -> LearningMetrics:
    """The learning curve, what the next labels are expected to buy, and how confidences are read."""
    students = await rpc.call("list_students", actor=actor, dataset=dataset)
    calibrations = await rpc.call("list_calibrations", actor=actor, dataset=dataset)
    times = await rpc.call("measure_lead_times", actor=actor, dataset=dataset)
    found = await rpc.call("get_dataset", actor=actor, dataset=dataset)
    curve = [_point(row) for row in students]
    open_items = sum(found["states"].get(state, 0) for state in ("new", "drafted", "returned"))
    stopping = await asyncio.to_thread(_stopping, curve, times, min(next_labels, open_items))
    return LearningMetrics(curve=curve, stopping=stopping, calibrations=[_calibration(row) for row in calibrations])


def _stopping(curve: Sequence[CurvePoint], times: Mapping[str, Any], labels: int) -> StoppingReport:
    """What ``labels`` more would buy, by the versions under the newest labelset. Heavy: runs in a thread."""
    hours = labels * times["median_ms"] / MS_AN_HOUR if times["median_ms"] is not None else None
    usd = labels * float(times["usd"]) if times["usd"] is not None else None
    newest = max((point.labelset_version for point in curve), default=0)
    measured = {
        point.trained_on: point.accuracy
        for point in curve
        if point.accuracy is not None and point.labelset_version == newest and point.trained_on > 0
    }
    if not measured or not labels:
        reason = "every item is answered" if measured else "too little is verified to say what more labels would buy"
        return StoppingReport(
            labels=labels, points=None, accuracy=None, ceiling=None, hours=hours, usd=usd, stop=False, reason=reason
        )
    from learning.stopping import fit_learning_curve, stopping_report

    found = stopping_report(
        fit_learning_curve(list(measured), list(measured.values())), labels,
        seconds_per_label=(times["median_ms"] or 0.0) / 1000, usd_per_label=float(times["usd"] or 0.0),
    )  # fmt: skip
    points, accuracy, ceiling = (
        Expected(value=part.value, low=part.low, high=part.high)
        for part in (found.points, found.accuracy, found.ceiling)
    )
    return StoppingReport(
        labels=labels, points=points, accuracy=accuracy, ceiling=ceiling, hours=hours, usd=usd, stop=found.stop,
        reason=found.reason,
    )  # fmt: skip


def _point(row: Mapping[str, Any]) -> CurvePoint:
    metrics = row["metrics"]
    return CurvePoint(
        version=row["version"], trained_on=row["trained_on"], labelset_version=row["labelset_version"],
        accuracy=metrics.get("accuracy"), ece=metrics.get("ece"), macro_f1=metrics.get("macro_f1"),
        pseudo_labels=metrics.get("pseudo_labels"), created_at=row["created_at"],
    )  # fmt: skip


def _calibration(row: Mapping[str, Any]) -> CalibrationRow:
    metrics = row["metrics"]
    return CalibrationRow(
        model=row["model"], route=row["route"], labelset_version=row["labelset_version"], version=row["version"],
        method=row["curve"]["method"], blended=row["blend"] is not None, trained_on=row["trained_on"],
        ece=metrics.get("ece"), raw_ece=metrics.get("raw_ece"), auroc=metrics.get("auroc"),
        log_loss=metrics.get("log_loss"), created_at=row["created_at"],
    )  # fmt: skip


def _in_words(in_force: Sequence[Licence], auditing: Rows, history: Sequence[Licence], accepted: int) -> str:
    said = [f"{accepted:,} items are auto-accepted: {one.reason}." for one in in_force[:1]]
    if auditing:
        said.append(f"An audit is under way: {missing_in_words(auditing)}.")
    if not said and history:
        said.append(f"No licence is in force; the last one was {history[0].state}: {history[0].reason}.")
    return " ".join(said) or "No licence was asked for yet: order a job of kind auto_accept."


async def revoke_licences(rpc: Rpc, actor: str, dataset: str, reason: str) -> int:
    """Take back every licence in force and end every audit under way; how many. Needs the role admin."""
    revoked: int = await rpc.call("revoke_licences", actor=actor, dataset=dataset, reason=reason, timeout=150)
    return revoked
