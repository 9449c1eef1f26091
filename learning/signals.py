"""One probability from several signs that a draft is right: the words of the model, its log-probabilities, the student,
the share of votes of repeated answers.

Each sign is a confidence in 0..1 and may be missing. Their log-odds are added, weighted by a logistic regression that
the verified answers teach; before there are any, the weights are equal and sum to 1, so the blend is a geometric mean
of odds. A missing sign hands its weight to the ones that are there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learning.arrays import Array, logit, sigmoid
from learning.calibration import LIMIT
from schemas.errors import Invalid

VERSION = 1
HOLD = 8.0
"""How firmly a weight is held at its prior: about as firm as eight answers at even odds."""
HOLD_BIAS = 1.0
MOST = 5.0


@dataclass(frozen=True)
class SignalBlend:
    """``weights`` (s,) of the ``names`` (s,), and ``bias`` in log-odds; ``n`` verified answers taught it."""

    names: tuple[str, ...]
    weights: tuple[float, ...]
    bias: float = 0.0
    n: int = 0

    def apply(self, signals: Mapping[str, ArrayLike]) -> Array:
        """Probabilities (n,) from ``signals``: name to (n,) confidences, NaN where missing; unknown names are ignored.

        Where every sign is missing the answer is the bias alone.
        """
        odds = _log_odds(signals, self.names)
        return sigmoid(_spread_weights(odds, np.asarray(self.weights)) + self.bias)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, with the version of their meaning."""
        return {
            "version": VERSION,
            "names": list(self.names),
            "weights": list(self.weights),
            "bias": self.bias,
            "n": self.n,
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_dict` made; raises :class:`Invalid` for another version or shape."""
        try:
            names, weights = tuple(map(str, raw["names"])), tuple(map(float, raw["weights"]))
            if raw["version"] != VERSION or len(names) != len(weights):
                raise ValueError("version or length")
            return cls(names, weights, float(raw["bias"]), int(raw["n"]))
        except (KeyError, TypeError, ValueError) as error:
            raise Invalid("these are not blend parameters that this version can read") from error


def fit_signals(
    signals: Mapping[str, ArrayLike],
    right: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    prior: Mapping[str, float] | None = None,
) -> SignalBlend:
    """Learn the weights of ``signals`` (each (n,), NaN where missing) from whether the drafts were ``right`` (n,).

    ``prior`` names weights to start from instead of equal ones. n may be 0.
    """
    from scipy.optimize import minimize

    names = tuple(signals)
    if not names:
        raise Invalid("at least one signal is needed")
    odds = _log_odds(signals, names)
    true = np.asarray(right, dtype=np.float64).ravel()
    weight = np.ones(len(true)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64).ravel()
    if not (odds.shape[1] == len(true) == len(weight)):
        raise Invalid(f"signals of {odds.shape[1]} drafts, {len(true)} verdicts and {len(weight)} weights do not match")
    if not np.isfinite(true).all() or not np.isfinite(weight).all() or (weight < 0).any():
        raise Invalid("verdicts and weights must be finite, weights not negative")
    start = np.array([(prior or {}).get(name, 1 / len(names)) for name in names] + [0.0])
    hold = np.array([HOLD] * len(names) + [HOLD_BIAS])
    present = np.isfinite(odds)

    def loss(theta: NDArray[Any]) -> tuple[float, NDArray[Any]]:
        # a missing sign hands its weight on, so the sum over what is there is scaled by all / there
        each, bias = theta[:-1], theta[-1]
        there = each @ present
        safe = np.maximum(there, 1e-9)
        total = each.sum()
        added = np.where(present, odds, 0.0).T @ each
        mixed = np.where(there > 0, added * total / safe, 0.0) + bias
        gap = weight * (sigmoid(mixed) - true)
        by_weight = (
            np.where(present, odds, 0.0) * (total / safe) + added / safe - present * (added * total / safe**2)
        ) * (there > 0)
        away = theta - start
        value = float((weight * (np.logaddexp(0, mixed) - true * mixed)).sum() + 0.5 * (hold * away**2).sum())
        return value, np.append(by_weight @ gap, gap.sum()) + hold * away

    bounds = [(0.0, MOST)] * len(names) + [(-10.0, 10.0)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return SignalBlend(names, tuple(float(w) for w in found[:-1]), float(found[-1]), len(true))


def _log_odds(signals: Mapping[str, ArrayLike], names: Sequence[str]) -> Array:
    """Log-odds (s, n), NaN where missing."""
    given = {name: np.asarray(values, dtype=np.float64).ravel() for name, values in signals.items() if name in names}
    lengths = {len(values) for values in given.values()}
    if len(lengths) > 1:
        raise Invalid("signals must have one value a draft")
    n = lengths.pop() if lengths else 0
    rows = np.stack([given.get(name, np.full(n, np.nan)) for name in names])
    seen = rows[np.isfinite(rows)]
    if np.isinf(rows).any() or (seen < -1e-9).any() or (seen > 1 + 1e-9).any():
        raise Invalid("signals must lie in 0..1, or be NaN where missing")
    return logit(rows, LIMIT)


def _spread_weights(odds: Array, weights: Array) -> Array:
    present = np.isfinite(odds)
    there = weights @ present
    added = weights @ np.where(present, odds, 0.0)
    return np.where(there > 0, added * weights.sum() / np.where(there > 0, there, 1.0), 0.0)
