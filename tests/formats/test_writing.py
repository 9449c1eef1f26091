"""Writing piece by piece: complete files, the same columns throughout, and clear refusals."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest

from formats.parquet import GROUP
from formats.registry import FORMATS, format_of
from formats.writing import WriteOptions, encode_pages, encode_stream, writer
from schemas.errors import LabelCrewError
from tests.formats.helpers import read_all, written

WRITABLE = [name for name, entry in FORMATS.items() if entry.encoder is not None]


def rows_of(count: int) -> Iterator[dict[str, Any]]:
    return ({"text": f"row {i}", "labels": ["a"], "spans": [], "probability": i / count} for i in range(count))


@pytest.mark.parametrize("name", WRITABLE)
def test_pieces_come_as_the_rows_do_and_make_a_whole_file(name: str) -> None:
    drawn = 0

    def counted() -> Iterator[dict[str, Any]]:
        nonlocal drawn
        for row in rows_of(3 * GROUP):
            drawn += 1
            yield row

    pieces = encode_stream(name, counted())
    first = next(pieces)
    assert drawn <= GROUP + 2000
    back, rejected = read_all(first + b"".join(pieces), f"a.{name}")
    assert (len(back), rejected) == (3 * GROUP, [])


@pytest.mark.parametrize("name", WRITABLE)
def test_pages_from_an_async_source_give_the_same_bytes(name: str) -> None:
    import asyncio

    async def pages() -> AsyncIterator[list[dict[str, Any]]]:
        rows = list(rows_of(50))
        for start in range(0, 50, 20):
            yield rows[start : start + 20]

    async def collect() -> bytes:
        return b"".join([piece async for piece in encode_pages(name, pages())])

    assert asyncio.run(collect()) == written(name, list(rows_of(50)))


@pytest.mark.parametrize("name", WRITABLE)
def test_a_file_without_rows_is_still_one_of_its_format(name: str) -> None:
    data = b"".join(encode_stream(name, [], WriteOptions(columns=["text", "labels"])))
    expected = {"csv": b"text,labels\r\n", "tsv": b"text\tlabels\r\n", "json": b"[]\n", "jsonl": b"", "conll": b""}
    if name == "parquet":
        assert pq.read_table(io.BytesIO(data)).column_names == ["text", "labels"]
    else:
        assert data == expected[name]


def test_a_writer_completes_its_file_on_leaving() -> None:
    sink = io.BytesIO()
    with writer("json", sink) as out:
        assert out.write(rows_of(3)) == 3
        out.write(rows_of(2))
    assert len(orjson.loads(sink.getvalue())) == 5
    assert out.count == 5


def test_a_writer_that_failed_leaves_no_file_that_looks_complete() -> None:
    sink = io.BytesIO()

    def failing() -> Iterator[dict[str, Any]]:
        yield from rows_of(3000)
        raise RuntimeError

    with pytest.raises(RuntimeError), writer("json", sink) as out:
        out.write(failing())
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(sink.getvalue())


@pytest.mark.parametrize("name", ["csv", "parquet"])
def test_a_row_with_a_column_of_its_own_is_refused(name: str) -> None:
    with pytest.raises(LabelCrewError, match="'extra'"):
        list(encode_stream(name, [{"text": "a", "extra": 1}], WriteOptions(columns=["text"])))


def test_parquet_columns_of_an_export_have_types_even_when_empty() -> None:
    row = {"id": "1", "text": "a", "labels": None, "spans": None, "probability": None, "lead_time_ms": None}
    schema = pq.read_schema(io.BytesIO(written("parquet", [row])))
    assert [str(field.type).split("<")[0] for field in schema] == [
        "string",
        "string",
        "list",
        "list",
        "double",
        "int64",
    ]


def test_a_value_that_does_not_fit_its_column_is_refused() -> None:
    with pytest.raises(LabelCrewError, match="does not fit"):
        written("parquet", [{"n": 1}] * GROUP + [{"n": "one"}])


def test_text_formats_that_are_only_read_refuse_to_be_written() -> None:
    with pytest.raises(LabelCrewError) as caught:
        written("txt", [{"text": "a"}])
    assert caught.value.code == "unknown-format"


def test_formats_are_found_by_extension_too() -> None:
    assert (format_of("ndjson").name, format_of("pq").name) == ("jsonl", "parquet")
    with pytest.raises(LabelCrewError, match="csv, tsv, jsonl"):
        format_of("xls")
