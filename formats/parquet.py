"""Parquet: read in small batches, written a row group at a time, through Arrow.

pyarrow is imported late: it costs as much memory as everything else here together. Columns that a file has packed as a
dictionary are read as one, so a text that occurs a million times is held once, however small the file that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from formats.building import plain
from formats.rows import ReadOptions, Table
from formats.sources import Source, unreadable
from formats.values import column_names, json_of
from schemas.errors import error_of

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 2048
BUFFER = 1 << 20
GROUP = 20_000
"""Rows of a row group in the files we write: small enough to stream, large enough to pack well."""


def read(source: Source, options: ReadOptions) -> Table:
    """Open a Parquet file. Lines are the rows' numbers, from 1."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = source.unpacked_file()
    try:
        metadata = pq.read_metadata(file)
        file.seek(0)
        schema = metadata.schema.to_arrow_schema()
        strings = [f.name for f in schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]
        opened = pq.ParquetFile(
            file, metadata=metadata, buffer_size=BUFFER, pre_buffer=False, read_dictionary=_packed(metadata, strings)
        )
    except (pa.ArrowException, OSError) as error:
        raise unreadable(source.name, error) from error
    if metadata.num_rows == 0:
        raise error_of("empty-file", f"{source.name}: the file has no rows")
    declared = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    source.check_growth(declared)
    source.has_nul = True
    names = [f.name for f in opened.schema_arrow if not _is_binary(f.type)]
    if len(names) < len(opened.schema_arrow):
        left = [f.name for f in opened.schema_arrow if _is_binary(f.type)]
        source.notices.append(f"Binary columns are left out: {', '.join(left)}.")
    records = _records(opened, names, source)
    head = list(islice(records, 200))
    return Table(names, [cells for _, cells in head], chain(head, records))


def _packed(metadata: Any, strings: Sequence[str]) -> list[str]:
    """Which string columns are stored as dictionaries in the first row group."""
    if not metadata.num_row_groups:
        return []
    group = metadata.row_group(0)
    columns = [group.column(i) for i in range(group.num_columns)]
    return [c.path_in_schema for c in columns if c.has_dictionary_page and c.path_in_schema in strings]


def _is_binary(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return True
    return any(_is_binary(kind.field(i).type) for i in range(kind.num_fields))


def _records(opened: Any, names: list[str], source: Source) -> Iterator[tuple[int, list[Any]]]:
    import pyarrow as pa

    number = 0
    unpacked = 0
    batches = opened.iter_batches(batch_size=BATCH, columns=names, use_threads=False)
    while True:
        try:
            batch = next(batches, None)
            if batch is None:
                return
            columns = [_values(batch.column(name)) for name in names]
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise unreadable(source.name, error) from error
        for cells in zip(*columns, strict=True):
            number += 1
            unpacked += sum(len(cell) for cell in cells if type(cell) is str)
            yield number, list(cells)
        source.check_growth(unpacked)


def _values(column: Any) -> list[Any]:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        entries = column.dictionary.to_pylist()
        return [None if i is None else entries[i] for i in column.indices.to_pylist()]
    values: list[Any] = column.to_pylist()
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind):
        return values
    return [plain(value) for value in values]


_STRINGS = ("id", "external_id", "text", "state", "source", "model", "rationale", "route", "route_reason", "annotator")
_NUMBERS = ("probability", "confidence", "cost_usd")
_COUNTS = ("labelset_version", "lead_time_ms")


def _field(  # noqa: PLR0911 -- one return a type
    name: str, rows: Sequence[Mapping[str, Any]]
) -> tuple[pa.Field, Callable[[Any], Any]]:
    """The Arrow type of a column and what turns a row's value into it.

    Columns of an export have the type that they have in every export; of any other the values of the first batch
    decide, and what is neither number, truth nor string is written as JSON.
    """
    import pyarrow as pa

    span = pa.struct([("start", pa.int32()), ("end", pa.int32()), ("label", pa.string())])
    if name in _STRINGS:
        return pa.field(name, pa.string()), _string
    if name in _NUMBERS:
        return pa.field(name, pa.float64()), _same
    if name in _COUNTS:
        return pa.field(name, pa.int64()), _same
    if name == "labels":
        return pa.field(name, pa.list_(pa.string())), _same
    if name == "spans":
        return pa.field(name, pa.list_(span)), _same
    kinds = {type(row.get(name)) for row in rows} - {type(None)}
    if kinds == {bool}:
        return pa.field(name, pa.bool_()), _same
    if kinds == {int}:
        return pa.field(name, pa.int64()), _same
    if kinds and kinds <= {int, float}:
        return pa.field(name, pa.float64()), _same
    return pa.field(name, pa.string()), _string


def _same(value: Any) -> Any:
    return value


def _string(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json_of(value) if isinstance(value, Mapping | list | tuple) else str(plain(value))


class _Sink:
    """A file that Arrow writes to and that is emptied as it fills."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._at = 0

    def write(self, data: Any) -> int:
        taken = bytes(data)
        self._parts.append(taken)
        self._at += len(taken)
        return len(taken)

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        """Nothing waits anywhere."""

    def close(self) -> None:
        self.closed = True

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def drain(self) -> bytes:
        held = b"".join(self._parts)
        self._parts.clear()
        return held


class Encoder:
    """Rows as Parquet with Zstandard, a row group for every :data:`GROUP` rows, ``metadata`` as JSON."""

    def __init__(self, columns: Sequence[str] | None = None) -> None:
        self._columns = list(columns) if columns is not None else None
        self._fields: list[tuple[pa.Field, Callable[[Any], Any]]] = []
        self._sink = _Sink()
        self._writer: Any = None
        self._waiting: list[Mapping[str, Any]] = []

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> bytes:
        """The bytes of the row groups that ``rows`` fill up; the rest waits."""
        self._waiting += rows
        while len(self._waiting) >= GROUP:
            self._write(self._waiting[:GROUP])
            del self._waiting[:GROUP]
        return self._sink.drain()

    def finish(self) -> bytes:
        """The last row group and the footer."""
        if self._waiting or self._writer is None:
            self._write(self._waiting)
            self._waiting = []
        self._writer.close()
        return self._sink.drain()

    def _write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._writer is None:
            names = self._columns if self._columns is not None else column_names(rows)
            self._fields = [_field(name, rows) for name in names]
            schema = pa.schema([field for field, _ in self._fields])
            self._writer = pq.ParquetWriter(self._sink, schema, compression="zstd")
        known = {field.name for field, _ in self._fields}
        for row in rows:
            if not row.keys() <= known:
                extra = next(name for name in row if name not in known)
                raise error_of("invalid", f"a row has a column {extra!r} that the file does not have")
        try:
            arrays = [pa.array([as_(row.get(f.name)) for row in rows], f.type) for f, as_ in self._fields]
        except (pa.ArrowException, TypeError) as error:
            raise error_of("invalid", f"a value does not fit its Parquet column: {error}") from error
        if rows:
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._writer.schema))
