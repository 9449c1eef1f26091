"""The formats, by name: what each can do and how it travels over HTTP. A new format is a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from formats import conll, delimited, json_array, json_lines, parquet, plain_text
from formats.detect import EXTENSIONS
from formats.rows import ReadOptions, Ready, Table
from formats.sources import Source
from schemas.errors import error_of


class Encoder(Protocol):
    """Turns batches of rows into the bytes of a file, in order; ``finish`` is called once, at the end."""

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> bytes: ...

    def finish(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Format:
    """One format. ``encoder`` takes the columns of the file, where the format has columns."""

    name: str
    extension: str
    media_type: str
    read: Callable[[Source, ReadOptions], Table | Ready] | None = None
    encoder: Callable[[Sequence[str] | None], Encoder] | None = None


FORMATS: dict[str, Format] = {
    entry.name: entry
    for entry in (
        Format(
            "csv",
            ".csv",
            "text/csv; charset=utf-8",
            delimited.read,
            delimited.Encoder,
        ),
        Format(
            "tsv",
            ".tsv",
            "text/tab-separated-values; charset=utf-8",
            lambda source, options: delimited.read(source, options, delimiter="\t"),
            lambda columns: delimited.Encoder(columns, delimiter="\t"),
        ),
        Format("jsonl", ".jsonl", "application/x-ndjson", json_lines.read, lambda columns: json_lines.Encoder()),
        Format("json", ".json", "application/json", json_array.read, lambda columns: json_array.Encoder()),
        Format(
            "parquet",
            ".parquet",
            "application/vnd.apache.parquet",
            parquet.read,
            parquet.Encoder,
        ),
        Format("txt", ".txt", "text/plain; charset=utf-8", plain_text.read),
        Format("conll", ".conll", "text/plain; charset=utf-8", conll.read, lambda columns: conll.Encoder()),
    )
}


def format_of(name: str) -> Format:
    """The format of that name or file extension. Raises ``unknown-format``."""
    name = EXTENSIONS.get(f".{name}", name)
    if name not in FORMATS:
        raise error_of("unknown-format", f"there is no format {name!r}; there are {', '.join(FORMATS)}")
    return FORMATS[name]
