"""Counting votes: every annotator alike, or each by how well they agree with the others."""

from __future__ import annotations

import numpy as np

from learning.checks import Floats
from learning.consensus.votes import Consensus, Votes, normalised, shares_of


def majority(votes: Votes) -> Consensus:
    """The class with most votes; a tie goes to the class that is given more often overall.

    ``proba`` holds the vote shares, nudged by the classes' shares so that ties are broken the same way for everybody.
    """
    counts = votes.counts()
    proba = (counts + 1e-3 * shares_of(votes)) / (counts.sum(axis=1, keepdims=True) + 1e-3)
    return Consensus(proba, agreement_with(votes), "majority", answered=votes.per_item())


def weighted_vote(votes: Votes, rounds: int = 5) -> Consensus:
    """Votes weighted by the log-odds of being right, estimated from agreement with the others' weighted vote.

    The optimal weights of independent annotators (Nitzan & Paroush 1982; Littlestone & Warmuth 1994), found by
    iteration.
    """
    proba = majority(votes).proba
    quality: Floats = np.zeros(votes.workers)
    for _ in range(rounds):
        quality = agreement_with(votes, _weights(quality, votes) if quality.any() else None)
        scores = votes.counts(_weights(quality, votes)) + np.log(shares_of(votes)) * 1e-3
        proba = normalised(scores)
    return Consensus(proba, quality, "weighted-vote", answered=votes.per_item())


def _weights(quality: Floats, votes: Votes) -> Floats:
    right = np.clip(quality, 1e-3, 1 - 1e-3)
    odds = np.log(right * max(votes.classes - 1, 1) / (1 - right))
    weights: Floats = odds[votes.worker]
    return weights


def agreement_with(votes: Votes, weight: Floats | None = None, pull: float = 4.0) -> Floats:
    """(workers,) how often an annotator gives the class that the *others* prefer, shrunk towards everybody's mean.

    ``weight`` (m,) of each vote; all alike by default. Where the others prefer several classes alike, an agreement with
    one of them counts in part. ``pull`` answers' worth of the mean keeps an annotator with one answer near it.
    """
    counted = np.ones(len(votes.item)) if weight is None else weight
    others = votes.counts(counted)[votes.item]
    others[np.arange(len(others)), votes.label] -= counted
    best = others.max(axis=1, initial=0.0)
    known = best > 1e-9
    own = others[np.arange(len(others)), votes.label]
    level = best - 1e-9
    agrees = np.where(known & (own >= level), 1.0 / np.maximum((others >= level[:, None]).sum(axis=1), 1), 0.0)
    told = np.bincount(votes.worker, weights=known.astype(float), minlength=votes.workers)
    hits = np.bincount(votes.worker, weights=agrees, minlength=votes.workers)
    chance = 1.0 / max(votes.classes, 1)
    mean = (hits.sum() + pull * chance) / (told.sum() + pull)
    quality: Floats = (hits + pull * mean) / (told + pull)
    return quality
