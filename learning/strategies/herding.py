"""Uncertainty herding: cover the pool with labels, and cover it best where the model is unsure.

Bae, Oliveira & Sutherland, *Uncertainty herding: one active learning method for all label budgets*, ICLR 2025, after
*Generalized coverage for more robust low-budget active learning*, ECCV 2024. An item x covers an item z by
exp(−(1 − cos(x, z)) / width). The batch maximises the sum of uncertainty times coverage over what is labelled already:
typical and diverse items when all are equally unsure, unsure and diverse ones when the model knows better; copies add
nothing, so near-duplicates never fill a batch. The sum is submodular, so lazy greedy (Minoux 1978) finds the
(1 − 1/e)-best batch with a few evaluations an item.
"""

from __future__ import annotations

import heapq

import numpy as np
from numpy.random import Generator

from learning.checks import Floats, Ints
from learning.strategies.coreset import nearest_cosine
from learning.strategies.kmeans import fill
from learning.strategies.pool import Pool
from learning.strategies.uncertainty import one_minus_margin

CANDIDATES = 1_000
"""The unsurest items may be picked: this many, or 10 × count."""
COVERED = 4_000
"""The unsurest items are to be covered: this many, or 4 × the candidates."""
RELATIVE_WIDTH = 0.18
"""Width of the kernel, as a share of the median distance (1 − cosine) of two items of the pool."""
MOST_COLD = 20_000
"""Before there is a student, a larger pool is represented by a uniform sample of this size."""
SHARPNESS = 12.0
"""Class names alone guess by softmax(12 × cosine)."""


def pick(pool: Pool, count: int, rng: Generator) -> Ints:
    """The batch of greatest uncertainty-weighted coverage.

    The student's margin says how unsure it is; without a student the cosine with the class names; without names every
    item counts the same.
    """
    free = pool.unlabelled
    count = min(count, len(free))
    if not count:
        return free[:0]
    rows, unsure = _unsure(pool, rng)
    candidates = max(CANDIDATES, 10 * count)
    if np.ptp(unsure) < 1e-9:
        covered = rows if len(rows) <= 4 * candidates else rng.choice(rows, 4 * candidates, replace=False)
        weights = np.ones(len(covered))
        considered = rng.permutation(covered)[:candidates]
    else:
        order = np.argsort(-unsure, kind="stable")[: max(COVERED, 4 * candidates)]
        covered, weights = rows[order], np.maximum(unsure[order], 1e-6) ** 2
        considered = covered[:candidates]
    width = kernel_width(pool.vectors, rng)
    targets = pool.vectors[covered]
    reached = np.exp((nearest_cosine(targets, pool.vectors, pool.labelled) - 1.0) / width)
    closeness = pool.vectors[considered] @ targets.T
    closeness -= 1.0
    closeness /= width
    np.exp(closeness, out=closeness)
    chosen = greedy_cover(closeness, weights.astype(closeness.dtype), reached.astype(closeness.dtype), count)
    return fill(considered[chosen], considered, count)


def _unsure(pool: Pool, rng: Generator) -> tuple[Ints, Floats]:
    if pool.proba is not None:
        return pool.unlabelled, one_minus_margin(pool.proba)[pool.unlabelled]
    rows = pool.sample(MOST_COLD, rng)
    if pool.class_vectors is None or len(pool.class_vectors) < 2:
        return rows, np.ones(len(rows))
    scores = SHARPNESS * (pool.vectors[rows] @ pool.class_vectors.T)
    scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)
    return rows, one_minus_margin(scores)


def kernel_width(vectors: Floats, rng: Generator, pairs: int = 2_000) -> float:
    """Width of the coverage kernel for these vectors: a share of the median distance of random pairs."""
    one, other = rng.integers(len(vectors), size=(2, pairs))
    distance = 1.0 - np.einsum("nd,nd->n", vectors[one], vectors[other])
    return RELATIVE_WIDTH * max(float(np.median(distance)), 1e-3)


def greedy_cover(closeness: Floats, weights: Floats, reached: Floats, count: int) -> Ints:
    """Rows of ``closeness`` (candidates, covered) that greedily add most weighted coverage to ``reached``.

    Lazy: a gain only shrinks as the batch grows, so an old gain that still leads after renewal is the largest.
    """
    gains = np.empty(len(closeness))
    for start in range(0, len(closeness), 256):
        gains[start : start + 256] = np.maximum(closeness[start : start + 256] - reached, 0.0) @ weights
    heap = [(-float(gain), place, 0) for place, gain in enumerate(gains)]
    heapq.heapify(heap)
    reached = reached.copy()
    chosen: list[int] = []
    while heap and len(chosen) < count:
        _, place, age = heapq.heappop(heap)
        if age < len(chosen):
            gain = float(np.maximum(closeness[place] - reached, 0.0) @ weights)
            heapq.heappush(heap, (-gain, place, len(chosen)))
            continue
        chosen.append(place)
        np.maximum(reached, closeness[place], out=reached)
    return np.array(chosen, dtype=np.int64)
