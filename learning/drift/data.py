"""One look at the data: the window against the reference, by its texts and by its mix of labels.

Both tests share the α of the look. Either may be missing: items without vectors, or a dataset where nothing has a label
yet; the other then has all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from learning.checks import Ints, check_share
from learning.drift.looks import adjusted, score_of, spent
from learning.drift.mix import mix_test
from learning.drift.permuting import PERMUTATIONS
from learning.drift.two_sample import mmd_test
from schemas.errors import Invalid

LEAST = 20
"""Items that either side needs for a test to be made."""


@dataclass(frozen=True)
class Part:
    """One test of a look. ``adjusted_p`` has the price of looking in it: at most α is an alarm."""

    name: str
    statistic: float
    p_value: float
    adjusted_p: float
    score: float
    reference: int
    current: int


@dataclass(frozen=True)
class ClassShift:
    """A class whose share changed."""

    label: str
    before: float
    now: float


@dataclass(frozen=True)
class DriftFinding:
    """What a look has found; ``score`` is the largest of its parts', and 1 or more is an alarm."""

    look: int
    alpha: float
    spent: float
    score: float
    alarm: bool
    parts: list[Part]
    psi: float | None = None
    js: float | None = None
    shifts: list[ClassShift] = field(default_factory=list)
    """Classes by how much their share changed, the largest change first."""
    drivers: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    """Rows of the window that are least like the reference, the strangest first."""
    reason: str = ""


def look_for_drift(
    reference: ArrayLike,
    current: ArrayLike,
    *,
    reference_labels: ArrayLike | None = None,
    current_labels: ArrayLike | None = None,
    classes: Sequence[str] = (),
    look: int = 1,
    alpha: float = 0.05,
    drivers: int = 10,
    rng: Generator | None = None,
    permutations: int = PERMUTATIONS,
) -> DriftFinding:
    """The ``look``-th look: ``current`` (n, d) against ``reference`` (m, d), and labels (m, k) and (n', k), ones and zeros.

    The items with labels need not be those with vectors. Too few on a side leave a test out, and without any the score
    is 0 and the reason says so.
    """
    check_share(alpha, "alpha")
    random = rng or np.random.default_rng(0)
    before, now = np.asarray(reference, dtype=np.float32), np.asarray(current, dtype=np.float32)
    labels = [
        np.asarray(side if side is not None else np.zeros((0, len(classes))))
        for side in (reference_labels, current_labels)
    ]
    if any(side.ndim != 2 or side.shape[1] != len(classes) for side in labels):
        raise Invalid(f"labels have a column for each of the {len(classes)} classes")
    by_text = min(len(before), len(now)) >= LEAST
    by_label = len(classes) > 1 and min(len(labels[0]), len(labels[1])) >= LEAST
    parts: list[Part] = []
    share = 0.5 if by_text and by_label else 1.0
    strangest = np.zeros(0, np.int64)
    if by_text:
        texts = mmd_test(before, now, rng=random, permutations=permutations)
        parts.append(_part("texts", texts.distance, texts.p_value, look, share, alpha, len(before), len(now)))
        strangest = np.argsort(-texts.witness, kind="stable")[:drivers].astype(np.int64)
    psi = js = None
    shifts: list[ClassShift] = []
    if by_label:
        mix = mix_test(labels[0], labels[1], rng=random, permutations=permutations)
        psi, js = mix.psi, mix.js
        parts.append(_part("labels", mix.js, mix.p_value, look, share, alpha, len(labels[0]), len(labels[1])))
        order = np.argsort(-np.abs(mix.now - mix.before), kind="stable")
        shifts = [
            ClassShift(classes[c], float(mix.before[c]), float(mix.now[c]))
            for c in order
            if mix.now[c] != mix.before[c]
        ]
    score = max((part.score for part in parts), default=0.0)
    return DriftFinding(
        look,
        alpha,
        spent(look, alpha),
        score,
        score >= 1.0,
        parts,
        psi,
        js,
        shifts,
        strangest,
        _in_words(parts, shifts, alpha),
    )


def _part(
    name: str, statistic: float, p_value: float, look: int, share: float, alpha: float, reference: int, current: int
) -> Part:
    price = adjusted(p_value, look, share)
    return Part(name, statistic, p_value, price, score_of(price, alpha), reference, current)


def _in_words(parts: Sequence[Part], shifts: Sequence[ClassShift], alpha: float) -> str:
    if not parts:
        return f"there is too little to compare: each side needs {LEAST} items with a vector or a label"
    worst = max(parts, key=lambda part: part.score)
    what = {"texts": "the texts", "labels": "the mix of labels"}[worst.name]
    if worst.score < 1:
        return f"no drift: {what} differ no more than chance allows (adjusted p {worst.adjusted_p:.2g}, alarm at {alpha:g})"
    said = f"{what} of the window differ from the reference (adjusted p {worst.adjusted_p:.2g}, alarm at {alpha:g})"
    if worst.name == "labels" and shifts:
        first = shifts[0]
        said += f"; {first.label} went from {first.before:.0%} to {first.now:.0%}"
    return said
