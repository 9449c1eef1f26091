"""A student that also learns from labels it gives itself, where that helps.

Self-training (:func:`learning.semi_supervised.self_train`) adds unlabelled items that the student is very sure about to
the lesson of its head. Whether that helps is not taken for granted: on verified labels that were held out, the student
with pseudo-labels must be better than the one without, else it stays as it was. Calibration, the other experts and the
metrics remain those of the verified labels alone, so no pseudo-label ever vouches for another.

The student knows the pool already, by its mixture, and so it gains little or nothing here: on Banking77, medical
abstracts and banking topics, at 1 to 32 labels a class, the check leaves the student as it was nearly always.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learning.arrays import Array, Vectors, as_targets, as_vectors, one_thread
from learning.blend import folds
from learning.heads import LinearHead, default_strength, fit_softmax_head
from learning.semi_supervised import Predict, PseudoLabels, self_train
from learning.student import Student
from schemas.errors import Invalid

THRESHOLD = 0.9
PER_CLASS = 20
ROUNDS = 2
WEIGHT = 0.5
"""A pseudo-label counts as this much of a verified one, times its probability."""
FOLDS = 4
LEAST_GAIN = 0.001
"""Nats below which a gain is chance."""
LEAST = 8
"""Verified labels below which there is nothing to hold out."""


@dataclass(frozen=True)
class SelfTaught:
    """``student`` has ``metrics`` that tell of it: ``pseudo_labels``, how many it learnt from (0 when they did not
    help), and ``pseudo_gain``, by how much they surely lower its log loss on held-out verified labels, in nats.
    ``labels`` are what it gave itself, rows of the pool."""

    student: Student
    labels: PseudoLabels | None
    gain: float


def self_teach(
    student: Student,
    vectors: ArrayLike,
    y: ArrayLike,
    pool: ArrayLike,
    *,
    class_vectors: ArrayLike | None = None,
    seed: int = 0,
) -> SelfTaught:
    """``student`` as :meth:`Student.fit` made it of ``vectors`` (n, d) and ``y``; ``pool`` (m, d) are items without
    labels. Raises :class:`Invalid` for a student of several labels an item, whose yes and no are not one decision."""
    if student.multi:
        raise Invalid("pseudo-labels are for labelsets of which exactly one class applies")
    items = as_vectors(vectors, dim=student.head.weights.shape[0])
    targets = as_targets(y, student.classes)
    if len(items) != len(targets):
        raise Invalid(f"{len(items)} vectors but {len(targets)} labels")
    free = as_vectors(pool, what="pool", dim=items.shape[1])
    names = None if class_vectors is None else as_vectors(class_vectors, what="class vectors", dim=items.shape[1])
    if len(items) < LEAST or not len(free) or len(student.classes) < 2:
        return _unchanged(student, 0.0)
    lesson = _Lesson(student, items, targets, free, names)
    with one_thread():
        gain = lesson.gain(seed)
        if gain < LEAST_GAIN:
            return _unchanged(student, gain)
        labels = lesson.pseudo(np.arange(len(items)))
        head = lesson.head(np.arange(len(items)), labels)
    metrics = {**student.metrics, "pseudo_labels": float(len(labels)), "pseudo_gain": gain}
    return SelfTaught(replace(student, head=head, metrics=metrics), labels, gain)


def _unchanged(student: Student, gain: float) -> SelfTaught:
    metrics = {**student.metrics, "pseudo_labels": 0.0, "pseudo_gain": gain}
    return SelfTaught(replace(student, metrics=metrics), None, gain)


@dataclass
class _Lesson:
    student: Student
    items: Vectors
    targets: Array
    pool: Vectors
    names: Vectors | None

    def pseudo(self, rows: NDArray[np.intp]) -> PseudoLabels:
        """What the student, taught on ``rows`` of the verified items, is sure of in the pool."""
        return self_train(
            self._teach, self.items[rows], self.targets[rows], self.pool,
            threshold=THRESHOLD, per_class=PER_CLASS, rounds=ROUNDS, weight=WEIGHT,
        )  # fmt: skip

    def head(self, rows: NDArray[np.intp], labels: PseudoLabels | None) -> LinearHead:
        """The head of ``rows``, with pseudo-labels or without."""
        features, targets, weight = self.items[rows], self.targets[rows], np.ones(len(rows))
        if labels is not None:
            features = np.concatenate([features, self.pool[labels.index]])
            targets = np.concatenate([targets, np.eye(targets.shape[1])[labels.label]])
            weight = np.concatenate([weight, WEIGHT * labels.probability])
        return self._fit(features, targets, weight)

    def gain(self, seed: int) -> float:
        """By how much pseudo-labels surely lower the student's log loss on labels that its head has not seen, in nats:
        the mean less its standard error. Never above 0 where it gets more of them wrong, and 0 where it has given none.
        """
        fold = folds(self.targets.argmax(axis=1), FOLDS, seed)
        plain, taught = np.zeros_like(self.targets), np.zeros_like(self.targets)
        given = 0
        for part in range(FOLDS):
            held, rest = np.flatnonzero(fold == part), np.flatnonzero(fold != part)
            if not len(held) or not len(rest):
                continue
            labels = self.pseudo(rest)
            given += len(labels)
            plain[held] = self._with(self.head(rest, None)).predict_proba(self.items[held])
            taught[held] = self._with(self.head(rest, labels)).predict_proba(self.items[held])
        if not given:
            return 0.0
        truth = self.targets.argmax(axis=1)
        right = [float((said.argmax(axis=1) == truth).mean()) for said in (plain, taught)]
        better = np.log(np.maximum(taught, 1e-12)) - np.log(np.maximum(plain, 1e-12))
        each = (self.targets * better).sum(axis=1)
        gain = float(each.mean() - each.std() / np.sqrt(len(each)))
        return gain if right[1] >= right[0] else min(gain, 0.0)

    def _teach(self, vectors: Vectors, targets: Array, weight: Array) -> Predict:
        return self._with(self._fit(vectors, targets, weight)).predict_proba

    def _with(self, head: LinearHead) -> Student:
        """The student with another head. Its neighbours are left out: they hold labels that are to be held out."""
        mix = self.student.mix.copy()
        mix[2] = 0.0
        if not mix.any():
            mix[0] = 1.0
        return replace(self.student, head=head, mix=mix, neighbours=None)

    def _fit(self, vectors: Vectors, targets: Array, weight: Array) -> LinearHead:
        strength = default_strength(len(self.student.classes))
        return fit_softmax_head(vectors, targets, weight, self.names, strength=strength)
