"""What a statistic may be fed: shapes and values are checked once, here, and refused in plain words.

Every public function of this room takes numpy arrays (or anything ``numpy.asarray`` understands). Wrong shapes, NaN and
classes out of range raise :class:`schemas.errors.Invalid` with the place of the first offence, so that a bad input is
never a crash deep inside, nor a NaN that travels on in silence.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from schemas.errors import Invalid

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def check_vectors(vectors: ArrayLike, what: str = "vectors") -> Floats:
    """A matrix (n, d) of finite numbers; float32 stays float32."""
    array = np.asarray(vectors)
    if array.ndim != 2:
        raise Invalid(f"{what} must be a matrix (items, dimensions), not of shape {array.shape}")
    if array.dtype.kind != "f":
        array = array.astype(np.float64)
    # One sum tells whether any number is NaN or infinite, without a mask as large as the matrix.
    if array.size and not np.isfinite(array.sum(dtype=np.float64)):
        row = int(np.flatnonzero(~np.isfinite(array.sum(axis=1)))[0])
        raise Invalid(f"{what} hold NaN or infinity in row {row}", row=row)
    return array


def check_proba(proba: ArrayLike, rows: int | None = None, what: str = "probabilities") -> Floats:
    """A matrix (n, k) of probabilities whose rows sum to one (within one per cent)."""
    array = check_vectors(proba, what)
    if array.shape[1] < 1:
        raise Invalid(f"{what} have no class at all")
    if rows is not None and len(array) != rows:
        raise Invalid(f"{what} have {len(array)} rows for {rows} items")
    if len(array):
        sums = array.sum(axis=1)
        bad = np.flatnonzero((np.abs(sums - 1.0) > 0.01) | (array.min(axis=1) < -1e-6))
        if len(bad):
            row = int(bad[0])
            raise Invalid(f"{what} in row {row} are not a distribution (sum {float(sums[row]):.3g})", row=row)
    return array


def check_labels(labels: ArrayLike, classes: int, rows: int | None = None, what: str = "labels") -> Ints:
    """Class indices (n,), each in 0..classes-1."""
    array = np.asarray(labels)
    if array.ndim != 1:
        raise Invalid(f"{what} must be one class index an item, not of shape {array.shape}")
    if rows is not None and len(array) != rows:
        raise Invalid(f"{len(array)} {what} for {rows} items")
    if array.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(array) | (array != np.floor(array)))
        if len(bad):
            raise Invalid(
                f"{what} hold {array[bad[0]]!r} in row {int(bad[0])}, which is no class index", row=int(bad[0])
            )
    elif array.dtype.kind not in "iub" and array.size:
        raise Invalid(f"{what} must be class indices 0..{classes - 1}, not {array.dtype}")
    indices: Ints = array.astype(np.int64)
    bad = np.flatnonzero((indices < 0) | (indices >= classes))
    if len(bad):
        row = int(bad[0])
        raise Invalid(f"{what} hold class {int(indices[row])} in row {row}; there are {classes} classes", row=row)
    return indices


def check_numbers(values: ArrayLike, rows: int | None = None, what: str = "values") -> NDArray[np.float64]:
    """Finite numbers (n,)."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise Invalid(f"{what} must be one number an item, not of shape {array.shape}")
    if rows is not None and len(array) != rows:
        raise Invalid(f"{len(array)} {what} for {rows} items")
    bad = np.flatnonzero(~np.isfinite(array))
    if len(bad):
        raise Invalid(f"{what} hold {array[bad[0]]!r} in row {int(bad[0])}", row=int(bad[0]))
    return array


def check_unit(values: ArrayLike, rows: int | None = None, what: str = "confidences") -> NDArray[np.float64]:
    """Numbers (n,) between 0 and 1."""
    array = check_numbers(values, rows, what)
    bad = np.flatnonzero((array < 0) | (array > 1))
    if len(bad):
        row = int(bad[0])
        raise Invalid(f"{what} must lie between 0 and 1; row {row} holds {array[row]:.4g}", row=row)
    return array


def check_share(value: float, what: str) -> float:
    """A number strictly between 0 and 1, such as a target error."""
    if not 0.0 < value < 1.0:
        raise Invalid(f"{what} must lie between 0 and 1, not {value!r}")
    return float(value)


def check_count(value: int, what: str, least: int = 0) -> int:
    """A whole number of at least ``least``."""
    if value != int(value) or value < least:
        raise Invalid(f"{what} must be a whole number of at least {least}, not {value!r}")
    return int(value)
