"""What a strategy looks at: the items, what the model thinks of them, and which are labelled already."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.random import Generator

from learning.checks import Floats, Ints, check_labels, check_proba, check_vectors
from schemas.errors import Invalid


@dataclass(frozen=True)
class Pool:
    """``n`` items of a dataset, labelled or not. Nothing is copied, so a pool of 100,000 items costs nothing.

    Raises :class:`schemas.errors.Invalid` where shapes disagree or a number is NaN.
    """

    vectors: Floats
    """(n, d) embeddings of all items, L2-normalised, labelled ones too."""
    proba: Floats | None = None
    """(n, k) what the student thinks; None before there is a student."""
    labelled: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    """(m,) indices of the items that have a label or are about to get one."""
    labels: Ints | None = None
    """(m,) their class indices; only a few strategies ask for them."""
    class_vectors: Floats | None = None
    """(k, d) embeddings of the class names, L2-normalised: what is known before any label."""
    committee: Floats | None = None
    """(members, n, k) opinions of several models, for the committee strategies."""
    answers: Floats | None = None
    """(n, annotators) class indices with NaN where an annotator gave none, for ActiveLab."""
    unlabelled: Ints = field(init=False)
    """The indices that may be picked, ascending."""

    def __post_init__(self) -> None:
        n = len(check_vectors(self.vectors))
        if self.proba is not None:
            check_proba(self.proba, n)
        labelled = check_labels(self.labelled, max(n, 1), what="indices of labelled items")
        object.__setattr__(self, "labelled", labelled)
        if self.labels is not None and len(self.labels) != len(labelled):
            raise Invalid(f"{len(self.labels)} labels for {len(labelled)} labelled items")
        if self.class_vectors is not None:
            check_vectors(self.class_vectors, "class vectors")
            if self.class_vectors.shape[1] != self.vectors.shape[1]:
                raise Invalid("class vectors and item vectors differ in length")
        if self.committee is not None:
            if self.committee.ndim != 3:
                raise Invalid("the committee's opinions must be of shape (members, items, classes)")
            for member in self.committee:
                check_proba(member, n, "the committee's probabilities")
        if self.answers is not None and (self.answers.ndim != 2 or len(self.answers) != n):
            raise Invalid("answers must be of shape (items, annotators)")
        free = np.ones(n, dtype=bool)
        free[labelled] = False
        object.__setattr__(self, "unlabelled", np.flatnonzero(free))

    def sample(self, most: int, rng: Generator) -> Ints:
        """All unlabelled indices, or a uniform sample of ``most`` of them: what costly strategies look at."""
        if len(self.unlabelled) <= most:
            return self.unlabelled
        return np.sort(rng.choice(self.unlabelled, most, replace=False))


class Strategy(Protocol):
    """One question: which ``count`` items should be labelled next?"""

    def __call__(self, pool: Pool, count: int, rng: Generator) -> Ints:
        """Up to ``count`` distinct indices into the pool, best first; fewer only if fewer are left."""
        ...


def distinct(ranked: Ints, vectors: Floats, count: int, alike: float = 0.97) -> Ints:
    """The first ``count`` of ``ranked`` that are not near-duplicates (cosine above ``alike``) of one taken before.

    Near-duplicates come back only when nothing else is left, so that a batch is full whenever the pool allows it.
    """
    taken: list[int] = []
    passed_over: list[int] = []
    block = max(4 * count, 64)
    for start in range(0, len(ranked), block):
        rows = ranked[start : start + block]
        unit = _unit(vectors[rows])
        fresh = np.ones(len(rows), dtype=bool)
        if taken:
            fresh &= (unit @ _unit(vectors[np.array(taken)]).T).max(axis=1) <= alike
        for place in range(len(rows)):
            if len(taken) >= count:
                return np.array(taken, dtype=np.int64)
            if not fresh[place]:
                passed_over.append(int(rows[place]))
                continue
            taken.append(int(rows[place]))
            fresh[place + 1 :] &= unit[place + 1 :] @ unit[place] <= alike
    return np.array((taken + passed_over)[:count], dtype=np.int64)


def _unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Floats = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return unit
