"""Linear heads on frozen vectors: logistic regression that takes soft labels and may know a class only by its name.

scikit-learn's solver wants one hard label a row, so a soft label becomes several weighted rows; class names join as
weighted training examples, so that a class without any label can still be predicted.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from learning.arrays import Array, Floats, Vectors, log_softmax

NAME_WEIGHT = 3.0
"""A class name counts as much as three labelled items."""
STRENGTHS_FEW_CLASSES: tuple[float, ...] = (1.0, 3.0, 10.0, 30.0)
STRENGTHS_MANY_CLASSES: tuple[float, ...] = (10.0,)
FEW_CLASSES = 20


@dataclass(frozen=True)
class LinearHead:
    """``weights`` (d, k) and ``bias`` (k,)."""

    weights: Vectors
    bias: Vectors

    def logits(self, vectors: Floats) -> Vectors:
        """Logits (n, k): softmax them for one label, squash each for several."""
        return np.asarray(np.asarray(vectors, dtype=np.float32) @ self.weights + self.bias)

    def log_proba(self, vectors: Floats) -> Array:
        """Log-probabilities (n, k) where exactly one label applies."""
        return log_softmax(self.logits(vectors))


def strengths(classes: int) -> tuple[float, ...]:
    """Values of C (the inverse of regularisation) worth trying for so many classes; the middle one is the default."""
    return STRENGTHS_FEW_CLASSES if classes <= FEW_CLASSES else STRENGTHS_MANY_CLASSES


def default_strength(classes: int) -> float:
    """C when there is too little data to compare."""
    return 3.0 if classes <= FEW_CLASSES else 10.0


def fit_softmax_head(
    vectors: Vectors, targets: Array, weight: Array, names: Vectors | None = None, *, strength: float
) -> LinearHead:
    """Head for exactly one label an item, from ``vectors`` (n, d), ``targets`` (n, k) and sample ``weight`` (n,).

    A class that has neither label nor name gets the odds of one unseen item against all seen ones.
    """
    d, k = vectors.shape[1], targets.shape[1]
    rows, columns = np.nonzero(targets)
    features, labels, weights = vectors[rows], columns, (targets * weight[:, None])[rows, columns]
    if names is not None:
        features = np.concatenate([features, names])
        labels = np.concatenate([labels, np.arange(k)])
        weights = np.concatenate([weights, np.full(k, NAME_WEIGHT)])
    counted = weights > 0
    features, labels, weights = features[counted], labels[counted], weights[counted]
    seen = np.unique(labels)
    coefficients, bias = np.zeros((d, k), np.float32), np.zeros(k, np.float32)
    if len(seen) >= 2:
        fitted = _regression()(C=strength, max_iter=300).fit(features, labels, sample_weight=weights)
        coefficients[:, seen], bias[seen] = _both_sides(fitted.coef_, fitted.intercept_)
    unseen = np.setdiff1d(np.arange(k), seen)
    if len(unseen):
        typical = float(np.median((features @ coefficients + bias)[:, seen].max(axis=1))) if len(seen) else 0.0
        bias[unseen] = typical - np.log(float(weights.sum()) + len(unseen))
    return LinearHead(coefficients, bias)


def fit_binary_heads(
    vectors: Vectors, targets: Array, weight: Array, names: Vectors | None = None, *, strength: float
) -> LinearHead:
    """One yes-or-no head a class, for several labels an item: same shapes as :func:`fit_softmax_head`.

    A class's own name is a positive example and the other names are weak negative ones.
    """
    n, (d, k) = len(vectors), (vectors.shape[1], targets.shape[1])
    coefficients, bias = np.zeros((d, k), np.float32), np.zeros(k, np.float32)
    for column in range(k):
        yes = targets[:, column]
        features = np.concatenate([vectors, vectors])
        labels = np.repeat([1, 0], n)
        weights = np.concatenate([yes * weight, (1 - yes) * weight])
        if names is not None:
            own = (np.arange(k) == column).astype(int)
            features = np.concatenate([features, names])
            labels = np.concatenate([labels, own])
            weights = np.concatenate([weights, np.where(own == 1, NAME_WEIGHT, NAME_WEIGHT / k)])
        counted = weights > 0
        features, labels, weights = features[counted], labels[counted], weights[counted]
        if len(np.unique(labels)) < 2:
            share = (yes @ weight + 0.5) / (weight.sum() + 1.0)
            bias[column] = np.log(share) - np.log1p(-share)
            continue
        fitted = _regression()(C=strength, max_iter=300).fit(features, labels, sample_weight=weights)
        coefficients[:, column], bias[column] = fitted.coef_[0], fitted.intercept_[0]
    return LinearHead(coefficients, bias)


@lru_cache(maxsize=1)
def _regression() -> Any:
    """scikit-learn's LogisticRegression, imported late."""
    from sklearn.linear_model import LogisticRegression

    # one or two labels a class are what a young dataset has, not a mistaken regression problem
    warnings.filterwarnings("ignore", message="The number of unique classes is greater", category=UserWarning)
    return LogisticRegression


def _both_sides(coefficients: Array, intercept: Array) -> tuple[Array, Array]:
    """scikit-learn keeps one row for two classes; give each its half."""
    if len(coefficients) == 1:
        return np.concatenate([-coefficients, coefficients]).T / 2, np.array([-intercept[0], intercept[0]]) / 2
    return coefficients.T, intercept
