"""The one entry to reading: any file of texts becomes rows and rejections.

rows = open_rows(Path("reviews.csv"))
for row in rows:
    ...
print(rows.notices)
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from formats.building import Made, row_maker
from formats.columns import choose
from formats.detect import detect_format
from formats.registry import format_of
from formats.rows import ReadOptions, Ready, Rejected, Row, Table
from formats.sources import Source, open_source
from schemas.errors import error_of


class RowReader(Iterator[Row | Rejected]):
    """The rows of one open file, once through; also what was found out about it.

    ``notices`` are sentences for the user (an encoding that was guessed, a text column that was). They are complete as
    soon as the reader exists, as are the columns. Closes its file at the end; ``close`` or a ``with`` does so earlier.
    """

    def __init__(self, source: Source, options: ReadOptions) -> None:
        self._source = source
        self.format = detect_format(source)
        read = format_of(self.format).read
        assert read is not None, "detect_format names formats that can be read"
        opened = read(source, options)
        self.encoding = source.encoding
        self.notices = source.notices
        self.columns: list[str] = []
        self.text_column: str | None = None
        self.id_column: str | None = None
        self.label_column: str | None = None
        self.spans_column: str | None = None
        rows = self._of_ready(opened) if isinstance(opened, Ready) else self._of_table(opened, options)
        self._rows = self._until_end(rows, options.max_rows)

    @property
    def progress(self) -> float:
        """The share of the file that has been read, 0 to 1."""
        return self._source.progress

    def _of_table(self, table: Table, options: ReadOptions) -> Iterator[Made]:
        chosen = choose(table, options)
        self.columns = table.columns
        self.text_column, self.id_column = chosen.text, chosen.id
        self.label_column, self.spans_column = chosen.label, chosen.spans
        self.notices += chosen.notices
        make = row_maker(table, chosen, options, has_nul=self._source.has_nul)
        return (
            make(*record) if type(record) is tuple else record  # type: ignore[misc]
            for record in table.records
        )

    def _of_ready(self, ready: Ready) -> Iterator[Made]:
        first = next(ready.rows, None)
        if first is None:
            raise error_of("empty-file", f"{self._source.name}: the file has no rows")

        def rows() -> Iterator[Made]:
            yield first
            yield from ready.rows

        return rows()

    def _until_end(self, rows: Iterator[Made], limit: int | None) -> Iterator[Made]:
        taken = 0
        try:
            if limit is None:
                yield from rows
                return
            for row in rows:
                if taken >= limit:
                    return
                taken += type(row) is Row
                yield row
        finally:
            self._source.close()

    def __iter__(self) -> Iterator[Row | Rejected]:
        # the generator itself: a Python method a row would cost a tenth of the speed
        return self._rows

    def __next__(self) -> Row | Rejected:
        return next(self._rows)

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def __enter__(self) -> RowReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_rows(source: Path | BinaryIO, options: ReadOptions | None = None, name: str | None = None) -> RowReader:
    """Open a file of texts, in any format, packed with gzip or not.

    ``name`` stands for the file's own where ``source`` is an open file. Raises, before any row is read,
    ``unreadable-file`` (missing, cut off, damaged), ``unknown-format``, ``missing-column``, ``empty-file`` and
    ``decompression-bomb``. Damage inside Parquet or a JSON array only shows when it is reached; it raises
    ``unreadable-file`` then.
    """
    options = options or ReadOptions()
    opened = open_source(source, options, name)
    try:
        return RowReader(opened, options)
    except BaseException:
        opened.close()
        raise
