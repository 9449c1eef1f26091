"""Margin: ask where the two best guesses are closest.

Scheffer, Decomain & Wrobel, *Active hidden Markov models for information extraction*, IDA 2001.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from learning.checks import Ints
from learning.strategies import random_
from learning.strategies.pool import Pool, distinct
from learning.strategies.uncertainty import one_minus_margin


def pick(pool: Pool, count: int, rng: Generator) -> Ints:
    """The items with the smallest margin. Random before there is a student."""
    if pool.proba is None:
        return random_.pick(pool, count, rng)
    unsure = one_minus_margin(pool.proba)[pool.unlabelled]
    return distinct(pool.unlabelled[np.argsort(-unsure, kind="stable")], pool.vectors, count)
