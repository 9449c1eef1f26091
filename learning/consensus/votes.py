"""Who said what about which item: three columns of indices, the form every consensus works on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from learning.checks import Floats, Ints, check_count, check_labels
from learning.frames import Answers
from schemas.errors import Invalid


@dataclass(frozen=True)
class Votes:
    """``m`` answers. An annotator who answered an item twice counts twice."""

    item: Ints
    """(m,) 0..items-1"""
    worker: Ints
    """(m,) 0..workers-1"""
    label: Ints
    """(m,) 0..classes-1"""
    items: int
    workers: int
    classes: int

    @classmethod
    def of(
        cls,
        item: ArrayLike,
        worker: ArrayLike,
        label: ArrayLike,
        *,
        items: int | None = None,
        workers: int | None = None,
        classes: int | None = None,
    ) -> Votes:
        """Checked answers; the sizes default to the largest index and one. Raises :class:`Invalid` for bad indices."""
        columns = [np.asarray(column) for column in (item, worker, label)]
        sizes = [
            int(column.max()) + 1 if size is None and column.size else size or 0
            for column, size in zip(columns, (items, workers, classes), strict=True)
        ]
        names = ("items", "annotators", "labels")
        m = len(columns[0]) if columns[0].ndim else 0
        for size, name in zip(sizes, names, strict=True):
            check_count(size, f"the number of {name}")
        checked = [check_labels(c, s, m, name) for c, s, name in zip(columns, sizes, names, strict=True)]
        return cls(checked[0], checked[1], checked[2], sizes[0], sizes[1], sizes[2])

    @classmethod
    def from_matrix(cls, answers: ArrayLike, classes: int | None = None) -> Votes:
        """From a matrix (items, annotators) of class indices, NaN where there is no answer."""
        wide = np.asarray(answers, dtype=np.float64)
        if wide.ndim != 2:
            raise Invalid(f"answers must be of shape (items, annotators), not {wide.shape}")
        item, worker = np.nonzero(~np.isnan(wide))
        return cls.of(item, worker, wide[item, worker], items=wide.shape[0], workers=wide.shape[1], classes=classes)

    @classmethod
    def from_answers(cls, answers: Answers) -> Votes:
        """From answers read from a table (:mod:`learning.frames`), in the order of its tasks, workers and classes."""
        sizes = {"items": len(answers.tasks), "workers": len(answers.workers), "classes": len(answers.classes)}
        return cls.of(answers.task, answers.worker, answers.label, **sizes)

    def to_matrix(self) -> Floats:
        """A matrix (items, annotators), NaN where there is no answer; of several by one annotator the last."""
        wide = np.full((self.items, self.workers), np.nan)
        wide[self.item, self.worker] = self.label
        return wide

    def counts(self, weight: Floats | None = None) -> Floats:
        """How often each item was given each class (items, classes), or the sum of the answers' ``weight`` (m,)."""
        cells = np.bincount(self.item * self.classes + self.label, weights=weight, minlength=self.items * self.classes)
        return cells.reshape(self.items, self.classes).astype(np.float64)

    def per_item(self) -> Ints:
        """How many answers each item has (items,)."""
        return np.bincount(self.item, minlength=self.items)

    def per_worker(self) -> Ints:
        """How many answers each annotator gave (workers,)."""
        return np.bincount(self.worker, minlength=self.workers)


@dataclass(frozen=True)
class Consensus:
    """What the answers together say."""

    proba: Floats
    """(items, classes): rows sum to 1; an item nobody answered has the classes' shares."""
    quality: Floats
    """(workers,): estimated probability that an annotator's answer is right; NaN never, the mean for the unknown."""
    method: str
    confusion: Floats | None = None
    """(workers, classes, classes): how an annotator (first axis) answers when the truth is the second."""
    answered: Ints | None = None
    """(items,) how many answers each item had."""

    decided: Ints | None = None
    """(items,) the labels, where a method decides by more than the largest probability."""

    @property
    def labels(self) -> Ints:
        """(items,) the consensus label, the most likely class unless ``decided``; −1 where nobody answered."""
        best: Ints = self.proba.argmax(axis=1) if self.decided is None else self.decided.copy()
        if self.answered is not None:
            best[self.answered == 0] = -1
        return best


def shares_of(answers: Votes) -> Floats:
    """Share (classes,) of each class among all answers, never quite 0."""
    counts = np.bincount(answers.label, minlength=answers.classes) + 0.5
    shares: Floats = counts / counts.sum()
    return shares


def normalised(log_scores: Floats) -> Floats:
    """Rows of log scores as probabilities."""
    scores = np.exp(log_scores - log_scores.max(axis=1, keepdims=True))
    proba: Floats = scores / scores.sum(axis=1, keepdims=True)
    return proba
