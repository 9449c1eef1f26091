"""Which item deserves another annotator: the expected gain of one more answer."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from learning.checks import Floats, Ints, check_count, check_numbers
from learning.consensus.votes import Consensus
from learning.strategies.uncertainty import shannon_entropy

LITTLE = 0.05


def information_gain(consensus: Consensus, quality: float | None = None) -> Floats:
    """Expected drop of each item's entropy in nats (items,) by one more answer of an average annotator.

    ``quality`` is the probability that the answer is right, by default the mean of the annotators, who are taken to be
    at least a little better than chance; wrong answers fall on the other classes alike. The mutual information between
    the next answer and the truth (Lindley 1956).
    """
    proba = consensus.proba
    k = proba.shape[1]
    if k < 2:
        return np.zeros(len(proba))
    skill = max(float(np.mean(consensus.quality)), 1.0 / k + LITTLE) if quality is None else quality
    right = float(np.clip(skill, 1.0 / k, 1.0 - 1e-6))
    slip = (1.0 - right) / (k - 1)
    answer = proba * (right - slip) + slip
    noise = -(right * np.log(right) + (1.0 - right) * np.log(max(slip, 1e-12)))
    gain: Floats = np.maximum(shannon_entropy(answer) - noise, 0.0)
    return gain


def deserving(gain: ArrayLike, given: ArrayLike, count: int, *, most: int = 5) -> Ints:
    """Up to ``count`` items for which another answer tells most, largest ``gain`` (items,) first.

    Items that have ``most`` or more answers (``given``, items) are left in peace: what is still open there is a matter
    for a reviewer. So are those where nothing is gained.
    """
    nats = check_numbers(gain, what="gains")
    answers = check_numbers(given, len(nats), "numbers of answers")
    allowed = np.flatnonzero((answers < most) & (nats > 0))
    # Where the gain is the same, fewer answers first.
    order = np.lexsort((answers[allowed], -np.round(nats[allowed], 9)))
    chosen: Ints = allowed[order[: check_count(count, "the number of items")]].astype(np.int64)
    return chosen
