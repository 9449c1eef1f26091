"""When to look, and what a look costs: alpha spending (Lan & DeMets, *Discrete sequential boundaries*, Biometrika 1983).

The k-th look may raise an alarm at p ≤ α / (k (k + 1)); these sum to α over all looks there will ever be, and a sum of
chances bounds the chance that any of them is wrong, whatever the looks have to do with one another. A look is worth its
price only when there is more to see: the first ones come when the window has doubled, later ones every 300 items.
"""

from __future__ import annotations

import math

from learning.checks import check_count, check_share

FIRST_LOOK = 75
"""Items of the window at the first look."""
STEP = 300
SMALLEST = 1e-300


def spent(look: int, alpha: float) -> float:
    """What the ``look``-th look (from 1) may spend of ``alpha``."""
    check_count(look, "the look", least=1)
    return check_share(alpha, "alpha") / (look * (look + 1))


def next_look(size: int) -> int:
    """How many items there must be since the reference for a look to be worth it, after one at ``size`` (0: none yet)."""
    return next((early for early in (FIRST_LOOK, 2 * FIRST_LOOK) if size < early), (size // STEP + 1) * STEP)


def adjusted(p_value: float, look: int, share: float = 1.0) -> float:
    """The p-value with the price of looking in it: to be held against α itself. ``share`` is the part of α that this test
    was given where several are made at once."""
    return min(1.0, p_value * look * (look + 1) / share)


def score_of(adjusted_p: float, alpha: float) -> float:
    """0 without any sign of drift; 1 is the threshold; 2 is evidence as rare as α squared."""
    return max(0.0, math.log(max(adjusted_p, SMALLEST)) / math.log(check_share(alpha, "alpha")))
