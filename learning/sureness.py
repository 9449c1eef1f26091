"""How probable a model's draft is right: one curve over what it claims, blended with other signs where gold says so.

The curve (:mod:`learning.calibration`) is always fitted. The blend (:mod:`learning.signals`) adds what else is known of
a draft, such as the student's opinion of it; it is used only if it predicts verdicts that it has not seen clearly
better than the curve alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from learning.arrays import Array, logit, one_thread, sigmoid
from learning.blend import folds
from learning.calibration import CLEARLY_BETTER, LIMIT, Calibration, Prior, fit_calibration
from learning.metrics import auroc, ece, log_loss
from learning.signals import SignalBlend, fit_signals
from schemas.errors import Invalid

CLAIMED = "claimed"
"""The calibrated confidence, as one of the signals of a blend."""
ENOUGH_TO_BLEND = 40
"""Verdicts on drafts that have a second sign, before a blend is tried."""
FOLDS = 5


@dataclass(frozen=True)
class Sureness:
    """A fitted curve, and a blend where it was found to be better. ``metrics``: cross-validated ``log_loss``, ``ece``
    and ``auroc`` of what is in force, and ``raw_ece`` of the confidence as claimed; empty below 30 verdicts."""

    curve: Calibration
    blend: SignalBlend | None
    metrics: dict[str, float]

    def apply(self, confidence: ArrayLike, signals: Mapping[str, ArrayLike] | None = None) -> Array:
        """Probabilities (n,) of being right, from ``confidence`` (n,) and ``signals`` (n,) each, NaN where missing."""
        told = self.curve.apply(confidence)
        if self.blend is None:
            return told
        return self.blend.apply({**(signals or {}), CLAIMED: told})

    def interval(
        self, confidence: ArrayLike, signals: Mapping[str, ArrayLike] | None = None, level: float = 0.9
    ) -> Array:
        """Bounds (n, 2) of those probabilities: the curve's, moved to where the blend is."""
        bounds = self.curve.interval(confidence, level)
        if self.blend is None:
            return bounds
        moved = logit(self.apply(confidence, signals), LIMIT) - logit(self.curve.apply(confidence), LIMIT)
        return sigmoid(logit(bounds, LIMIT) + moved[:, None])

    @classmethod
    def from_dicts(
        cls, curve: dict[str, Any], blend: Mapping[str, Any] | None, metrics: Mapping[str, float] | None = None
    ) -> Self:
        """Read what was stored of a curve and a blend. Raises :class:`Invalid` for another version."""
        return cls(Calibration.from_dict(curve), SignalBlend.from_dict(blend) if blend else None, dict(metrics or {}))


def fit_sureness(
    confidence: ArrayLike,
    right: ArrayLike,
    signals: Mapping[str, ArrayLike] | None = None,
    *,
    prior: Prior | None = None,
    seed: int = 0,
) -> Sureness:
    """Learn from ``confidence`` (n,), whether the drafts were ``right`` (n,), and other ``signals`` of them (n,) each,
    NaN where missing; n may be 0, and then the prior answers."""
    given, true = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=np.float64)
    others = {name: np.asarray(values, dtype=np.float64) for name, values in (signals or {}).items()}
    if any(len(values) != len(given) for values in others.values()):
        raise Invalid("signals must have one value a draft")
    with one_thread():
        return _fit(given, true, others, prior or Prior(), seed)


def _fit(given: Array, true: Array, others: Mapping[str, Array], held: Prior, seed: int) -> Sureness:
    curve = fit_calibration(given, true, prior=held)
    if curve.log_loss is None:
        return Sureness(curve, None, {})
    useful = [name for name, values in others.items() if np.isfinite(values).sum() >= ENOUGH_TO_BLEND]
    alone = _unseen(given, true, {}, (), held, seed)
    said, blend = alone, None
    if useful:
        both = _unseen(given, true, others, useful, held, seed)
        if log_loss(both, true) < log_loss(alone, true) - CLEARLY_BETTER:
            said = both
            blend = fit_signals({CLAIMED: curve.apply(given), **{name: others[name] for name in useful}}, true)
    metrics = {"log_loss": log_loss(said, true), "ece": ece(said, true), "raw_ece": ece(given, true)}
    if 0 < true.sum() < len(true):
        metrics["auroc"] = auroc(said, true > 0.5)
    return Sureness(curve, blend, {name: round(float(value), 5) for name, value in metrics.items()})


def _unseen(
    given: Array, true: Array, others: Mapping[str, Array], names: Sequence[str], prior: Prior, seed: int
) -> Array:
    """Probabilities of drafts that the curve, and the blend of these names, have not learnt from."""
    part = folds((true > 0.5).astype(np.intp), FOLDS, seed)
    said = np.empty(len(given))
    for number in range(FOLDS):
        learn, ask = part != number, part == number
        if not ask.any():
            continue
        curve = fit_calibration(given[learn], true[learn], prior=prior)
        told = curve.apply(given[ask])
        if names:
            known = {CLAIMED: curve.apply(given[learn]), **{name: others[name][learn] for name in names}}
            told = fit_signals(known, true[learn]).apply({CLAIMED: told, **{name: others[name][ask] for name in names}})
        said[ask] = told
    return said
