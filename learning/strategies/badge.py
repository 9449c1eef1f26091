"""BADGE: k-means++ over the gradients that the model's own guesses would cause, so both large and diverse.

Ash et al., *Deep batch active learning by diverse, uncertain gradient lower bounds*, ICLR 2020. The gradient of item x
for the last layer is the outer product of (p − e_guess) and x; its inner products factor, so the n × (k·d) matrix is
never built.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from learning.checks import Ints
from learning.strategies import random_
from learning.strategies.pool import Pool

MOST = 20_000
"""A larger pool is represented by a uniform sample of this size."""


def pick(pool: Pool, count: int, rng: Generator) -> Ints:
    """k-means++ seeding on gradient embeddings. Random before there is a student."""
    if pool.proba is None:
        return random_.pick(pool, count, rng)
    rows = pool.sample(MOST, rng)
    count = min(count, len(rows))
    if not count:
        return rows
    vectors = pool.vectors[rows]
    residual = np.array(pool.proba[rows], dtype=vectors.dtype)
    residual[np.arange(len(rows)), residual.argmax(axis=1)] -= 1.0
    size = (residual**2).sum(axis=1) * (vectors**2).sum(axis=1)
    distance = np.full(len(rows), np.inf, dtype=vectors.dtype)
    place = int(size.argmax())
    picked = [place]
    for _ in range(count - 1):
        inner = (residual @ residual[place]) * (vectors @ vectors[place])
        np.minimum(distance, np.maximum(size + size[place] - 2 * inner, 0), out=distance)
        distance[picked] = 0.0
        total = float(distance.sum(dtype=np.float64))
        if total <= 0:  # what is left coincides with what was picked
            rest = np.setdiff1d(np.arange(len(rows)), picked)[: count - len(picked)]
            picked.extend(int(p) for p in rest)
            break
        cumulated = np.cumsum(distance, dtype=np.float64)
        place = int(np.searchsorted(cumulated, rng.random() * cumulated[-1], side="right"))
        place = min(place, len(rows) - 1)
        picked.append(place)
    chosen: Ints = rows[np.array(picked)]
    return chosen
