"""One truth from many answers.

    answers = from_long(table)                    # learning.frames: also from_wide, from_matrix
    found = consensus(answers)                    # Dawid–Skene that pools what single annotators do not tell
    found.labels, found.proba, found.quality      # in the order of answers.tasks, .classes, .workers
    quality_interval(answers, found)              # how sure each annotator's quality is
    gain = information_gain(found)                # what one more answer would tell about each item, in nats
    deserving(gain, answers.counts().sum(axis=1), 100)

With embeddings of the items :func:`consensus_with_model` is better, above all at two answers an item. Spans, boxes and
segments have their own: :func:`merge_places` for one item, :func:`consensus_of_marks` for many.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from learning.consensus.crowdlab import crowdlab
from learning.consensus.dawid_skene import dawid_skene, fits_in_memory, pooled_dawid_skene
from learning.consensus.glad import glad
from learning.consensus.mace import mace
from learning.consensus.marks import MarkedConsensus, consensus_of_marks
from learning.consensus.overlap import deserving, information_gain
from learning.consensus.places import Merged, merge_places
from learning.consensus.quality import quality_interval
from learning.consensus.votes import Consensus, Votes
from learning.consensus.voting import majority, weighted_vote
from learning.consensus.with_model import consensus_with_model, consensus_with_proba
from learning.frames import Answers
from schemas.errors import Invalid

METHODS: Mapping[str, Callable[[Votes], Consensus]] = MappingProxyType(
    {
        "pooled-dawid-skene": pooled_dawid_skene,
        "dawid-skene": dawid_skene,
        "glad": glad,
        "mace": lambda votes: mace(votes, np.random.default_rng(0)),
        "weighted-vote": weighted_vote,
        "majority": majority,
    }
)
DEFAULT = "pooled-dawid-skene"


def consensus(answers: Answers, method: str = DEFAULT) -> Consensus:
    """The consensus by one of :data:`METHODS`. Raises :class:`schemas.errors.Invalid` without classes or for an unknown
    method; no answers at all give even odds for every item."""
    if method not in METHODS:
        raise Invalid(f"no consensus {method!r}", hint="Use one of: " + ", ".join(METHODS))
    votes = Votes.from_answers(answers)
    if not len(votes.item):
        even = np.full((votes.items, votes.classes), 1.0 / votes.classes)
        return Consensus(even, np.full(votes.workers, 0.5), method, answered=votes.per_item())
    if "dawid-skene" in method and not fits_in_memory(votes):
        return weighted_vote(votes)
    return METHODS[method](votes)


__all__ = [
    "DEFAULT",
    "METHODS",
    "Consensus",
    "MarkedConsensus",
    "Merged",
    "consensus",
    "consensus_of_marks",
    "consensus_with_model",
    "consensus_with_proba",
    "crowdlab",
    "deserving",
    "information_gain",
    "merge_places",
    "quality_interval",
]
