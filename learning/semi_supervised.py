"""Labels that a model gives itself: self-training and co-training over items that nobody has labelled.

Both add, round by round, the items that a model is surest of to its own lesson. What was added is never mixed up with
what people verified: it comes back as :class:`PseudoLabels`, marked with the round and the view that gave it, and with
its probability to weigh it by.

Selection is balanced: in a round every class may add the same number of items, so that the class the model likes best
does not drown the others, and none below the threshold.

A student that knows class names and the pool (:mod:`learning.student`) already uses unlabelled items; these functions
serve other models and other features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learning.arrays import Array, Vectors, as_targets, as_vectors, unit
from schemas.errors import Invalid, error_of

Predict = Callable[[Vectors], Array]
Fit = Callable[[Vectors, Array, Array], Predict]
"""``fit(vectors (n, d), targets (n, k), weight (n,))`` → a function from (m, d) vectors to (m, k) probabilities."""


@dataclass(frozen=True)
class PseudoLabels:
    """What a model labelled by itself, in the order in which it did.

    ``index`` (m,) are rows of the pool, each at most once; ``label`` (m,) class indexes; ``probability`` (m,) what the
    model gave; ``round`` (m,) counts from 1; ``view`` (m,) is 0 or 1 for the teacher of a co-training, else 0.
    """

    index: NDArray[np.intp]
    label: NDArray[np.intp]
    probability: Array
    round: NDArray[np.intp]
    view: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.index)


def self_train(
    fit: Fit,
    vectors: ArrayLike,
    targets: ArrayLike,
    pool: ArrayLike,
    *,
    threshold: float = 0.9,
    per_class: int = 10,
    rounds: int = 10,
    weight: float = 0.5,
) -> PseudoLabels:
    """Let the model that ``fit`` makes label the ``pool`` (m, d) (Scudder 1965; Yarowsky, ACL 1995).

    ``targets`` (n, k) are the verified labels of ``vectors`` (n, d). A round adds at most ``per_class`` items a class,
    none below ``threshold``, each with ``weight`` times its probability. Ends early when nothing is sure enough.
    """
    known, truth, items = _checked(vectors, targets, pool, threshold, per_class)
    chosen = _Chosen(truth.shape[1])
    for number in range(1, rounds + 1):
        free = chosen.free(len(items))
        if not len(free):
            break
        probabilities = _predict(fit, known, truth, items, chosen, weight, view=None)(items[free])
        if not chosen.add(free, probabilities, threshold, per_class, number, view=0):
            break
    return chosen.labels()


def co_train(
    fit: Fit,
    views: tuple[ArrayLike, ArrayLike],
    targets: ArrayLike,
    pools: tuple[ArrayLike, ArrayLike],
    *,
    threshold: float = 0.9,
    per_class: int = 5,
    rounds: int = 10,
    weight: float = 0.5,
) -> PseudoLabels:
    """Two models on two views teach each other (Blum and Mitchell, "Combining Labeled and Unlabeled Data with
    Co-Training", COLT 1998).

    ``views`` are the same n verified items seen in two ways, (n, a) and (n, b); ``pools`` the same m unlabelled ones.
    What one model is sure of becomes a lesson of the other. An item that the two would label differently, both above
    the threshold, is left out.
    """
    first, truth, pool_first = _checked(views[0], targets, pools[0], threshold, per_class)
    second, _, pool_second = _checked(views[1], targets, pools[1], threshold, per_class)
    if len(pool_first) != len(pool_second) or len(first) != len(second):
        raise Invalid("the two views must show the same items")
    chosen = _Chosen(truth.shape[1])
    for number in range(1, rounds + 1):
        free = chosen.free(len(pool_first))
        if not len(free):
            break
        said = [
            _predict(fit, known, truth, items, chosen, weight, view=view)(items[free])
            for view, (known, items) in enumerate(((first, pool_first), (second, pool_second)))
        ]
        sure = [probabilities.max(axis=1) >= threshold for probabilities in said]
        quarrel = sure[0] & sure[1] & (said[0].argmax(axis=1) != said[1].argmax(axis=1))
        added = 0
        for view in (0, 1):
            left = ~quarrel & ~np.isin(free, chosen.index)
            added += chosen.add(free[left], said[view][left], threshold, per_class, number, view=view)
        if not added:
            break
    return chosen.labels()


def two_views(vectors: ArrayLike, seed: int = 0) -> tuple[Vectors, Vectors]:
    """Split vectors (n, d) into two views (n, d/2) of unit length by a draw of their columns: for when there is no
    second kind of feature. Use the same seed for labelled items and pool."""
    rows = as_vectors(vectors)
    columns = np.random.default_rng(seed).permutation(rows.shape[1])
    half = len(columns) // 2
    if not half:
        raise Invalid("two views need vectors of at least two columns")
    return unit(rows[:, columns[:half]]), unit(rows[:, columns[half:]])


def balanced_top(
    probabilities: Array, threshold: float, per_class: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], Array]:
    """Rows of ``probabilities`` (n, k) to trust: the ``per_class`` surest of each class at or above ``threshold``.

    Returns their row numbers, labels and probabilities, surest first.
    """
    label = probabilities.argmax(axis=1)
    best = probabilities.max(axis=1)
    rows: list[NDArray[np.intp]] = []
    for c in range(probabilities.shape[1]):
        of_class = np.flatnonzero((label == c) & (best >= threshold))
        rows.append(of_class[np.argsort(-best[of_class], kind="stable")][:per_class])
    taken = np.concatenate(rows) if rows else np.zeros(0, dtype=np.intp)
    taken = taken[np.argsort(-best[taken], kind="stable")]
    return taken, label[taken], np.asarray(best[taken])


class _Chosen:
    """The pseudo labels so far."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.index = np.zeros(0, dtype=np.intp)
        self.label = np.zeros(0, dtype=np.intp)
        self.probability = np.zeros(0)
        self.round = np.zeros(0, dtype=np.intp)
        self.view = np.zeros(0, dtype=np.intp)

    def free(self, n: int) -> NDArray[np.intp]:
        """Rows of the pool that have no pseudo label."""
        return np.setdiff1d(np.arange(n), self.index)

    def add(
        self, rows: NDArray[np.intp], probabilities: Array, threshold: float, per_class: int, number: int, view: int
    ) -> int:
        """Take the surest of ``rows``; how many they were."""
        if not len(rows):
            return 0
        at, label, probability = balanced_top(probabilities, threshold, per_class)
        self.index = np.append(self.index, rows[at])
        self.label = np.append(self.label, label)
        self.probability = np.append(self.probability, probability)
        self.round = np.append(self.round, np.full(len(at), number))
        self.view = np.append(self.view, np.full(len(at), view))
        return len(at)

    def lesson(self, view: int | None) -> NDArray[np.bool_]:
        """Which pseudo labels a model may learn from: in co-training, those of the other view."""
        return np.ones(len(self.index), dtype=bool) if view is None else self.view != view

    def labels(self) -> PseudoLabels:
        return PseudoLabels(self.index, self.label, self.probability, self.round, self.view)


def _predict(
    fit: Fit, known: Vectors, truth: Array, items: Vectors, chosen: _Chosen, weight: float, *, view: int | None
) -> Predict:
    heard = chosen.lesson(view)
    extra = np.eye(chosen.classes)[chosen.label[heard]]
    return fit(
        np.concatenate([known, items[chosen.index[heard]]]),
        np.concatenate([truth, extra]),
        np.concatenate([np.ones(len(known)), weight * chosen.probability[heard]]),
    )


def _checked(
    vectors: ArrayLike, targets: ArrayLike, pool: ArrayLike, threshold: float, per_class: int
) -> tuple[Vectors, Array, Vectors]:
    known = as_vectors(vectors)
    shape = np.asarray(targets)
    if not len(known):
        raise error_of("no-training-data")
    if shape.ndim != 2:
        raise Invalid("targets must be (n, k) label weights")
    truth = as_targets(targets, [str(c) for c in range(shape.shape[1])])
    if len(truth) != len(known):
        raise Invalid(f"{len(known)} vectors but {len(truth)} labels")
    if not 0 < threshold <= 1 or per_class < 1:
        raise Invalid("the threshold must lie in 0..1 and per_class be at least 1")
    return known, truth, as_vectors(pool, what="pool", dim=known.shape[1])
