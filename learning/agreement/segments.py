"""Agreement on stretches of time: matched segments, and the share of time that got the same label."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from learning.agreement.estimate import Agreement, Array, estimate, nothing_shared
from learning.agreement.matching import NO_MARKS, Marks, marks_f1, stretch_iou

Stretch = tuple[float, float, str]
"""A segment: start and end (exclusive) in seconds, label."""


def segment_f1(
    marks: Marks[Stretch], *, least: float = 0.5, samples: int = 1000, level: float = 0.95, seed: int = 0
) -> Agreement:
    """F1 of segments with the same label matched at a time IoU of ``least`` or more; ``observed`` is their mean IoU."""
    return marks_f1("segment-f1", marks, stretch_iou, least=least, samples=samples, level=level, seed=seed)


def time_iou(marks: Marks[Stretch], *, samples: int = 1000, level: float = 0.95, seed: int = 0) -> Agreement:
    """Seconds that two annotators gave the same label over the seconds that either gave it (Jaccard, 1901), over all
    labels, pairs and items. Where a segment is cut makes no difference, only which time it covers.
    """
    rows, answers = [], 0
    for item in marks:
        if len(item) < 2:
            continue
        answers += len(item)
        both = either = 0.0
        for first, second in combinations(sorted(item), 2):
            # Refuses what is no stretch, before the arithmetic.
            stretch_iou(item[first], item[second])
            for label in {row[2] for row in (*item[first], *item[second])}:
                ours = _merged([row for row in item[first] if row[2] == label])
                theirs = _merged([row for row in item[second] if row[2] == label])
                shared = sum(
                    max(0.0, min(end, stop) - max(start, begin)) for start, end in ours for begin, stop in theirs
                )
                both += shared
                either += sum(end - start for start, end in ours) + sum(end - start for start, end in theirs) - shared
        rows.append((both / (len(item) - 1), either / (len(item) - 1)))
    if not rows:
        raise nothing_shared()

    def value(sums: Array) -> Array:
        return np.asarray(sums[:, 0] / np.where(sums[:, 1] > 0, sums[:, 1], np.nan))

    table = np.array(rows)
    return estimate(
        "time-iou", table, value, answers=answers, undefined=NO_MARKS, samples=samples, level=level, seed=seed
    )


def _merged(stretches: list[Stretch]) -> list[tuple[float, float]]:
    """The time that ``stretches`` cover, as stretches that do not overlap."""
    found: list[tuple[float, float]] = []
    for start, end, _ in sorted(stretches):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found
