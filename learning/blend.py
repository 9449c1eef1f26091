"""How much to believe each of several experts: weights of a log-linear mixture, learnt on answers they had not seen.

The experts' log-probabilities are added with non-negative weights (a "logarithmic opinion pool"; Genest and Zidek,
Statistical Science 1, 1986). With the weights as the only parameters the log loss is convex; it is minimised on
out-of-fold answers and held near a prior, which decides alone when there are none. The sum of the weights acts as an
inverse temperature, so the blend comes out calibrated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.arrays import Array, log_softmax, sigmoid

HOLD = 20.0
"""Strength of the prior, in units of the log loss's curvature: about twenty answers' worth."""
MOST = 5.0


def blend_single(experts: Sequence[Array], weights: Sequence[float] | Array) -> Array:
    """Log-probabilities (n, k) of the mixture, one label an item. ``experts`` are log-probabilities (n, k) each."""
    return log_softmax(np.tensordot(np.asarray(weights, dtype=np.float64), np.stack(experts), axes=1))


def blend_multi(experts: Sequence[Array], weights: Sequence[float] | Array) -> Array:
    """Log-odds (n, k) of the mixture where each class is judged by itself. ``experts`` are log-odds (n, k) each."""
    return np.asarray(np.tensordot(np.asarray(weights, dtype=np.float64), np.stack(experts), axes=1))


def fit_blend(
    experts: Sequence[Array],
    targets: Array,
    prior: Sequence[float] | Array,
    *,
    sample_weight: Array | None = None,
    multi: bool = False,
    hold: float = HOLD,
) -> Array:
    """Weights (e,) for ``experts`` (e times (n, k)) that explain ``targets`` (n, k) best, held near ``prior`` (e,)."""
    from scipy.optimize import minimize

    stacked = np.stack(experts)
    start = np.asarray(prior, dtype=np.float64)
    row_weight = np.ones(len(targets)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    share = row_weight[:, None]

    def loss(weights: NDArray[Any]) -> tuple[float, NDArray[Any]]:
        mixed = np.tensordot(weights, stacked, axes=1)
        if multi:
            likely = sigmoid(mixed)
            value = float((share * (np.logaddexp(0, mixed) - targets * mixed)).sum())
        else:
            logs = log_softmax(mixed)
            likely = np.exp(logs)
            value = -float((share * targets * logs).sum())
        slope = np.einsum("enk,nk->e", stacked, share * (likely - targets))
        away = weights - start
        return value + 0.5 * hold * float(away @ away), slope + hold * away

    found = minimize(loss, start, jac=True, bounds=[(0.0, MOST)] * len(start), method="L-BFGS-B")
    return np.asarray(found.x)


def folds(groups: NDArray[np.intp], count: int, seed: int = 0) -> NDArray[np.intp]:
    """Fold numbers (n,) that spread every group (a class index an item) over ``count`` folds."""
    order = np.random.default_rng(seed).permutation(len(groups))
    order = order[np.argsort(groups[order], kind="stable")]
    assigned = np.empty(len(groups), dtype=np.intp)
    assigned[order] = np.arange(len(groups)) % count
    return assigned
