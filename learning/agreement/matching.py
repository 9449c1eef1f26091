"""One annotator's marks beside another's: which of them are the same, whatever their shape.

Marks are matched one to one so that the total overlap is largest (Kuhn, Naval Research Logistics Quarterly 2, 1955).
The score of a pair of annotators is the F1 of their matches: where what is *not* marked cannot be counted, kappa tends
to it (Hripcsak & Rothschild, *Agreement, the F-measure, and reliability in information retrieval*, JAMIA 12, 2005).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import TypeVar

import numpy as np

from learning.agreement.estimate import Agreement, Array, estimate, nothing_shared
from schemas.errors import Invalid

Mark = TypeVar("Mark")
Marks = Sequence[Mapping[str, Sequence[Mark]]]
"""An item a row: annotator → their marks. An empty list says "looked, found none"; an absent annotator did not look."""

NO_MARKS = "nobody marked anything, so there is nothing to match"


def best_matches(overlap: Array, least: float) -> list[tuple[int, int]]:
    """Pairs (row, column) of ``overlap`` (a, b), one to one, each of at least ``least``: as many as possible, and of
    those the largest total."""
    from scipy.optimize import linear_sum_assignment

    if not overlap.size:
        return []
    good = (overlap >= least) & (overlap > 0)
    # A match outweighs any gain in overlap that could be had by giving one up.
    worth = np.where(good, overlap + overlap.shape[0] + overlap.shape[1], 0.0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if good[row, column]]


def marks_f1(
    measure: str,
    marks: Marks[Mark],
    overlap: Callable[[Sequence[Mark], Sequence[Mark]], Array],
    *,
    least: float,
    samples: int,
    level: float,
    seed: int,
) -> Agreement:
    """F1 of matched marks over all pairs of annotators of all items; ``observed`` is the matches' mean overlap."""
    if not 0 < least <= 1:
        raise Invalid(f"the overlap of a match must lie in 0..1, not {least!r}")
    rows: list[tuple[float, float]] = []
    overlaps: list[float] = []
    answers = 0
    for item in marks:
        if len(item) < 2:
            continue
        answers += len(item)
        hits = total = 0
        for first, second in combinations(sorted(item), 2):
            between = overlap(item[first], item[second])
            found = best_matches(between, least)
            overlaps.extend(float(between[place]) for place in found)
            hits, total = hits + len(found), total + len(item[first]) + len(item[second])
        # An item's pairs weigh as one, however many looked at it: n annotators have n(n-1)/2 pairs but n answers.
        pairs = len(item) - 1
        rows.append((2 * hits / pairs, total / pairs))
    if not rows:
        raise nothing_shared()

    def value(sums: Array) -> Array:
        return np.asarray(sums[:, 0] / np.where(sums[:, 1] > 0, sums[:, 1], np.nan))

    return estimate(
        measure,
        np.array(rows, dtype=np.float64),
        value,
        answers=answers,
        undefined=NO_MARKS,
        observed=float(np.mean(overlaps)) if overlaps else None,
        samples=samples,
        level=level,
        seed=seed,
    )


def stretch_iou(
    first: Sequence[tuple[float, float, str]], second: Sequence[tuple[float, float, str]], *, labels: bool = True
) -> Array:
    """Intersection over union (a, b) of stretches (start, end, label); 0 between different labels unless told."""
    a, b = _ends(first), _ends(second)
    shared = np.minimum(a[:, None, 1], b[None, :, 1]) - np.maximum(a[:, None, 0], b[None, :, 0])
    shared = np.maximum(shared, 0.0)
    union = (a[:, 1] - a[:, 0])[:, None] + (b[:, 1] - b[:, 0])[None, :] - shared
    found = shared / union if shared.size else shared
    if labels:
        found = found * same_label([row[2] for row in first], [row[2] for row in second])
    return np.asarray(found)


def same_label(first: Sequence[str], second: Sequence[str]) -> Array:
    """1 where the labels agree, else 0 (a, b)."""
    return np.array([[float(ours == theirs) for theirs in second] for ours in first]).reshape(len(first), len(second))


def _ends(stretches: Sequence[tuple[float, float, str]]) -> Array:
    try:
        found = np.array([(start, end) for start, end, _ in stretches], dtype=np.float64).reshape(-1, 2)
    except (TypeError, ValueError) as error:
        raise Invalid("a stretch is (start, end, label)") from error
    bad = ~np.isfinite(found).all(axis=1) | (found[:, 1] <= found[:, 0])
    if bad.any():
        raise Invalid(f"the stretch {stretches[int(np.flatnonzero(bad)[0])]!r} must end after it starts")
    return found
