"""Dawid and Skene: each annotator has a confusion matrix, found together with the truth.

Dawid & Skene, *Maximum likelihood estimation of observer error-rates using the EM algorithm*, Applied Statistics 1979.
:func:`dawid_skene` is the plain estimate, which overfits annotators with few answers and lets a rare class swallow the
items nobody agrees on. :func:`pooled_dawid_skene` gives each row of each matrix a Dirichlet prior, as Kim & Ghahramani
do in *Bayesian classifier combination*, AISTATS 2012. Its centre is an annotator who knows the truth with a probability
of their own and else guesses as everybody does; how strong it is, answers that are held out decide. So few answers are
pooled, and many speak for themselves.
"""

from __future__ import annotations

import numpy as np

from learning.checks import Floats
from learning.consensus.votes import Consensus, Votes, normalised
from learning.consensus.voting import majority

PULL = 6.0
"""Answers' worth of everybody's mean, in how often an annotator knows."""
STRENGTHS = (4.0, 16.0, 64.0, 10_000.0)
"""Answers' worth of the prior, for each row of a confusion matrix: from nearly free to nearly fixed."""

MOST_CELLS = 20_000_000
"""Annotators × classes² above which confusion matrices would not fit in memory."""


def fits_in_memory(votes: Votes) -> bool:
    """Whether there is room for everybody's confusion matrix; without it votes are weighted instead."""
    return votes.workers * votes.classes**2 <= MOST_CELLS


def dawid_skene(votes: Votes, *, rounds: int = 100, tolerance: float = 1e-5, smoothing: float = 0.01) -> Consensus:
    """Maximum likelihood by EM from majority votes. ``smoothing`` pseudo-counts keep every confusion possible."""
    proba = majority(votes).proba
    counts: Floats = np.zeros((votes.workers, votes.classes, votes.classes))
    before = -np.inf
    for _ in range(rounds):
        counts = expected_counts(votes, proba) + smoothing
        log_confusion = np.log(counts / counts.sum(axis=2, keepdims=True))
        prior = proba[votes.per_item() > 0].sum(axis=0) + smoothing
        scores = np.log(prior / prior.sum()) + summed(votes, log_confusion)
        proba = normalised(scores)
        top = scores.max(axis=1)
        now = float((top + np.log(np.exp(scores - top[:, None]).sum(axis=1))).sum()) if len(top) else 0.0
        if now - before < tolerance * max(votes.items, 1):
            break
        before = now
    confusion = counts / np.maximum(counts.sum(axis=2, keepdims=True), 1e-12)
    return Consensus(proba, quality_of(votes, proba), "dawid-skene", confusion, votes.per_item())


def pooled_dawid_skene(
    votes: Votes,
    *,
    strength: float | None = None,
    rounds: int = 100,
    tolerance: float = 1e-4,
    log_evidence: Floats | None = None,
    start: Floats | None = None,
) -> Consensus:
    """Dawid–Skene whose annotators share a common habit as far as their own answers do not tell.

    ``strength`` of the prior is chosen by :func:`choose_strength` unless given. ``log_evidence`` (items, classes): what
    else is known of each item, such as the log-probabilities of a model that reads its text; it takes the place of the
    classes' shares. ``start`` (items, classes): probabilities to begin from.
    """
    prior = choose_strength(votes, log_evidence) if strength is None else strength
    proba, confusion = _fit(votes, prior, rounds, tolerance, log_evidence, start)
    return Consensus(proba, quality_of(votes, proba), "pooled-dawid-skene", confusion, votes.per_item())


def choose_strength(votes: Votes, log_evidence: Floats | None = None, *, share: float = 0.15, seed: int = 0) -> float:
    """The prior under which answers that were held out are least surprising.

    Only answers to items with another answer can be held out; with fewer than 50 of them the strongest prior is taken.
    """
    shared = votes.per_item()[votes.item] >= 2
    held = shared & (np.random.default_rng(seed).random(len(shared)) < share)
    if held.sum() < 50:
        return STRENGTHS[-1]
    kept = ~held
    columns = (votes.item[kept], votes.worker[kept], votes.label[kept])
    rest = Votes(*columns, votes.items, votes.workers, votes.classes)
    item, worker, label = votes.item[held], votes.worker[held], votes.label[held]
    fits = []
    for strength in STRENGTHS:
        proba, confusion = _fit(rest, strength, 50, 1e-3, log_evidence, None)
        foreseen = (proba[item] * confusion[worker, :, label]).sum(axis=1)
        fits.append(float(np.log(np.maximum(foreseen, 1e-9)).mean()))
    return STRENGTHS[int(np.argmax(fits))]


def _fit(
    votes: Votes,
    strength: float,
    rounds: int,
    tolerance: float,
    log_evidence: Floats | None,
    start: Floats | None,
) -> tuple[Floats, Floats]:
    """The truth (items, k) and the confusions (workers, k, k), by expectation and maximisation."""
    answered = votes.per_item() > 0
    proba = majority(votes).proba if start is None else start
    confusion: Floats = np.zeros((votes.workers, votes.classes, votes.classes))
    for _ in range(rounds):
        counts = expected_counts(votes, proba)
        confusion = counts + strength * habit(counts) + 1e-6
        confusion /= confusion.sum(axis=2, keepdims=True)
        shares = proba[answered].sum(axis=0) + 1.0
        known = np.log(shares / shares.sum()) if log_evidence is None else log_evidence
        before, proba = proba, normalised(known + summed(votes, np.log(confusion)))
        if np.abs(proba - before).max(initial=0.0) < tolerance:
            break
    return proba, confusion


def habit(counts: Floats) -> Floats:
    """(workers, k, k) the confusions of people who know the truth with a probability of their own and else guess.

    ``counts`` (workers, k, k) are the answers by truth and label. How often each annotator knows is pulled towards the
    mean; what a guess looks like is common to all: labels by their share among wrong answers. A free common matrix
    would let rare classes drift.
    """
    workers, k, _ = counts.shape
    if k == 1:
        return np.ones((workers, 1, 1))
    pooled = counts.sum(axis=0)
    total = pooled.sum()
    wrong = pooled.copy()
    np.fill_diagonal(wrong, 0.0)
    # How often a label was given wrongly, out of the times it could have been.
    guesses = (wrong.sum(axis=0) + 0.5) / (total - pooled.sum(axis=1) + 0.5 * k)
    guesses /= guesses.sum()
    truth = (pooled.sum(axis=1) + 1.0) / (total + k)
    given = counts.sum(axis=(1, 2))
    missed = given - np.einsum("wkk->w", counts)
    mean = (missed.sum() + 1.0) / (total + 4.0)
    rate = (missed + PULL * mean) / (given + PULL)
    knows = np.clip(1.0 - rate / (truth * (1.0 - guesses)).sum(), 0.02, 0.999)[:, None, None]
    shared: Floats = knows * np.eye(k) + (1.0 - knows) * guesses
    return shared


def expected_counts(votes: Votes, proba: Floats) -> Floats:
    """(workers, classes, classes): expected number of answers by an annotator, for each truth and each label."""
    k = votes.classes
    cell = votes.worker * k + votes.label
    counts = np.empty((votes.workers, k, k))
    for truth in range(k):
        weights = proba[votes.item, truth]
        counts[:, truth, :] = np.bincount(cell, weights=weights, minlength=votes.workers * k).reshape(-1, k)
    return counts


def summed(votes: Votes, log_confusion: Floats) -> Floats:
    """(items, classes): the sum over an item's answers of the log-probability of the answer given each truth."""
    scores = np.empty((votes.items, votes.classes))
    for truth in range(votes.classes):
        weights = log_confusion[votes.worker, truth, votes.label]
        scores[:, truth] = np.bincount(votes.item, weights=weights, minlength=votes.items)
    return scores


def quality_of(votes: Votes, proba: Floats) -> Floats:
    """(workers,) expected share of right answers, pulled to the mean of all by two answers' worth."""
    right = np.bincount(votes.worker, weights=proba[votes.item, votes.label], minlength=votes.workers)
    count = votes.per_worker()
    mean = right.sum() / max(count.sum(), 1)
    quality: Floats = (right + 2.0 * mean) / (count + 2.0)
    return quality
