"""Examples to show beside an item: near to it, and each with something of its own to say.

Maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998): the next example is the one whose similarity to the item,
less its similarity to what is shown already, is largest. Copies of what is shown are counted rather than shown, unless
people answered them differently: that is worth seeing.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from learning.arrays import Floats

BALANCE = 0.7
"""Weight of being near to the item; the rest is for being unlike the others."""
COPY = 0.97
"""Cosine from which two texts count as the same: the same text has about .993 in another batch."""


@dataclass(frozen=True)
class Pick:
    """A row that was chosen, and how many others say the same."""

    index: int
    copies: int = 0


def pick_diverse(
    similarity: Floats, vectors: Floats, answers: Sequence[Hashable], count: int, *, balance: float = BALANCE
) -> list[Pick]:
    """At most ``count`` rows, best first. ``similarity`` (n,) is to the item, ``vectors`` (n, d) are of length 1,
    ``answers`` are what people said of each row."""
    left = list(range(len(answers)))
    between = vectors @ vectors.T if left else np.zeros((0, 0))
    picked: list[int] = []
    copies: dict[int, int] = {}
    while left and len(picked) < count:
        closest = between[np.ix_(left, picked)].max(axis=1) if picked else np.zeros(len(left))
        scores = balance * np.asarray(similarity)[left] - (1 - balance) * closest
        best = left[int(scores.argmax())]
        picked.append(best)
        same = [row for row in left if row != best and between[row, best] >= COPY and answers[row] == answers[best]]
        copies[best] = len(same)
        left = [row for row in left if row != best and row not in same]
    return [Pick(row, copies[row]) for row in picked]


def likely_rival(
    probabilities: Sequence[float], best: int, confusions: Sequence[tuple[int, int, int]], *, least: float = 0.05
) -> int | None:
    """The class that the ``best`` one is most likely to be confused with on this item; None when no other is likely.

    ``confusions`` are (drafted, answered, how often): what drafts of the past were corrected to. Each class's share of
    the corrections that touched ``best`` counts beside its probability here, half as much.
    """
    touched = np.zeros(len(probabilities))
    for one, other, times in confusions:
        if best in (one, other) and one != other:
            touched[other if one == best else one] += times
    score = np.asarray(probabilities, dtype=np.float64) + 0.5 * touched / max(touched.sum(), 4.0)
    score[best] = -1.0
    rival = int(score.argmax()) if len(score) > 1 else best
    return rival if rival != best and score[rival] >= least else None
