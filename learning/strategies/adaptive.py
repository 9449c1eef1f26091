"""The default: one rule from the first label to the last, with a random control arm.

Before there is a student, the class names say what is unsure; before there are names, typical and diverse items come
first. Then uncertainty herding (``herding.py``) shifts by itself from typical to unsure items as the student learns.
A few per cent of every batch are drawn at random: labels from which accuracy, class shares and drift can be estimated
without bias, and with which the queue is compared to its own absence.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from learning.checks import Ints
from learning.strategies import herding, random_
from learning.strategies.pool import Pool

CONTROL_SHARE = 0.03


def pick(pool: Pool, count: int, rng: Generator, *, control_share: float = CONTROL_SHARE) -> Ints:
    """Uncertainty herding for all but ``control_share`` of the batch, which is drawn at random."""
    return pick_with_control(pool, count, rng, control_share=control_share)[0]


def pick_with_control(
    pool: Pool, count: int, rng: Generator, *, control_share: float = CONTROL_SHARE
) -> tuple[Ints, Ints]:
    """The batch, and those of it that were drawn at random, to be stored with them as their provenance."""
    count = min(count, len(pool.unlabelled))
    # A share of a small batch is less than one item: draw how many, so that the share holds in the long run.
    control = random_.pick(pool, int(rng.binomial(count, control_share)), rng)
    # A control item stays one even if it would have been chosen anyway, else the control arm would be biased.
    chosen = herding.pick(pool, count, rng)
    chosen = chosen[~np.isin(chosen, control)][: count - len(control)]
    # Control items stand at random places: at the end of a queue that is renewed often they would never be reached.
    return np.insert(chosen, np.sort(rng.integers(len(chosen) + 1, size=len(control))), control), control
