"""How the encoding is found, what is told about it, and that one bad line costs one row."""

from __future__ import annotations

import codecs
import gzip
import io

import pytest

from formats.reading import open_rows
from formats.sources import CHUNK
from tests.formats.helpers import read_all, texts

FRENCH = "text,label\nça va très bien,bon\nl'été à Orléans,bon\n"


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (b"", "utf-16-le"),
        (b"", "utf-16-be"),
    ],
)
def test_unicode_is_read_with_and_without_a_mark(mark: bytes, encoding: str) -> None:
    data = mark + FRENCH.encode(encoding)
    reader = open_rows(io.BytesIO(data), name="a.csv")
    assert reader.columns == ["text", "label"]
    assert [row.text for row in reader] == ["ça va très bien", "l'été à Orléans"]  # type: ignore[union-attr]


@pytest.mark.parametrize(("encoding", "spoken"), [("cp1252", "Windows-1252"), ("latin-1", "Latin-1")])
def test_single_byte_text_is_read_and_told(encoding: str, spoken: str) -> None:
    extra = "\x81" if encoding == "latin-1" else "€"
    reader = open_rows(io.BytesIO((FRENCH + f"prix {extra},x\n").encode(encoding)), name="a.csv")
    assert [row.text for row in reader][0::2] == ["ça va très bien", f"prix {extra}"]  # type: ignore[union-attr]
    assert any(spoken in notice for notice in reader.notices)


def test_the_encoding_is_known_from_the_whole_file() -> None:
    data = b"text,label\n" + b"plain,x\n" * 300_000 + "déjà vu,x\n".encode("cp1252")
    rows, rejected = read_all(data)
    assert (rows[-1].text, rejected) == ("déjà vu", [])


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.txt", "a.conll", "a.json"])
def test_lines_in_another_encoding_are_rejected_and_the_rest_read(name: str) -> None:
    line = {
        "a.csv": "1,{}\n",
        "a.jsonl": '{{"text": "{}"}}\n',
        "a.txt": "{}\n",
        "a.conll": "{} O\n\n",
        "a.json": '{{"text": "{}"}},\n',
    }[name]
    before = {"a.csv": "id,text\n", "a.json": "[\n"}.get(name, "")
    after = '{"text": "end"}]' if name == "a.json" else ""
    good = line.format("déjà").replace("1,", "1,", 1)
    data = (before + good).encode() + line.format("hélas").replace("1,", "2,").encode("cp1252")
    data += line.format("été").replace("1,", "3,").encode() + after.encode()
    rows, rejected = read_all(data, name)
    assert [row.text for row in rows][:2] == ["déjà", "été"]
    assert [r.code for r in rejected] == ["bad-encoding"]
    assert rejected[0].line == {"a.csv": 3, "a.json": 3, "a.conll": 3}.get(name, 2)


def test_a_bad_line_inside_a_quoted_cell_costs_the_record() -> None:
    data = 'id,text\n1,"é\n'.encode() + b"\xe9\n" + 'é"\n2,é\n'.encode()
    rows, rejected = read_all(data)
    assert [r.text for r in rows] == ["é"]
    assert [(r.code, r.line) for r in rejected] == [("bad-encoding", 2)]


def test_mixed_files_are_told_so() -> None:
    data = "text,n\né,1\nè,2\n".encode() + b"\xe9,3\n"
    assert "1 of its lines" in open_rows(io.BytesIO(data), name="a.csv").notices[0]


def test_a_named_encoding_is_used() -> None:
    data = "text,label\nこんにちは,挨拶\n表示,x\n".encode("shift_jis")
    assert texts(data, encoding="shift_jis") == ["こんにちは", "表示"]


def test_a_broken_pair_in_utf_16_costs_its_line() -> None:
    data = codecs.BOM_UTF16_LE + "text,n\na,1\nb".encode("utf-16-le") + b"\x00\xd8" + ",2\nc,3\n".encode("utf-16-le")
    rows, rejected = read_all(data)
    assert [r.text for r in rows] == ["a", "c"]
    assert [(r.code, r.line) for r in rejected] == [("bad-encoding", 3)]


def test_characters_across_chunks_are_whole() -> None:
    word = "é" * (CHUNK // 2 + 3)
    rows, rejected = read_all(f"x{word}\n{word}\n", "a.txt", max_text_chars=10**7)
    assert ([r.text for r in rows], rejected) == ([f"x{word}", word], [])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_is_understood(end: str) -> None:
    rows, _ = read_all(f"text,label{end}a,x{end}b,y{end}")
    assert [(r.line, r.text, r.metadata) for r in rows] == [(2, "a", {"label": "x"}), (3, "b", {"label": "y"})]
    assert texts(f"a{end}b", "a.txt") == ["a", "b"]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "upload"])
def test_gzip_is_known_by_its_content(name: str) -> None:
    assert texts(gzip.compress(FRENCH.encode()), name) == ["ça va très bien", "l'été à Orléans"]


def test_gzip_of_several_members_is_read_to_the_end() -> None:
    assert texts(gzip.compress(b"text\na\n") + gzip.compress(b"b\n")) == ["a", "b"]


def test_a_stream_that_cannot_seek_is_read() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise OSError("a pipe")

    rows = [row.text for row in open_rows(Pipe(FRENCH.encode()), name="a.csv")]  # type: ignore[union-attr]
    assert rows == ["ça va très bien", "l'été à Orléans"]
