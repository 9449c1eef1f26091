"""Counting votes: every annotator alike, or each by how well they agree with the others."""

from __future__ import annotations

import numpy as np

from learning.checks import Floats
from learning.consensus.votes import Consensus, Votes, normalised, shares_of


def majority(answers: Votes) -> Consensus:
    """The class with most votes; a tie goes to the class that is given more often overall.

    ``proba`` holds the vote shares, nudged by the classes' shares so that ties are broken the same way for everybody.
    """
    counts = answers.counts()
    proba = (counts + 1e-3 * shares_of(answers)) / (counts.sum(axis=1, keepdims=True) + 1e-3)
    return Consensus(proba, agreement_with(answers, counts), "majority", answered=answers.per_item())


def weighted_vote(answers: Votes, rounds: int = 5) -> Consensus:
    """Votes weighted by the log-odds of being right, estimated from agreement with the others' weighted vote.

    The optimal weights of independent annotators (Nitzan & Paroush 1982; Littlestone & Warmuth 1994), found by
    iteration.
    """
    proba = majority(answers).proba
    quality: Floats = np.zeros(answers.workers)
    for _ in range(rounds):
        quality = agreement_with(answers, answers.counts(_weights(quality, answers)) if quality.any() else None)
        scores = answers.counts(_weights(quality, answers)) + np.log(shares_of(answers)) * 1e-3
        proba = normalised(scores)
    return Consensus(proba, quality, "weighted-vote", answered=answers.per_item())


def _weights(quality: Floats, answers: Votes) -> Floats:
    right = np.clip(quality, 1e-3, 1 - 1e-3)
    odds = np.log(right * max(answers.classes - 1, 1) / (1 - right))
    weights: Floats = odds[answers.worker]
    return weights


def agreement_with(answers: Votes, counts: Floats | None, pull: float = 4.0) -> Floats:
    """(workers,) how often an annotator gives the class that the *others* prefer, shrunk towards everybody's mean.

    ``counts`` (items, classes) are votes, weighted or not; the annotator's own vote is taken out of them, counted as
    one. ``pull`` answers' worth of the mean keeps an annotator with one answer near it.
    """
    votes = answers.counts() if counts is None else counts
    others = votes[answers.item]
    others[np.arange(len(others)), answers.label] -= 1.0
    best = others.max(axis=1, initial=0.0)
    known = best > 0
    own = others[np.arange(len(others)), answers.label]
    agrees = np.where(known & (own >= best), 1.0 / np.maximum((others >= best[:, None]).sum(axis=1), 1), 0.0)
    told = np.bincount(answers.worker, weights=known.astype(float), minlength=answers.workers)
    hits = np.bincount(answers.worker, weights=agrees, minlength=answers.workers)
    chance = 1.0 / max(answers.classes, 1)
    mean = (hits.sum() + pull * chance) / (told.sum() + pull)
    quality: Floats = (hits + pull * mean) / (told + pull)
    return quality
