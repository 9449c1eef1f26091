"""Whether labels are still mixed as before: a permutation chi-square test, and two well-known sizes of the shift.

The population stability index is the symmetric Kullback–Leibler divergence of the two mixes (above .25 is commonly called
large); the Jensen–Shannon divergence, here in bits, lies in 0..1 and minds empty classes less (Lin, IEEE Transactions on
Information Theory, 1991).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from learning.checks import Floats
from learning.drift.permuting import PERMUTATIONS, mean_distance
from schemas.errors import Invalid


@dataclass(frozen=True)
class MixShift:
    """``before`` and ``now`` (k,) are shares of the items that carry each class."""

    p_value: float
    psi: float
    js: float
    before: Floats
    now: Floats


def mix_test(
    reference: ArrayLike, current: ArrayLike, *, rng: Generator | None = None, permutations: int = PERMUTATIONS
) -> MixShift:
    """Compare the labels of two sets of items: ``reference`` (m, k) and ``current`` (n, k), 1 where an item has a class.

    An item may have several classes or none. With one class only there is nothing to shift: p-value 1.
    """
    before, now = np.asarray(reference, dtype=np.float32), np.asarray(current, dtype=np.float32)
    if before.ndim != 2 or now.ndim != 2 or before.shape[1] != now.shape[1]:
        raise Invalid("labels come as rows of ones and zeros, a column a class, on both sides")
    if len(before) < 2 or len(now) < 2:
        raise Invalid("a comparison needs two items on each side at least")
    shares = np.concatenate([before, now]).mean(axis=0)
    carried = (shares > 0) & (shares < 1)
    p_value = 1.0
    if carried.any():
        # Classes weigh by the inverse of their share, as in Pearson's chi-square.
        scaled = np.concatenate([before, now])[:, carried] / np.sqrt(shares[carried])
        _, p_value = mean_distance(scaled, len(before), rng or np.random.default_rng(0), permutations)
    old, new = before.mean(axis=0), now.mean(axis=0)
    return MixShift(
        p_value, stability_index(before.sum(axis=0), now.sum(axis=0)),
        jensen_shannon(before.sum(axis=0), now.sum(axis=0)), old.astype(np.float64), new.astype(np.float64),
    )  # fmt: skip


def stability_index(before: ArrayLike, now: ArrayLike) -> float:
    """PSI of two rows of counts; half a count is added to each, so that an empty class is no infinity."""
    p, q = (_shares(counts, 0.5) for counts in (before, now))
    return float(((q - p) * np.log(q / p)).sum())


def jensen_shannon(before: ArrayLike, now: ArrayLike) -> float:
    """Divergence of two rows of counts in bits, 0 (same) to 1 (nothing in common)."""
    p, q = (_shares(counts, 0.0) for counts in (before, now))
    middle = (p + q) / 2

    def towards(share: Floats) -> float:
        there = share > 0
        return float((share[there] * np.log2(share[there] / middle[there])).sum())

    return (towards(p) + towards(q)) / 2


def _shares(counts: ArrayLike, added: float) -> Floats:
    found = np.asarray(counts, dtype=np.float64) + added
    if found.ndim != 1 or not len(found) or (found < 0).any() or not np.isfinite(found).all():
        raise Invalid("a mix is a row of counts")
    whole = found.sum()
    return found / whole if whole > 0 else np.full(len(found), 1 / len(found))
