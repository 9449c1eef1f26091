"""Core-set: farthest-first traversal, so that every item has a labelled one near it.

Sener & Savarese, *Active learning for convolutional neural networks: a core-set approach*, ICLR 2018 (the greedy
2-approximation of k-center).
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from learning.checks import Floats, Ints
from learning.strategies.pool import Pool

MOST = 20_000
"""A larger pool is represented by a uniform sample of this size."""


def pick(pool: Pool, count: int, rng: Generator) -> Ints:
    """Each next item is the one farthest from everything labelled or picked."""
    rows = pool.sample(MOST, rng)
    count = min(count, len(rows))
    if not count:
        return rows
    vectors = pool.vectors[rows]
    nearest = nearest_cosine(vectors, pool.vectors, pool.labelled)
    picked: list[int] = []
    for _ in range(count):
        place = int(nearest.argmin()) if picked or len(pool.labelled) else int(rng.integers(len(rows)))
        picked.append(place)
        np.maximum(nearest, vectors @ vectors[place], out=nearest)
        nearest[place] = np.inf
    chosen: Ints = rows[np.array(picked)]
    return chosen


def nearest_cosine(rows: Floats, vectors: Floats, labelled: Ints, block: int = 512) -> Floats:
    """Cosine (n,) of each of ``rows`` with the labelled item nearest to it; −inf when none is labelled."""
    nearest = np.full(len(rows), -np.inf, dtype=rows.dtype)
    for start in range(0, len(labelled), block):
        np.maximum(nearest, (rows @ vectors[labelled[start : start + block]].T).max(axis=1), out=nearest)
    return nearest
