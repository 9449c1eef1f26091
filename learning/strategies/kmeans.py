"""k-means: one item from each of ``count`` clusters. Diversity only, the model is not asked.

Xu et al., *Representative sampling for text classification using support vector machines*, ECIR 2003.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from learning.checks import Ints
from learning.strategies.clusters import k_means, nearest_to_centres
from learning.strategies.pool import Pool

MOST = 20_000
"""A larger pool is represented by a uniform sample of this size."""


def pick(pool: Pool, count: int, rng: Generator) -> Ints:
    """The items nearest the centres, largest cluster first."""
    rows = pool.sample(MOST, rng)
    if not len(rows):
        return rows
    vectors = pool.vectors[rows]
    member, centres = k_means(vectors, count, rng, rounds=6)
    picked = rows[nearest_to_centres(vectors, member, centres)]
    return fill(picked, rows, count)


def fill(picked: Ints, rows: Ints, count: int) -> Ints:
    """``picked``, topped up from ``rows`` in their order: clusters can collapse where items are identical."""
    if len(picked) >= count:
        return picked[:count]
    rest = rows[~np.isin(rows, picked)][: count - len(picked)]
    return np.concatenate([picked, rest])
