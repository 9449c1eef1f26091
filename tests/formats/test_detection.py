"""What is found out about a file: format, delimiter, header, and which column is what."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from formats.reading import open_rows
from formats.rows import ReadOptions, Row
from tests.formats.helpers import read_all, texts, written


def opened(data: str | bytes, name: str = "a.csv", **options: object) -> object:
    raw = data.encode() if isinstance(data, str) else data
    return open_rows(io.BytesIO(raw), ReadOptions(**options), name)  # type: ignore[arg-type]


class TestFormat:
    @pytest.mark.parametrize("name", ["csv", "tsv", "jsonl", "json", "parquet"])
    def test_what_is_written_is_known_by_its_name(self, name: str) -> None:
        data = written(name, [{"text": "hello there", "label": "a"}] * 3)
        assert opened(data, f"a.{name}").format == name  # type: ignore[attr-defined]

    @pytest.mark.parametrize(
        ("data", "name", "found"),
        [
            ('{"text": "a"}\n{"text": "b"}\n', "a.json", "jsonl"),
            ('[{"text": "a"}]', "a.jsonl", "json"),
            ('{"text": "a"}\n', "upload", "jsonl"),
            (' [ {"text": "a"}]', "upload", "json"),
            ("text,label\na b c,x\nd e f,y\n", "upload", "csv"),
            ("EU B-ORG\nrejects O\n\nPeter B-PER\n", "train.txt", "conll"),
            ("EU NNP B-ORG\nrejects VBZ O\n", "eng.testa", "conll"),
            ("A line.\nAnother, longer line.\n", "a.txt", "txt"),
            ("text\nhello\n", "A.CSV", "csv"),
            ('{"text": "a"}\n', "a.ndjson.gz", "jsonl"),
        ],
    )
    def test_content_wins_where_it_is_unmistakable(self, data: str, name: str, found: str) -> None:
        assert opened(data, name).format == found  # type: ignore[attr-defined]

    def test_parquet_is_known_by_its_content(self) -> None:
        assert opened(written("parquet", [{"text": "a"}]), "a.csv").format == "parquet"  # type: ignore[attr-defined]

    def test_a_path_is_opened_and_closed(self, tmp_path: Path) -> None:
        path = tmp_path / "a.tsv"
        path.write_text("text\tlabel\na\tx\n")
        with open_rows(path) as rows:
            assert rows.progress <= 1.0
            assert [row.text for row in rows if isinstance(row, Row)] == ["a"]
            assert rows.progress == 1.0


class TestDelimiter:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_each_delimiter_is_found_among_texts_full_of_the_others(self, delimiter: str) -> None:
        others = [d for d in ",;|" if d != delimiter]
        body = "".join(f"Hello{others[0]} you{others[1] * (i % 3)} there{others[0]}{delimiter}x\n" for i in range(20))
        assert len(texts(f"text{delimiter}label\n{body}")) == 20

    def test_decimal_commas_do_not_win_over_semicolons(self) -> None:
        rows, _ = read_all("text;price\nbread;1,50\nmilk;2,10\n")
        assert [r.metadata for r in rows] == [{"price": "1,50"}, {"price": "2,10"}]

    def test_one_column_of_texts_with_commas_is_read_whole(self) -> None:
        assert texts("text\nHello, you, there\nNo comma\nOne, comma\n") == [
            "Hello, you, there",
            "No comma",
            "One, comma",
        ]

    def test_a_named_delimiter_is_used(self) -> None:
        assert texts("text^label\na,b^x\n", delimiter="^") == ["a,b"]

    def test_tsv_whose_quotes_are_text_is_read_unquoted(self) -> None:
        rows = opened('text\tlabel\n"Great" said Ann\tx\n"Oh no\ty\nplain\tx\n', "a.tsv")
        assert [row.text for row in rows] == ['"Great" said Ann', '"Oh no', "plain"]  # type: ignore[attr-defined]
        assert "Quotes" in rows.notices[0]  # type: ignore[attr-defined]


class TestHeader:
    def test_a_file_without_header_gets_numbered_columns_and_a_notice(self) -> None:
        rows = opened("I love this phone,positive\nIt broke at once,negative\nAll fine,positive\n")
        assert rows.columns == ["column_1", "column_2"]  # type: ignore[attr-defined]
        assert [r.text for r in rows] == ["I love this phone", "It broke at once", "All fine"]  # type: ignore[attr-defined]
        assert any("column_1" in notice for notice in rows.notices)  # type: ignore[attr-defined]

    def test_a_header_of_unknown_names_above_longer_texts_is_one(self) -> None:
        assert texts("Verbatim,Region\nThe service was slow today,North\nVery friendly staff,South\n")[0].startswith(
            "The"
        )

    def test_a_header_above_numbers_is_one(self) -> None:
        rows, _ = read_all("foo,stars\nbad,1\ngood,5\n")
        assert [r.metadata for r in rows] == [{"stars": "1"}, {"stars": "5"}]

    def test_the_options_decide_against_the_guess(self) -> None:
        assert texts("text,label\na,x\n", header=False, text_column="column_1") == ["text", "a"]
        assert texts("a,b\nc,d\n", header=True, text_column="a") == ["c"]

    def test_doubled_and_blank_names_are_made_usable(self) -> None:
        rows, _ = read_all("text,,note,note\na,1,2,3\n")
        assert rows[0].metadata == {"column_2": "1", "note": "2", "note_2": "3"}


class TestColumns:
    @pytest.mark.parametrize(
        "name", ["Text", "content", "MESSAGE", "review", "sentence", "body", "utterance", "question"]
    )
    def test_usual_names_of_the_text_column_are_known(self, name: str) -> None:
        rows = opened(f"much_longer_column,{name}\n{'x' * 50},short\n{'y' * 50},text\n")
        assert rows.text_column == name  # type: ignore[attr-defined]

    def test_without_a_usual_name_the_longest_texts_win_and_it_is_told(self) -> None:
        rows = opened("customer,complaint,stars\nAnn,The card never came,1\nBob,They charged me twice,2\n")
        assert rows.text_column == "complaint"  # type: ignore[attr-defined]
        assert "'complaint'" in rows.notices[0]  # type: ignore[attr-defined]

    def test_named_columns_are_found_whatever_their_case(self) -> None:
        rows, _ = read_all("ID,Body,Class\n7,a,x\n", text_column="body", label_column="class")
        assert rows == [Row(2, "a", "7", {}, "x", None)]

    def test_labels_stay_in_the_metadata_unless_asked_for(self) -> None:
        rows, _ = read_all("text,category\na,x\n")
        assert (rows[0].label, rows[0].metadata) == (None, {"category": "x"})
        rows, _ = read_all("text,category\na,x\n", guess_label=True)
        assert (rows[0].label, rows[0].metadata) == ("x", {})

    def test_external_id_goes_before_id(self) -> None:
        rows, _ = read_all("id,text,external_id\n1,a,X-1\n")
        assert (rows[0].external_id, rows[0].metadata) == ("X-1", {"id": "1"})

    def test_ids_and_texts_that_are_numbers_are_taken_as_written(self) -> None:
        rows, _ = read_all('{"id": 7, "text": 42, "label": true}\n', "a.jsonl", guess_label=True, text_column="text")
        assert rows == [Row(1, "42", "7", {}, "true", None)]

    def test_what_our_own_export_says_about_a_row_does_not_become_metadata(self) -> None:
        export = {"id": "u", "external_id": "e", "text": "a", "labels": ["x"], "state": "verified", "source": "human"}
        for name in ("csv", "jsonl", "parquet"):
            rows, _ = read_all(written(name, [{**export, "model": "m", "metadata": {"k": 1}}]), f"a.{name}")
            assert [(r.external_id, r.text, r.metadata) for r in rows] == [("e", "a", {"k": 1})]

    def test_parquet_values_become_plain_json(self) -> None:
        from datetime import datetime
        from decimal import Decimal

        import pyarrow as pa
        import pyarrow.parquet as pq

        sink = io.BytesIO()
        table = pa.table(
            {
                "text": ["a", "b"],
                "when": [datetime(2026, 1, 2, 3, 4), None],
                "score": [float("nan"), 0.5],
                "price": [Decimal("1.50"), Decimal("2.00")],
                "tags": [["x"], []],
                "image": [b"\x89PNG", b"\x00"],
            }
        )
        pq.write_table(table, sink)
        reader = opened(sink.getvalue(), "a.parquet")
        assert [row.metadata for row in reader] == [  # type: ignore[attr-defined]
            {"when": "2026-01-02T03:04:00", "price": "1.50", "tags": ["x"]},
            {"score": 0.5, "price": "2.00", "tags": []},
        ]
        assert "image" in reader.notices[0]  # type: ignore[attr-defined]

    def test_json_numbers_that_are_none_become_null(self) -> None:
        rows, _ = read_all('{"text": "a", "score": NaN}\n', "a.jsonl")
        assert rows[0].metadata == {"score": None}

    def test_whole_numbers_beyond_64_bits_become_strings(self) -> None:
        rows, _ = read_all('[{"text": "a", "n": 123456789012345678901234567890}]', "a.json")
        assert rows[0].metadata == {"n": "123456789012345678901234567890"}

    def test_json_arrays_of_strings_are_texts(self) -> None:
        assert texts('["a",\n "b"]', "a.json") == ["a", "b"]

    def test_json_elements_carry_the_line_they_begin_on(self) -> None:
        rows, _ = read_all('[\n{"text":\n"a"},\n\n{"text": "b"}]', "a.json")
        assert [r.line for r in rows] == [2, 5]

    def test_an_element_larger_than_the_buffer_is_read(self) -> None:
        rows, _ = read_all(written("json", [{"text": "a" * 3_000_000}, {"text": "b"}]), "a.json", max_text_chars=10**7)
        assert [len(r.text) for r in rows] == [3_000_000, 1]
