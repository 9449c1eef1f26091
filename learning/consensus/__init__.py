"""One truth from many answers.

    votes = Votes.of(item, worker, label)         # or Votes.from_answers(frames.from_long(table))
    found = consensus(votes)                      # Dawid–Skene that pools what single annotators do not tell
    found.labels, found.proba, found.quality

With embeddings of the items :func:`consensus_with_model` is better, above all at two answers an item. Spans, boxes and
segments have their own: :func:`merge_places`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from learning.consensus.crowdlab import crowdlab
from learning.consensus.dawid_skene import dawid_skene, pooled_dawid_skene
from learning.consensus.glad import glad
from learning.consensus.mace import mace
from learning.consensus.overlap import deserving, information_gain
from learning.consensus.places import Merged, merge_places
from learning.consensus.votes import Consensus, Votes
from learning.consensus.voting import majority, weighted_vote
from learning.consensus.with_model import consensus_with_model, consensus_with_proba
from schemas.errors import Invalid

METHODS: Mapping[str, Callable[[Votes], Consensus]] = MappingProxyType(
    {
        "pooled-dawid-skene": pooled_dawid_skene,
        "dawid-skene": dawid_skene,
        "glad": glad,
        "mace": lambda answers: mace(answers, np.random.default_rng(0)),
        "weighted-vote": weighted_vote,
        "majority": majority,
    }
)
DEFAULT = "pooled-dawid-skene"
MOST_CELLS = 20_000_000
"""Annotators × classes² above which confusion matrices would not fit in memory: weighted votes are counted instead."""


def consensus(answers: Votes, method: str = DEFAULT) -> Consensus:
    """The consensus by one of :data:`METHODS`. Raises :class:`schemas.errors.Invalid` without classes or for an unknown
    method; no answers at all give even odds for every item."""
    if method not in METHODS:
        raise Invalid(f"no consensus {method!r}", hint="Use one of: " + ", ".join(METHODS))
    if answers.classes < 1:
        raise Invalid("a consensus needs at least one class")
    if not len(answers.item):
        even = np.full((answers.items, answers.classes), 1.0 / answers.classes)
        return Consensus(even, np.full(answers.workers, 0.5), method, answered=answers.per_item())
    if "dawid-skene" in method and answers.workers * answers.classes**2 > MOST_CELLS:
        return weighted_vote(answers)
    return METHODS[method](answers)


__all__ = [
    "DEFAULT",
    "METHODS",
    "Consensus",
    "Merged",
    "Votes",
    "consensus",
    "consensus_with_model",
    "consensus_with_proba",
    "crowdlab",
    "dawid_skene",
    "deserving",
    "glad",
    "information_gain",
    "mace",
    "majority",
    "merge_places",
    "pooled_dawid_skene",
    "weighted_vote",
]
