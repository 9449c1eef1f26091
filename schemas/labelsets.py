"""A labelset: one version of what may be answered about the items of a dataset.

From a labelset come the strict JSON schema that a model must answer in, and the validator that every answer, by a
model, a file or a person, must pass. A class has a *key*, given once and never changed, which payloads store, and a
*name*, which people and models read and which may change. In most labelsets the two are the same string.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from schemas.errors import InvalidPayload
from schemas.payloads import (
    PAYLOAD_OF,
    Boxes,
    Classification,
    Kind,
    Payload,
    Polygons,
    Segments,
    Spans,
    labels_of,
)

ClassName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]

PALETTE: tuple[str, ...] = (
    "#2563eb", "#d97706", "#059669", "#dc2626", "#7c3aed", "#0891b2", "#c026d3", "#65a30d", "#e11d48", "#475569",
)  # fmt: skip
"""Colours for classes that name none, readable on white and on near-black (WCAG contrast of 3:1 or more)."""


class LabelClass(BaseModel):
    """One class. ``examples`` are short texts that show it; a retired class stays in old answers only."""

    model_config = ConfigDict(extra="forbid")

    name: ClassName
    key: str = ""
    description: str = Field(default="", max_length=4000)
    color: str = Field(default="", pattern=r"^(#[0-9a-fA-F]{6})?$")
    hotkey: str = Field(default="", max_length=1)
    examples: list[str] = Field(default_factory=list, max_length=50)
    retired: bool = False

    @model_validator(mode="after")
    def _key_defaults_to_name(self) -> Self:
        if not self.key:
            self.key = self.name
        return self


class Labelset(BaseModel):
    """The classes and rules of one version. ``version`` counts from 1 within a dataset."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind = "classification"
    classes: list[LabelClass] = Field(min_length=1, max_length=1000)
    multi: bool = False
    """Classification: whether several labels, or none, may be given."""
    allow_overlap: bool = False
    """Spans and segments: whether two may cover the same place."""
    version: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _unambiguous(self) -> Self:
        for what, values in (
            ("name", [c.name.casefold() for c in self.classes if not c.retired]),
            ("key", [c.key for c in self.classes]),
            ("hotkey", [c.hotkey for c in self.classes if c.hotkey and not c.retired]),
        ):
            twice = sorted({v for v in values if values.count(v) > 1})
            if twice:
                raise ValueError(f"two classes share the {what} {twice[0]!r}; each {what} may be used once")
        if not any(not c.retired for c in self.classes):
            raise ValueError("every class is retired; keep at least one that can be given")
        for index, label_class in enumerate(self.classes):
            if not label_class.color:
                label_class.color = PALETTE[index % len(PALETTE)]
        return self

    @classmethod
    def of(cls, names: Iterable[str], *, kind: Kind = "classification", multi: bool = False) -> Self:
        """A labelset from bare class names."""
        return cls(kind=kind, multi=multi, classes=[LabelClass(name=name) for name in names])

    @property
    def active(self) -> list[LabelClass]:
        """The classes that may be given today, in their order."""
        return [c for c in self.classes if not c.retired]

    @property
    def keys(self) -> list[str]:
        """The keys of the active classes, in their order: the columns of every score matrix."""
        return [c.key for c in self.active]

    def key_of(self, written: str) -> str | None:
        """The key behind a name as somebody wrote it (a name wins over a key; case is forgiven last)."""
        written = written.strip()
        candidates: Sequence[LabelClass] = [*self.active, *(c for c in self.classes if c.retired)]
        tests: tuple[Callable[[LabelClass], bool], ...] = (
            lambda c: c.name == written,
            lambda c: c.key == written,
            lambda c: c.name.casefold() == written.casefold(),
        )
        for matches in tests:
            for candidate in candidates:
                if matches(candidate):
                    return candidate.key
        return None

    def name_of(self, key: str) -> str:
        """The name that people read for a key; the key itself if the labelset no longer knows it."""
        return next((c.name for c in self.classes if c.key == key), key)


def check_payload(
    labelset: Labelset, payload: Payload, *, length: int | None = None, retired_ok: bool = False
) -> Payload:
    """Return ``payload`` if it is a legal answer under ``labelset``, else raise :class:`InvalidPayload`.

    ``length`` is the item's length in code points; when given, spans must lie inside. ``retired_ok`` lets answers keep
    classes that were retired after they were given.
    """
    if not isinstance(payload, PAYLOAD_OF[labelset.kind]):
        raise InvalidPayload(f"this dataset takes {labelset.kind}, not {type(payload).__name__.lower()}")
    allowed = {c.key for c in labelset.classes} if retired_ok else set(labelset.keys)
    unknown = [label for label in labels_of(payload) if label not in allowed]
    if unknown:
        known = ", ".join(sorted(allowed)[:12]) + (", …" if len(allowed) > 12 else "")
        raise InvalidPayload(f"unknown class {unknown[0]!r}", hint=f"Use one of: {known}")
    match payload:
        case Classification():
            if len(set(payload.labels)) != len(payload.labels):
                raise InvalidPayload("a label is given twice")
            if not labelset.multi and len(payload.labels) != 1:
                raise InvalidPayload(f"exactly one label is needed, {len(payload.labels)} were given")
        case Spans():
            _check_places([(s.start, s.end) for s in payload.spans], labelset, length)
        case Segments():
            _check_places([(s.start_s, s.end_s) for s in payload.segments], labelset, None)
        case Boxes() | Polygons():
            pass
    return payload


def _check_places(places: list[tuple[float, float]], labelset: Labelset, length: int | None) -> None:
    ordered = sorted(places)
    if length is not None and ordered and max(end for _, end in ordered) > length:
        start, end = max(ordered, key=lambda place: place[1])
        raise InvalidPayload(f"a span from {start} to {end} lies outside the text of {length} characters")
    if labelset.allow_overlap:
        return
    for (_, end), (start, _) in pairwise(ordered):
        if start < end:
            raise InvalidPayload(
                f"two spans overlap at {start}", hint="Correct one of them, or let the labelset allow overlaps."
            )


def answer_schema(labelset: Labelset) -> dict[str, Any]:
    """The strict JSON schema of one answer, for text and for models.

    Follows OpenAI's structured-output rules: every property required, ``additionalProperties: false``, no defaults, no
    unsupported keywords. Classes appear by *name*: a model reads names. Spans ask for the quoted text and its
    occurrence rather than offsets, which models count badly; the pre-label agent turns quotes into code points.
    """
    names = [c.name for c in labelset.active]
    label = {"type": "string", "enum": names}
    if labelset.kind == "classification":
        if labelset.multi:
            return _object({"labels": {"type": "array", "items": label}})
        return _object({"label": label})
    if labelset.kind == "spans":
        span = _object({"text": {"type": "string"}, "occurrence": {"type": "integer"}, "label": label})
        return _object({"spans": {"type": "array", "items": span}})
    if labelset.kind == "boxes":
        box = _object({**{k: {"type": "number"} for k in ("x", "y", "width", "height")}, "label": label})
        return _object({"boxes": {"type": "array", "items": box}})
    if labelset.kind == "polygons":
        point = {"type": "array", "items": {"type": "number"}}
        polygon = _object({"points": {"type": "array", "items": point}, "label": label})
        return _object({"polygons": {"type": "array", "items": polygon}})
    segment = _object({"start_s": {"type": "number"}, "end_s": {"type": "number"}, "label": label})
    return _object({"segments": {"type": "array", "items": segment}})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
