"""How good answers and probabilities are: accuracy and F1, calibration error, proper scores, ranking, spans.

Everywhere ``truth`` (n,) are class indexes, ``probabilities`` (n, k), ``confidence`` (n,) the probability given to the
answer and ``right`` (n,) whether it was right. An empty input raises ``no-training-data``: there is no such number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learning.arrays import SMALLEST, Array
from schemas.errors import Invalid, error_of

Place = tuple[int, int, str]
"""A span: start, end (exclusive), label."""


class ReliabilityBin(NamedTuple):
    """One row of a reliability table: confidences in [low, high], how many (size), their mean, and the share right."""

    low: float
    high: float
    size: int
    confidence: float
    accuracy: float


class SpanScore(NamedTuple):
    """Strict span scores: a span counts only if start, end and label all agree."""

    precision: float
    recall: float
    f1: float
    support: int


def accuracy(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Share of ``predicted`` (n,) that equals ``truth`` (n,)."""
    a, b = _pair(truth, predicted)
    return float((a == b).mean())


def macro_f1(truth: ArrayLike, predicted: ArrayLike, classes: int | None = None) -> float:
    """Mean F1 over the classes that occur in either input, or over 0..``classes``-1 (an absent class scores 0)."""
    a, b = _pair(truth, predicted)
    labels = np.unique(np.concatenate([a, b])) if classes is None else np.arange(classes)
    scores = []
    for label in labels:
        hits = int(((a == label) & (b == label)).sum())
        total = int((a == label).sum() + (b == label).sum())
        scores.append(2 * hits / total if total else 0.0)
    return float(np.mean(scores))


def ece(
    confidence: ArrayLike, right: ArrayLike, *, bins: int = 15, kind: Literal["width", "adaptive"] = "width"
) -> float:
    """Expected calibration error: mean gap between confidence and accuracy, weighted by the size of the bin.

    Bins of equal width (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017) or, ``adaptive``, of equal
    size (Nixon et al., "Measuring Calibration in Deep Learning", 2019).
    """
    table = reliability(confidence, right, bins=bins, kind=kind)
    total = sum(row.size for row in table)
    return float(sum(row.size * abs(row.confidence - row.accuracy) for row in table) / total)


def reliability(
    confidence: ArrayLike, right: ArrayLike, *, bins: int = 15, kind: Literal["width", "adaptive"] = "width"
) -> list[ReliabilityBin]:
    """The non-empty bins behind :func:`ece`, from low to high confidence."""
    given, true = _probabilities(confidence), np.asarray(right, dtype=np.float64).ravel()
    _same_length(given, true)
    order = np.argsort(given, kind="stable")
    if kind == "width":
        places = np.minimum((given * bins).astype(int), bins - 1)
        groups = [np.flatnonzero(places == place) for place in range(bins)]
        edges = [(place / bins, (place + 1) / bins) for place in range(bins)]
    else:
        groups = [np.asarray(part) for part in np.array_split(order, min(bins, len(order)))]
        edges = [(float(given[part].min()), float(given[part].max())) for part in groups]
    return [
        ReliabilityBin(low, high, len(part), float(given[part].mean()), float(true[part].mean()))
        for (low, high), part in zip(edges, groups, strict=True)
        if len(part)
    ]


def brier(probabilities: ArrayLike, truth: ArrayLike) -> float:
    """Mean squared distance between ``probabilities`` (n, k) and the truth, 0..2; or, given (n,) confidences and
    whether they were right, the binary score, 0..1 (Brier, Monthly Weather Review 78, 1950)."""
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim == 1:
        true = np.asarray(truth, dtype=np.float64)
        _same_length(p, true)
        return float(((p - true) ** 2).mean())
    return float(((p - _one_hot(truth, p.shape)) ** 2).sum(axis=1).mean())


def log_loss(probabilities: ArrayLike, truth: ArrayLike) -> float:
    """Mean negative log-probability of the truth, in nats; the inputs are as in :func:`brier`."""
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim == 1:
        true = np.asarray(truth, dtype=np.float64)
        _same_length(p, true)
        p = np.clip(p, SMALLEST, 1 - SMALLEST)
        return float(-(true * np.log(p) + (1 - true) * np.log1p(-p)).mean())
    return float(-(_one_hot(truth, p.shape) * np.log(np.maximum(p, SMALLEST))).sum(axis=1).mean())


def auroc(scores: ArrayLike, positive: ArrayLike) -> float:
    """Chance that a positive has a higher score than a negative (ties count half). NaN when only one kind occurs."""
    from scipy.stats import rankdata

    s, is_positive = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    _same_length(s, is_positive)
    ups, downs = int(is_positive.sum()), int((~is_positive).sum())
    if not ups or not downs:
        return float("nan")
    return float((rankdata(s)[is_positive].sum() - ups * (ups + 1) / 2) / (ups * downs))


def span_score(truth: Sequence[Iterable[Place]], predicted: Sequence[Iterable[Place]]) -> SpanScore:
    """Strict micro precision, recall and F1 of ``predicted`` spans against ``truth``, one list of spans a text.

    A span predicted twice counts once. With no span on either side every score is 1.
    """
    if len(truth) != len(predicted):
        raise Invalid(f"{len(truth)} texts of truth but {len(predicted)} of predictions")
    hits = found = wanted = 0
    for ours, theirs in zip(truth, predicted, strict=True):
        true_spans, given = set(ours), set(theirs)
        hits, found, wanted = hits + len(true_spans & given), found + len(given), wanted + len(true_spans)
    precision = hits / found if found else float(wanted == 0)
    recall = hits / wanted if wanted else float(found == 0)
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return SpanScore(precision, recall, f1, wanted)


def _pair(truth: ArrayLike, predicted: ArrayLike) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    a, b = np.asarray(truth), np.asarray(predicted)
    _same_length(a, b)
    return a, b


def _same_length(a: NDArray[np.generic], b: NDArray[np.generic]) -> None:
    if a.shape[:1] != b.shape[:1]:
        raise Invalid(f"{len(a)} values cannot be compared with {len(b)}")
    if not len(a):
        raise error_of("no-training-data", "There is nothing to measure: the input is empty.")


def _probabilities(values: ArrayLike) -> Array:
    p = np.asarray(values, dtype=np.float64).ravel()
    if not np.isfinite(p).all() or (p < -1e-9).any() or (p > 1 + 1e-9).any():
        raise Invalid("confidences must lie in 0..1")
    return np.clip(p, 0, 1)


def _one_hot(truth: ArrayLike, shape: tuple[int, ...]) -> Array:
    labels = np.asarray(truth)
    if len(labels) != shape[0]:
        raise Invalid(f"{shape[0]} rows of probabilities but {len(labels)} labels")
    if not len(labels):
        raise error_of("no-training-data", "There is nothing to measure: the input is empty.")
    if labels.min() < 0 or labels.max() >= shape[1]:
        raise Invalid(f"labels must lie in 0..{shape[1] - 1}")
    return np.asarray(np.eye(shape[1])[labels])
