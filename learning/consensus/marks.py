"""The consensus of many items on which people mark places: spans, boxes, segments.

Who finds what the others find counts for more. An annotator's quality is the F1 of their marks beside what the *others*
agree on (their own would vouch for themselves), and it weighs their marks in the final merge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learning.agreement.matching import best_matches
from learning.consensus.places import Merged, merge_places, overlap_of, places_of
from schemas.payloads import Payload

PULL = 4.0
"""Marks' worth of everybody's mean in an annotator's quality."""


@dataclass(frozen=True)
class MarkedConsensus:
    """What annotators' marks amount to. ``quality`` (F1, 0..1) and ``marks`` (how many it was found on) are by
    annotator; ``merged`` and ``agreed`` (whether all marked the same) follow the items."""

    merged: list[Merged]
    agreed: list[bool]
    quality: dict[str, float]
    marks: dict[str, int]


def consensus_of_marks(
    items: Sequence[Mapping[str, Payload]], *, weighted: bool = True, least: float = 0.5
) -> MarkedConsensus:
    """Merge each item's marks: ``items`` map annotators to what they marked, an empty payload says "nothing here".

    Marks match at an intersection over union of ``least`` with the same label; not ``weighted``, all count alike. Raises
    :class:`schemas.errors.Invalid` for an item that nobody marked or for kinds that cannot be merged.
    """
    hits: dict[str, float] = {}
    total: dict[str, float] = {}
    own: dict[str, int] = {}
    for item in items:
        for who, payload in item.items():
            others = {name: theirs for name, theirs in item.items() if name != who}
            own[who] = own.get(who, 0) + len(places_of(payload))
            if not others:
                continue
            rest = merge_places(others, least=least, needed=0.4).payload
            found, asked = len(places_of(payload)), len(places_of(rest))
            hits[who] = hits.get(who, 0.0) + 2.0 * _matches(payload, rest, least)
            total[who] = total.get(who, 0.0) + found + asked
    mean = (sum(hits.values()) + PULL * 0.5) / (sum(total.values()) + PULL)
    quality = {who: (hits.get(who, 0.0) + PULL * mean) / (total.get(who, 0.0) + PULL) for who in sorted(own)}
    weights = quality if weighted else None
    merged = [merge_places(item, quality=weights, least=least) for item in items]
    agreed = [_all_alike(list(item.values()), least) for item in items]
    return MarkedConsensus(merged, agreed, quality, own)


def _matches(one: Payload, other: Payload, least: float) -> int:
    return len(best_matches(_same_kind(one, other), least))


def _same_kind(one: Payload, other: Payload) -> NDArray[np.float64]:
    """Overlap (a, b) of marks with the same label."""
    first, second = places_of(one), places_of(other)
    together = overlap_of([*first, *second])[: len(first), len(first) :]
    alike = [[ours.label == theirs.label for theirs in second] for ours in first]
    return np.asarray(together * np.array(alike).reshape(len(first), len(second)), dtype=np.float64)


def _all_alike(payloads: Sequence[Payload], least: float) -> bool:
    first = len(places_of(payloads[0]))
    return all(
        len(places_of(payload)) == first and _matches(payloads[0], payload, least) == first for payload in payloads[1:]
    )
