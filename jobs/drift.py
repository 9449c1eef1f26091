"""Looking for drift: windows are read, compared in a thread, and what was found is kept; by the worker when it is time.

A look is spent when enough has come since the last one (learning/drift/looks.py), whoever asks: asking often costs
nothing. People's and models' outcomes are read anew at most once a minute, when answers have changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from jobs.vectors import Vectors, unpack_vectors
from schemas.drift import DriftLook, DriftReport, DriftWatch, DriftWindows
from schemas.errors import LabelCrewError
from store.rpc import Rpc

if TYPE_CHECKING:
    from learning.drift import DriftFinding

log = structlog.get_logger("drift")

THRESHOLD = 1.0
MOST = 2000
"""Items of each window that are compared."""
SLOW_S = 120.0
WATCH_EVERY_S = 60.0
HALF_LABELLED = 0.5
"""Share of both windows that must have a draft for drafts to be compared; else answers are."""


async def watch_drift(rpc: Rpc) -> None:
    """Look wherever it is time. For the worker's loop."""
    for monitor in await rpc.call("list_drift_monitors", timeout=SLOW_S):
        try:
            await look(rpc, monitor)
            if _stale(monitor):
                await watch_outcomes(rpc, monitor)
        except LabelCrewError as error:
            log.warning("drift_not_looked_for", dataset=monitor["dataset"], code=error.code, detail=error.detail)


async def set_windows(rpc: Rpc, actor: str, dataset: str, windows: DriftWindows) -> DriftReport:
    """Choose what is compared with what; the first look is made at once if enough is there. Needs the role admin."""
    reference = windows.reference.model_dump(mode="json", exclude_none=True)
    await rpc.call(
        "set_drift_windows",
        actor=actor, dataset=dataset, reference=reference, newest=windows.newest, alpha=windows.alpha, timeout=SLOW_S,
    )  # fmt: skip
    for monitor in await rpc.call("list_drift_monitors", dataset=dataset):
        await look(rpc, monitor)
        await watch_outcomes(rpc, monitor)
    return await report_drift(rpc, actor, dataset)


async def report_drift(rpc: Rpc, actor: str, dataset: str) -> DriftReport:
    """What was found so far."""
    found = await rpc.call("get_drift", actor=actor, dataset=dataset)
    if found is None:
        return DriftReport(
            watching=False, windows=None, reference_items=0, threshold=THRESHOLD, score=None, alarm=False,
            alarmed_at=None, seen=0, next_look=None, latest=None, history=[], people=[], models=[],
            note="Nobody has chosen what to compare with yet: PUT the windows, e.g. the first 1,000 items as reference.",
        )  # fmt: skip
    from learning.drift import next_look

    role = (await rpc.call("get_dataset", actor=actor, dataset=dataset))["role"]
    looks = [_look(row) for row in found["reports"]]
    watches = [DriftWatch.model_validate(one) for one in found["watches"].get("watches", [])]
    upcoming = next_look(found["seen"])
    windows = {
        "reference": found["windows"]["reference"],
        "newest": found["windows"]["newest"],
        "alpha": found["alpha"],
    }
    return DriftReport(
        watching=True,
        windows=DriftWindows.model_validate(windows),
        reference_items=found["windows"]["items"],
        threshold=THRESHOLD,
        score=looks[0].score if looks else None,
        alarm=found["alarmed_at"] is not None,
        alarmed_at=found["alarmed_at"],
        seen=found["seen"],
        next_look=upcoming,
        latest=looks[0] if looks else None,
        history=looks,
        people=[one for one in watches if one.about == "annotator" and role != "annotator"],
        models=[one for one in watches if one.about != "annotator"],
        note=looks[0].reason
        if looks
        else f"The first look is made when {upcoming} items have come since the reference.",
    )


def _look(row: Mapping[str, Any]) -> DriftLook:
    kept = {"look": row["look"], "score": row["score"], "alarm": row["alarm"], "at": row["created_at"]}
    return DriftLook.model_validate({**row["report"], **kept})


# data ----------------------------------------------------------------------------------------------------------------


async def look(rpc: Rpc, monitor: Mapping[str, Any]) -> bool:
    """Compare the windows of a monitor if enough has come since its last look; whether a look was made."""
    from learning.drift import next_look

    seen = monitor["seen"] + monitor["fresh"]
    if seen < next_look(monitor["seen"]):
        return False
    dataset, windows = monitor["dataset"], monitor["windows"]
    reference = await rpc.call(
        "read_drift_window",
        dataset=dataset,
        **{"from": windows["from"], "to": windows["to"]},
        most=MOST,
        timeout=SLOW_S,
    )
    current = await rpc.call(
        "read_drift_window",
        dataset=dataset, **{"from": windows["to"] + 1}, newest=windows["newest"], most=MOST, timeout=SLOW_S,
    )  # fmt: skip
    labelled_by, finding = await asyncio.to_thread(
        _compare, reference, current, monitor["looks"] + 1, float(monitor["alpha"])
    )
    report = {
        "seen": seen, "reason": finding.reason, "psi": finding.psi, "js": finding.js, "labels_by": labelled_by,
        "parts": [vars(part) for part in finding.parts], "shifts": [vars(one) for one in finding.shifts[:20]],
        "drivers": [current["ids"][current["with_vector"][row]] for row in finding.drivers],
    }  # fmt: skip
    kept: bool = await rpc.call(
        "save_drift_report",
        dataset=dataset, run=monitor["run"], look=finding.look, seen=seen, last_seq=current["last"],
        score=finding.score, alarm=finding.alarm, report=report,
    )  # fmt: skip
    if kept and finding.alarm:
        log.warning("drift_alarm", dataset=dataset, look=finding.look, reason=finding.reason)
    return kept


def _compare(
    reference: Mapping[str, Any], current: Mapping[str, Any], number: int, alpha: float
) -> tuple[str | None, DriftFinding]:
    """Heavy: runs in a thread."""
    from learning.drift import look_for_drift

    labelled_by = _comparable(reference, current)
    before, now = ((), ()) if labelled_by is None else (reference[f"{labelled_by}s"], current[f"{labelled_by}s"])
    classes = sorted({label for side in (before, now) for labels in side for label in labels or ()})
    finding = look_for_drift(
        _vectors(reference), _vectors(current),
        reference_labels=_one_hot(before, classes), current_labels=_one_hot(now, classes), classes=classes,
        look=number, alpha=alpha, rng=np.random.default_rng(number),
    )  # fmt: skip
    return labelled_by if any(part.name == "labels" for part in finding.parts) else None, finding


def _comparable(reference: Mapping[str, Any], current: Mapping[str, Any]) -> str | None:
    """Whether drafts or answers are compared: a model's labels and people's are mixed differently, so it is one kind on
    both sides, and the kind of which both sides have more."""

    def covered(kind: str) -> float:
        sides = (reference[f"{kind}s"], current[f"{kind}s"])
        return min((sum(labels is not None for labels in side) / max(len(side), 1) for side in sides), default=0.0)

    drafts, answers = covered("draft"), covered("answer")
    if max(drafts, answers) == 0:
        return None
    return "draft" if drafts >= HALF_LABELLED or drafts >= answers else "answer"


def _vectors(window: Mapping[str, Any]) -> Vectors:
    count = len(window["with_vector"])
    return unpack_vectors(window["vectors"], count) if count else np.zeros((0, 384), np.float32)


def _one_hot(labels: Sequence[Sequence[str] | None], classes: Sequence[str]) -> Vectors:
    known = [row for row in labels if row is not None]
    place = {label: k for k, label in enumerate(classes)}
    found = np.zeros((len(known), len(classes)), np.float32)
    for i, row in enumerate(known):
        found[i, [place[label] for label in row]] = 1
    return found


# people and models ---------------------------------------------------------------------------------------------------


def _stale(monitor: Mapping[str, Any]) -> bool:
    watched, changed = monitor["watched_at"], monitor["changed_at"]
    if changed is None or watched is None:
        return changed is not None
    gap = (datetime.fromisoformat(changed) - datetime.fromisoformat(watched)).total_seconds()
    age = (datetime.now().astimezone() - datetime.fromisoformat(watched)).total_seconds()
    return gap > 0 and age > WATCH_EVERY_S


async def watch_outcomes(rpc: Rpc, monitor: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Read what people and models got right, in order, and keep what it says of each; the watches."""
    from jobs.drift_outcomes import watch_all

    rows = await rpc.call("list_outcomes", dataset=monitor["dataset"], timeout=SLOW_S)
    watches = await asyncio.to_thread(watch_all, rows, float(monitor["alpha"]))
    told = set(monitor["watches"].get("alarmed", []))
    fresh = [one for one in watches if one["alarm"] and f"{one['about']}:{one['who']}" not in told]
    alarms = [{key: one[key] for key in ("about", "who", "score", "reason")} for one in fresh]
    alarmed = sorted(told | {f"{one['about']}:{one['who']}" for one in fresh})
    await rpc.call(
        "save_drift_watches",
        dataset=monitor["dataset"], run=monitor["run"], watches={"watches": watches, "alarmed": alarmed}, alarms=alarms,
    )  # fmt: skip
    return watches
