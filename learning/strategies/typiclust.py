"""TypiClust: for the cold start, the most typical item of each cluster that has no label yet.

Hacohen, Dekel & Weinshall, *Active learning on a budget: opposite strategies suit high and low budgets*, ICML 2022.
Typicality is the mean cosine with the 20 nearest members of the cluster.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from learning.checks import Ints
from learning.strategies.clusters import k_means
from learning.strategies.kmeans import fill
from learning.strategies.pool import Pool

MOST = 10_000
"""A larger pool is represented by a uniform sample of this size."""
CLUSTERS = 500
NEIGHBOURS = 20


def pick(pool: Pool, count: int, rng: Generator) -> Ints:
    """Clusters with the fewest labels first, then the largest; of each its most typical item."""
    rows = pool.sample(MOST, rng)
    if not len(rows):
        return rows
    everything = np.concatenate([rows, pool.labelled])
    vectors = pool.vectors[everything]
    clusters = min(len(pool.labelled) + count, CLUSTERS)
    member, centres = k_means(vectors, clusters, rng, rounds=6)
    free, labelled = member[: len(rows)], member[len(rows) :]
    sizes = np.bincount(free, minlength=len(centres))
    known = np.bincount(labelled, minlength=len(centres))
    picked: list[int] = []
    for cluster in np.lexsort((-sizes, known)):
        places = np.flatnonzero(free == cluster)
        if not len(places):
            continue
        places = places[:2000]  # of a giant cluster this many tell what is typical
        alike = vectors[places] @ vectors[places].T
        near = min(NEIGHBOURS, len(places) - 1)
        typical = np.sort(alike, axis=1)[:, -near - 1 :].mean(axis=1)
        picked.append(int(rows[places[typical.argmax()]]))
        if len(picked) == count:
            break
    return fill(np.array(picked, dtype=np.int64), rows, count)
