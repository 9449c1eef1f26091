"""Turning what a model claims into how often it is right, learnt from verified answers.

One question here: a draft came with a *confidence*; how probable is it that the draft is right? Four families of curves
answer it, all increasing, so that a surer draft never ranks below a less sure one:

- ``temperature``: one factor on the log-odds (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017);
- ``platt``: a factor and a shift (Platt, "Probabilistic Outputs for Support Vector Machines", 1999);
- ``beta``: a factor for each end and a shift (Kull, Silva Filho, Flach, "Beta calibration", AISTATS 2017);
- ``isotonic``: any increasing step curve (Zadrozny and Elkan, KDD 2002), blended with Platt's while blocks are small.

Cross-validated log loss chooses. A family must beat the simpler ones by more than the difference's standard error, and
before all a Platt curve that hardly leaves its prior: two hundred answers are too few to improve on a model that is
calibrated already. The parameters are held near a prior, so that nothing verified yields the prior, ten answers move it
a little, and a thousand overrule it. :meth:`Calibration.interval` says how uncertain the curve still is.

For a whole row of scores, :func:`fit_temperature` uses all classes at once and needs the fewest answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learning.arrays import Array, Floats, log_softmax, logit, sigmoid
from learning.blend import folds
from learning.metrics import ece
from schemas.errors import Invalid

Method = Literal["temperature", "platt", "beta", "isotonic"]
METHODS: tuple[Method, ...] = ("temperature", "platt", "beta", "isotonic")
VERSION = 1

LIMIT = 1e-4
"""Confidences are kept this far from 0 and 1: a model that claims certainty is not infinitely sure."""
SPREAD = {"slope": 0.7, "shift": 1.0}
"""Standard deviation of the prior: of the logarithm of a factor, and of a shift in log-odds."""
NARROW = 0.2
"""Share of that spread for a Platt curve that keeps close to the prior: what is calibrated already is left nearly alone."""
ENOUGH_TO_CHOOSE = 30
ENOUGH_FOR_STEPS = 100
CLEARLY_BETTER = 0.002
BLOCK_PRIOR = 10.0


@dataclass(frozen=True)
class Prior:
    """What is believed before anything is verified: ``right = sigmoid(slope * logit(confidence) + shift)``.

    The default takes probabilities at their word; :data:`VERBAL` does not.
    """

    slope: float = 1.0
    shift: float = 0.0


VERBAL = Prior(slope=0.5, shift=0.0)
"""For confidences that a language model puts into words: they crowd at .9 and above and are right far less often."""


@dataclass(frozen=True)
class Calibration:
    """A fitted curve. ``n`` answers taught it; ``log_loss`` and ``ece`` are cross-validated, None when there were fewer
    than 30 answers. ``covariance`` belongs to the parameters as they were fitted (Laplace's approximation)."""

    method: Method
    params: dict[str, list[float]]
    n: int = 0
    log_loss: float | None = None
    ece: float | None = None
    covariance: list[list[float]] = field(default_factory=list)

    def apply(self, confidence: ArrayLike) -> Array:
        """Calibrated probabilities (n,) of ``confidence`` (n,)."""
        given = _confidences(confidence)
        if self.method == "isotonic":
            return self._steps(given)
        return sigmoid(_features(self.method, given) @ _coefficients(self.method, self._theta()))

    def interval(self, confidence: ArrayLike, level: float = 0.9) -> Array:
        """Bounds (n, 2) that hold the true probability with ``level`` chance, as far as the family of curves fits."""
        from scipy.stats import norm

        given = _confidences(confidence)
        wide = float(norm.ppf(0.5 + level / 2))
        if self.method == "isotonic":
            p = self._steps(given)
            size = np.interp(given, self.params["x"], self.params["size"]) + BLOCK_PRIOR
            centre = (p + wide**2 / (2 * size)) / (1 + wide**2 / size)
            half = wide / (1 + wide**2 / size) * np.sqrt(p * (1 - p) / size + wide**2 / (4 * size**2))
            return np.clip(np.stack([centre - half, centre + half], axis=1), 0, 1)
        theta = self._theta()
        features = _features(self.method, given)
        slopes = features * _slopes_by_theta(self.method, theta)
        spread = np.sqrt(np.einsum("ni,ij,nj->n", slopes, np.asarray(self.covariance), slopes))
        middle = features @ _coefficients(self.method, theta)
        return np.stack([sigmoid(middle - wide * spread), sigmoid(middle + wide * spread)], axis=1)

    def _theta(self) -> Array:
        return np.asarray(self.params["theta"], dtype=np.float64)

    def _steps(self, given: Array) -> Array:
        return np.interp(given, self.params["x"], self.params["y"])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, with the version of their meaning."""
        return {
            "version": VERSION,
            "method": self.method,
            "params": self.params,
            "n": self.n,
            "log_loss": self.log_loss,
            "ece": self.ece,
            "covariance": self.covariance,
        }

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Self:
        """Read what :meth:`to_dict` made; raises :class:`Invalid` for another version or shape."""
        try:
            if raw["version"] != VERSION or raw["method"] not in METHODS:
                raise ValueError("version or method")
            params = {str(name): [float(v) for v in values] for name, values in raw["params"].items()}
            covariance = [[float(v) for v in row] for row in raw["covariance"]]
            found = cls(raw["method"], params, int(raw["n"]), raw["log_loss"], raw["ece"], covariance)
            found.apply([0.5])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Invalid("these are not calibration parameters that this version can read") from error
        return found


def fit_calibration(
    confidence: ArrayLike,
    right: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    methods: tuple[Method, ...] = METHODS,
    prior: Prior | None = None,
    seed: int = 0,
) -> Calibration:
    """Learn from ``confidence`` (n,) in 0..1 and whether each was ``right`` (n,), n may be 0.

    ``right`` may be a share in 0..1 where people disagree. Below 30 answers Platt's curve is used without a contest;
    isotonic joins at 100.
    """
    given, true = _confidences(confidence), np.asarray(right, dtype=np.float64).ravel()
    weight = np.ones(len(given)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64).ravel()
    if not (len(given) == len(true) == len(weight)):
        raise Invalid(f"{len(given)} confidences, {len(true)} verdicts and {len(weight)} weights do not go together")
    if not np.isfinite(true).all() or ((true < 0) | (true > 1)).any():
        raise Invalid("verdicts must lie in 0..1")
    if not np.isfinite(weight).all() or (weight < 0).any():
        raise Invalid("weights must be finite and not negative")
    if not methods or not set(methods) <= set(METHODS):
        raise Invalid(f"calibration methods are {', '.join(METHODS)}")
    held = prior or Prior()
    n = len(given)
    if n < ENOUGH_TO_CHOOSE:
        simple: Method = "platt" if "platt" in methods else methods[0]
        return _fit_one(simple, given, true, weight, held)
    contest = [
        (m, 1.0) for m in METHODS if m in methods and (m != "isotonic" or n >= ENOUGH_FOR_STEPS or len(methods) == 1)
    ]
    if "platt" in methods:
        contest.insert(0, ("platt", NARROW))
    part = folds((true > 0.5).astype(np.intp), 5 if n < 2_000 else 3, seed)
    winner, losses, winner_said = contest[0], np.full(n, np.inf), given
    for method, width in contest:
        said = np.empty(n)
        for number in range(int(part.max()) + 1):
            learn, ask = part != number, part == number
            said[ask] = _fit_one(method, given[learn], true[learn], weight[learn], held, width).apply(given[ask])
        each = _losses(said, true)
        if not np.isfinite(losses).all() or _is_clearly_less(each, losses, weight):
            winner, losses, winner_said = (method, width), each, said
    fitted = _fit_one(winner[0], given, true, weight, held, winner[1])
    error = ece(winner_said, true)
    loss = float(np.average(losses, weights=weight if weight.any() else None))
    return Calibration(winner[0], fitted.params, n, loss, error, fitted.covariance)


def fit_temperature(
    scores: Floats, truth: ArrayLike, *, prior: float = 1.0, sample_weight: ArrayLike | None = None
) -> float:
    """The T that makes ``softmax(scores / T)`` (n, k) fit ``truth`` (n,), held near ``prior``; n may be 0."""
    from scipy.optimize import minimize_scalar

    rows, labels = np.asarray(scores, dtype=np.float64), np.asarray(truth, dtype=np.intp)
    if rows.ndim != 2 or len(rows) != len(labels) or not np.isfinite(rows).all():
        raise Invalid("scores must be finite, (n, k), one row a label")
    weight = np.ones(len(rows)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)

    def loss(log_t: float) -> float:
        logs = log_softmax(rows, prior * float(np.exp(log_t)))[np.arange(len(labels)), labels]
        return float(-(weight * logs).sum() + 0.5 * (log_t / SPREAD["slope"]) ** 2)

    found = minimize_scalar(loss, bounds=(-4.0, 4.0), method="bounded")
    return prior * float(np.exp(found.x))


# -- one curve ---------------------------------------------------------------------------------------------------------
# Factors are exp(theta), so they stay positive and every curve increases.


def _features(method: Method, given: Array) -> Array:
    if method == "temperature":
        return logit(given, LIMIT)[:, None]
    if method == "platt":
        return np.stack([logit(given, LIMIT), np.ones_like(given)], axis=1)
    p = np.clip(given, LIMIT, 1 - LIMIT)
    return np.stack([np.log(p), -np.log1p(-p), np.ones_like(p)], axis=1)


def _is_factor(method: Method) -> NDArray[np.bool_]:
    return np.array({"temperature": [True], "platt": [True, False], "beta": [True, True, False]}[method])


def _coefficients(method: Method, theta: Array) -> Array:
    return np.where(_is_factor(method), np.exp(theta), theta)


def _slopes_by_theta(method: Method, theta: Array) -> Array:
    return np.where(_is_factor(method), np.exp(theta), 1.0)


def _fit_one(method: Method, given: Array, true: Array, weight: Array, prior: Prior, width: float = 1.0) -> Calibration:
    """The curve of one family; ``width`` scales the spread of the prior."""
    from scipy.optimize import minimize

    if method == "isotonic":
        return _fit_steps(given, true, weight, prior)
    factor = _is_factor(method)
    centre = np.where(factor, np.log(prior.slope), prior.shift)
    hold = 1 / np.where(factor, SPREAD["slope"], SPREAD["shift"]) ** 2 / width**2
    features = _features(method, given)

    def loss(theta: NDArray[Any]) -> tuple[float, NDArray[Any]]:
        mixed = features @ _coefficients(method, theta)
        away = theta - centre
        value = float((weight * (np.logaddexp(0, mixed) - true * mixed)).sum() + 0.5 * (hold * away**2).sum())
        slope = features.T @ (weight * (sigmoid(mixed) - true)) * _slopes_by_theta(method, theta)
        return value, slope + hold * away

    bounds = [(np.log(1e-3), np.log(1e2)) if is_factor else (-20.0, 20.0) for is_factor in factor]
    found = minimize(loss, centre, jac=True, method="L-BFGS-B", bounds=bounds)
    theta = np.asarray(found.x)
    likely = sigmoid(features @ _coefficients(method, theta))
    inner = features * _slopes_by_theta(method, theta)
    curvature = inner.T @ (inner * (weight * likely * (1 - likely))[:, None]) + np.diag(hold)
    covariance = np.linalg.inv(curvature)
    return Calibration(method, {"theta": theta.tolist()}, len(given), covariance=cast(Any, covariance.tolist()))


def _fit_steps(given: Array, true: Array, weight: Array, prior: Prior) -> Calibration:
    """Isotonic blocks, each pulled towards Platt's curve by ten answers' worth, joined by straight lines."""
    from scipy.optimize import isotonic_regression

    smooth = _fit_one("platt", given, true, weight, prior)
    counted = np.flatnonzero(weight > 0)
    order = counted[np.argsort(given[counted], kind="stable")]
    x, first = np.unique(given[order], return_index=True)
    mass = np.add.reduceat(weight[order], first) if len(order) else np.zeros(0)
    share = np.add.reduceat(weight[order] * true[order], first) / mass if len(order) else np.zeros(0)
    if not len(x):
        x, mass, share = np.array([0.0, 1.0]), np.zeros(2), smooth.apply([0.0, 1.0])
    else:
        level = isotonic_regression(share, weights=mass).x
        block = np.cumsum(np.concatenate([[True], np.diff(level) > 0])) - 1
        size = np.bincount(block, weights=mass)
        x = np.bincount(block, weights=mass * x) / size
        share, mass = np.bincount(block, weights=mass * level) / size, size
    y = (mass * share + BLOCK_PRIOR * smooth.apply(x)) / (mass + BLOCK_PRIOR)
    grid = {"x": x.tolist(), "y": np.maximum.accumulate(y).tolist(), "size": mass.tolist()}
    return Calibration("isotonic", grid, len(given))


def _losses(said: Array, true: Array) -> Array:
    """Log loss (n,) of each answer."""
    p = np.clip(said, LIMIT, 1 - LIMIT)
    return np.asarray(-(true * np.log(p) + (1 - true) * np.log1p(-p)))


def _is_clearly_less(ours: Array, theirs: Array, weight: Array) -> bool:
    """Whether losses are smaller by more than their difference's standard error, and enough to matter."""
    counted = weight if weight.any() else np.ones(len(ours))
    difference = theirs - ours
    gain = float(np.average(difference, weights=counted))
    spread = float(np.average((difference - gain) ** 2, weights=counted))
    return gain > max(CLEARLY_BETTER, float(np.sqrt(spread * (counted**2).sum())) / float(counted.sum()))


def _confidences(values: ArrayLike) -> Array:
    given = np.asarray(values, dtype=np.float64).ravel()
    if not np.isfinite(given).all() or ((given < -1e-9) | (given > 1 + 1e-9)).any():
        raise Invalid("confidences must lie in 0..1")
    return np.clip(given, 0, 1)
