"""What every array must be before statistics may trust it, and the few functions that all of them need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from schemas.errors import Invalid

Floats = NDArray[np.floating[Any]]
Array = NDArray[np.float64]
Vectors = NDArray[np.float32]

SMALLEST = 1e-12
"""Probabilities are kept this far from 0 and 1 before a logarithm."""


def as_vectors(values: ArrayLike, *, what: str = "vectors", dim: int | None = None) -> Vectors:
    """``values`` as (n, d) float32; raises :class:`Invalid` for another shape, NaN or infinity."""
    try:
        found = np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise Invalid(f"{what} must be numbers in rows of one length") from error
    if found.size == 0 and found.ndim < 2:
        found = found.reshape(0, dim or 0)
    if found.ndim != 2:
        raise Invalid(f"{what} must have two dimensions, not {found.ndim}")
    if dim is not None and found.shape[1] != dim:
        raise Invalid(f"{what} must have {dim} columns, not {found.shape[1]}")
    if not np.isfinite(found).all():
        raise Invalid(f"{what} hold a value that is not a number")
    return found


def as_targets(y: ArrayLike, classes: Sequence[str], *, multi: bool = False) -> Array:
    """Labels as weights (n, k) in 0..1.

    ``y`` is one of: class indexes (n,), class keys (n,), weights (n, k), or, with ``multi``, a list of lists of keys.
    In the single-label case every row is scaled to sum to 1. Raises :class:`Invalid` for unknown classes, negative or
    missing weights.
    """
    k = len(classes)
    rows = _rows_of_keys(y) if multi else None
    if rows is not None:
        _known(set().union(*rows), classes)
        return np.array([[float(key in row) for key in classes] for row in rows]).reshape(len(rows), k)
    values = np.asarray(y)
    if values.ndim == 1 and values.size == 0:
        return np.zeros((0, k))
    if values.ndim == 1:
        targets = np.zeros((len(values), k))
        targets[np.arange(len(values)), _indexes(values, classes)] = 1.0
        return targets
    if values.ndim != 2 or values.shape[1] != k:
        raise Invalid(f"labels must be (n,) or (n, {k}), not {values.shape}")
    targets = values.astype(np.float64)
    if not np.isfinite(targets).all() or (targets < 0).any():
        raise Invalid("label weights must be finite and not negative")
    if multi:
        if (targets > 1).any():
            raise Invalid("label weights must not exceed 1")
        return targets
    sums = targets.sum(axis=1, keepdims=True)
    if (sums <= 0).any():
        raise Invalid("a row of label weights is all zero")
    return np.asarray(targets / sums)


def _rows_of_keys(y: Any) -> list[set[str]] | None:
    """``y`` as sets of keys, if it is a sequence of collections of strings and nothing else."""
    if not isinstance(y, Sequence) or not all(isinstance(row, (list, tuple, set, frozenset)) for row in y):
        return None
    rows = [set(row) for row in y]
    return rows if all(isinstance(label, str) for row in rows for label in row) else None


def _indexes(values: NDArray[Any], classes: Sequence[str]) -> NDArray[np.intp]:
    if values.dtype.kind in "UO":
        _known({str(value) for value in values}, classes)
        index_of = {key: index for index, key in enumerate(classes)}
        return np.array([index_of[str(value)] for value in values], dtype=np.intp)
    if values.dtype.kind not in "iub":
        raise Invalid("labels must be class indexes, class keys, or rows of weights")
    indexes = values.astype(np.intp)
    if indexes.min() < 0 or indexes.max() >= len(classes):
        raise Invalid(f"class indexes must lie in 0..{len(classes) - 1}")
    return indexes


def _known(labels: set[str], classes: Sequence[str]) -> None:
    unknown = sorted(labels - set(classes))
    if unknown:
        raise Invalid(f"unknown class {unknown[0]!r}", hint="Use the keys of the labelset's classes.")


def softmax(scores: Floats, temperature: float = 1.0) -> Array:
    """Rows of ``scores`` (n, k) as probabilities that sum to 1."""
    return np.exp(log_softmax(scores, temperature))


def log_softmax(scores: Floats, temperature: float = 1.0) -> Array:
    """Logarithms of :func:`softmax`, safe for any finite scores."""
    scaled = np.asarray(scores, dtype=np.float64) / temperature
    if scaled.shape[-1] == 0:
        return scaled
    scaled = scaled - scaled.max(axis=-1, keepdims=True)
    return np.asarray(scaled - np.log(np.exp(scaled).sum(axis=-1, keepdims=True)))


def sigmoid(logits: Floats) -> Array:
    """1 / (1 + e^-x), without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * np.asarray(logits, dtype=np.float64))))


def logit(probabilities: Floats, limit: float = SMALLEST) -> Array:
    """log(p / (1 - p)), with p kept ``limit`` away from 0 and 1."""
    p = np.clip(np.asarray(probabilities, dtype=np.float64), limit, 1.0 - limit)
    return np.asarray(np.log(p) - np.log1p(-p))


def unit(rows: Floats) -> Vectors:
    """Rows scaled to length 1; rows of zeros stay zeros."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, SMALLEST), dtype=np.float32)


def even_share(n: int, limit: int, seed: int = 0) -> NDArray[np.intp]:
    """Indexes of at most ``limit`` of ``n`` rows, drawn without replacement, in their order."""
    if n <= limit:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, size=limit, replace=False))


@contextmanager
def one_thread() -> Iterator[None]:
    """Linear algebra on one thread inside the block.

    The matrices here are small, and BLAS threads that wait for each other spin: on two busy cores the same fit took
    0.1 s on one thread and 0.6 to 8 s on two.
    """
    with _blas().limit(limits=1, user_api="blas"):
        yield


@lru_cache(maxsize=1)
def _blas() -> Any:
    # scipy carries a BLAS of its own, which the controller only sees once it is loaded
    import scipy.linalg  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
