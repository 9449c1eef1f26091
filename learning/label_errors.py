"""Which given labels are probably wrong: one ranking for slips of the hand and for confusion of look-alike classes.

Confident learning (Northcutt, Jiang & Chuang, *Confident learning: estimating uncertainty in dataset labels*, JAIR
2021) ranks by the probability of the given label, which finds random slips, or by its margin, which finds confusions;
neither finds both. Here the *noise itself* is fitted by expectation–maximisation: a label is right, or wrong in one of
three ways (any class at random; as this class is typically mistaken; as this very item looks), and the posterior odds
of "wrong" follow. The probabilities come from the caller's out-of-sample model, multiplied with a ridge classifier
whose leave-one-out predictions have a closed form, so that it can be fitted again without the labels suspected so far;
the votes of the nearest neighbours break the ties.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from learning.arrays import even_share, one_thread, softmax
from learning.checks import Floats, Ints, check_labels, check_proba, check_vectors
from schemas.errors import Invalid

ROUNDS = 15
NEIGHBOURS = 20
MOST_NEIGHBOURS = 20_000
"""Neighbours are looked for among at most this many items."""
RIDGE = 1.0


@dataclass(frozen=True)
class LabelErrors:
    """Arrays have one entry an item, ``ranking`` apart."""

    ranking: Ints
    """Indices of all items, the most suspicious label first."""
    score: Floats
    """What the ranking sorts by, larger is worse."""
    probability: Floats
    """Posterior probability that the given label is wrong."""
    suggested: Ints
    """The class to give instead: the most likely one other than the given (the given one if there is no other)."""
    noise_rate: float
    """Estimated share of wrong labels."""
    confusion: Floats
    """(k, k) where the labels of class ``row`` are expected to have ended: rows sum to 1."""


def rank_label_errors(labels: ArrayLike, proba: ArrayLike, vectors: ArrayLike | None = None) -> LabelErrors:
    """Rank the labels of ``n`` items by how likely they are wrong.

    ``labels`` (n,): class indices as given by people or models. ``proba`` (n, k): a model's probabilities for each item
    from a training without it (:func:`out_of_sample_proba`). ``vectors`` (n, d), L2-normalised embeddings: with them
    the ranking is better; without them it rests on ``proba`` alone. Classes that nobody gave are fine.
    """
    outside = np.asarray(check_proba(proba), dtype=np.float64)
    n, k = outside.shape
    given = check_labels(labels, k, n)
    if n == 0 or k == 1:
        nothing = np.zeros(n)
        return LabelErrors(np.arange(n), nothing, nothing, np.zeros(n, np.int64), 0.0, np.eye(k))
    with one_thread():
        belief: Floats = outside
        noise = fit_noise(belief, given)
        tie_breaker = belief
        if vectors is not None and n > 2 * k:
            items = np.asarray(check_vectors(vectors), dtype=np.float32)
            if len(items) != n:
                raise Invalid(f"{len(items)} vectors for {n} labels")
            for _ in range(2):
                kept = np.where(noise.wrong < 0.5, 1.0, 1e-3)
                belief = _product(outside, _ridge_proba(items, given, k, kept, 1.0 - noise.wrong))
                noise = fit_noise(belief, given)
            tie_breaker = (belief + neighbour_votes(items, given, k)) / 2
    rows = np.arange(n)
    others = belief.copy()
    others[rows, given] = -1.0
    rivals = tie_breaker.copy()
    rivals[rows, given] = -1.0
    score = np.clip(noise.log_odds, -8.0, 8.0) + 2.0 * (rivals.max(axis=1) - tie_breaker[rows, given])
    return LabelErrors(
        np.argsort(-score, kind="stable"), score, noise.wrong, others.argmax(axis=1), noise.rate, noise.confusion
    )


@dataclass(frozen=True)
class Noise:
    """A fitted model of how labels go wrong: per item ``wrong`` (n,) and ``log_odds`` (n,); ``confusion`` (k, k)."""

    wrong: Floats
    log_odds: Floats
    rate: float
    confusion: Floats
    ways: Floats
    """(3,) shares of the wrong labels: any class at random, by class, by the item's looks."""


def fit_noise(proba: Floats, given: Ints, rounds: int = ROUNDS) -> Noise:
    """Fit the rate and the ways of wrong labels, from what a model believes (n, k) and what was given (n,)."""
    n, k = proba.shape
    belief = np.clip(proba, 1e-6, 1.0)
    belief /= belief.sum(axis=1, keepdims=True)
    rows = np.arange(n)
    of_given = belief[rows, given]
    elsewhere = belief.copy()
    elsewhere[rows, given] = 0.0
    at_random = elsewhere.sum(axis=1) / (k - 1)
    by_looks = (elsewhere / np.maximum(1.0 - belief, 1e-6)).sum(axis=1) * of_given
    mistaken = np.full((k, k), 1.0 / (k - 1))  # mistaken[y, z]: how class y is given when it is given wrongly
    np.fill_diagonal(mistaken, 0.0)
    rate, ways = 0.1, np.full(3, 1.0 / 3.0)
    # The last pass only reads: its rate, ways and table are those of the pass before.
    for last in [*[False] * rounds, True]:
        by_class = elsewhere * mistaken.T[given]
        parts = np.stack([ways[0] * at_random, ways[1] * by_class.sum(axis=1), ways[2] * by_looks]) * rate
        right = of_given * (1.0 - rate)
        total = right + parts.sum(axis=0)
        wrong = parts.sum(axis=0) / total
        if last:
            break
        weight = (parts / total).sum(axis=1) + 1.0
        rate = float(np.clip((wrong.sum() + 1.0) / (n + 10.0), 1e-3, 0.5))
        ways = weight / weight.sum()
        counts = np.zeros((k, k))
        np.add.at(counts, given, by_class * (ways[1] * rate / total)[:, None])
        counts = counts.T + 0.5 / (k - 1)
        np.fill_diagonal(counts, 0.0)
        mistaken = counts / counts.sum(axis=1, keepdims=True)
    spread = ways[1] * mistaken + (1.0 - ways[1]) / (k - 1)
    np.fill_diagonal(spread, 0.0)
    confusion = rate * spread / spread.sum(axis=1, keepdims=True) + (1.0 - rate) * np.eye(k)
    log_odds = np.log(np.maximum(parts.sum(axis=0), 1e-300)) - np.log(np.maximum(right, 1e-300))
    return Noise(wrong, log_odds, rate, confusion, ways)


def out_of_sample_proba(
    vectors: ArrayLike, labels: ArrayLike, classes: int, rng: Generator, *, folds: int = 5, strength: float = 10.0
) -> Floats:
    """Probabilities (n, k) of a logistic head for each item, from the folds without it.

    ``vectors`` (n, d); ``labels`` (n,) class indices; ``strength`` is C. With fewer items than two a fold the classes'
    shares are returned, which accuse nobody.
    """
    from learning.heads import fit_softmax_head

    items = np.asarray(check_vectors(vectors), dtype=np.float32)
    given = check_labels(labels, classes, len(items))
    if len(items) < 2 * folds or len(np.unique(given)) < 2:
        shares = (np.bincount(given, minlength=classes) + 1.0) / (len(given) + classes)
        return np.tile(shares, (len(items), 1))
    fold = rng.permutation(np.arange(len(items)) % folds)
    proba = np.zeros((len(items), classes))
    with one_thread():
        for held in range(folds):
            train = fold != held
            head = fit_softmax_head(
                items[train], np.eye(classes)[given[train]], np.ones(int(train.sum())), strength=strength
            )
            proba[~train] = np.exp(head.log_proba(items[~train]))
    return proba


def neighbour_votes(vectors: Floats, labels: Ints, classes: int, neighbours: int = NEIGHBOURS) -> Floats:
    """Shares (n, k) of the labels of each item's nearest neighbours, itself left out."""
    n = len(vectors)
    known = even_share(n, MOST_NEIGHBOURS)
    near = min(neighbours, len(known) - 1)
    votes = np.zeros((n, classes))
    place = np.full(n, -1)
    place[known] = np.arange(len(known))
    for start in range(0, n, 1024):
        rows = np.arange(start, min(start + 1024, n))
        alike = vectors[rows] @ vectors[known].T
        own = place[rows]
        alike[own >= 0, own[own >= 0]] = -np.inf
        nearest = known[np.argpartition(-alike, near - 1, axis=1)[:, :near]] if near else np.zeros((len(rows), 0), int)
        for column in range(near):
            votes[rows, labels[nearest[:, column]]] += 1.0 / near
    return votes


def _ridge_proba(items: Floats, labels: Ints, classes: int, weight: Floats, trusted: Floats) -> Floats:
    """Leave-one-out probabilities (n, k) of a weighted ridge classifier; the temperature is fitted to ``trusted``."""
    from scipy.optimize import minimize_scalar

    n = len(items)
    rows = np.arange(n)
    design = np.hstack([items, np.ones((n, 1), np.float32)])
    targets = np.zeros((n, classes), np.float32)
    targets[rows, labels] = 1.0
    weighted = design * weight[:, None].astype(np.float32)
    gram = (weighted.T @ design).astype(np.float64) + RIDGE * np.eye(design.shape[1])
    inverse = np.linalg.inv(gram).astype(np.float32)
    fitted = design @ (inverse @ (weighted.T @ targets))
    leverage = np.clip(weight * ((design @ inverse) * design).sum(axis=1), 0.0, 0.99)
    without = fitted - (leverage / (1.0 - leverage))[:, None] * (targets - fitted)
    sample = even_share(n, 3000)
    scores, wanted, weights = without[sample], labels[sample], trusted[sample]

    def loss(log_sharpness: float) -> float:
        proba = softmax(scores * np.exp(log_sharpness))
        return float(-(weights * np.log(proba[np.arange(len(sample)), wanted] + 1e-9)).sum())

    best = minimize_scalar(loss, bounds=(-3.0, 5.0), method="bounded").x
    return softmax(without * np.exp(best))


def _product(one: Floats, other: Floats) -> Floats:
    """Geometric mean of two beliefs (n, k), rows summing to 1."""
    both = np.sqrt((one + 1e-5) * (other + 1e-5))
    together: Floats = both / both.sum(axis=1, keepdims=True)
    return together
