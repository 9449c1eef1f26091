"""JSON Lines: one object on each line (https://jsonlines.org), as most labelling tools write it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

import orjson

from formats.building import plain
from formats.rows import ReadOptions, Rejected, Table, shorten
from formats.sources import Source
from formats.values import JSON_OPTIONS
from schemas.errors import error_of

SAMPLE = 200
MAX_DEPTH = 200
"""A little less than orjson writes; it reads deeper than that."""


def read(source: Source, options: ReadOptions) -> Table:
    """Open a file of JSON lines. A line that is a bare string counts as ``{"text": …}``."""
    source.look_through()
    return objects_table(_records(source), source)


def objects_table(records: Iterator[tuple[int, dict[str, Any]] | Rejected], source: Source) -> Table:
    """The table of a stream of objects: its columns are the keys that the first ones have."""
    head = list(islice(records, SAMPLE))
    if not head:
        raise error_of("empty-file", f"{source.name}: the file has no rows")
    sample = [record[1] for record in head if not isinstance(record, Rejected)]
    if not sample and len(head) == SAMPLE:
        first = head[0]
        assert isinstance(first, Rejected)
        raise error_of(
            "unreadable-file", f"{source.name}: none of the first {SAMPLE} rows is an object: {first.reason}"
        )
    columns = list(dict.fromkeys(key for record in sample for key in record))
    return Table(columns or ["text"], sample, chain(head, records), keyed=True)


def _records(source: Source) -> Iterator[tuple[int, dict[str, Any]] | Rejected]:
    bad_lines = source.bad_lines
    number = 0
    for batch in source.lines():
        for line in batch:
            number += 1
            if bad_lines and (code := bad_lines.pop(number, None)) is not None:
                yield Rejected(number, f"the line is too long or not {source.encoding.upper()} text", code)
                continue
            try:
                value = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                if not line.strip():
                    continue
                value = _loads_loosely(line)
                if value is None:
                    yield Rejected(number, f"the line is not JSON: {error}", "bad-json")
                    continue
            if line.count("[") + line.count("{") > MAX_DEPTH and _too_deep(value):
                yield Rejected(number, "the row is nested too deeply", "bad-json")
                continue
            yield (number, value) if type(value) is dict else _of_other(number, value)


def _loads_loosely(line: str) -> Any:
    """What Python's own json reads and orjson refuses: NaN and Infinity, which become null. None if that fails too."""
    try:
        value = plain(json.loads(line))
        orjson.dumps(value, option=JSON_OPTIONS)  # refuses lone surrogates, which no database takes
    except (ValueError, TypeError, RecursionError):
        return None
    return value


def _too_deep(value: Any) -> bool:
    try:
        orjson.dumps(value, option=JSON_OPTIONS)
    except TypeError:
        return True
    return False


def _of_other(number: int, value: object) -> tuple[int, dict[str, Any]] | Rejected:
    if isinstance(value, str):
        return number, {"text": value}
    return Rejected(number, f"a row must be a JSON object, not {shorten(value)}", "bad-json")


class Encoder:
    """Rows as JSON lines, UTF-8, keys in the order of the rows."""

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> bytes:
        """The bytes of ``rows``."""
        option = JSON_OPTIONS | orjson.OPT_APPEND_NEWLINE
        return b"".join([orjson.dumps(row, default=str, option=option) for row in rows])

    def finish(self) -> bytes:
        """Nothing: a file of lines needs no end."""
        return b""
