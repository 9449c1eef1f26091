"""What an answer looks like, for each kind of label.

A payload is the part of a prediction or an annotation that says *what* the label is. It is one JSON object with one
key, named after the shape it carries, so that a reader can tell the kind from the value alone. Labels are class *keys*
(:class:`schemas.labelsets.LabelClass`), which never change, so renaming a class leaves every payload as it was.

Units: spans count Unicode code points, boxes and polygons pixels from the top left corner, segments seconds.
Ends are exclusive everywhere.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

Kind = Literal["classification", "spans", "boxes", "polygons", "segments"]

Label = Annotated[str, Field(min_length=1, max_length=200)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Classification(_Strict):
    """One class, several, or none (multi-label only): ``{"labels": ["refund"]}``."""

    labels: tuple[Label, ...] = Field(max_length=1000)


class Span(_Strict):
    """A stretch of text: code points ``start`` (inclusive) to ``end`` (exclusive)."""

    start: int = Field(ge=0)
    end: int = Field(gt=0)
    label: Label

    @model_validator(mode="after")
    def _not_empty(self) -> Span:
        if self.end <= self.start:
            raise ValueError(f"a span must end after it starts (start {self.start}, end {self.end})")
        return self


class Spans(_Strict):
    """``{"spans": [{"start": 0, "end": 5, "label": "person"}]}``; an empty list says: looked, found none."""

    spans: tuple[Span, ...] = Field(max_length=10_000)


class Box(_Strict):
    """A rectangle in pixels, origin top left; ``rotation`` in degrees clockwise about its centre."""

    x: float
    y: float
    width: float = Field(gt=0)
    height: float = Field(gt=0)
    label: Label
    rotation: float = 0.0


class Boxes(_Strict):
    """``{"boxes": [{"x", "y", "width", "height", "label"}]}``."""

    boxes: tuple[Box, ...] = Field(max_length=10_000)


class Polygon(_Strict):
    """A closed outline of at least three ``(x, y)`` points in pixels."""

    points: tuple[tuple[float, float], ...] = Field(min_length=3, max_length=10_000)
    label: Label


class Polygons(_Strict):
    """``{"polygons": [{"points": [[0, 0], [4, 0], [4, 3]], "label": "leaf"}]}``."""

    polygons: tuple[Polygon, ...] = Field(max_length=10_000)


class Segment(_Strict):
    """A stretch of time in seconds, ``start_s`` inclusive to ``end_s`` exclusive."""

    start_s: float = Field(ge=0)
    end_s: float = Field(gt=0)
    label: Label

    @model_validator(mode="after")
    def _not_empty(self) -> Segment:
        if self.end_s <= self.start_s:
            raise ValueError(f"a segment must end after it starts ({self.start_s} to {self.end_s} s)")
        return self


class Segments(_Strict):
    """``{"segments": [{"start_s": 0.0, "end_s": 1.5, "label": "speech"}]}``."""

    segments: tuple[Segment, ...] = Field(max_length=10_000)


Payload = Classification | Spans | Boxes | Polygons | Segments

PAYLOAD_OF: dict[Kind, type[Payload]] = {
    "classification": Classification,
    "spans": Spans,
    "boxes": Boxes,
    "polygons": Polygons,
    "segments": Segments,
}

_any_payload: TypeAdapter[Payload] = TypeAdapter(Payload)


def parse_payload(raw: object) -> Payload:
    """Read a payload of any kind from plain JSON values. Raises ``pydantic.ValidationError``."""
    return _any_payload.validate_python(raw)


def dump_payload(payload: Payload) -> dict[str, Any]:
    """The plain JSON value of a payload, without defaults: what the database and the files hold."""
    return payload.model_dump(mode="json", exclude_defaults=True)


def labels_of(payload: Payload) -> list[str]:
    """The class keys that a payload mentions, in order, each once."""
    match payload:
        case Classification():
            found = list(payload.labels)
        case Spans():
            found = [span.label for span in payload.spans]
        case Boxes():
            found = [box.label for box in payload.boxes]
        case Polygons():
            found = [polygon.label for polygon in payload.polygons]
        case Segments():
            found = [segment.label for segment in payload.segments]
    return list(dict.fromkeys(found))
