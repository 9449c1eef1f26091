"""Outcomes that arrive one by one: a person's answers beside the others', a model's drafts beside the answers.

Is the rate of disagreement above what it was, is a model surer than it may be? Both are bets that may be looked at after
every outcome (learning/sequential.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from learning.auto_accept import upper_bound
from learning.checks import check_share, check_unit
from learning.metrics import ece
from learning.sequential import evidence_above
from schemas.errors import Invalid

LEAST_BEFORE = 20
"""Outcomes that a reference needs."""
TOLERANCE = 0.05
"""By how much a model may be surer than it is right before it counts as drift."""


@dataclass(frozen=True)
class Watch:
    """``score`` is the logarithm of the evidence by that of its threshold: 1 or more is an alarm, which stays one."""

    score: float
    alarm: bool
    alarm_at: int | None
    """Index of the outcome that raised it."""
    before: float
    """Rate in the reference; of calibration, the mean probability claimed."""
    now: float
    """Rate since; of calibration, the share that was right."""
    n: int
    reason: str


@dataclass(frozen=True)
class Point:
    """One stretch of time: how many drafts were judged, the share that was right, and the calibration error."""

    size: int
    agreement: float
    probability: float | None
    ece: float | None


def watch_rate(before: ArrayLike, since: ArrayLike, *, delta: float = 0.05, what: str = "disagreement") -> Watch:
    """Has the rate of ``since`` (t,), ones and zeros in order of arrival, risen above that of ``before`` (m,)?

    Half of ``delta`` is spent on how uncertain the old rate is, half on the watching. A reference of fewer than 20
    outcomes raises no alarm.
    """
    check_share(delta, "delta")
    old, new = check_unit(before, what="outcomes"), check_unit(since, what="outcomes")
    was = float(old.mean()) if len(old) else 0.0
    now = float(new.mean()) if len(new) else 0.0
    if len(old) < LEAST_BEFORE or not len(new):
        reason = (
            f"{len(old)} outcomes to compare with, at least {LEAST_BEFORE} are needed" if len(new) else "nothing since"
        )
        return Watch(0.0, False, None, was, now, len(new), reason)
    limit = upper_bound(round(float(old.sum())), len(old), delta / 2)
    if limit >= 0.99:
        return Watch(0.0, False, None, was, now, len(new), f"the {what} was as high as it can be")
    return _watched(
        new,
        limit,
        delta / 2,
        was,
        now,
        f"{what} went from {was:.0%} to {now:.0%}",
        f"{what} is {now:.0%}, was {was:.0%}",
    )


def watch_calibration(
    probability: ArrayLike, right: ArrayLike, *, tolerance: float = TOLERANCE, delta: float = 0.05
) -> Watch:
    """Is a model surer than it is right, by more than ``tolerance``? ``probability`` (t,) and ``right`` (t,), in order."""
    claimed, true = check_unit(probability, what="probabilities"), check_unit(right, what="verdicts")
    if len(claimed) != len(true):
        raise Invalid(f"{len(claimed)} probabilities and {len(true)} verdicts do not go together")
    if not 0 <= tolerance < 0.5:
        raise Invalid(f"the tolerance must lie between 0 and a half, not {tolerance!r}")
    if not len(claimed):
        return Watch(0.0, False, None, 0.0, 0.0, 0, "nothing was judged")
    was, now = float(claimed.mean()), float(true.mean())
    # Claim minus truth lies in -1..1; half of it plus a half lies in 0..1.
    surplus = (claimed - true + 1) / 2
    return _watched(
        surplus, 0.5 + tolerance / 2, delta, was, now,
        f"{now:.0%} of the drafts were right where {was:.0%} was claimed", f"{now:.0%} right, {was:.0%} claimed",
    )  # fmt: skip


def over_time(
    right: ArrayLike, probability: ArrayLike | None = None, *, stretches: int = 10, least: int = 20
) -> list[Point]:
    """Agreement and calibration error over ``right`` (t,) in order, in up to ``stretches`` parts of ``least`` or more."""
    true = check_unit(right, what="verdicts")
    claimed = None if probability is None else check_unit(probability, len(true), what="probabilities")
    parts = max(1, min(stretches, len(true) // least)) if len(true) else 0
    edges = np.linspace(0, len(true), parts + 1).astype(int) if parts else np.zeros(1, int)
    points = []
    for start, end in pairwise(edges):
        judged = true[start:end]
        said = None if claimed is None else claimed[start:end]
        points.append(Point(
            len(judged), float(judged.mean()),
            None if said is None else float(said.mean()), None if said is None else float(ece(said, judged)),
        ))  # fmt: skip
    return points


def _watched(values: ArrayLike, limit: float, delta: float, was: float, now: float, alarm: str, quiet: str) -> Watch:
    evidence = evidence_above(values, max(limit, 1e-6), delta=delta)
    most = float(evidence.wealth.max())
    score = max(0.0, float(np.log(most) / np.log(evidence.threshold)))
    return Watch(
        score, evidence.alarm, evidence.alarm_at, was, now, len(evidence.wealth), alarm if evidence.alarm else quiet
    )
