"""Information density: unsure items count more where the pool is dense, so outliers are not asked first.

Settles & Craven, *An analysis of active learning strategies for sequence labeling tasks*, EMNLP 2008.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from learning.checks import Ints
from learning.strategies.pool import Pool, distinct
from learning.strategies.uncertainty import one_minus_margin

REFERENCE = 1_000
"""Density is the mean similarity with this many items, drawn uniformly from the pool."""


def pick(pool: Pool, count: int, rng: Generator) -> Ints:
    """The largest product of uncertainty and density; density alone before there is a student."""
    if not len(pool.unlabelled):
        return pool.unlabelled
    reference = pool.vectors[pool.sample(REFERENCE, rng)].mean(axis=0)
    density = np.maximum(pool.vectors @ reference, 0.0)[pool.unlabelled]
    unsure = np.ones(len(density)) if pool.proba is None else one_minus_margin(pool.proba)[pool.unlabelled]
    return distinct(pool.unlabelled[np.argsort(-unsure * density, kind="stable")], pool.vectors, count)
