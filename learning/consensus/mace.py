"""MACE: an annotator either knows, or spams by a habit of their own.

Hovy, Berg-Kirkpatrick, Vaswani & Hovy, *Learning whom to trust with MACE*, NAACL 2013: variational Bayes with restarts,
the best by marginal likelihood.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from learning.checks import Floats
from learning.consensus.votes import Consensus, Votes

SPAM_PRIOR = (0.5, 0.5)
HABIT_PRIOR = 10.0


def mace(votes: Votes, rng: Generator, *, restarts: int = 10, rounds: int = 50) -> Consensus:
    """The truth and each annotator's probability of knowing, by variational Bayes."""
    best: tuple[float, Floats, Floats] | None = None
    for _ in range(max(1, restarts)):
        found = _one_run(votes, rng, rounds)
        if best is None or found[0] > best[0]:
            best = found
    assert best is not None
    _, proba, knows = best
    return Consensus(proba, knows, "mace", answered=votes.per_item())


def _one_run(votes: Votes, rng: Generator, rounds: int) -> tuple[float, Floats, Floats]:
    from scipy.special import digamma

    k, workers = votes.classes, votes.workers
    smoothing = 0.01 / max(k, 1)
    # spamming (workers, 2): expected log weights of (spams, knows); habit (workers, classes)
    spamming = rng.random((workers, 2)) + 0.5
    spamming /= spamming.sum(axis=1, keepdims=True)
    habit = rng.random((workers, k)) + 0.5
    habit /= habit.sum(axis=1, keepdims=True)
    proba = np.full((votes.items, k), 1.0 / max(k, 1))
    likelihood = -np.inf
    w, given = votes.worker, votes.label
    cell = w * k + given
    for _ in range(rounds):
        by_habit = spamming[w, 0] * habit[w, given]
        by_knowledge = spamming[w, 1]
        # Product over an item's answers, in logarithms: every truth shares the habit's part.
        base = np.bincount(votes.item, weights=np.log(by_habit + 1e-300), minlength=votes.items)
        extra = np.log(by_habit + by_knowledge + 1e-300) - np.log(by_habit + 1e-300)
        scores = base[:, None] + votes.counts(extra)
        top = scores.max(axis=1, keepdims=True)
        weights = np.exp(scores - top)
        total = weights.sum(axis=1, keepdims=True)
        proba = weights / total
        likelihood = float((top[:, 0] + np.log(total[:, 0] / max(k, 1)))[votes.per_item() > 0].sum())
        agrees = proba[votes.item, given]
        knew = agrees * by_knowledge / (by_habit + by_knowledge + 1e-300)
        spammed = 1.0 - knew
        strategy = (
            smoothing
            + np.array(SPAM_PRIOR)
            + np.stack(
                [np.bincount(w, weights=spammed, minlength=workers), np.bincount(w, weights=knew, minlength=workers)],
                axis=1,
            )
        )
        counted = np.bincount(cell, weights=spammed, minlength=workers * k).reshape(workers, k)
        used = counted + smoothing + HABIT_PRIOR
        spamming = np.exp(digamma(strategy) - digamma(strategy.sum(axis=1, keepdims=True)))
        habit = np.exp(digamma(used) - digamma(used.sum(axis=1, keepdims=True)))
    knows = spamming[:, 1] / spamming.sum(axis=1)
    return likelihood, proba, knows
