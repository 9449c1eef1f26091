"""From a record's cells to a row, with the checks that every format shares.

This is the inner loop of an import, so a file's needs are looked up once, in :func:`row_maker`, and the function that
it returns only does what this file needs.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import orjson

from formats.columns import Chosen
from formats.guard import unguard
from formats.rows import MAX_ID_CHARS, ReadOptions, Rejected, Row, Table, shorten

Made = Row | Rejected


class SeenIds:
    """The external ids met so far and the line of each, in 24 to 48 bytes an id.

    Holds 64-bit hashes, not the ids: at a million ids the chance of one false alarm is 3 in 100 million. The hash is
    Python's own, keyed anew in every process, so nobody can prepare a file of colliding ids.
    """

    def __init__(self) -> None:
        self._hashes = array("q", bytes(8 << 10))
        self._lines = array("q", bytes(8 << 10))
        self._count = 0

    def first_line(self, external_id: str, line: int) -> int | None:
        """The line on which the id was seen before; None, and remembered, if this is the first time."""
        hashes = self._hashes
        mask = len(hashes) - 1
        wanted = hash(external_id) or 1
        place = wanted & mask
        while held := hashes[place]:
            if held == wanted:
                return self._lines[place]
            place = (place + 1) & mask
        hashes[place] = wanted
        self._lines[place] = line
        self._count += 1
        if self._count * 3 > len(hashes) * 2:
            self._grow()
        return None

    def _grow(self) -> None:
        old_hashes, old_lines = self._hashes, self._lines
        size = 2 * len(old_hashes)
        mask = size - 1
        hashes, lines = array("q", bytes(8 * size)), array("q", bytes(8 * size))
        for held, line in zip(old_hashes, old_lines, strict=True):
            if held:
                place = held & mask
                while hashes[place]:
                    place = (place + 1) & mask
                hashes[place] = held
                lines[place] = line
        self._hashes, self._lines = hashes, lines


def plain(value: Any) -> Any:  # noqa: PLR0911 -- one return a type
    """``value`` as JSON holds it: NaN becomes None, times ISO 8601, decimals and unknown things strings."""
    match value:
        case None | bool() | str() | int():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {str(k): plain(v) for k, v in value.items()}
        case list() | tuple():
            return [plain(v) for v in value]
        case datetime() | date() | time():
            return value.isoformat()
        case bytes():
            return value.decode("utf-8", "replace")
        case Decimal() | timedelta():
            return str(value)
        case _:
            return str(value)


def as_text(value: Any) -> str | None:
    """A text, id or label that the file holds as a number: as it would be written. None for lists and objects."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | Decimal():
            return str(value)
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else str(value)
        case _:
            return None


def _nul_in(value: Any) -> bool:
    match value:
        case str():
            return "\0" in value
        case Mapping():
            return any(_nul_in(k) or _nul_in(v) for k, v in value.items())
        case list() | tuple():
            return any(map(_nul_in, value))
        case _:
            return False


def row_maker(table: Table, chosen: Chosen, options: ReadOptions, *, has_nul: bool) -> Callable[[int, Any], Made]:
    """A function from a line number and a record of ``table`` to a row or a rejection."""
    make = _from_mapping(table, chosen) if table.keyed else _from_cells(table, chosen)
    seen = SeenIds() if chosen.id is not None else None
    max_chars = options.max_text_chars

    def checked(line: int, record: Any) -> Made:  # noqa: PLR0911 -- one return a check
        row = make(line, record)
        if type(row) is Rejected:
            return row
        assert type(row) is Row
        text = row.text
        if not text or text.isspace():
            return Rejected(line, "the text is empty", "empty-text")
        if len(text) > max_chars:
            return Rejected(line, f"the text has {len(text):,} characters, more than {max_chars:,}", "text-too-long")
        if has_nul and (_nul_in(record) or _nul_in(row.metadata)):
            return Rejected(line, "the row holds a NUL character, which cannot be stored", "nul-character")
        if seen is not None and (external_id := row.external_id) is not None:
            if len(external_id) > MAX_ID_CHARS:
                return Rejected(line, f"the id has more than {MAX_ID_CHARS} characters", "id-too-long")
            first = seen.first_line(external_id, line)
            if first is not None:
                return Rejected(
                    line, f"the id {shorten(external_id)} was given before, on line {first}", "duplicate-id"
                )
        return row

    return checked


def _from_cells(table: Table, chosen: Chosen) -> Callable[[int, Sequence[Any]], Made]:
    columns = table.columns
    width = len(columns)
    guarded = table.guarded

    def at(name: str | None) -> int:
        return columns.index(name) if name is not None else -1

    text_at, id_at, label_at, spans_at, meta_at = map(
        at, (chosen.text, chosen.id, chosen.label, chosen.spans, "metadata" if "metadata" in columns else None)
    )
    if meta_at in (text_at, id_at, label_at, spans_at):
        meta_at = -1
    used = {text_at, id_at, label_at, spans_at, meta_at}
    rest = [(i, name) for i, name in enumerate(columns) if i not in used and name not in chosen.ignored]

    def make(line: int, cells: Sequence[Any]) -> Made:
        if len(cells) != width:
            if len(cells) == width + 1 and cells[-1] == "":
                cells = cells[:-1]
            else:
                return Rejected(line, f"the row has {len(cells)} cells, the header {width}", "ragged-row")
        text = cells[text_at]
        if type(text) is not str:
            text = as_text(text) if text is not None else ""
            if text is None:
                return Rejected(line, f"the text is not text: {shorten(cells[text_at])}", "bad-row")
        metadata = {name: cells[i] for i, name in rest if cells[i] is not None and cells[i] != ""}
        external_id = cells[id_at] if id_at >= 0 else None
        label = cells[label_at] if label_at >= 0 else None
        spans = cells[spans_at] if spans_at >= 0 else None
        if guarded:
            if text[:1] == "'":
                text = unguard(text)
            for name, cell in metadata.items():
                if cell[0] == "'":
                    metadata[name] = unguard(cell)
            external_id = unguard(external_id) if external_id else None
            label = unguard(label) if label else None
            spans = spans or None
        if meta_at >= 0 and cells[meta_at]:
            _merge(metadata, cells[meta_at])
        # most are strings or absent: a call for each would cost a twentieth of an import
        if external_id is not None:
            external_id = (external_id.strip() or None) if type(external_id) is str else _id(external_id)
        if label is not None and type(label) is not str:
            label = _label(label)
        return Row(line, text, external_id, metadata, label, spans)

    return make


def _from_mapping(table: Table, chosen: Chosen) -> Callable[[int, dict[str, Any]], Made]:
    text_key, id_key, label_key, spans_key = chosen.text, chosen.id, chosen.label, chosen.spans
    dropped = {text_key, id_key, label_key, spans_key, *chosen.ignored}

    def make(line: int, record: dict[str, Any]) -> Made:
        text = record.get(text_key)
        if type(text) is not str:
            if text is None:
                return Rejected(line, f"the row has no {text_key!r}", "empty-text")
            text = as_text(text)
            if text is None:
                return Rejected(line, f"the text is not text: {shorten(record[text_key])}", "bad-row")
        metadata = {name: value for name, value in record.items() if name not in dropped}
        if "metadata" in metadata:
            _merge(metadata, metadata.pop("metadata"))
        external_id = record.get(id_key) if id_key is not None else None
        label = record.get(label_key) if label_key is not None else None
        spans = record.get(spans_key) if spans_key is not None else None
        return Row(line, text, _id(external_id), metadata, _label(label), spans)

    return make


def _id(value: Any) -> str | None:
    if value is None:
        return None
    if type(value) is not str:
        value = as_text(value)
        if value is None:
            return None
    return value.strip() or None


def _label(value: Any) -> Any:
    if value is None or type(value) is str or isinstance(value, list | dict):
        return value
    return as_text(value)


def _merge(metadata: dict[str, Any], value: Any) -> None:
    """Put an export's ``metadata`` object back where it came from; anything else stays under its name."""
    held = value
    if isinstance(value, str) and value.startswith("{"):
        try:
            held = orjson.loads(value)
        except orjson.JSONDecodeError:
            held = value
    if isinstance(held, dict):
        for name, entry in held.items():
            metadata.setdefault(str(name), entry)
    elif value is not None:
        metadata["metadata"] = value
