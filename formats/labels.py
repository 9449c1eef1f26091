"""What a file says about a label, turned into a payload that the labelset allows.

Files say it in many ways: a name, several names in one cell, a JSON list, spans as this product, Prodigy, doccano or
Label Studio write them. Names become class keys on the way in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from pydantic import ValidationError

from formats.building import as_text
from formats.rows import Row, shorten
from schemas.errors import InvalidPayload, error_of
from schemas.labelsets import Labelset, check_payload
from schemas.payloads import Classification, Payload, Span, Spans, parse_payload

SEPARATORS = ("|", ";", ",")
MAX_CLASSES = 1000
_LABEL_FIELDS = ("label", "labels", "tag", "type", "entity", "entity_type", "entity_group")
_LIST_FIELDS = ("labels", "choices", "label", "spans", "entities")
_KEPT = 20_000


class PayloadReader:
    """Reads labels for one labelset, and remembers class names it has met: files repeat themselves."""

    def __init__(self, labelset: Labelset) -> None:
        self._labelset = labelset
        self._keys: dict[str, str | None] = {}
        self._read = {"classification": self._classification, "spans": self._spans}.get(labelset.kind, self._shapes)

    def of_row(self, row: Row) -> Payload | None:
        """The payload of a row, None if the row says nothing about its label. Raises :class:`InvalidPayload`."""
        raw = row.label
        if row.spans is not None and (self._labelset.kind != "classification" or raw is None):
            raw = row.spans
        return None if raw is None or raw == "" else self.read(raw, row.text)

    def read(self, raw: object, text: str | None = None) -> Payload:
        """The payload that ``raw`` says; spans are checked against ``text``. Raises :class:`InvalidPayload`."""
        length = len(text) if text is not None else None
        try:
            return check_payload(self._labelset, self._read(raw, text), length=length)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise InvalidPayload(f"{first['msg']}: {shorten(first['input'])}") from error

    def _key(self, name: object) -> str:
        written = as_text(name)
        if written is None:
            raise InvalidPayload(f"a class has a name, this is {shorten(name)}")
        if written not in self._keys:
            if len(self._keys) > _KEPT:
                self._keys.clear()
            self._keys[written] = self._labelset.key_of(written)
        key = self._keys[written]
        if key is None:
            names = [c.name for c in self._labelset.active]
            known = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
            raise InvalidPayload(f"unknown class {shorten(written)}", hint=f"Use one of: {known}")
        return key

    def _known(self, name: str) -> bool:
        try:
            self._key(name)
        except InvalidPayload:
            return False
        return True

    def _classification(self, raw: object, _: str | None) -> Payload:
        names = _list_of(raw)
        if names is None:
            written = as_text(raw) or ""
            names = [written]
            if self._labelset.multi and not self._known(written):
                names = split_labels(written)
        if any(isinstance(name, Mapping) for name in names):
            raise InvalidPayload("this dataset takes classification, not spans")
        return Classification(labels=tuple(dict.fromkeys(self._key(name) for name in names)))

    def _spans(self, raw: object, text: str | None) -> Payload:
        written = _list_of(raw)
        if written is None:
            raise InvalidPayload(f"spans are a list of start, end and label, this is {shorten(raw)}")
        spans = [self._span(span, text) for span in written]
        return Spans(spans=tuple(sorted(spans, key=lambda span: (span.start, span.end, span.label))))

    def _span(self, raw: object, text: str | None) -> Span:
        quoted: object = None
        match raw:
            case {"value": Mapping() as value}:
                return self._span(value, text)
            case {"start": start, "end": end}:
                assert isinstance(raw, Mapping)
                label = next((raw[name] for name in _LABEL_FIELDS if raw.get(name)), None)
                quoted = raw.get("text")
            case [start, end, label]:
                pass
            case _:
                raise InvalidPayload(f"a span has start, end and label, this is {shorten(raw)}")
        if isinstance(label, list) and len(label) == 1:
            label = label[0]
        span = Span(start=_whole(start), end=_whole(end), label=self._key(label))
        if text is not None and isinstance(quoted, str) and quoted != text[span.start : span.end]:
            found = text[span.start : span.end]
            raise InvalidPayload(
                f"the span from {span.start} to {span.end} says {shorten(quoted)}, the text says {shorten(found)}",
                hint="Count Unicode code points, not bytes or UTF-16 units; the end is exclusive.",
            )
        return span

    def _shapes(self, raw: object, _: str | None) -> Payload:
        kind = self._labelset.kind
        shapes = raw.get(kind) if isinstance(raw, Mapping) else _list_of(raw)
        if not isinstance(shapes, list):
            raise InvalidPayload(f"{kind} are a list of objects, this is {shorten(raw)}")
        return parse_payload(
            {kind: [{**s, "label": self._key(s.get("label"))} if isinstance(s, Mapping) else s for s in shapes]}
        )


def to_payload(raw: object, labelset: Labelset, text: str | None = None) -> Payload:
    """The payload that one raw label says. For many rows make one :class:`PayloadReader`."""
    return PayloadReader(labelset).read(raw, text)


def split_labels(cell: str) -> list[str]:
    """The labels of one cell: cut at the first of ``|``, ``;`` and ``,`` that it has; blank ones dropped."""
    for separator in SEPARATORS:
        if separator in cell:
            return [part for raw in cell.split(separator) if (part := raw.strip())]
    return [cell.strip()] if cell.strip() else []


def _list_of(raw: object) -> list[Any] | None:
    """The list that ``raw`` is, holds, or spells as JSON; None if it is none of that."""
    if isinstance(raw, str):
        if raw[:1] not in ("[", "{"):
            return None
        try:
            raw = orjson.loads(raw)
        except orjson.JSONDecodeError:
            return None
    if isinstance(raw, Mapping):
        raw = next((raw[name] for name in _LIST_FIELDS if name in raw), None)
        if isinstance(raw, str):
            return [raw]
    return list(raw) if isinstance(raw, list | tuple) else None


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or int(value) != value:
        raise InvalidPayload(f"offsets are whole numbers, this is {shorten(value)}")
    return int(value)


def infer_classes(values: Iterable[object], *, multi: bool = False) -> list[str]:
    """The class names in a column of raw labels, numbers in their order, words alphabetically.

    Names that differ in case only are one class, spelled as they come up first. With ``multi`` a cell may hold several.
    Raises ``invalid-labelset`` if there are none or more than 1,000: that is no label column.
    """
    found: dict[str, str] = {}
    for raw in values:
        for name in names_in(raw, multi):
            found.setdefault(name.casefold(), name)
        if len(found) > MAX_CLASSES:
            raise error_of(
                "invalid-labelset",
                f"the column has more than {MAX_CLASSES:,} different labels",
                hint="Name the column that holds the label, or give the classes.",
            )
    if not found:
        raise error_of("invalid-labelset", "the column holds no label", hint="Give the classes.")
    return sorted(found.values(), key=_natural)


def names_in(raw: object, multi: bool = False) -> list[str]:
    """The class names in one raw label; none in an empty one."""
    if raw is None or raw == "":
        return []
    listed = _list_of(raw)
    if listed is None:
        written = (as_text(raw) or "").strip()
        return split_labels(written) if multi else [written] if written else []
    names: list[str] = []
    for entry in listed:
        label: Any = entry
        if isinstance(entry, Mapping):
            value = entry.get("value")
            held = value if isinstance(value, Mapping) else entry
            label = next((held[name] for name in _LABEL_FIELDS if held.get(name)), None)
        elif isinstance(entry, list | tuple) and len(entry) == 3:
            label = entry[2]
        for name in label if isinstance(label, list) else [label]:
            spelled = (as_text(name) or "").strip()
            if spelled:
                names.append(spelled)
    return names


def _natural(name: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"([0-9]+)", name.casefold())
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts if part]
