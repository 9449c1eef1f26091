"""One set of spans, boxes or segments from several annotators': clusters of matching places, each put to the vote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from learning.agreement.boxes import Rectangle, box_iou
from learning.agreement.matching import stretch_iou
from learning.checks import Floats, Ints, check_share
from schemas.errors import Invalid
from schemas.payloads import Box, Boxes, Payload, Segment, Segments, Span, Spans


@dataclass(frozen=True)
class Merged:
    """The consensus payload; ``support`` has for each of its places the share of annotators (by weight) behind it."""

    payload: Payload
    support: tuple[float, ...]
    rejected: int
    """Places that too few annotators marked."""
    shares: tuple[float, ...] = ()
    """The same share for every place that anybody marked, kept or not."""

    @property
    def certainty(self) -> float:
        """Mean share of annotators (by weight) who agree with what was decided about each place, 1 without any."""
        return sum(max(share, 1.0 - share) for share in self.shares) / len(self.shares) if self.shares else 1.0


def merge_places(
    marked: Mapping[str, Payload],
    *,
    quality: Mapping[str, float] | None = None,
    least: float = 0.3,
    needed: float = 0.5,
) -> Merged:
    """Merge what annotators marked on one item.

    Places of different annotators whose IoU is at least ``least`` form a cluster, the closest first, at most one place
    an annotator. A cluster stays when annotators with more than ``needed`` of the total weight are in it; its label is
    the weighted vote, its bounds the weighted median of its members' (of turned boxes: the member nearest the others).
    ``quality`` (0..1) weighs the annotators; all alike by default. All payloads must be of one kind: spans, segments or
    boxes; :class:`schemas.errors.Invalid` for others.
    """
    if not marked:
        raise Invalid("nobody marked this item")
    if len({type(payload) for payload in marked.values()}) > 1:
        raise Invalid("the annotators' answers are of different kinds")
    check_share(min(max(needed, 1e-9), 1 - 1e-9), "the needed share")
    sides = [places_of(payload) for payload in marked.values()]
    weights = np.array([1.0 if quality is None else max(quality.get(who, 0.5), 1e-6) for who in marked])
    owner = np.repeat(np.arange(len(sides)), [len(side) for side in sides])
    everything = [place for side in sides for place in side]
    bounds, alike = _bounds(everything), overlap_of(everything)
    kept: list[tuple[float, Ints]] = []
    shares: list[float] = []
    rejected = 0
    for members in _clusters(alike, owner, least):
        share = float(weights[owner[members]].sum() / weights.sum())
        shares.append(share)
        # Of two annotators one is no majority; but one who is alone decides.
        if share > needed + 1e-9 or len(sides) == 1:
            kept.append((share, members))
        else:
            rejected += len(members)
    kept.sort(key=lambda cluster: tuple(bounds[cluster[1]].min(axis=0)))
    places = [_settle(everything, bounds, alike, members, weights[owner[members]]) for _, members in kept]
    support = tuple(share for share, _ in kept)
    return Merged(_payload(next(iter(marked.values())), places), support, rejected, tuple(shares))


Place = Span | Segment | Box


def places_of(payload: Payload) -> Sequence[Place]:
    match payload:
        case Spans():
            return payload.spans
        case Segments():
            return payload.segments
        case Boxes():
            return payload.boxes
        case _:
            raise Invalid(f"{type(payload).__name__.lower()} cannot be merged place by place")


def _bounds(places: Sequence[Place]) -> Floats:
    """(n, 2) start and end, or (n, 4) left, top, right, bottom."""
    rows: list[tuple[float, ...]] = []
    for place in places:
        match place:
            case Span():
                rows.append((place.start, place.end))
            case Segment():
                rows.append((place.start_s, place.end_s))
            case Box():
                rows.append((place.x, place.y, place.x + place.width, place.y + place.height))
    return np.array(rows, dtype=np.float64).reshape(len(places), 4 if rows and len(rows[0]) == 4 else 2)


def overlap_of(places: Sequence[Place]) -> Floats:
    """Intersection over union (n, n), whatever the labels."""
    if not places:
        return np.zeros((0, 0))
    boxes = [Rectangle(p.x, p.y, p.width, p.height, p.label, p.rotation) for p in places if isinstance(p, Box)]
    if boxes:
        return box_iou(boxes, boxes, labels=False)
    ends = _bounds(places)
    stretches = [(float(start), float(end), "") for start, end in ends]
    return stretch_iou(stretches, stretches, labels=False)


def _clusters(alike: Floats, owner: Ints, least: float) -> list[Ints]:
    """Greedy average-linkage clusters of places, the closest first, never two of one annotator in one."""
    closeness = np.where(owner[:, None] == owner[None, :], -np.inf, alike)
    clusters: list[list[int]] = [[i] for i in range(len(owner))]
    while len(clusters) > 1:
        i, j = sorted(int(at) for at in np.unravel_index(int(closeness.argmax()), closeness.shape))
        if closeness[i, j] < least:
            break
        here, there = len(clusters[i]), len(clusters[j])
        # A cluster that may not join one of the two (minus infinity) may not join both together.
        joined = (here * closeness[i] + there * closeness[j]) / (here + there)
        joined[i] = -np.inf
        closeness[i], closeness[:, i] = joined, joined
        closeness = np.delete(np.delete(closeness, j, axis=0), j, axis=1)
        clusters[i] += clusters.pop(j)
    return [np.array(sorted(cluster)) for cluster in clusters]


def _settle(places: Sequence[Place], bounds: Floats, alike: Floats, members: Ints, weights: Floats) -> Place:
    votes: dict[str, float] = {}
    for member, weight in zip(members, weights, strict=True):
        label = places[member].label
        votes[label] = votes.get(label, 0.0) + float(weight)
    label = max(votes, key=lambda name: (votes[name], name))
    central = places[members[int((alike[np.ix_(members, members)] @ weights).argmax())]]
    if isinstance(central, Box) and central.rotation:
        return central.model_copy(update={"label": label})
    ends = [weighted_median(bounds[members, column], weights) for column in range(bounds.shape[1])]
    if isinstance(central, Span):
        return Span(start=int(ends[0]), end=max(int(ends[1]), int(ends[0]) + 1), label=label)
    if isinstance(central, Segment):
        return Segment(start_s=ends[0], end_s=max(ends[1], ends[0] + 1e-3), label=label)
    left, top, right, bottom = ends
    return Box(x=left, y=top, width=max(right - left, 1e-6), height=max(bottom - top, 1e-6), label=label)


def weighted_median(values: Floats, weights: Floats) -> float:
    """The smallest value that at least half of the weight does not exceed."""
    order = np.argsort(values, kind="stable")
    upto = np.cumsum(weights[order])
    return float(values[order][int(np.searchsorted(upto, upto[-1] / 2.0 - 1e-12))])


def _payload(like: Payload, places: list[Place]) -> Payload:
    match like:
        case Spans():
            return Spans(spans=tuple(p for p in places if isinstance(p, Span)))
        case Segments():
            return Segments(segments=tuple(p for p in places if isinstance(p, Segment)))
        case _:
            return Boxes(boxes=tuple(p for p in places if isinstance(p, Box)))
