"""Agreement on spans of text: F1 of matches, and a gamma that forgives near misses and corrects for chance.

Gamma after Mathet, Widlöcher & Métivier, *The Unified and Holistic Method Gamma (γ) for Inter-Annotator Agreement
Measure and Alignment*, Computational Linguistics 41, 2015: annotators' spans are aligned so that the total
dissimilarity is least, and γ = 1 − that / what chance would leave. Two departures, both for corpora of many short
texts: more than two annotators are aligned pair by pair, and chance moves one annotator's spans to another text besides
turning them round in it, where the paper only turns them round in one long text.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.random import Generator

from learning.agreement.estimate import Agreement, Array, estimate, nothing_shared
from learning.agreement.matching import NO_MARKS, Marks, best_matches, marks_f1, same_label, stretch_iou
from learning.checks import check_count
from learning.metrics import Place
from schemas.errors import Invalid

ALONE = 1.0
"""Dissimilarity of a span that no other answers to (the paper's Δ∅)."""


def span_f1(
    marks: Marks[Place], *, least: float = 1.0, samples: int = 1000, level: float = 0.95, seed: int = 0
) -> Agreement:
    """F1 of spans with the same label whose overlap (intersection over union of characters) is at least ``least``: 1
    asks for the same start and end. ``observed`` is the matches' mean overlap."""
    return marks_f1("span-f1", marks, stretch_iou, least=least, samples=samples, level=level, seed=seed)


def matched_spans(first: Sequence[Place], second: Sequence[Place], *, least: float = 0.5) -> list[tuple[int, int]]:
    """Which span of ``first`` is which of ``second``, by the largest overlap within a label: pairs of indices."""
    return best_matches(stretch_iou(first, second), least)


def span_gamma(
    marks: Marks[Place],
    *,
    lengths: Sequence[int] | None = None,
    draws: int = 30,
    samples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Agreement:
    """γ in −∞..1: 1 for the same spans, 0 for what chance would give.

    ``lengths``: characters of each text; without it a text ends at its last span. ``draws``: random placements that
    estimate chance. One text with one span over all of it leaves chance no room, and γ is None.
    """
    draws = check_count(draws, "draws", least=1)
    if lengths is not None and len(lengths) != len(marks):
        raise Invalid(f"{len(lengths)} lengths for {len(marks)} texts")
    shared = [index for index, item in enumerate(marks) if len(item) >= 2]
    if not shared:
        raise nothing_shared()
    size = {
        index: max([1 if lengths is None else lengths[index], *(end for row in item.values() for _, end, _ in row)])
        for index, item in enumerate(marks)
    }
    rng = np.random.default_rng(seed)
    rows = []
    for index in shared:
        item = marks[index]
        seen = by_chance = 0.0
        for first, second in combinations(sorted(item), 2):
            seen += _disorder(item[first], item[second])
            for _ in range(draws):
                other = _elsewhere(shared, index, rng)
                theirs = marks[other].get(second)
                if theirs is None:
                    theirs = marks[other][str(rng.choice(sorted(marks[other])))]
                by_chance += _disorder(item[first], _turned(theirs, size[other], rng)) / draws
        rows.append((seen / (len(item) - 1), by_chance / (len(item) - 1)))

    def value(sums: Array) -> Array:
        return np.asarray(1.0 - sums[:, 0] / np.where(sums[:, 1] > 0, sums[:, 1], np.nan))

    return estimate(
        "span-gamma",
        np.array(rows),
        value,
        answers=sum(len(marks[index]) for index in shared),
        undefined=NO_MARKS if not any(map(any, (item.values() for item in marks))) else "chance leaves no disagreement",
        samples=samples,
        level=level,
        seed=seed,
    )


def _disorder(first: Sequence[Place], second: Sequence[Place]) -> float:
    """Least total dissimilarity of an alignment, a span left alone counting as :data:`ALONE`."""
    from scipy.optimize import linear_sum_assignment

    stretch_iou(first, second)
    if not first or not second:
        return ALONE * (len(first) + len(second))
    a, b = (np.array([row[:2] for row in spans], dtype=np.float64) for spans in (first, second))
    moved = np.abs(a[:, None, :] - b[None, :, :]).sum(axis=2)
    long = (a[:, 1] - a[:, 0])[:, None] + (b[:, 1] - b[:, 0])[None, :]
    kinds = 1.0 - same_label([row[2] for row in first], [row[2] for row in second])
    apart = ((moved / long) ** 2 + kinds) * ALONE
    # Aligning two spans never costs more than leaving both alone.
    cost = np.minimum(apart, 2 * ALONE)
    rows, columns = linear_sum_assignment(cost)
    return float(cost[rows, columns].sum() + ALONE * abs(len(first) - len(second)))


def _elsewhere(shared: Sequence[int], index: int, rng: Generator) -> int:
    """Another of the texts, or the same when it is the only one."""
    if len(shared) == 1:
        return index
    place = int(rng.integers(len(shared) - 1))
    return shared[place] if shared[place] != index else shared[-1]


def _turned(spans: Sequence[Place], length: int, rng: Generator) -> list[Place]:
    """All spans moved on by one random distance, those past the end coming in again at the beginning."""
    by = int(rng.integers(length))
    return [((start + by) % length, (start + by) % length + end - start, label) for start, end, label in spans]
