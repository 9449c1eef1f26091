"""Made-up vectors with a known truth: classes are directions, items are noisy copies of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learning.arrays import Vectors, unit


@dataclass(frozen=True)
class Blobs:
    """``vectors`` (n, d) of classes ``y`` (n,), and ``names`` (k, d): the class directions, seen through a fog."""

    vectors: Vectors
    y: NDArray[np.intp]
    names: Vectors
    classes: list[str]


def blobs(
    sizes: list[int], *, d: int = 48, noise: float = 1.0, fog: float = 1.0, seed: int = 0, heart: int = 0
) -> Blobs:
    """Blobs of the given sizes. ``noise`` scatters items, ``fog`` moves names away from their class's middle.

    The same ``heart`` gives the same class directions and names under every ``seed``.
    """
    fixed, rng = np.random.default_rng(heart), np.random.default_rng(seed + 1)
    k = len(sizes)
    centres = unit(fixed.normal(size=(k, d)))
    names = unit(centres + fog * fixed.normal(size=(k, d)) / np.sqrt(d))
    y = np.repeat(np.arange(k), sizes)
    vectors = unit(centres[y] + noise * rng.normal(size=(len(y), d)) / np.sqrt(d))
    order = rng.permutation(len(y))
    return Blobs(vectors[order], y[order], names, [f"class {c}" for c in range(k)])


def accuracy_of(probabilities: NDArray[np.floating], y: NDArray[np.intp]) -> float:
    """Share of rows whose highest column is the truth."""
    return float((probabilities.argmax(axis=1) == y).mean())
