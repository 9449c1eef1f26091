"""Consensus with a model that reads the items: annotators and model teach each other until they agree.

With two answers an item annotators alone cannot break a tie; a text model can. CROWDLAB (Goh, Tkachenko & Mueller,
*CROWDLAB: supervised learning to infer consensus labels and quality scores for data with multiple annotators*, 2022)
weighs one model, trained once, against the annotators. Here, as in Raykar et al., *Learning from crowds*, JMLR 2010, the
model's probabilities take the place of the class shares in :func:`pooled_dawid_skene`, and it is trained anew on what
comes out, always predicting items it has not seen.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from learning.arrays import log_softmax, one_thread
from learning.checks import Floats, Ints, check_proba, check_vectors
from learning.consensus.dawid_skene import fits_in_memory, pooled_dawid_skene
from learning.consensus.votes import Consensus, Votes
from learning.consensus.voting import weighted_vote
from learning.frames import Answers
from schemas.errors import Invalid

ROUNDS = 4
FOLDS = 5

Learner = Callable[[Floats, Floats, Floats, Floats], Floats]
"""From vectors (t, d), targets (t, k), weights (t,) and vectors (u, d) to probabilities (u, k)."""


def consensus_with_model(
    answers: Answers,
    vectors: ArrayLike,
    rng: Generator,
    *,
    class_vectors: Floats | None = None,
    learner: Learner | None = None,
    rounds: int = ROUNDS,
) -> Consensus:
    """The truth from the answers and a model on ``vectors`` (items, d), refitted ``rounds`` times.

    ``class_vectors`` (classes, d) help the default learner, a logistic head. Items without an answer are labelled by the
    model alone. With fewer than ten answered items only the annotators are asked.
    """
    items = np.asarray(check_vectors(vectors), dtype=np.float32)
    votes = Votes.from_answers(answers)
    if len(items) != votes.items:
        raise Invalid(f"{len(items)} vectors for {votes.items} items")
    alone = pooled_dawid_skene(votes) if fits_in_memory(votes) else weighted_vote(votes)
    answered = np.flatnonzero(votes.per_item() > 0)
    if len(answered) < 2 * FOLDS or votes.classes < 2 or not fits_in_memory(votes):
        return alone
    learn = learner or _head(class_vectors)
    truth, found = alone.proba, alone
    with one_thread():
        for _ in range(rounds):
            seen_by_model = _out_of_sample(items, truth, answered, learn, rng)
            evidence = temper(np.log(np.clip(seen_by_model, 1e-6, 1.0)), alone.proba, answered)
            found = pooled_dawid_skene(votes, log_evidence=evidence, start=truth)
            truth = found.proba
    return Consensus(truth, found.quality, "dawid-skene-with-model", found.confusion, found.answered)


def consensus_with_proba(answers: Answers, proba: ArrayLike) -> Consensus:
    """The truth from the answers and the probabilities (items, classes) of a model that was not trained on them."""
    votes = Votes.from_answers(answers)
    outside = check_proba(proba, votes.items)
    if outside.shape[1] != votes.classes:
        raise Invalid(f"the model knows {outside.shape[1]} classes, the answers {votes.classes}")
    if not fits_in_memory(votes):
        return weighted_vote(votes)
    answered = np.flatnonzero(votes.per_item() > 0)
    alone = pooled_dawid_skene(votes)
    evidence = temper(np.log(np.clip(outside, 1e-6, 1.0)), alone.proba, answered)
    found = pooled_dawid_skene(votes, log_evidence=evidence, start=alone.proba)
    return Consensus(found.proba, found.quality, "dawid-skene-with-model", found.confusion, found.answered)


def temper(log_proba: Floats, truth: Floats, answered: Ints) -> Floats:
    """``log_proba`` (n, k) at the temperature that fits ``truth`` (n, k) best on the ``answered`` items."""
    from scipy.optimize import minimize_scalar

    if not len(answered):
        return log_proba
    scores, wanted = log_proba[answered], truth[answered]

    def loss(log_temperature: float) -> float:
        return float(-(wanted * log_softmax(scores, np.exp(log_temperature))).sum())

    return log_softmax(log_proba, np.exp(minimize_scalar(loss, bounds=(-2.0, 2.0), method="bounded").x))


def _out_of_sample(items: Floats, truth: Floats, answered: Ints, learn: Learner, rng: Generator) -> Floats:
    fold = np.full(len(items), -1)
    fold[answered] = rng.permutation(np.arange(len(answered)) % FOLDS)
    proba = np.zeros_like(truth)
    unanswered = fold < 0
    for held in range(FOLDS):
        train = (fold >= 0) & (fold != held)
        ask = (fold == held) | unanswered
        said = learn(items[train], *_targets(truth[train]), items[ask])
        # Items nobody answered are asked of every fold's model.
        proba[ask] += said / np.where(unanswered[ask], FOLDS, 1)[:, None]
    return proba


def _targets(truth: Floats) -> tuple[Floats, Floats]:
    """The two likeliest classes of each item, so that a soft label costs two rows at most; and their mass."""
    kept = np.where(truth >= np.partition(truth, -2, axis=1)[:, -2:-1], truth, 0.0)
    kept[kept < 0.05] = 0.0
    kept[np.arange(len(truth)), truth.argmax(axis=1)] = truth.max(axis=1)
    mass = kept.sum(axis=1)
    return kept / mass[:, None], mass


def _head(class_vectors: Floats | None) -> Learner:
    from learning.heads import default_strength, fit_softmax_head

    names = None if class_vectors is None else np.asarray(class_vectors, dtype=np.float32)

    def learn(vectors: Floats, targets: Floats, weight: Floats, ask: Floats) -> Floats:
        strength = default_strength(targets.shape[1])
        features = np.asarray(vectors, dtype=np.float32)
        wanted, counted = targets.astype(np.float64), weight.astype(np.float64)
        head = fit_softmax_head(features, wanted, counted, names, strength=strength)
        return np.exp(head.log_proba(ask))

    return learn
