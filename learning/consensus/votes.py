"""Who said what about which item, as every consensus counts it: three columns of indices and their sizes.

Outside this package answers are :class:`learning.frames.Answers`, which also knows how items, annotators and classes are
called; :class:`Votes` is what is left of them for arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from learning.checks import Floats, Ints, check_labels
from learning.frames import Answers
from schemas.errors import Invalid


@dataclass(frozen=True)
class Votes:
    """``m`` answers."""

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
    def from_answers(cls, answers: Answers) -> Votes:
        """Checked, in the order of the answers' tasks, workers and classes. Raises :class:`Invalid` for an index that
        names none of them, or without any class."""
        items, workers, classes = len(answers.tasks), len(answers.workers), len(answers.classes)
        if classes < 1:
            raise Invalid("a consensus needs at least one class")
        m = len(answers.task)
        return cls(
            check_labels(answers.task, items, m, "tasks"),
            check_labels(answers.worker, workers, m, "annotators"),
            check_labels(answers.label, classes, m, "labels"),
            items,
            workers,
            classes,
        )

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
