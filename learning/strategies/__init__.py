"""What to label next: one strategy a module, each a function ``pick(pool, count, rng) -> indices``.

    pool = Pool(vectors, proba, labelled=indices_with_a_label, class_vectors=names)
    pick("adaptive", pool, 100, numpy.random.default_rng(0))

The queue uses ``adaptive``; the others are there to be compared with, each with its paper in its docstring.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.random import Generator

from learning.checks import Floats, Ints, check_count
from learning.strategies import (
    activelab,
    adaptive,
    badge,
    cluster_margin,
    committee,
    coreset,
    density,
    entropy,
    herding,
    kmeans,
    least_confidence,
    margin,
    random_,
    typiclust,
)
from learning.strategies.pool import Pool, Strategy
from learning.strategies.uncertainty import one_minus_margin
from schemas.errors import Invalid

STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        "adaptive": adaptive.pick,
        "herding": herding.pick,
        "cluster-margin": cluster_margin.pick,
        "margin": margin.pick,
        "least-confidence": least_confidence.pick,
        "entropy": entropy.pick,
        "vote-entropy": committee.pick_vote_entropy,
        "committee-kl": committee.pick_kl,
        "badge": badge.pick,
        "typiclust": typiclust.pick,
        "k-means": kmeans.pick,
        "k-center": coreset.pick,
        "density": density.pick,
        "activelab": activelab.pick,
        "random": random_.pick,
    }
)


def pick(strategy: str, pool: Pool, count: int, rng: Generator) -> Ints:
    """Up to ``count`` distinct indices into the pool, best first: fewer only if fewer are left.

    Raises :class:`schemas.errors.Invalid` for an unknown strategy or a negative count.
    """
    if strategy not in STRATEGIES:
        raise Invalid(f"no strategy {strategy!r}", hint="Use one of: " + ", ".join(STRATEGIES))
    count = check_count(count, "the number of items to pick")
    if not count or not len(pool.vectors):
        return np.zeros(0, dtype=np.int64)
    return STRATEGIES[strategy](pool, count, rng)


def priorities(pool: Pool, picked: Ints) -> Floats:
    """A priority (n,) for the queue: picked items first, in their order (2 down to 1), then by uncertainty (below 1).

    Labelled items get 0. Without a student the rest is equal.
    """
    priority = np.full(len(pool.vectors), 0.5) if pool.proba is None else 0.999 * one_minus_margin(pool.proba)
    priority[pool.labelled] = 0.0
    priority[picked] = 2.0 - np.arange(len(picked)) / max(len(picked), 1)
    return priority


__all__ = ["STRATEGIES", "Pool", "Strategy", "pick", "priorities"]
