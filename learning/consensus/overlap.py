"""Which item deserves another annotator: the expected gain of one more answer."""

from __future__ import annotations

import numpy as np

from learning.checks import Floats, Ints, check_count
from learning.consensus.votes import Consensus
from learning.frames import Answers
from learning.strategies.uncertainty import shannon_entropy


def information_gain(consensus: Consensus, quality: float | None = None) -> Floats:
    """Expected drop of each item's entropy in nats (items,) by one more answer of an average annotator.

    ``quality`` is the probability that the answer is right, the mean of the annotators by default; wrong answers fall on
    the other classes alike. The mutual information between the next answer and the truth (Lindley 1956).
    """
    proba = consensus.proba
    k = proba.shape[1]
    if k < 2:
        return np.zeros(len(proba))
    skill = float(np.mean(consensus.quality)) if quality is None else quality
    right = float(np.clip(skill, 1.0 / k, 1.0 - 1e-6))
    slip = (1.0 - right) / (k - 1)
    answer = proba * (right - slip) + slip
    noise = -(right * np.log(right) + (1.0 - right) * np.log(max(slip, 1e-12)))
    gain: Floats = np.maximum(shannon_entropy(answer) - noise, 0.0)
    return gain


def deserving(answers: Answers, consensus: Consensus, count: int, *, most: int = 5) -> Ints:
    """Up to ``count`` items for which another answer tells most, largest gain first.

    Items that have ``most`` answers already are left in peace: what is still open there is a matter for a reviewer.
    """
    gain = information_gain(consensus)
    given = answers.counts().sum(axis=1)
    allowed = np.flatnonzero(given < most)
    # Where the gain is the same, fewer answers first.
    order = np.lexsort((given[allowed], -np.round(gain[allowed], 9)))
    return allowed[order[: check_count(count, "the number of items")]]
