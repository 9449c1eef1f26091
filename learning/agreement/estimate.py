"""An agreement coefficient with its interval, and the bootstrap that all of them share.

Every coefficient here is a function of sums over items. So an item is a row of numbers, a bootstrap sample is a
weighted sum of rows, and equal rows are drawn together: a thousand samples of 100,000 items cost a multinomial over the
few distinct rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learning.checks import check_count, check_share
from schemas.errors import LabelCrewError, error_of

Array = NDArray[np.float64]
Value = Callable[[Array], Array]
"""Sums of items (samples, q) → coefficient (samples,), NaN where it is undefined."""

CELLS = 4_000_000
"""Numbers drawn at once by the bootstrap: 32 MB."""


@dataclass(frozen=True)
class Agreement:
    """How far annotators agree. ``value`` is None where the coefficient is undefined; ``reason`` then says why."""

    measure: str
    value: float | None
    low: float | None
    """Lower end of the bootstrap interval over items; None where too few items can be drawn from."""
    high: float | None
    observed: float | None
    """Plain share of agreement, not corrected for chance, where the measure has one."""
    items: int
    """Items with at least two answers: the others say nothing about agreement."""
    answers: int
    """Answers on these items."""
    reason: str = ""


def estimate(
    measure: str,
    rows: Array,
    value_of: Value,
    *,
    answers: int,
    undefined: str,
    observed: float | None = None,
    samples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Agreement:
    """``value_of`` the sum of ``rows`` (items, q) with a percentile interval over ``samples`` draws of the items
    (Efron & Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 13).

    Draws in which the coefficient is undefined are left out; when more than half are, there is no interval.
    """
    check_share(level, "the level of the interval")
    samples = check_count(samples, "bootstrap samples")
    with np.errstate(divide="ignore", invalid="ignore"):
        found = float(value_of(rows.sum(axis=0, keepdims=True))[0])
        drawn = _draws(rows, value_of, samples, seed) if len(rows) > 1 and np.isfinite(found) else np.zeros(0)
    if not np.isfinite(found):
        return Agreement(measure, None, None, None, observed, len(rows), answers, undefined)
    usable = drawn[np.isfinite(drawn)]
    if not samples or 2 * len(usable) <= samples:
        reason = "too few items for an interval" if samples else ""
        return Agreement(measure, found, None, None, observed, len(rows), answers, reason)
    low, high = np.quantile(usable, [(1 - level) / 2, (1 + level) / 2])
    return Agreement(measure, found, float(low), float(high), observed, len(rows), answers)


def _draws(rows: Array, value_of: Value, samples: int, seed: int) -> Array:
    distinct, sizes = np.unique(rows, axis=0, return_counts=True)
    rng = np.random.default_rng(seed)
    step = max(1, CELLS // len(distinct))
    found = []
    for start in range(0, samples, step):
        weights = rng.multinomial(len(rows), sizes / len(rows), size=min(step, samples - start))
        found.append(value_of(weights @ distinct))
    return np.concatenate(found) if found else np.zeros(0)


def nothing_shared() -> LabelCrewError:
    """The error for an input in which no item has two answers."""
    return error_of(
        "no-training-data",
        "There is no agreement to measure: no item has answers of two annotators.",
        hint="Have some items answered by two people: set the dataset's overlap to 2.",
    )
