"""Tests that may be looked at after every item, for ever, without raising more false alarms than promised.

An e-process is the wealth of somebody who bets against a hypothesis: it starts at 1 and, if the hypothesis is true,
reaches 1/δ with probability at most δ, however often one looks (Ville 1939; Ramdas, Grünwald, Vovk & Shafer, *Game-theoretic
statistics and safe anytime-valid inference*, Statistical Science 2023). Bets here are Kelly bets on a grid of stakes,
averaged (Waudby-Smith & Ramdas, *Estimating means of bounded random variables by betting*, JRSS B 2024).

A licence that was right for a thousand items and then breaks would have to lose all its winnings first; so part of the
capital is kept back and a fresh bet starts every so often. A convex combination of e-processes is one again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from learning.checks import Floats, check_count, check_share
from schemas.errors import Invalid

STAKES = np.array([0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9])
"""Shares of the largest stake that cannot ruin."""


@dataclass(frozen=True)
class Evidence:
    """The wealth after each observation, and whether it ever reached ``threshold`` = 1/δ."""

    wealth: Floats
    """(t,) e-values; 20 is as rare under the hypothesis as p = 0.05."""
    threshold: float
    alarm_at: int | None
    """Index of the first observation at which the threshold was reached."""

    @property
    def alarm(self) -> bool:
        """Whether the hypothesis is rejected."""
        return self.alarm_at is not None


def evidence_above(values: ArrayLike, limit: float, *, delta: float = 0.05, restart: int = 50) -> Evidence:
    """Evidence that the mean of ``values`` (t,), each in 0..1 and in order of arrival, is above ``limit``.

    The hypothesis is that every value's mean, given the past, is at most ``limit``; values need not be independent. A
    fresh bet starts every ``restart`` values, so that a late break is found nearly as soon as an early one.
    """
    observed = np.asarray(values, dtype=np.float64)
    if observed.ndim != 1 or not np.isfinite(observed).all() or (observed < 0).any() or (observed > 1).any():
        raise Invalid("a sequential test takes a row of numbers between 0 and 1")
    check_share(limit, "the limit")
    check_share(delta, "delta")
    check_count(restart, "restart", least=1)
    if not len(observed):
        return Evidence(np.zeros(0), 1 / delta, None)
    # A stake λ turns the wealth by 1 + λ (value − limit), which stays positive while λ < 1 / limit.
    steps = np.log1p(STAKES[:, None] / limit * (observed - limit))
    grown = np.concatenate([np.zeros((len(STAKES), 1)), np.cumsum(steps, axis=1)], axis=1)
    starts = np.arange(0, len(observed), restart)
    # Weights 1/((b+1)(b+2)) sum to one over all starts to come; what has not started yet is worth its weight.
    weights = 1.0 / ((np.arange(len(starts)) + 1.0) * (np.arange(len(starts)) + 2.0))
    wealth = np.zeros(len(observed))
    for weight, start in zip(weights, starts, strict=True):
        gains = np.exp(np.minimum(grown[:, start + 1 :] - grown[:, start : start + 1], 700.0)).mean(axis=0)
        wealth[start:] += weight * gains
    begun = np.cumsum(weights)[np.arange(len(observed)) // restart]
    wealth += 1.0 - begun
    reached = np.flatnonzero(wealth >= 1.0 / delta)
    return Evidence(wealth, 1.0 / delta, int(reached[0]) if len(reached) else None)


@dataclass(frozen=True)
class Monitoring:
    """What the continued audit of a licence says."""

    revoked: bool
    revoked_at: int | None
    """Index of the audited item that broke the licence."""
    evidence: float
    """The largest e-value so far; the licence is revoked at ``threshold``."""
    threshold: float
    audited: int
    errors: int
    reason: str


def monitor_licence(wrong: ArrayLike, *, alpha: float, delta: float = 0.05, restart: int = 50) -> Monitoring:
    """Keep auditing a random share of the accepted drafts: ``wrong`` (t,) in order of the audit; is the licence broken?

    While at most ``alpha`` of the accepted drafts are wrong, the chance that it is ever revoked is at most ``delta``.
    """
    outcomes = np.asarray(wrong)
    if outcomes.dtype != bool and not np.isin(outcomes, (0, 1)).all():
        raise Invalid("every outcome of an audit is right or wrong: 1 or 0")
    evidence = evidence_above(outcomes.astype(np.float64), alpha, delta=delta, restart=restart)
    most = float(evidence.wealth.max()) if len(evidence.wealth) else 1.0
    errors = int(outcomes.sum())
    if evidence.alarm_at is not None:
        seen = evidence.alarm_at + 1
        reason = (
            f"after {seen} audited drafts, {int(outcomes[:seen].sum())} of them wrong, an error of at most {alpha:.1%} "
            f"is no longer credible (evidence {1 / delta:.0f} to 1): licence revoked"
        )
    else:
        reason = f"{errors} of {len(outcomes)} audited drafts were wrong; the licence stands"
    return Monitoring(evidence.alarm, evidence.alarm_at, most, evidence.threshold, len(outcomes), errors, reason)
