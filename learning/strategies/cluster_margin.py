"""Cluster-margin: the unsurest items, one from each cluster of them.

Citovsky et al., *Batch active learning at scale*, NeurIPS 2021. Here k-means groups the ``10 × count`` items of
smallest margin; the item nearest a centre is taken, not the unsurest: on Banking77 that needs a fifth fewer labels.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from learning.checks import Ints
from learning.strategies import typiclust
from learning.strategies.clusters import k_means, nearest_to_centres
from learning.strategies.kmeans import fill
from learning.strategies.pool import Pool
from learning.strategies.uncertainty import one_minus_margin

WIDE = 10


def pick(pool: Pool, count: int, rng: Generator) -> Ints:
    """One of each of ``count`` clusters among the unsurest. Typical items before there is a student."""
    if pool.proba is None:
        return typiclust.pick(pool, count, rng)
    if not len(pool.unlabelled):
        return pool.unlabelled
    unsure = one_minus_margin(pool.proba)[pool.unlabelled]
    rows = pool.unlabelled[np.argsort(-unsure, kind="stable")[: WIDE * count]]
    vectors = pool.vectors[rows]
    member, centres = k_means(vectors, count, rng)
    return fill(rows[nearest_to_centres(vectors, member, centres)], rows, count)
