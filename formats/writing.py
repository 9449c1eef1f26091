"""The one entry to writing: export rows become the bytes of a file, a batch at a time.

Rows are plain dicts (``formats.exporting`` makes them of what the database says). CSV, TSV and Parquet have the columns
of ``WriteOptions.columns`` or else of their first batch; JSON formats write each row as it is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Any, BinaryIO

from formats.registry import Encoder, format_of
from schemas.errors import error_of

Rows = Iterable[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """How to write. ``batch`` is the rows turned to bytes at a time."""

    columns: Sequence[str] | None = None
    batch: int = 2000


def encoder(format_name: str, options: WriteOptions | None = None) -> Encoder:
    """What turns batches of rows into the bytes of a file. Raises ``unknown-format``."""
    entry = format_of(format_name)
    if entry.encoder is None:
        raise error_of("unknown-format", f"{format_name} can be read, not written", hint="Write jsonl, csv or parquet.")
    return entry.encoder((options or WriteOptions()).columns)


class Writer:
    """Writes rows to a sink. The file is complete after ``close``, which leaving a ``with`` in peace calls."""

    def __init__(self, encode: Encoder, sink: BinaryIO, options: WriteOptions) -> None:
        self._encoder = encode
        self._sink = sink
        self._batch = options.batch
        self._closed = False
        self.count = 0

    def write(self, rows: Rows) -> int:
        """Write ``rows``; returns how many there were."""
        before = self.count
        for batch in _batches(rows, self._batch):
            self._sink.write(self._encoder.encode(batch))
            self.count += len(batch)
        return self.count - before

    def close(self) -> None:
        """Write the end of the file. The sink stays open: it is the caller's."""
        if not self._closed:
            self._closed = True
            self._sink.write(self._encoder.finish())

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()


def writer(format_name: str, sink: BinaryIO, options: WriteOptions | None = None) -> Writer:
    """A writer of ``format_name`` to an open binary file."""
    options = options or WriteOptions()
    return Writer(encoder(format_name, options), sink, options)


def encode_stream(format_name: str, rows: Rows, options: WriteOptions | None = None) -> Iterator[bytes]:
    """The bytes of a file of ``rows``, in pieces, as the rows come; memory does not grow with them."""
    options = options or WriteOptions()
    made = encoder(format_name, options)
    return _encode(made, _batches(rows, options.batch))


def _encode(made: Encoder, batches: Iterable[Sequence[Mapping[str, Any]]]) -> Iterator[bytes]:
    for batch in batches:
        if piece := made.encode(batch):
            yield piece
    if piece := made.finish():
        yield piece


async def encode_pages(
    format_name: str, pages: AsyncIterator[Sequence[Mapping[str, Any]]], options: WriteOptions | None = None
) -> AsyncIterator[bytes]:
    """:func:`encode_stream` for rows that come in pages from an async source, such as the database."""
    made = encoder(format_name, options)
    async for page in pages:
        if piece := made.encode(page):
            yield piece
    if piece := made.finish():
        yield piece


def _batches(rows: Rows, size: int) -> Iterator[list[Mapping[str, Any]]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, size)):
        yield batch
