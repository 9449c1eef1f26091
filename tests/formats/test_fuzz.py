"""Whatever bytes come in, the answer is rows, rejections or a registered error: never a crash, never a hang."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import LabelCrewError
from tests.formats.helpers import read_all, written

ROWS = [{"id": str(i), "text": f"text {i} é", "spans": [], "labels": ["a"], "metadata": {"k": i}} for i in range(5)]
pieces = st.sampled_from(
    [
        *[b"text,label\n", b'"', b"\n", b"\r", b",", b";", b"\t", b"{", b"}", b"[", b"]", b'{"text":', b'"a"', b":"],
        *[b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xe9", b"\xc3\xa9", b"a O\n", b"B-X"],
        *[b"1e999", b"NaN", b"\\ud800", b"\\u0000"],
    ]
)


@pytest.mark.parametrize("name", ["csv", "tsv", "jsonl", "json", "parquet", "txt", "conll", "unknown"])
@given(data=st.lists(pieces | st.binary(max_size=6), max_size=25).map(b"".join))
@settings(max_examples=150, deadline=None)
def test_any_bytes_give_rows_or_a_registered_error(name: str, data: bytes) -> None:
    with suppress(LabelCrewError):
        rows, rejected = read_all(data, f"a.{name}", guess_label=True)
        for row in rows:
            row.text.encode()
            assert "\0" not in row.text
            assert row.text.strip()
        assert all(r.reason and r.line > 0 for r in rejected)


@pytest.mark.parametrize("name", ["csv", "jsonl", "json", "parquet", "conll"])
@given(edits=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=3)), min_size=1, max_size=4))
@settings(max_examples=100, deadline=None)
def test_damaged_files_give_rows_or_a_registered_error(name: str, edits: list[tuple[float, bytes]]) -> None:
    data = bytearray(written(name, ROWS))
    for place, change in edits:
        at = int(place * len(data))
        data[at : at + 2] = change
    with suppress(LabelCrewError):
        read_all(bytes(data), f"a.{name}", guess_label=True)
