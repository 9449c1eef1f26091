"""Who is near whom: the nearest labelled items of each item, by cosine, exactly and in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike

from learning.arrays import even_share, one_thread
from learning.checks import Bools, check_vectors
from learning.conflicts.finding import Labelled, Near
from schemas.errors import Invalid

NEIGHBOURS = 12
MOST_KNOWN = 30_000
"""Neighbours are looked for among at most this many items, an even share of all."""
BLOCK = 512


def nearest_answers(
    items: Sequence[Labelled], vectors: ArrayLike, among: Bools | None = None, neighbours: int = NEIGHBOURS
) -> Iterator[tuple[Labelled, list[Near]]]:
    """Each item with its nearest others, nearest first. ``vectors`` (n, d) are L2-normalised; ``among`` (n,) says who
    counts as a neighbour, everybody if it is None."""
    rows = np.asarray(check_vectors(vectors), dtype=np.float32)
    if len(rows) != len(items):
        raise Invalid(f"{len(rows)} vectors for {len(items)} items")
    known = np.arange(len(rows)) if among is None else np.flatnonzero(among)
    known = known[even_share(len(known), MOST_KNOWN)]
    place = np.full(len(rows), -1)
    place[known] = np.arange(len(known))
    wanted = min(neighbours, len(known))
    for start in range(0, len(rows), BLOCK):
        block = np.arange(start, min(start + BLOCK, len(rows)))
        with one_thread():
            alike = rows[block] @ rows[known].T
        own = place[block]
        alike[np.flatnonzero(own >= 0), own[own >= 0]] = -np.inf
        best = np.argpartition(-alike, wanted - 1, axis=1)[:, :wanted] if wanted else np.zeros((len(block), 0), int)
        close = np.take_along_axis(alike, best, axis=1)
        order = np.argsort(-close, axis=1, kind="stable")
        best, close = np.take_along_axis(best, order, axis=1), np.take_along_axis(close, order, axis=1)
        for row, columns, similarities in zip(block, best, close, strict=True):
            near = [
                Near(items[int(known[column])], float(min(similarity, 1.0)))
                for column, similarity in zip(columns, similarities, strict=True)
                if np.isfinite(similarity)
            ]
            yield items[int(row)], near
