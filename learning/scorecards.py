"""Rates of people with intervals, and who can be told apart by them.

A rate of a few answers says little, and of fifty people somebody is always last. So a rate comes with its Wilson score
interval (E. B. Wilson 1927; A. Agresti and B. Coull 1998 recommend it for small numbers), and one person is put before
another only where intervals that hold for *all of them at once* leave a gap: each is as wide as Šidák's correction asks
(Z. Šidák 1967). Who is surely better and who surely worse bounds the place of each in the true order (M. Klein, T. Wright
and J. Wieczorek 2020, "A joint confidence region for an overall ranking of populations"). Among people who are all
equally good somebody is then put before somebody else in at most one dataset of twenty.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from math import sqrt
from statistics import NormalDist

CONFIDENCE = 0.95


def wilson(right: int, of: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Bounds of the rate behind ``right`` of ``of``, two-sided; everything is possible (0, 1) of none."""
    if of == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    rate = right / of
    scale = 1 + z * z / of
    middle = (rate + z * z / (2 * of)) / scale
    reach = z / scale * sqrt(rate * (1 - rate) / of + z * z / (4 * of * of))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def distinguishable(counts: Mapping[str, tuple[int, int]], confidence: float = CONFIDENCE) -> list[list[str]]:
    """The people of ``counts`` (name: right, of), best first, in groups between which a gap lies.

    Everybody in a group is better than everybody in the next with ``confidence`` for all statements together; within a
    group nothing is said, and its names are sorted. Who has no answers is in no group.
    """
    bounds = _joint_bounds(counts, confidence)
    groups: list[list[str]] = []
    floor = 0.0
    # By upper bound from the top: a gap is where all that is left lies below the lowest bound so far.
    for low, high, name in sorted(bounds, key=lambda bound: bound[1], reverse=True):
        if groups and high >= floor:
            groups[-1].append(name)
            floor = min(floor, low)
        else:
            groups.append([name])
            floor = low
    return [sorted(group) for group in groups]


def places(counts: Mapping[str, tuple[int, int]], confidence: float = CONFIDENCE) -> dict[str, tuple[int, int]]:
    """For each of ``counts`` the best and the worst place that they can have in the true order, from 1; who is level
    shares the better one. All of it holds together with ``confidence``. Who has no answers has no place."""
    bounds = _joint_bounds(counts, confidence)
    lows, highs = sorted(low for low, _, _ in bounds), sorted(high for _, high, _ in bounds)
    return {
        name: (1 + len(bounds) - bisect_right(lows, high), len(bounds) - bisect_left(highs, low))
        for low, high, name in bounds
    }


def _joint_bounds(counts: Mapping[str, tuple[int, int]], confidence: float) -> list[tuple[float, float, str]]:
    """Intervals that hold all at once: low, high, name."""
    measured = {name: pair for name, pair in counts.items() if pair[1] > 0}
    each = confidence ** (1 / max(1, len(measured)))
    return [(*wilson(right, of, each), name) for name, (right, of) in measured.items()]
