"""Files that cannot be taken, and rows that cannot: each with its code, its line and words that help."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pytest

from formats.reading import open_rows
from formats.rows import MAX_CELL_CHARS
from schemas.errors import LabelCrewError
from tests.formats.helpers import read_all, texts, written


def refusal(data: bytes | str, name: str = "data.csv", **options: object) -> LabelCrewError:
    with pytest.raises(LabelCrewError) as caught:
        read_all(data, name, **options)
    return caught.value


def only_rejection(data: bytes | str, name: str = "data.csv", **options: object) -> tuple[str, int, str]:
    _, rejected = read_all(data, name, **options)
    assert len(rejected) == 1
    return rejected[0].code, rejected[0].line, rejected[0].reason


class TestWholeFiles:
    @pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json", "a.txt", "a.conll", "a.tsv", "a.parquet", "a"])
    def test_no_bytes_are_refused_with_empty_file(self, name: str) -> None:
        assert refusal(b"", name).code == "empty-file"

    @pytest.mark.parametrize(
        ("name", "data"),
        [
            ("a.csv", "text,label\n"),
            ("a.csv", "\n\n"),
            ("a.jsonl", "\n \n"),
            ("a.json", "[ ]"),
            ("a.txt", "\n\n"),
            ("a.conll", "-DOCSTART- -X- O O\n\n"),
        ],
    )
    def test_no_rows_are_refused_with_empty_file(self, name: str, data: str) -> None:
        assert refusal(data, name).code == "empty-file"

    def test_parquet_without_rows_is_refused_with_empty_file(self) -> None:
        assert refusal(written("parquet", []) or b"", "a.parquet").code == "empty-file"

    def test_missing_file_is_refused_with_unreadable_file(self, tmp_path: Path) -> None:
        with pytest.raises(LabelCrewError, match=r"gone\.csv: No such file") as caught:
            open_rows(tmp_path / "gone.csv")
        assert caught.value.code == "unreadable-file"

    def test_folder_is_refused_with_unreadable_file(self, tmp_path: Path) -> None:
        with pytest.raises(LabelCrewError) as caught:
            open_rows(tmp_path)
        assert caught.value.code == "unreadable-file"

    def test_gzip_that_is_cut_off_is_refused_before_any_row(self) -> None:
        packed = gzip.compress(b"text\n" + b"".join(b"row %d\n" % i for i in range(50_000)))
        error = refusal(packed[:-2000], "a.csv.gz")
        assert error.code == "unreadable-file"
        assert "cut off" in error.detail

    def test_gzip_with_a_wrong_checksum_is_refused_with_unreadable_file(self) -> None:
        packed = bytearray(gzip.compress(b"text\nhello\n"))
        packed[-6] ^= 0xFF
        assert refusal(bytes(packed), "a.csv.gz").code == "unreadable-file"

    def test_parquet_that_is_cut_off_is_refused_with_unreadable_file(self) -> None:
        data = written("parquet", [{"text": f"row {i}"} for i in range(1000)])
        assert refusal(data[:-30], "a.parquet").code == "unreadable-file"

    def test_parquet_with_damaged_pages_is_refused_with_unreadable_file(self) -> None:
        data = bytearray(written("parquet", [{"text": f"row {i} {i * 7919 % 1000}"} for i in range(5000)]))
        data[100:3000] = bytes(2900)
        assert refusal(bytes(data), "a.parquet").code == "unreadable-file"

    def test_text_called_parquet_is_refused_with_unreadable_file(self) -> None:
        assert refusal("text\nhello\n", "a.parquet").code == "unreadable-file"

    def test_gzip_that_grows_too_much_is_refused_with_decompression_bomb(self) -> None:
        error = refusal(gzip.compress(bytes(100 << 20)), "a.csv.gz")
        assert error.code == "decompression-bomb"

    def test_gzip_beyond_the_absolute_limit_is_refused_with_decompression_bomb(self) -> None:
        packed = gzip.compress(b"text\n" + b"".join(b"row %d\n" % i for i in range(10_000)))
        assert refusal(packed, "a.csv.gz", max_unpacked_bytes=50_000).code == "decompression-bomb"

    def test_parquet_that_repeats_one_long_text_is_refused_with_decompression_bomb(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        sink = io.BytesIO()
        text = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), pa.array(["x" * 50_000]))
        pq.write_table(pa.table({"text": text}), sink, store_schema=False)
        assert refusal(sink.getvalue(), "a.parquet").code == "decompression-bomb"

    @pytest.mark.parametrize(
        ("magic", "words"),
        [(b"PK\x03\x04", "Excel"), (b"BZh9", "bzip2"), (b"\x28\xb5\x2f\xfd", "Zstandard"), (b"%PDF-1.7", "PDF")],
    )
    def test_foreign_files_called_csv_are_refused_by_what_they_are(self, magic: bytes, words: str) -> None:
        error = refusal(magic + b"\x00" * 50, "a.csv")
        assert error.code == "unknown-format"
        assert words in error.detail

    def test_gzip_within_gzip_is_refused_with_unknown_format(self) -> None:
        assert refusal(gzip.compress(gzip.compress(b"text\na\n")), "a.csv.gz").code == "unknown-format"

    def test_a_name_and_content_that_say_nothing_are_refused_with_unknown_format(self) -> None:
        assert refusal("just some words\nand others\n", "notes.xyz").code == "unknown-format"

    def test_a_format_that_does_not_exist_is_refused_with_unknown_format(self) -> None:
        assert refusal("a", "a.csv", format="xls").code == "unknown-format"

    def test_missing_text_column_is_refused_naming_those_that_exist(self) -> None:
        error = refusal("title,stars\nGood,5\n", "a.csv", text_column="body")
        assert error.code == "missing-column"
        assert "title, stars" in error.detail
        assert error.data["columns"] == ["title", "stars"]

    @pytest.mark.parametrize("name", ["jsonl", "json", "parquet"])
    @pytest.mark.parametrize("column", ["text_column", "id_column", "label_column"])
    def test_missing_columns_are_refused_in_every_format(self, name: str, column: str) -> None:
        data = written(name, [{"title": "Good", "stars": 5}])
        assert refusal(data, f"a.{name}", **{column: "nope"}).code == "missing-column"

    def test_columns_of_numbers_only_are_refused_with_missing_column(self) -> None:
        assert refusal('{"a": 1, "b": 2}\n', "a.jsonl").code == "missing-column"

    def test_json_object_is_refused_with_unreadable_file(self) -> None:
        error = refusal(json.dumps({"data": [{"text": "a"}]}, indent=1), "a.json")
        assert (error.code, "array of objects" in error.detail) == ("unreadable-file", True)

    def test_json_array_that_is_cut_off_is_refused_before_any_row(self) -> None:
        data = "[" + ",\n".join(json.dumps({"text": f"row {i}"}) for i in range(1000))
        for cut in (data, data[:-3]):
            with pytest.raises(LabelCrewError, match="cut off") as caught:
                open_rows(io.BytesIO(cut.encode()), name="a.json")
            assert caught.value.code == "unreadable-file"

    def test_json_array_with_a_typo_is_refused_with_its_line(self) -> None:
        with pytest.raises(LabelCrewError, match="line 2") as caught:
            read_all('[{"text": "a"},\n{"text": "b",}]', "a.json")
        assert caught.value.code == "unreadable-file"

    def test_quotes_opened_all_over_are_refused_rather_than_read_forever(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("formats.delimited.MAX_RECORD_CHARS", 10_000)
        data = "text,label\n" + 'a"x,"\n' * 50_000
        error = refusal(data, "a.csv", delimiter=",", header=True)
        assert (error.code, "quotes" in error.detail) == ("unreadable-file", True)

    @pytest.mark.parametrize("encoding", ["no-such", "zlib", "rot13", "base64"])
    def test_encodings_that_are_none_are_refused_with_invalid(self, encoding: str) -> None:
        assert refusal("text\na\n", "a.csv", encoding=encoding).code == "invalid"


class TestRows:
    def test_empty_text_is_rejected(self) -> None:
        assert only_rejection("text,n\na,1\n  ,2\nb,3\n")[:2] == ("empty-text", 3)
        assert only_rejection('{"text": "a"}\n{"text": ""}\n', "a.jsonl")[:2] == ("empty-text", 2)
        assert only_rejection('{"text": "a"}\n{"other": "b"}\n', "a.jsonl")[:2] == ("empty-text", 2)

    def test_too_long_text_is_rejected_with_both_numbers(self) -> None:
        code, line, reason = only_rejection("text\nshort\n" + "x" * 101 + "\n", max_text_chars=100)
        assert (code, line) == ("text-too-long", 3)
        assert "101" in reason
        assert "100" in reason
        assert only_rejection("short\n" + "x" * 101, "a.txt", max_text_chars=100)[:2] == ("text-too-long", 2)
        assert only_rejection(f"{'x' * 101} O\n", "a.conll", max_text_chars=100)[:2] == ("text-too-long", 1)

    def test_ragged_rows_are_rejected_with_both_widths(self) -> None:
        _, rejected = read_all("text,label\na,x\nb\nc,y,z\nd,x\n")
        assert [(r.code, r.line, r.reason) for r in rejected] == [
            ("ragged-row", 3, "the row has 1 cells, the header 2"),
            ("ragged-row", 4, "the row has 3 cells, the header 2"),
        ]

    def test_one_comma_too_many_at_the_end_is_forgiven(self) -> None:
        assert texts("text,label\na,x,\nb,y,\n") == ["a", "b"]

    def test_lines_count_physically_across_quoted_line_ends(self) -> None:
        rows, rejected = read_all('text,label\n"a\nb\nc",x\n"d",y\n,z\n')
        assert [(r.line, r.text) for r in rows] == [(2, "a\nb\nc"), (5, "d")]
        assert [r.line for r in rejected] == [6]

    @pytest.mark.parametrize("name", ["csv", "jsonl", "json", "parquet"])
    def test_nul_characters_are_rejected_wherever_they_stand(self, name: str) -> None:
        rows = [{"text": "a", "note": "x"}, {"text": "b\0", "note": "x"}, {"text": "c", "note": "\0"}]
        taken, rejected = read_all(written(name, rows), f"a.{name}")
        assert [row.text for row in taken] == ["a"]
        assert [r.code for r in rejected] == ["nul-character"] * 2

    def test_nul_in_plain_text_and_conll_is_rejected(self) -> None:
        assert only_rejection("a\nb\0c\n", "a.txt")[:2] == ("nul-character", 2)
        assert only_rejection("a\tO\n\nb\0\tO\n", "a.conll")[:2] == ("nul-character", 3)

    def test_nul_inside_the_metadata_json_of_a_cell_is_rejected(self) -> None:
        data = written("csv", [{"text": "a", "metadata": {"k": "\0"}}])
        assert only_rejection(data)[0] == "nul-character"

    def test_duplicate_ids_are_rejected_naming_the_first_line(self) -> None:
        code, line, reason = only_rejection("id,text\n1,a\n2,b\n1,c\n")
        assert (code, line) == ("duplicate-id", 4)
        assert reason == "the id '1' was given before, on line 2"

    def test_duplicate_ids_are_found_among_a_hundred_thousand(self) -> None:
        data = "id,text\n" + "".join(f"row-{i},text\n" for i in range(100_000)) + "row-7,again\nrow-99999,again\n"
        rows, rejected = read_all(data)
        assert len(rows) == 100_000
        assert [r.reason.split()[-1] for r in rejected] == ["9", "100001"]

    def test_rows_without_an_id_are_no_duplicates(self) -> None:
        rows, rejected = read_all("id,text\n,a\n,b\n")
        assert ([r.external_id for r in rows], rejected) == ([None, None], [])

    def test_ids_too_long_for_the_index_are_rejected(self) -> None:
        assert only_rejection(f"id,text\n{'i' * 501},a\n2,b\n")[:2] == ("id-too-long", 2)

    def test_a_cell_of_more_than_ten_megabytes_is_rejected_and_the_rest_read(self) -> None:
        big = "x" * (MAX_CELL_CHARS + 1)
        rows, rejected = read_all(f'text,note\na,1\nb,{big}\nc,"{big}\n"\nd,2\n')
        assert [r.text for r in rows] == ["a", "d"]
        assert [(r.code, r.line) for r in rejected] == [("cell-too-large", 3), ("cell-too-large", 4)]

    def test_a_cell_beyond_the_memory_limit_is_passed_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("formats.delimited.MAX_RECORD_CHARS", 5000)
        big = 'some words and a ""quote""\n' * 1000
        rows, rejected = read_all(f'text,note\na,1\nb,"{big}",\nc,2\n"d\ne",3\n', header=True)
        assert [(r.line, r.text) for r in rows] == [(2, "a"), (1004, "c"), (1005, "d\ne")]
        assert [(r.code, r.line) for r in rejected] == [("cell-too-large", 3)]

    def test_a_line_beyond_the_memory_limit_is_rejected(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("formats.sources.MAX_RECORD_CHARS", 3 << 20)
        rows, rejected = read_all(b"a\n" + b"x" * (9 << 20) + b"\nb\n", "a.txt")
        assert [(r.line, r.text) for r in rows] == [(1, "a"), (3, "b")]
        assert [(r.code, r.line) for r in rejected] == [("cell-too-large", 2)]

    def test_a_quote_that_is_never_closed_costs_its_own_row_only(self) -> None:
        rows, rejected = read_all('text,label\na,x\n"b,y\nc,z\nd,w\n')
        assert [r.text for r in rows] == ["a", "c", "d"]
        assert [(r.code, r.line) for r in rejected] == [("unclosed-quote", 3)]

    def test_a_quote_that_swallows_everything_costs_its_own_row_only(self) -> None:
        rows, rejected = read_all('text,label\n"b,y\n' + "c,z\n" * 1000)
        assert len(rows) == 1000
        assert [(r.code, r.line) for r in rejected] == [("unclosed-quote", 2)]

    def test_a_quote_that_a_later_row_closes_costs_its_own_row_only(self) -> None:
        rows, rejected = read_all('id,text\n1,"b\n2,c\n3,d\n4,"e, f"\n5,g\n')
        assert [(r.line, r.text) for r in rows] == [(3, "c"), (4, "d"), (5, "e, f"), (6, "g")]
        assert [(r.code, r.line) for r in rejected] == [("unclosed-quote", 2)]

    def test_a_quote_within_a_quoted_cell_is_forgiven_on_its_line(self) -> None:
        assert texts('text,label\n"a" b,x\nc,y\n') == ["a b", "c"]

    def test_a_lone_carriage_return_outside_quotes_is_rejected(self) -> None:
        assert only_rejection("text,label\na,x\nb\rc,y\nd,z\n")[:2] == ("bad-row", 3)

    def test_json_lines_that_are_none_are_rejected_with_the_parser_words(self) -> None:
        data = '{"text": "a"}\n{"text": "b"\n[1]\n7\n\n{"text": "c"}\n'
        rows, rejected = read_all(data, "a.jsonl")
        assert [r.text for r in rows] == ["a", "c"]
        assert [(r.code, r.line) for r in rejected] == [("bad-json", 2), ("bad-json", 3), ("bad-json", 4)]

    def test_lone_surrogates_in_json_are_rejected(self) -> None:
        assert only_rejection('{"text": "a"}\n{"text": "\\ud800"}\n', "a.jsonl")[:2] == ("bad-json", 2)
        assert only_rejection('[{"text": "a"},\n{"text": "\\ud800"}]', "a.json")[:2] == ("bad-encoding", 2)

    def test_json_nested_too_deeply_is_rejected(self) -> None:
        deep = '{"text": "b", "x": ' + "[" * 300 + "]" * 300 + "}"
        assert only_rejection('{"text": "a"}\n' + deep, "a.jsonl")[:2] == ("bad-json", 2)
        assert only_rejection('[{"text": "a"},\n' + deep + "]", "a.json")[:2] == ("bad-json", 2)

    def test_text_that_is_a_list_is_rejected(self) -> None:
        assert only_rejection('{"text": "a"}\n{"text": ["b"]}\n', "a.jsonl")[:2] == ("bad-row", 2)

    def test_max_rows_stops_after_that_many_rows(self) -> None:
        rows, rejected = read_all("text,n\na,1\n,2\nb,3\nc,4\n", max_rows=2)
        assert [r.text for r in rows] == ["a", "b"]
        assert len(rejected) == 1
