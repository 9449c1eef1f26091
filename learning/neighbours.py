"""Votes of the nearest labelled items, which know what no linear head can: that this very question was answered before.

The labelled vectors are kept as 8-bit integers (384 bytes an item; cosines err by less than .01), at most 10,000 of
them, so that voting stays several times faster than embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from learning.arrays import Array, Floats, Vectors, as_vectors, even_share, softmax
from learning.pool_mixture import nearest

VOTERS = 10
VOTE_TEMPERATURE = 0.05
MAX_KEPT = 10_000
BLOCK = 1_024
STEPS = 127 * 4
"""Integer steps to 1. A coordinate of a unit vector beyond a quarter is rare; clipping it costs less than big steps."""


@dataclass(frozen=True)
class Neighbours:
    """``codes`` (m, d) int8 and ``targets`` (m, k): the labelled items that vote."""

    codes: NDArray[np.int8]
    targets: Vectors

    @classmethod
    def keep(cls, vectors: Floats, targets: Floats, seed: int = 0) -> Neighbours:
        """Keep unit ``vectors`` (n, d) with label weights ``targets`` (n, k); an even draw when there are too many."""
        rows = as_vectors(vectors)
        kept = even_share(len(rows), MAX_KEPT, seed)
        codes = np.clip(np.rint(rows[kept] * STEPS), -127, 127).astype(np.int8)
        return cls(codes, np.asarray(targets, dtype=np.float32)[kept])

    @cached_property
    def vectors(self) -> Vectors:
        """The kept vectors (m, d), decoded."""
        return self.codes.astype(np.float32) / np.float32(STEPS)

    def votes(self, vectors: Floats) -> Array:
        """Weighted share of votes (n, k) for each class."""
        return votes_among(vectors, self.vectors, self.targets)


def votes_among(vectors: Floats, known: Vectors, targets: Floats) -> Array:
    """Votes (n, k) of the nearest of ``known`` (m, d), labelled ``targets`` (m, k), on ``vectors`` (n, d).

    Similarities are made a block of rows at a time: n x m of them at once would not fit beside a large training set.
    """
    items = np.asarray(vectors, dtype=np.float32)
    blocks = [votes(items[at : at + BLOCK] @ known.T, targets) for at in range(0, len(items), BLOCK)]
    return np.concatenate(blocks) if blocks else np.zeros((0, np.asarray(targets).shape[1]))


def votes(similarities: Floats, targets: Floats) -> Array:
    """Votes (n, k) of the ten columns of highest ``similarities`` (n, m), whose label weights are ``targets`` (m, k).

    Without any column the votes are spread evenly over the classes.
    """
    labels = np.asarray(targets, dtype=np.float64)
    n, k = len(similarities), labels.shape[1]
    if not similarities.shape[1]:
        return np.full((n, k), 1 / max(k, 1))
    near = nearest(similarities, VOTERS)
    close = np.take_along_axis(np.asarray(similarities, dtype=np.float64), near, axis=1)
    weight = softmax(close, VOTE_TEMPERATURE)
    return np.asarray(np.einsum("nv,nvk->nk", weight, labels[near]))
