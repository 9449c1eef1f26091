"""Agreement on classes and numbers: Cohen's kappa, weighted kappa, Fleiss' kappa, Krippendorff's alpha.

Answers are a matrix (n, m): a row an item, a column an annotator, a class index, −1 where the annotator did not answer
(for numbers: NaN). :meth:`learning.frames.Answers.matrix` makes one. Only items with two answers or more count. When
everybody chose one and the same class, chance alone explains the agreement and the coefficients are undefined: the
value is None, the reason says so, and ``observed`` still tells the plain share.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from learning.agreement.estimate import Agreement, Array, estimate, nothing_shared
from learning.checks import Ints, check_count
from schemas.errors import Invalid

Weights = Literal["none", "linear", "quadratic"]

ONE_CLASS = "all answers name the same class, so chance explains the whole agreement"


class Pair(NamedTuple):
    """Two annotators (columns of the matrix) and Cohen's kappa between them."""

    first: int
    second: int
    agreement: Agreement


def cohen_kappa(
    first: ArrayLike,
    second: ArrayLike,
    classes: int,
    *,
    weights: Weights = "none",
    samples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Agreement:
    """Kappa of two annotators (n,), −1 for no answer (Cohen, Educational and Psychological Measurement 20, 1960).

    ``weights`` make near misses count less, for classes in an order (Cohen, Psychological Bulletin 70, 1968).
    Raises :class:`Invalid` for classes out of range, ``no-training-data`` when no item has both answers.
    """
    pair = np.stack([_column(first, classes), _column(second, classes, len(np.asarray(first)))], axis=1)
    pair = pair[(pair >= 0).all(axis=1)]
    if not len(pair):
        raise nothing_shared()
    if weights not in ("none", "linear", "quadratic"):
        raise Invalid(f"weights must be none, linear or quadratic, not {weights!r}")
    # Only the classes that occur: the table has k² cells. The gaps between them must survive.
    named = np.unique(pair)
    k = len(named)
    gap = np.abs(named[:, None] - named[None, :]).astype(np.float64)
    cost = {"none": (gap > 0).astype(np.float64), "linear": gap, "quadratic": gap**2}[weights]
    cells = np.searchsorted(named, pair)
    sums = np.zeros((len(pair), 1 + 2 * k))
    at = np.arange(len(pair))
    sums[:, 0] = cost[cells[:, 0], cells[:, 1]]
    sums[at, 1 + cells[:, 0]] = 1.0
    sums[at, 1 + k + cells[:, 1]] = 1.0

    def value(total: Array) -> Array:
        left, right = total[:, 1 : 1 + k], total[:, 1 + k :]
        expected = ((left @ cost) * right).sum(axis=1) / left.sum(axis=1)
        return np.asarray(1.0 - total[:, 0] / np.where(expected > 0, expected, np.nan))

    return estimate(
        "cohen" if weights == "none" else f"cohen-{weights}",
        sums,
        value,
        answers=2 * len(pair),
        undefined=ONE_CLASS,
        observed=float((pair[:, 0] == pair[:, 1]).mean()),
        samples=samples,
        level=level,
        seed=seed,
    )


def pairwise_kappa(
    answers: ArrayLike, classes: int, *, weights: Weights = "none", samples: int = 0, least: int = 1
) -> list[Pair]:
    """Cohen's kappa of every two annotators who share ``least`` items or more, in the order of the columns."""
    matrix = _matrix(answers, classes)
    given = matrix >= 0
    found = []
    for first in range(matrix.shape[1]):
        shared = (given[:, first, None] & given).sum(axis=0)
        for second in range(first + 1, matrix.shape[1]):
            if shared[second] >= max(1, least):
                kappa = cohen_kappa(matrix[:, first], matrix[:, second], classes, weights=weights, samples=samples)
                found.append(Pair(first, second, kappa))
    return found


def fleiss_kappa(counts: ArrayLike, *, samples: int = 1000, level: float = 0.95, seed: int = 0) -> Agreement:
    """Kappa of many annotators from ``counts`` (n, k): how often each class was given to each item.

    Fleiss, Psychological Bulletin 76, 1971. Items may have different numbers of answers: an item's agreement is over
    its own pairs, chance over all answers (Gwet, *Handbook of Inter-Rater Reliability*, 2014, section 2.4).
    """
    table = _shared(counts)
    n = table.sum(axis=1)
    own = (table * (table - 1)).sum(axis=1) / (n * (n - 1))
    sums = np.column_stack([own, np.ones(len(table)), table])

    def value(total: Array) -> Array:
        observed = total[:, 0] / total[:, 1]
        share = total[:, 2:] / total[:, 2:].sum(axis=1, keepdims=True)
        expected = (share**2).sum(axis=1)
        return np.asarray((observed - expected) / np.where(expected < 1 - 1e-12, 1 - expected, np.nan))

    return estimate(
        "fleiss",
        sums,
        value,
        answers=int(n.sum()),
        undefined=ONE_CLASS,
        observed=float(own.mean()),
        samples=samples,
        level=level,
        seed=seed,
    )


def krippendorff_alpha(counts: ArrayLike, *, samples: int = 1000, level: float = 0.95, seed: int = 0) -> Agreement:
    """Alpha for classes from ``counts`` (n, k), any number of annotators, answers missing anywhere.

    Krippendorff, *Computing Krippendorff's Alpha-Reliability*, 2011 (nominal data, example C).
    """
    table = _shared(counts)
    n = table.sum(axis=1)
    apart = (n**2 - (table**2).sum(axis=1)) / (n - 1)
    sums = np.column_stack([apart, table])

    def value(total: Array) -> Array:
        all_answers = total[:, 1:].sum(axis=1)
        expected = (all_answers**2 - (total[:, 1:] ** 2).sum(axis=1)) / (all_answers - 1)
        return np.asarray(1.0 - total[:, 0] / np.where(expected > 0, expected, np.nan))

    pairs = (table * (table - 1)).sum(axis=1) / (n * (n - 1))
    return estimate(
        "krippendorff-nominal",
        sums,
        value,
        answers=int(n.sum()),
        undefined=ONE_CLASS,
        observed=float(pairs.mean()),
        samples=samples,
        level=level,
        seed=seed,
    )


def krippendorff_alpha_interval(
    values: ArrayLike, *, samples: int = 1000, level: float = 0.95, seed: int = 0
) -> Agreement:
    """Alpha for numbers (n, m) on a scale with equal steps, NaN where an annotator did not answer (ibid., interval
    data): 1 − the squared differences within items over those between any two answers.
    """
    try:
        matrix = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise Invalid("values must be numbers in rows of one length, NaN for no answer") from error
    if matrix.ndim != 2:
        raise Invalid(f"values must be a matrix (items, annotators), not of shape {matrix.shape}")
    if np.isinf(matrix).any():
        row = int(np.flatnonzero(np.isinf(matrix).any(axis=1))[0])
        raise Invalid(f"values hold infinity in row {row}", row=row)
    given = ~np.isnan(matrix)
    keep = given.sum(axis=1) >= 2
    if not keep.any():
        raise nothing_shared()
    matrix, given = matrix[keep], given[keep]
    low, high = float(matrix[given].min()), float(matrix[given].max())
    # Alpha knows neither zero nor unit of the scale; near zero the squares lose no digits, at one they cannot overflow.
    unit = (high / 2 - low / 2) or 1.0
    x = np.where(given, (matrix - (low / 2 + high / 2)) / unit, 0.0)
    n, first, second = given.sum(axis=1).astype(np.float64), x.sum(axis=1), (x**2).sum(axis=1)
    apart = np.maximum(n * second - first**2, 0.0) / (n - 1)
    sums = np.column_stack([apart, n, first, second])

    def value(total: Array) -> Array:
        inside, count, one, two = total.T
        expected = (count * two - one**2) / (count - 1)
        return np.asarray(1.0 - inside / np.where(expected > 1e-12 * count, expected, np.nan))

    return estimate(
        "krippendorff-interval",
        sums,
        value,
        answers=int(n.sum()),
        undefined="all answers are the same number, so chance explains the whole agreement",
        samples=samples,
        level=level,
        seed=seed,
    )


def answer_counts(answers: ArrayLike, classes: int) -> Ints:
    """``answers`` (n, m), −1 for none, as counts (n, k), for :func:`fleiss_kappa` and :func:`krippendorff_alpha`."""
    matrix = _matrix(answers, classes)
    row, column = np.nonzero(matrix >= 0)
    flat = np.bincount(row * classes + matrix[row, column], minlength=len(matrix) * classes)
    return np.asarray(flat.reshape(len(matrix), classes), dtype=np.int64)


def _column(values: ArrayLike, classes: int, rows: int | None = None) -> Ints:
    column = np.asarray(values)
    if column.ndim != 1 or (rows is not None and len(column) != rows):
        raise Invalid(f"two annotators need one answer an item each, not {column.shape} for {rows} items")
    return _matrix(column[:, None], classes)[:, 0]


def _matrix(answers: ArrayLike, classes: int) -> Ints:
    classes = check_count(classes, "the number of classes", least=1)
    try:
        matrix = np.asarray(answers)
    except ValueError as error:
        raise Invalid("answers must be rows of one length") from error
    if matrix.ndim != 2:
        raise Invalid(f"answers must be a matrix (items, annotators), not of shape {matrix.shape}")
    if not matrix.size:
        return np.zeros(matrix.shape, np.int64)
    if matrix.dtype.kind not in "iuf":
        raise Invalid(f"answers must be class indices, −1 for none, not {matrix.dtype}")
    bad = ~np.isfinite(matrix) | (matrix != np.floor(matrix)) | (matrix < -1) | (matrix >= classes)
    if bad.any():
        row, column = (int(place) for place in np.argwhere(bad)[0])
        raise Invalid(f"row {row} holds {matrix[row, column]!r}: neither a class 0..{classes - 1} nor −1", row=row)
    return np.asarray(matrix, dtype=np.int64)


def _shared(counts: ArrayLike) -> Array:
    """The rows of ``counts`` with two answers or more, without the classes nobody chose."""
    try:
        table = np.asarray(counts, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise Invalid("counts must be numbers in rows of one length") from error
    if table.ndim != 2:
        raise Invalid(f"counts must be a matrix (items, classes), not of shape {table.shape}")
    bad = ~np.isfinite(table) | (table < 0) | (table != np.floor(table))
    if bad.any():
        row = int(np.argwhere(bad)[0][0])
        raise Invalid(f"counts in row {row} are not whole numbers of answers", row=row)
    table = table[table.sum(axis=1) >= 2]
    if not len(table):
        raise nothing_shared()
    return np.asarray(table[:, table.any(axis=0)])
