"""ActiveLab: label a new item, or ask another annotator about one that has an answer already?

Goh & Mueller, *ActiveLab: active learning with re-labeling by multiple annotators*, ICLR 2023 workshop; computed by
cleanlab. The only strategy that may return items which are labelled.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from learning.checks import Floats, Ints
from learning.strategies import random_
from learning.strategies.pool import Pool, distinct

MOST = 5_000
"""So many of the least confident items without an answer are scored, or 20 × count."""


def pick(pool: Pool, count: int, rng: Generator) -> Ints:
    """The items, answered or not, whose label is least sure. Random before there is a student."""
    if pool.proba is None:
        return random_.pick(pool, count, rng)
    sureness = np.asarray(pool.proba.max(axis=1), dtype=np.float64)
    fresh = pool.unlabelled[np.argsort(sureness[pool.unlabelled], kind="stable")[: max(MOST, 20 * count)]]
    if pool.answers is None:
        return distinct(fresh, pool.vectors, count)
    answered = np.flatnonzero(~np.isnan(pool.answers).all(axis=1))
    rows = np.concatenate([answered, fresh[~np.isin(fresh, answered)]])
    scores = label_sureness(pool.proba[rows], pool.answers[rows])
    return distinct(rows[np.argsort(scores, kind="stable")], pool.vectors, count)


def label_sureness(proba: Floats, answers: Floats) -> Floats:
    """ActiveLab's score (n,), low where one more answer would help most.

    ``proba`` (n, k); ``answers`` (n, annotators) holds class indices, NaN where there is none. cleanlab needs answers
    of two classes at least; with fewer, the model's confidence alone, shrunk towards 1 / k, is the score.
    """
    given = ~np.isnan(answers).all(axis=1)
    if len(np.unique(answers[~np.isnan(answers)])) < 2:
        shrunk: Floats = (proba.max(axis=1) + 1.0 / proba.shape[1]) / 2.0
        return shrunk
    from cleanlab.multiannotator import get_active_learning_scores

    used = answers[:, ~np.isnan(answers).all(axis=0)]
    wide = np.asarray(proba, np.float64)
    unanswered = None if given.all() else wide[~given]
    scores = np.empty(len(proba))
    scores[given], scores[~given] = get_active_learning_scores(used[given], wide[given], unanswered)
    return scores
