"""The shape in which a model answers for a batch of items, and how its answer becomes payloads, item by item.

One schema serves a labelset whatever the batch, because providers compile a schema once and then reuse it: items are
told apart by their numbers, 1 to n. The reason stands before the label, so that a model has thought when it chooses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.data import quoted
from agents.quotes import find_quote
from schemas.errors import LabelCrewError, error_of
from schemas.labeling import Example
from schemas.labelsets import Labelset, answer_schema, check_payload
from schemas.payloads import Classification, Payload, Span, Spans

LONG_ENUM = 250
LONG_ENUM_CHARACTERS = 15_000
ENUM_VALUES = 1_000
"""OpenAI's limits: an enum of more than 250 strings may have 15,000 characters; 1,000 values in all."""

LONGEST_REASON = 300


@dataclass
class ItemAnswer:
    """What the model said about one item, checked against the labelset. ``doubts`` are flaws that it survived."""

    payload: Payload
    confidence: float | None
    """0..1, as claimed; None when the claim made no sense."""
    why: str = ""
    doubts: list[str] = field(default_factory=list)


def batch_schema(labelset: Labelset, *, name: str = "answers", before: dict[str, Any] | None = None) -> dict[str, Any]:
    """The strict schema of ``{name: [{id, why, …, confidence}]}``. ``before`` are properties put before the label."""
    one = answer_schema(labelset)["properties"]
    if not _enum_fits(labelset):
        one = _without_enum(one)
    properties = {
        "id": {"type": "integer"},
        "why": {"type": "string"},
        **(before or {}),
        **one,
        "confidence": {"type": "integer"},
    }
    element = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {name: {"type": "array", "items": element}},
        "required": [name],
        "additionalProperties": False,
    }


def rows_of(value: Any, name: str, count: int) -> dict[int, dict[str, Any]]:
    """The answer's rows by item number, 1 to ``count``; rows for items that nobody asked about are dropped.

    Of a number given twice with different answers neither counts. A list, or one row, that a server without schemas
    sends bare is taken too. Raises model-malformed when there is no list.
    """
    rows = value.get(name, [value] if "id" in value else None) if isinstance(value, dict) else value
    if not isinstance(rows, list):
        raise error_of("model-malformed", f"The model's answer has no list of {name}.")
    found: dict[int, dict[str, Any]] = {}
    contradicted: set[int] = set()
    for row in rows:
        number = _number(row.get("id")) if isinstance(row, dict) else None
        if number is None or not 1 <= number <= count:
            continue
        if number in found and found[number] != row:
            contradicted.add(number)
        found[number] = row
    return {number: row for number, row in found.items() if number not in contradicted}


def read_answer(labelset: Labelset, text: str, row: dict[str, Any], *, last_try: bool = False) -> ItemAnswer:
    """One row as a payload. Raises model-malformed or invalid-payload; on the last try spans that fit are kept."""
    confidence = read_confidence(row.get("confidence"))
    why = row.get("why", row.get("reason", ""))
    doubts = [] if confidence is not None else ["no confidence was given"]
    if labelset.kind == "spans":
        spans, flaws = _read_spans(labelset, text, row.get("spans"), keep_what_fits=last_try)
        payload: Payload = spans
        doubts += flaws
    elif labelset.kind == "classification":
        payload = _read_classes(labelset, row)
    else:
        raise error_of("invalid", f"A language model cannot draft {labelset.kind} of a text.")
    check_payload(labelset, payload, length=len(text))
    return ItemAnswer(payload, confidence, why[:LONGEST_REASON] if isinstance(why, str) else "", doubts)


def read_confidence(value: Any) -> float | None:
    """0..1 from a whole number of per cent; a fraction, as some models insist on, is taken as it is."""
    if isinstance(value, str):
        try:
            value = float(value.strip().rstrip("%"))
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    share = value if isinstance(value, float) and 0 <= value <= 1 else value / 100
    return float(share) if 0 <= share <= 1 else None


def show_payload(labelset: Labelset, text: str, payload: Payload) -> dict[str, Any]:
    """A payload as a model would write it: class names, quotes with their occurrence."""
    if isinstance(payload, Spans):
        return {"spans": [_show_span(labelset, text, span) for span in payload.spans]}
    assert isinstance(payload, Classification)
    names = [labelset.name_of(key) for key in payload.labels]
    return {"labels": names} if labelset.multi else {"label": names[0] if names else ""}


def in_words(labelset: Labelset, text: str, payload: Payload) -> str:
    """A payload for a person to read, in one line."""
    if isinstance(payload, Spans):
        marked = [f"{text[s.start : s.end]!r} as {labelset.name_of(s.label)}" for s in payload.spans]
        return ", ".join(marked) or "no spans"
    assert isinstance(payload, Classification)
    return ", ".join(labelset.name_of(key) for key in payload.labels) or "no label"


def _read_classes(labelset: Labelset, row: dict[str, Any]) -> Classification:
    names = row.get("labels") if labelset.multi else [row.get("label")]
    if not isinstance(names, list):
        raise error_of("model-malformed", "The model's answer has no labels.")
    return Classification(labels=tuple(dict.fromkeys(_key(labelset, name) for name in names)))


def _read_spans(labelset: Labelset, text: str, rows: Any, *, keep_what_fits: bool) -> tuple[Spans, list[str]]:
    if not isinstance(rows, list):
        raise error_of("model-malformed", "The model's answer has no spans.")
    spans: list[Span] = []
    flaws: list[str] = []
    lost: LabelCrewError | None = None
    for row in rows:
        try:
            span, exact = _read_span(labelset, text, row)
        except LabelCrewError as error:
            lost = error
            flaws.append(error.detail)
            continue
        if span in spans:
            continue
        if not labelset.allow_overlap and any(span.start < s.end and s.start < span.end for s in spans):
            lost = error_of("invalid-payload", f"two spans overlap at {span.start}")
            flaws.append(lost.detail)
            continue
        spans.append(span)
        if not exact:
            flaws.append(f"{text[span.start : span.end]!r} was quoted in other letters")
    if lost is not None and not (keep_what_fits and spans):
        raise lost
    return Spans(spans=tuple(sorted(spans, key=lambda s: (s.start, s.end)))), flaws


def _read_span(labelset: Labelset, text: str, row: Any) -> tuple[Span, bool]:
    quote = row.get("text") if isinstance(row, dict) else None
    if not isinstance(quote, str):
        raise error_of("model-malformed", "A span of the model's answer quotes nothing.")
    label = _key(labelset, row.get("label"))
    place = find_quote(text, quote, _number(row.get("occurrence")) or 1)
    if place is None:
        raise error_of("model-malformed", f"The text does not hold the quote {quote[:80]!r}.")
    return Span(start=place.start, end=place.end, label=label), place.exact


def _show_span(labelset: Labelset, text: str, span: Span) -> dict[str, Any]:
    quote = text[span.start : span.end]
    occurrence, last = 1, None
    while (place := find_quote(text, quote, occurrence)) not in (None, last) and place.start < span.start:
        occurrence, last = occurrence + 1, place
    return {"text": quote, "occurrence": occurrence, "label": labelset.name_of(span.label)}


def _key(labelset: Labelset, name: Any) -> str:
    key = next((c.key for c in labelset.classes if c.name == name and not c.retired), None)
    if key is None and isinstance(name, str):
        key = labelset.key_of(name)
    if key is None:
        raise error_of("model-malformed", f"The model answered {str(name)[:80]!r}, which is no class of the labelset.")
    return key


def _number(value: Any) -> int | None:
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _enum_fits(labelset: Labelset) -> bool:
    names = [c.name for c in labelset.active]
    return len(names) <= LONG_ENUM or (
        len(names) <= ENUM_VALUES and sum(len(name) for name in names) <= LONG_ENUM_CHARACTERS
    )


def _without_enum(node: Any) -> Any:
    """A labelset too large for a provider's enum is told in the prompt alone, and checked here all the same."""
    if isinstance(node, dict):
        return {key: _without_enum(value) for key, value in node.items() if key != "enum"}
    return node


def show_examples(labelset: Labelset, examples: Sequence[Example]) -> str:
    """Verified examples as lines of data, text and answer; those of another kind than the labelset's are left out."""
    kind = Spans if labelset.kind == "spans" else Classification
    return "\n".join(
        f"{quoted(example.text)} => {quoted(show_payload(labelset, example.text, example.payload))}"
        for example in examples
        if isinstance(example.payload, kind)
    )
