"""Whether two sets of vectors come from one distribution: the maximum mean discrepancy.

Gretton, Borgwardt, Rasch, Schölkopf & Smola, *A kernel two-sample test*, JMLR 2012, with a Gaussian kernel whose width is
the median distance, by random features (Rahimi & Recht, NeurIPS 2007), and an exact permutation p-value. The witness
function says of each item how much more it looks like the one set than like the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from learning.checks import Floats, check_vectors
from learning.drift.permuting import PERMUTATIONS, Rows, mean_distance
from schemas.errors import Invalid

FEATURES = 256
"""Pairs of cosine and sine."""
MOST = 4000
"""Rows of each set that are compared; of more, as many are drawn."""


@dataclass(frozen=True)
class TwoSample:
    """``distance`` is the squared discrepancy (0..2). ``witness`` (n,) is larger for items of ``current`` that are unlike
    the reference; those of rows that were not compared are there too."""

    distance: float
    p_value: float
    witness: Floats


def mmd_test(
    reference: ArrayLike, current: ArrayLike, *, rng: Generator | None = None, permutations: int = PERMUTATIONS
) -> TwoSample:
    """Compare ``reference`` (m, d) with ``current`` (n, d); both need two rows at least.

    Identical vectors everywhere are no drift: distance 0, p-value 1.
    """
    before, now = check_vectors(reference, "the reference"), check_vectors(current, "the window")
    if len(before) < 2 or len(now) < 2:
        raise Invalid("a comparison needs two items on each side at least")
    if before.shape[1] != now.shape[1]:
        raise Invalid(f"the reference has {before.shape[1]} dimensions, the window {now.shape[1]}")
    random = rng or np.random.default_rng(0)
    pooled = np.concatenate([before, now]).astype(np.float32)
    width = _median_distance(pooled, random)
    if width <= 0:
        return TwoSample(0.0, 1.0, np.zeros(len(now)))
    features = _features(pooled, width, random)
    old, new = features[: len(before)], features[len(before) :]
    compared_old, compared_new = _draw(old, random), _draw(new, random)
    both = np.concatenate([compared_old, compared_new])
    distance, p_value = mean_distance(both, len(compared_old), random, permutations)
    direction = compared_new.mean(axis=0) - compared_old.mean(axis=0)
    return TwoSample(distance, p_value, np.asarray(new @ direction, dtype=np.float64))


def _median_distance(pooled: Rows, rng: Generator) -> float:
    some = pooled[rng.choice(len(pooled), min(300, len(pooled)), replace=False)]
    squares = (some**2).sum(axis=1)
    between = np.maximum(squares[:, None] + squares[None] - 2 * some @ some.T, 0)
    apart = np.sqrt(between[np.triu_indices(len(some), 1)])
    apart = apart[apart > 1e-6]
    return float(np.median(apart)) if len(apart) else 0.0


def _features(pooled: Rows, width: float, rng: Generator) -> Rows:
    directions = rng.standard_normal((pooled.shape[1], FEATURES), dtype=np.float32) / width
    angles = pooled @ directions
    found = np.concatenate([np.cos(angles), np.sin(angles)], axis=1) / np.sqrt(FEATURES)
    return np.asarray(found, dtype=np.float32)


def _draw(rows: Rows, rng: Generator) -> Rows:
    return rows if len(rows) <= MOST else rows[rng.choice(len(rows), MOST, replace=False)]
