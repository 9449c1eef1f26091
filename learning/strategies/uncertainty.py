"""How unsure a model is of an item: three classic scores, 0 when it is sure, all for matrices (n, k)."""

from __future__ import annotations

import numpy as np

from learning.checks import Floats

ROWS = 16_384
"""Rows worked on at once, so that 100,000 × 77 never needs a second matrix of that size."""


def one_minus_margin(proba: Floats) -> Floats:
    """1 − (first − second): 1 when two classes tie; 0 for a single class."""
    if proba.shape[1] == 1:
        return np.zeros(len(proba))
    scores = np.empty(len(proba))
    for start in range(0, len(proba), ROWS):
        top = np.partition(proba[start : start + ROWS], -2, axis=1)
        scores[start : start + ROWS] = 1.0 - (top[:, -1] - top[:, -2])
    return scores


def one_minus_confidence(proba: Floats) -> Floats:
    """1 − the largest probability."""
    scores: Floats = 1.0 - proba.max(axis=1)
    return scores


def shannon_entropy(proba: Floats) -> Floats:
    """Entropy in nats."""
    scores = np.empty(len(proba))
    for start in range(0, len(proba), ROWS):
        part = np.clip(proba[start : start + ROWS], 1e-12, None)
        scores[start : start + ROWS] = -(part * np.log(part)).sum(axis=1)
    return scores
