"""Short ways to read bytes and to write rows."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from formats.reading import open_rows
from formats.rows import ReadOptions, Rejected, Row
from formats.writing import encode_stream


def read_all(data: bytes | str, name: str = "data.csv", **options: Any) -> tuple[list[Row], list[Rejected]]:
    """The rows and the rejections of a file with this content."""
    raw = data.encode() if isinstance(data, str) else data
    rows: list[Row] = []
    rejected: list[Rejected] = []
    for entry in open_rows(io.BytesIO(raw), ReadOptions(**options), name):
        if isinstance(entry, Row):
            rows.append(entry)
        else:
            rejected.append(entry)
    return rows, rejected


def texts(data: bytes | str, name: str = "data.csv", **options: Any) -> list[str]:
    """The texts of a file without any rejection."""
    rows, rejected = read_all(data, name, **options)
    assert rejected == []
    return [row.text for row in rows]


def written(format_name: str, rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The whole file of ``rows``."""
    return b"".join(encode_stream(format_name, rows))
