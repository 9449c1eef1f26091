"""The one permutation engine of this room: squared distance between the means of two groups of rows.

Under the hypothesis that both groups were drawn alike, every way of telling them apart is equally likely, so the share
of permutations with a distance at least as large is an exact p-value (Phipson & Smyth, *Permutation p-values should
never be zero*, 2010). Where fewer than ten of them reach it, the tail is read off a Pearson type III distribution with
the permutations' mean, spread and skewness (Mielke & Berry, *Permutation Methods*, 2007).
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from learning.arrays import one_thread

Rows = NDArray[np.float32]
PERMUTATIONS = 999
ENOUGH_BEYOND = 10
CHUNK = 250


def mean_distance(rows: Rows, first: int, rng: Generator, permutations: int = PERMUTATIONS) -> tuple[float, float]:
    """The squared distance between the means of ``rows[:first]`` and ``rows[first:]``, and its p-value."""
    n = len(rows)
    total = rows.sum(axis=0, dtype=np.float64)
    with one_thread():
        observed = _distances(rows, total, np.arange(first, n)[None])[0]
        null = np.concatenate([
            _distances(rows, total, _draws(n, n - first, min(CHUNK, permutations - done), rng))
            for done in range(0, permutations, CHUNK)
        ])  # fmt: skip
    beyond = int((null >= observed - 1e-12 * abs(observed)).sum())
    exact = (1 + beyond) / (1 + permutations)
    if beyond >= ENOUGH_BEYOND or null.std() <= 1e-12 * max(observed, 1e-300):
        return float(observed), exact
    return float(observed), min(exact, _tail(observed, null))


def _draws(n: int, size: int, count: int, rng: Generator) -> NDArray[np.int64]:
    """``count`` draws of ``size`` rows out of ``n``."""
    picked = np.argpartition(rng.random((count, n), dtype=np.float32), size - 1, axis=1)[:, :size]
    return picked.astype(np.int64)


def _distances(rows: Rows, total: NDArray[np.float64], picked: NDArray[np.int64]) -> NDArray[np.float64]:
    chosen = np.zeros((len(picked), len(rows)), dtype=np.float32)
    np.put_along_axis(chosen, picked, 1.0, axis=1)
    sums = (chosen @ rows).astype(np.float64)
    size = picked.shape[1]
    gaps = sums / size - (total - sums) / (len(rows) - size)
    return np.asarray((gaps**2).sum(axis=1), dtype=np.float64)


def _tail(observed: float, null: NDArray[np.float64]) -> float:
    from scipy import stats

    skew = float(stats.skew(null))
    return float(stats.pearson3.sf(observed, max(skew, 0.0), loc=null.mean(), scale=null.std()))
