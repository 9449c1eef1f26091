"""Least confidence: ask where the best guess is weakest.

Lewis & Gale, *A sequential algorithm for training text classifiers*, SIGIR 1994.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from learning.checks import Ints
from learning.strategies import random_
from learning.strategies.pool import Pool, distinct
from learning.strategies.uncertainty import one_minus_confidence


def pick(pool: Pool, count: int, rng: Generator) -> Ints:
    """The items with the smallest largest probability. Random before there is a student."""
    if pool.proba is None:
        return random_.pick(pool, count, rng)
    unsure = one_minus_confidence(pool.proba)[pool.unlabelled]
    return distinct(pool.unlabelled[np.argsort(-unsure, kind="stable")], pool.vectors, count)
