"""Lloyd's k-means with weights, in numpy: small, seeded, and fast enough to run at every batch."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from learning.checks import Floats, Ints


def k_means(
    vectors: Floats, k: int, rng: Generator, *, weights: Floats | None = None, rounds: int = 10
) -> tuple[Ints, Floats]:
    """Cluster of each row (n,) and the centres (k', d), k' = min(k, n).

    Starts from rows drawn in proportion to ``weights`` (uniform by default); a cluster that runs empty starts anew at
    the row that is worst served.
    """
    n = len(vectors)
    k = min(k, n)
    mass = np.ones(n, dtype=vectors.dtype) if weights is None else weights.astype(vectors.dtype)
    chances = mass.astype(np.float64) + 1e-12
    centres = vectors[rng.choice(n, k, replace=False, p=chances / chances.sum())].copy()
    member = np.zeros(n, dtype=np.int64)
    lengths = (vectors**2).sum(axis=1)
    for _ in range(rounds):
        nearness = vectors @ centres.T
        nearness -= 0.5 * (centres**2).sum(axis=1)
        before, member = member, nearness.argmax(axis=1)
        sums = _sum_by(member, vectors * mass[:, None], k)
        totals = np.bincount(member, weights=mass, minlength=k)
        empty = np.flatnonzero(totals <= 0)
        centres = (sums / np.maximum(totals, 1e-12)[:, None]).astype(vectors.dtype)
        if len(empty):
            distance = lengths - 2 * nearness[np.arange(n), member]
            centres[empty] = vectors[np.argsort(-distance, kind="stable")[: len(empty)]]
        elif np.array_equal(before, member):
            break
    return member, centres


def _sum_by(member: Ints, rows: Floats, k: int) -> Floats:
    order = np.argsort(member, kind="stable")
    counts = np.bincount(member, minlength=k)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    sums = np.zeros((k, rows.shape[1]))
    filled = counts > 0
    sums[filled] = np.add.reduceat(rows[order], starts[filled], axis=0)
    return sums


def nearest_to_centres(vectors: Floats, member: Ints, centres: Floats) -> Ints:
    """For each cluster that has members, the row nearest its centre; largest cluster first."""
    distance = ((vectors - centres[member]) ** 2).sum(axis=1)
    order = np.lexsort((distance, member))
    clusters, first = np.unique(member[order], return_index=True)
    sizes = np.bincount(member, minlength=len(centres))[clusters]
    picked: Ints = order[first][np.argsort(-sizes, kind="stable")]
    return picked
