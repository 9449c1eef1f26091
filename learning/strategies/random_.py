"""Random: the control arm of every comparison, and a few per cent of every batch.

Labels drawn at random are the only ones from which accuracy, class shares and drift can be estimated without bias.
"""

from __future__ import annotations

from numpy.random import Generator

from learning.checks import Ints
from learning.strategies.pool import Pool


def pick(pool: Pool, count: int, rng: Generator) -> Ints:
    """Uniformly, without replacement."""
    return rng.choice(pool.unlabelled, min(count, len(pool.unlabelled)), replace=False)
