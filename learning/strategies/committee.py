"""Query by committee: ask where several models, trained on different draws of the labels, disagree.

Seung, Opper & Sompolinsky, *Query by committee*, COLT 1992. Two measures of disagreement: the entropy of the votes
(Dagan & Engelson, ICML 1995) and the mean Kullback–Leibler divergence of a member from the committee's mean
(McCallum & Nigam, ICML 1998).
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from learning.checks import Floats, Ints, check_count, check_labels, check_vectors
from learning.strategies import random_
from learning.strategies.pool import Pool, distinct
from learning.strategies.uncertainty import shannon_entropy
from schemas.errors import Invalid

MOST = 20_000
"""A committee that is trained here gives its opinion on a uniform sample of at most this many items."""


def pick_vote_entropy(pool: Pool, count: int, rng: Generator) -> Ints:
    """The items on which the members' votes spread most; ties by the entropy of their mean."""
    rows, opinions = _opinions(pool, rng)
    if opinions is None:
        return random_.pick(pool, count, rng)
    score = vote_entropy(opinions) + 1e-3 * shannon_entropy(opinions.mean(axis=0))
    return distinct(rows[np.argsort(-score, kind="stable")], pool.vectors, count)


def pick_kl(pool: Pool, count: int, rng: Generator) -> Ints:
    """The items on which the members diverge most from their mean."""
    rows, opinions = _opinions(pool, rng)
    if opinions is None:
        return random_.pick(pool, count, rng)
    return distinct(rows[np.argsort(-mean_divergence(opinions), kind="stable")], pool.vectors, count)


def vote_entropy(opinions: Floats) -> Floats:
    """Entropy in nats (n,) of the members' first choices; ``opinions`` is (members, n, k)."""
    votes = opinions.argmax(axis=2)
    shares = np.zeros(opinions.shape[1:])
    for member in votes:
        shares[np.arange(len(member)), member] += 1.0 / len(votes)
    return shannon_entropy(shares)


def mean_divergence(opinions: Floats) -> Floats:
    """Mean over members of KL(member ‖ mean) in nats (n,): the Jensen–Shannon divergence of the committee."""
    members = np.mean([shannon_entropy(member) for member in opinions], axis=0)
    divergence: Floats = np.maximum(shannon_entropy(opinions.mean(axis=0)) - members, 0.0)
    return divergence


def bootstrap_committee(
    vectors: Floats, labels: Ints, classes: int, ask: Floats, members: int, rng: Generator, *, ridge: float = 0.1
) -> Floats:
    """Opinions (members, a, k) on ``ask`` (a, d) of ridge classifiers, each fitted to a bootstrap draw of the labels.

    Ridge regression on one-hot labels has a closed form, so a committee costs milliseconds; a softmax at temperature
    0.2 makes its scores a distribution.
    """
    check_vectors(vectors)
    labels = check_labels(labels, classes, len(vectors))
    check_count(members, "committee members", least=2)
    if not len(labels):
        raise Invalid("a committee needs at least one label")
    opinions = np.empty((members, len(ask), classes), dtype=np.float32)
    for member in range(members):
        draw = rng.integers(len(labels), size=len(labels))
        drawn = vectors[draw].astype(np.float64)
        targets = np.zeros((len(draw), classes))
        targets[np.arange(len(draw)), labels[draw]] = 1.0
        gram = drawn.T @ drawn + ridge * np.eye(drawn.shape[1])
        weights = np.linalg.solve(gram, drawn.T @ targets).astype(ask.dtype)
        scores = ask @ weights / 0.2
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        opinions[member] = scores / scores.sum(axis=1, keepdims=True)
    return opinions


def _opinions(pool: Pool, rng: Generator) -> tuple[Ints, Floats | None]:
    if pool.committee is not None:
        return pool.unlabelled, pool.committee[:, pool.unlabelled]
    if pool.labels is None or not len(pool.labelled):
        return pool.unlabelled, None
    classes = pool.proba.shape[1] if pool.proba is not None else int(pool.labels.max()) + 1
    rows = pool.sample(MOST, rng)
    known = pool.vectors[pool.labelled]
    return rows, bootstrap_committee(known, pool.labels, classes, pool.vectors[rows], 5, rng)
