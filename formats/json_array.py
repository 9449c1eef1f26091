"""JSON: one array of objects, read element by element.

The decoded text slides through a buffer; ``json.JSONDecoder.raw_decode`` takes an element off its front. When an
element is not complete yet, twice as much is read before the next try, so a large element costs no more than twice its
parse.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from formats.building import plain
from formats.json_lines import objects_table
from formats.rows import MAX_RECORD_CHARS, ReadOptions, Rejected, Table, shorten
from formats.sources import Source
from formats.values import JSON_OPTIONS
from schemas.errors import LabelCrewError, error_of

_SPACE = re.compile(r"[ \t\r\n]*")


def read(source: Source, options: ReadOptions) -> Table:
    """Open a JSON array of objects. Elements that are bare strings count as ``{"text": …}``."""
    source.look_through()
    # NUL bytes are the other halves of UTF-16
    begin = source.head(256).replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")[:1]
    if begin == b"[" and source.tail.replace(b"\0", b"").rstrip()[-1:] != b"]":
        raise error_of("unreadable-file", f"{source.name}: the array is cut off")
    return objects_table(_Elements(source).run(), source)


class _Elements:
    """The elements of the array, each with the line that it begins on."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._pieces = source.text()
        self._buffer = ""
        self._at = 0
        self._line = 1
        self._ended = False

    def run(self) -> Iterator[tuple[int, dict[str, Any]] | Rejected]:
        first = self._next_sign()
        if first == "":
            return
        if first != "[":
            what = "an object" if first == "{" else shorten(self._buffer[self._at : self._at + 40])
            raise self._broken(f"an array of objects is needed, this begins with {what}")
        self._at += 1
        if self._next_sign() == "]":
            return
        while True:
            self._next_sign()
            start = self._line
            yield _row(start, self._element(), self._source)
            sign = self._next_sign()
            self._at += 1
            if sign == "]":
                return
            if sign != ",":
                raise self._broken("the array is cut off" if sign == "" else f"a comma is missing before {sign!r}")

    def _more(self, least: int = 1) -> None:
        """Drop what was read and take in at least ``least`` characters, if there are as many."""
        parts = [self._buffer[self._at :]]
        got = 0
        while got < least:
            piece = next(self._pieces, None)
            if piece is None:
                self._ended = True
                break
            parts.append(piece[0])
            got += len(piece[0])
        self._buffer, self._at = "".join(parts), 0

    def _next_sign(self) -> str:
        """The next character that is not white space, not consumed; empty at the end of the file."""
        while True:
            match = _SPACE.match(self._buffer, self._at)
            assert match is not None
            self._line += self._buffer.count("\n", self._at, match.end())
            self._at = match.end()
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if self._ended:
                return ""
            self._more()

    def _element(self) -> Any:
        while True:
            try:
                value, end = _DECODER.raw_decode(self._buffer, self._at)
            except RecursionError:
                raise self._broken("an element is nested too deeply") from None
            except ValueError as error:
                if not isinstance(error, json.JSONDecodeError):
                    raise self._broken(f"a number is too long to read ({error})") from error
                held = len(self._buffer) - self._at
                if self._ended or held > MAX_RECORD_CHARS:
                    line = self._line + self._buffer.count("\n", self._at, error.pos)
                    if self._ended and error.pos >= len(self._buffer.rstrip()):
                        raise self._broken("the array is cut off") from error
                    raise self._broken(f"this is not JSON: {error.msg}", line) from error
            else:
                # a number may go on in what is not read yet
                if end < len(self._buffer) or self._ended:
                    self._line += self._buffer.count("\n", self._at, end)
                    self._at = end
                    return value
                held = 1
            self._more(held)

    def _broken(self, why: str, line: int | None = None) -> LabelCrewError:
        return error_of("unreadable-file", f"{self._source.name}, line {line or self._line}: {why}")


_DECODER = json.JSONDecoder(parse_constant=lambda _: None)


def _row(line: int, value: Any, source: Source) -> tuple[int, dict[str, Any]] | Rejected:
    if isinstance(value, str):
        value = {"text": value}
    if not isinstance(value, dict):
        return Rejected(line, f"a row must be a JSON object, not {shorten(value)}", "bad-json")
    try:
        orjson.dumps(value, option=JSON_OPTIONS)
    except TypeError as error:
        if "surrogates" in str(error) or "UTF-8" in str(error):
            return Rejected(line, f"the row holds bytes that are not {source.encoding.upper()} text", "bad-encoding")
        if "64-bit" not in str(error):
            return Rejected(line, f"the row cannot be stored: {error}", "bad-json")
        value = _within(plain(value))
    return line, value


def _within(value: Any) -> Any:
    """``value`` with whole numbers beyond 64 bits as strings."""
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return str(value)
    if isinstance(value, dict):
        return {k: _within(v) for k, v in value.items()}
    return [_within(v) for v in value] if isinstance(value, list) else value


class Encoder:
    """Rows as one JSON array, an object on each line."""

    def __init__(self) -> None:
        self._begun = False

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> bytes:
        """The bytes of ``rows`` with the comma or bracket before them."""
        if not rows:
            return b""
        body = b",\n".join([orjson.dumps(row, default=str, option=JSON_OPTIONS) for row in rows])
        opening = b",\n" if self._begun else b"[\n"
        self._begun = True
        return opening + body

    def finish(self) -> bytes:
        """The closing bracket."""
        return b"\n]\n" if self._begun else b"[]\n"
