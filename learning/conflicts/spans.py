"""Spans whose borders are drawn otherwise than elsewhere, than in the draft, or through white space and marks."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from learning.conflicts.finding import Finding, Labelled, Names, Near, Payload, answer_of, item_finding

USUAL = 3
"""A way to draw a border is usual when it was drawn so this often, and this many times as often as the other way."""
EDGES = " \t\n\r.,;:!?\"'()[]{}«»“”‘’"
ARTICLES = frozenset(
    {"the", "a", "an", "der", "die", "das", "ein", "eine", "le", "la", "les", "un", "une", "el", "los"}
)


@dataclass(frozen=True)
class _Doubt:
    span: Mapping[str, Any]
    start: int
    end: int
    why: str
    weight: float


def span_boundaries(
    items: Sequence[Labelled], drafts: Mapping[str, tuple[Payload, float]] | None = None, names: Names | None = None
) -> list[Finding]:
    """One finding an item with doubtful borders; the proposal redraws them. ``drafts`` are by item id, each with its
    probability; a sure one that draws the same mark otherwise is evidence."""
    names = names or Names()
    texts = [list(_spans(item)) for item in items]
    forms: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    where: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row, (item, spans) in enumerate(zip(items, texts, strict=True)):
        for span in spans:
            surface = item.text[span["start"] : span["end"]]
            forms[span["label"], _core(surface)][surface.casefold()] += 1
            where[span["label"], surface.casefold()].append(row)
    findings = []
    for item, spans in zip(items, texts, strict=True):
        doubts = [doubt for span in spans if (doubt := _doubt_of(item, span, forms)) is not None]
        doubts += _against_draft(item, spans, (drafts or {}).get(item.id))
        if not doubts:
            continue
        moved = {id(doubt.span): doubt for doubt in doubts}
        redrawn = [
            {**span, "start": moved[id(span)].start, "end": moved[id(span)].end} if id(span) in moved else dict(span)
            for span in spans
        ]
        usual = [item.text[d.start : d.end].casefold() for d in doubts]
        others = [
            Near(items[row], 1.0)
            for doubt, surface in zip(doubts, usual, strict=True)
            for row in where.get((doubt.span["label"], surface), [])[:2]
            if items[row].id != item.id
        ]
        shown = "; ".join(
            f"{item.text[d.span['start'] : d.span['end']]!r} as {names.of(d.span['label'])}: {d.why}"
            for d in doubts[:3]
        )
        findings.append(
            item_finding(
                "span_boundary", item, max(doubt.weight for doubt in doubts), f"Borders are doubtful: {shown}.",
                stamp=[answer_of({"spans": redrawn})], others=others,
                numbers={
                    "places": [
                        {
                            "start": d.span["start"], "end": d.span["end"], "label": d.span["label"],
                            "better_start": d.start, "better_end": d.end, "why": d.why,
                        }
                        for d in doubts
                    ]
                },
                payload={"spans": redrawn} if _apart(redrawn) else None, reason="draw the borders as elsewhere",
            )
        )  # fmt: skip
    return findings


def _spans(item: Labelled) -> Iterator[Mapping[str, Any]]:
    """Marks that lie inside the text at hand, which may be the beginning of a longer one."""
    for span in item.payload.get("spans", ()):
        if span["end"] <= len(item.text):
            yield span


def _doubt_of(item: Labelled, span: Mapping[str, Any], forms: Mapping[tuple[str, str], Counter[str]]) -> _Doubt | None:
    start, end = span["start"], span["end"]
    surface = item.text[start:end]
    if surface.strip() and surface != surface.strip():
        lead, trail = len(surface) - len(surface.lstrip()), len(surface) - len(surface.rstrip())
        return _Doubt(span, start + lead, end - trail, "white space is marked with it", 0.8)
    counts = forms[span["label"], _core(surface)]
    usual, often = counts.most_common(1)[0]
    here = counts[surface.casefold()]
    if usual == surface.casefold() or often < USUAL or often < USUAL * here:
        return None
    low = item.text.casefold()
    # Case folding may change lengths; then places do not carry over.
    if len(low) != len(item.text):
        return None
    for at in range(max(0, start - len(usual)), min(len(low), end) + 1):
        if low.startswith(usual, at) and at < end and at + len(usual) > start:
            why = f"elsewhere {usual!r} is marked, {often} times against {here}"
            return _Doubt(span, at, at + len(usual), why, 0.4 + 0.5 * often / (often + here))
    return None


def _against_draft(
    item: Labelled, spans: Sequence[Mapping[str, Any]], draft: tuple[Payload, float] | None
) -> list[_Doubt]:
    if draft is None or draft[1] < 0.8:
        return []
    doubts = []
    for span in spans:
        for other in draft[0].get("spans", ()):
            same = (other["start"], other["end"]) == (span["start"], span["end"])
            crosses = other["start"] < span["end"] and span["start"] < other["end"]
            if crosses and not same and other["label"] == span["label"]:
                why = f"the model, {draft[1]:.0%} sure, marks {item.text[other['start'] : other['end']]!r}"
                doubts.append(_Doubt(span, other["start"], other["end"], why, 0.3 + (draft[1] - 0.8)))
    return doubts


def _core(surface: str) -> str:
    """What is left of a mark without marks, white space and articles at its edges: equal for two ways to draw it."""
    words = surface.casefold().strip(EDGES).split()
    while len(words) > 1 and words[0].strip(EDGES) in ARTICLES:
        words = words[1:]
    return " ".join(words).strip(EDGES)


def _apart(spans: Sequence[Mapping[str, Any]]) -> bool:
    ordered = sorted((span["start"], span["end"]) for span in spans)
    return all(end <= start for (_, end), (start, _) in itertools.pairwise(ordered))
