"""What comes out of a file: rows that can be taken, and rows that cannot, each with the line it stood on.

A bad row never fails its file: it becomes a :class:`Rejected` with a reason a person can act on. A bad *file* raises a
registered error (``unreadable-file``, ``unknown-format``, ``missing-column``, ``empty-file``, ``decompression-bomb``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

FormatName = Literal["csv", "tsv", "jsonl", "json", "parquet", "txt", "conll"]

RejectCode = Literal[
    "bad-encoding",  # bytes that are not text in the file's encoding
    "bad-json",  # not a JSON object
    "bad-row",  # not text, or not a record of this format
    "bad-tag",  # CoNLL: a line without a tag, or a tag that is not of the BIO family
    "cell-too-large",
    "duplicate-id",
    "empty-text",
    "id-too-long",
    "nul-character",
    "ragged-row",  # more or fewer cells than the header
    "text-too-long",
    "unclosed-quote",
]

MAX_TEXT_CHARS = 1_000_000
MAX_CELL_CHARS = 10_000_000
"""Largest single cell, text column or not; csv's own limit works the same way."""
MAX_RECORD_CHARS = 32_000_000
"""Largest record held in memory at once: a line, a quoted CSV record, an element of a JSON array."""
MAX_ID_CHARS = 500
"""External ids stand in a b-tree index, whose entries Postgres limits to about 2,700 bytes."""


@dataclass(slots=True)
class Row:
    """One row that can become an item.

    ``line`` is the physical line the row begins on (for Parquet the row's number), from 1. ``label`` and ``spans`` are
    as the file has them (``formats.labels`` reads them); None means that the file says nothing.
    """

    line: int
    text: str
    external_id: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    label: str | list[Any] | dict[str, Any] | None = None
    spans: str | list[Any] | dict[str, Any] | None = None


@dataclass(slots=True)
class Rejected:
    """One row that was not taken. ``reason`` is for people, ``code`` for programs."""

    line: int
    reason: str
    code: RejectCode


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How to read a file; everything that is None is found out from the name and the content.

    Columns that are named must exist. Without ``label_column`` labels are left alone (they stay in the metadata) unless
    ``guess_label`` is set. ``labels_as`` is for whoever stores the rows. ``max_rows`` counts rows taken.
    """

    format: FormatName | None = None
    text_column: str | None = None
    id_column: str | None = None
    label_column: str | None = None
    guess_label: bool = False
    labels_as: Literal["annotations", "predictions"] = "annotations"
    header: bool | None = None
    """Delimited files: whether the first row names the columns."""
    delimiter: str | None = None
    encoding: str | None = None
    max_text_chars: int = MAX_TEXT_CHARS
    max_rows: int | None = None
    max_unpacked_bytes: int = 4 * 1024**3
    """Most that a compressed file may unpack to."""
    max_ratio: int = 200
    """Most that a compressed file may grow by, once it has passed 64 MB. Text packs 3 to 30 times."""


@dataclass(slots=True)
class Table:
    """A file of named columns, opened: what the columns are called, a sample, and the records.

    A record is the line it begins on and its cells: a sequence in the order of ``columns`` or, where ``keyed``, a
    mapping (JSON objects, whose keys may differ from record to record).
    """

    columns: list[str]
    sample: list[Any]
    records: Iterator[tuple[int, Any] | Rejected]
    keyed: bool = False
    guarded: bool = False
    """Whether cells carry the apostrophe that keeps spreadsheets from running them (see ``formats.guard``)."""


@dataclass(slots=True)
class Ready:
    """A file whose format says itself what the text is: its rows, already made."""

    rows: Iterator[Row | Rejected]


def shorten(value: object, length: int = 60) -> str:
    """``value`` for a message: its repr, cut to ``length`` characters."""
    shown = repr(value[: length + 1] if isinstance(value, str) else value)
    return shown if len(shown) <= length else shown[: length - 1] + "…"


def unique_names(names: Sequence[str]) -> list[str]:
    """Column names made usable: blank ones become ``column_3``, repeated ones get a number."""
    seen: set[str] = set()
    result: list[str] = []
    for position, raw in enumerate(names, start=1):
        base = raw.strip() or f"column_{position}"
        name, count = base, 2
        while name in seen:
            name, count = f"{base}_{count}", count + 1
        seen.add(name)
        result.append(name)
    return result
