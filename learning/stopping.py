"""When to stop labelling: what the next labels are expected to buy, in points, labels, hours and USD.

Accuracy over the number of labels follows a power law a − b·n^(−c) (Frey & Fisher, *Modeling decision tree performance
with the power law*, AISTATS 1999; Figueroa et al., *Predicting sample size required for classification performance*,
BMC Medical Informatics 12, 2012). A handful of Student versions does not settle three parameters, so none is chosen:
every curve on a grid counts by its likelihood, and what they say together comes with an interval. With one version the
interval is wide, and nobody is told to stop.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learning.checks import check_count, check_numbers, check_share, check_unit
from schemas.errors import Invalid, error_of

Array = NDArray[np.float64]

NOISE = 0.01
"""Standard deviation that a measured accuracy is believed to have before any is seen: one point …"""
NOISE_POINTS = 3.0
"""… with the weight of so many measurements."""
LEVELS, CEILINGS, SLOPES = 41, 49, 33
"""Sizes of the grid: accuracy now, ceiling, exponent."""
SLOPE_RANGE = (0.1, 2.0)
"""Exponents met in practice lie in .2 to 1 (Viering & Loog, *The shape of learning curves*, PAMI 45, 2023)."""


@dataclass(frozen=True)
class Estimate:
    """A number and the interval it lies in."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class LearningCurve:
    """All the power laws that explain the measurements, and how well each does."""

    trained_on: int
    """Labels behind the last measurement."""
    measured: int
    level: float
    weight: Array
    """(curves,), sums to 1."""
    now: Array
    """Accuracy of each curve at ``trained_on``."""
    ceiling: Array
    slope: Array

    def accuracy_at(self, labels: int) -> Estimate:
        """Expected accuracy of a Student trained on ``labels``, no fewer than the last one was."""
        labels = check_count(labels, "labels", least=self.trained_on)
        return self._said(self.ceiling - (self.ceiling - self.now) * (labels / self.trained_on) ** -self.slope)

    def gain(self, labels: int) -> Estimate:
        """Accuracy (0..1) expected from ``labels`` more; never negative."""
        more = check_count(labels, "labels")
        left = ((self.trained_on + more) / self.trained_on) ** -self.slope
        return self._said((self.ceiling - self.now) * (1.0 - left))

    def best(self) -> Estimate:
        """The accuracy that no number of labels takes this model past."""
        return self._said(self.ceiling)

    def labels_for(self, accuracy: float, most: int = 1_000_000) -> int | None:
        """How many labels more until ``accuracy`` is expected; None when not even ``most`` are enough."""
        check_share(accuracy, "the accuracy wanted")
        low, high = -1, check_count(most, "the most labels")
        if self.accuracy_at(self.trained_on + high).value < accuracy:
            return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (
                (low, middle) if self.accuracy_at(self.trained_on + middle).value >= accuracy else (middle, high)
            )
        return high

    def _said(self, values: Array) -> Estimate:
        order = np.argsort(values)
        reached = np.cumsum(self.weight[order])
        tail = (1.0 - self.level) / 2
        low, high = values[order][np.minimum(np.searchsorted(reached, [tail, 1.0 - tail]), len(values) - 1)]
        mean = float(np.clip(self.weight @ values, values.min(), values.max()))
        return Estimate(mean, float(low), float(high))


@dataclass(frozen=True)
class StoppingReport:
    """What the next labels buy. Points are hundredths of accuracy."""

    labels: int
    points: Estimate
    hours: float
    usd: float
    accuracy: Estimate
    """Now, the curve's word rather than the last measurement's."""
    ceiling: Estimate
    stop: bool
    """Even the upper end of the interval buys no more than was said to be worth it."""
    reason: str


def fit_learning_curve(
    trained_on: ArrayLike, accuracy: ArrayLike, *, tested_on: ArrayLike | None = None, level: float = 0.9
) -> LearningCurve:
    """The curve through Student versions: ``trained_on`` (n,) labels gave ``accuracy`` (n,), in any order.

    ``tested_on`` (n,): items behind each accuracy (for cross-validation those trained on); small tests count less.
    Raises :class:`Invalid` for NaN, accuracies outside 0..1 and versions trained on nothing, ``no-training-data`` for
    none.
    """
    check_share(level, "the level of the interval")
    labels = check_numbers(trained_on, what="numbers of labels")
    measured = check_unit(accuracy, len(labels), "accuracies")
    if not len(labels):
        raise error_of("no-training-data", "No version of the Student has been measured yet.")
    if labels.min() < 1:
        raise Invalid("a version was trained on less than one label")
    tests = labels if tested_on is None else check_numbers(tested_on, len(labels), "test sizes")
    if tests.min() < 1:
        raise Invalid("an accuracy was measured on less than one item")
    last = float(labels.max())

    # Two more right and two more wrong: a perfect score on five items is not free of doubt (Agresti & Coull, 1998).
    shrunk = (measured * tests + 2.0) / (tests + 4.0)
    variance = shrunk * (1.0 - shrunk) / tests
    share = NOISE**2 / (NOISE**2 + variance)
    spread = 4.0 * float(np.sqrt(1.0 / (1.0 / (variance + NOISE**2)).max()))
    at_last = measured[np.argmax(labels)]
    now = np.unique(np.clip(np.linspace(at_last - spread, measured.max() + spread, LEVELS), 0.0, 1.0))
    # Ceilings crowd near the accuracy reached, where a difference decides about stopping.
    rise = np.linspace(0.0, 1.0, CEILINGS) ** 2
    slope = np.geomspace(*SLOPE_RANGE, SLOPES)
    y, r, c = (grid.ravel() for grid in np.meshgrid(now, rise, slope, indexing="ij"))
    top = y + (1.0 - y) * r
    squares = np.zeros(len(y))
    for count, value, trust in zip(labels, measured, share, strict=True):
        squares += trust * (top - (top - y) * (count / last) ** -c - value) ** 2
    # Student's t in place of the normal: the noise is estimated along with the curve.
    freedom = NOISE_POINTS + float(share.sum())
    log_weight = -0.5 * freedom * np.log(squares + NOISE_POINTS * NOISE**2)
    # A grid in the square root of the rise is dense at 0; its prior must not be.
    log_weight += np.log(np.sqrt(r) + 0.5 / CEILINGS)
    weight = np.exp(log_weight - log_weight.max())
    return LearningCurve(int(last), len(labels), level, weight / weight.sum(), y, top, c)


def stopping_report(
    curve: LearningCurve,
    labels: int = 500,
    *,
    seconds_per_label: float = 0.0,
    usd_per_hour: float = 0.0,
    usd_per_label: float = 0.0,
    worth: float = 0.3,
) -> StoppingReport:
    """What ``labels`` more buy and cost; ``stop`` when they are worth ``worth`` points or less for certain (at the
    curve's level). ``usd_per_label`` is what models take, ``usd_per_hour`` what people do."""
    labels = check_count(labels, "labels", least=1)
    rates = check_numbers([seconds_per_label, usd_per_hour, usd_per_label, worth], what="rates")
    if rates.min() < 0:
        raise Invalid("seconds, USD and points must not be negative")
    gain = curve.gain(labels)
    points = Estimate(100 * gain.value, 100 * gain.low, 100 * gain.high)
    hours = labels * seconds_per_label / 3600
    usd = hours * usd_per_hour + labels * usd_per_label
    stop = points.high <= worth
    price = ", ".join(
        words for words, there in ((f"{hours:,.1f} hours", hours > 0), (f"{usd:,.2f} USD", usd > 0)) if there
    )
    versions = "one measured version" if curve.measured == 1 else f"{curve.measured} measured versions"
    bought = f"≤ {points.high:.1f} points" if stop else f"{points.value:.1f} points"
    reason = (
        f"the next {labels:,} labels{f' ({price})' if price else ''} are expected to buy {bought} "
        f"({curve.level:.0%} interval {points.low:.1f} to {points.high:.1f}, from {versions})"
    )
    return StoppingReport(labels, points, hours, usd, curve.accuracy_at(curve.trained_on), curve.best(), stop, reason)
