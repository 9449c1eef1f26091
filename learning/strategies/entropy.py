"""Entropy: ask where the whole distribution is flattest.

Settles, *Active learning literature survey*, University of Wisconsin–Madison, 2009, section 3.1. With many classes it
is often worse than random: items that fit no class at all have the flattest distributions.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from learning.checks import Ints
from learning.strategies import random_
from learning.strategies.pool import Pool, distinct
from learning.strategies.uncertainty import shannon_entropy


def pick(pool: Pool, count: int, rng: Generator) -> Ints:
    """The items with the largest entropy. Random before there is a student."""
    if pool.proba is None:
        return random_.pick(pool, count, rng)
    unsure = shannon_entropy(pool.proba)[pool.unlabelled]
    return distinct(pool.unlabelled[np.argsort(-unsure, kind="stable")], pool.vectors, count)
