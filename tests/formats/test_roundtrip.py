"""Whatever is written is read back as it was, in every format, and a second trip changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.exporting import RowExporter
from formats.guard import guard, unguard
from formats.labels import PayloadReader
from formats.rows import Row
from schemas.labelsets import Labelset
from schemas.payloads import Classification, Spans, dump_payload
from tests.formats.helpers import read_all, written

TABULAR = ["csv", "tsv", "jsonl", "json", "parquet"]

characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
nasty = st.sampled_from(
    [
        *["=1+1", "+49", "-5", "@cmd", "'", "'=", "''=", '"', '""', ",", ";", "\t", "|", "\n", "\r", "\r\n", "\ufeff"],
        *["é", "e\u0301", "👩\u200d👩\u200d👧", "مرحبا", "\u202e", "\u2028", "\x85"],
        *["[1]", "{", "null", "\\", "\\u0000", "-DOCSTART-", " "],
    ]
)
any_text = st.lists(st.one_of(nasty, st.text(characters, max_size=8)), min_size=1, max_size=6).map("".join)
visible_text = any_text.filter(lambda t: bool(t.strip()))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=6,
)
metadata_names = any_text.filter(lambda n: n not in ("metadata",))
exported = st.fixed_dictionaries(
    {
        "external_id": st.none() | visible_text.map(str.strip),
        "text": visible_text,
        "labels": st.none() | st.lists(st.sampled_from(["a", "b|c", "d, e", "=f", "[g]"]), unique=True, max_size=3),
        "metadata": st.dictionaries(metadata_names, json_values, max_size=3),
    }
)
LABELSET = Labelset.of(["a", "b|c", "d, e", "=f", "[g]"], multi=True)


def as_export(index: int, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"item-{index}",
        "external_id": row["external_id"],
        "text": row["text"],
        "labels": row["labels"],
        "state": "verified",
        "source": "human",
        "probability": 0.5,
        "metadata": row["metadata"],
    }


def content(row: Row) -> dict[str, Any]:
    payload = PayloadReader(LABELSET).of_row(row)
    assert payload is None or isinstance(payload, Classification)
    return {
        "external_id": row.external_id,
        "text": row.text,
        "labels": list(payload.labels) if payload is not None else None,
        "metadata": row.metadata,
    }


@pytest.mark.parametrize("name", TABULAR)
@given(rows=st.lists(exported, min_size=1, max_size=4, unique_by=lambda r: r["external_id"] or id(r)))
@settings(max_examples=60, deadline=None)
def test_any_export_is_read_back_as_it_was(name: str, rows: list[dict[str, Any]]) -> None:
    data = written(name, [as_export(i, row) for i, row in enumerate(rows)])
    back, rejected = read_all(data, f"export.{name}", guess_label=True)
    assert rejected == []
    assert [content(row) for row in back] == rows


@pytest.mark.parametrize("name", TABULAR)
@given(
    rows=st.lists(
        st.fixed_dictionaries({"text": visible_text, "language": visible_text, "note": visible_text}),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=40, deadline=None)
def test_import_export_import_is_stable(name: str, rows: list[dict[str, str]]) -> None:
    first, _ = read_all(written(name, rows), f"data.{name}", text_column="text")
    export = RowExporter(LABELSET)
    stored = [
        {"id": str(i), "external_id": None, "text": r.text, "metadata": r.metadata, "payload": None, "state": "new"}
        for i, r in enumerate(first)
    ]
    second, rejected = read_all(written(name, [export(row) for row in stored]), f"data.{name}")
    assert rejected == []
    assert [(r.text, r.metadata) for r in second] == [(r.text, r.metadata) for r in first]
    assert [(r.text, r.metadata) for r in first] == [
        (r["text"], {"language": r["language"], "note": r["note"]}) for r in rows
    ]


@pytest.mark.parametrize("name", TABULAR)
@given(text=visible_text, data=st.data())
@settings(max_examples=40, deadline=None)
def test_spans_in_code_points_survive(name: str, text: str, data: st.DataObject) -> None:
    edges = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)))
    spans = [{"start": a, "end": b, "label": "person"} for a, b in zip(edges[::2], edges[1::2], strict=False) if a < b]
    labelset = Labelset.of(["person"], kind="spans")
    back, _ = read_all(written(name, [{"text": text, "spans": spans}]), f"x.{name}", guess_label=True)
    payload = PayloadReader(labelset).of_row(back[0])
    assert payload is not None
    assert dump_payload(payload) == {"spans": spans}


tokens = st.lists(
    st.text(characters, min_size=1, max_size=6).filter(lambda t: len(t.split()) == 1 and t.split()[0] == t),
    min_size=1,
    max_size=8,
).filter(lambda found: found[0] != "-DOCSTART-")


@given(sentences=st.lists(st.tuples(tokens, st.data()), min_size=1, max_size=3))
@settings(max_examples=60, deadline=None)
def test_conll_sentences_survive(sentences: list[tuple[list[str], st.DataObject]]) -> None:
    rows = []
    for words, data in sentences:
        starts = [sum(map(len, words[:i])) + i for i in range(len(words))]
        cuts = sorted(data.draw(st.sets(st.integers(0, len(words)), max_size=6)))
        spans = [
            {
                "start": starts[a],
                "end": starts[b - 1] + len(words[b - 1]),
                "label": data.draw(st.sampled_from(["PER", "LOC", "credit card"])),
            }
            for a, b in zip(cuts[::2], cuts[1::2], strict=False)
        ]
        rows.append({"text": " ".join(words), "spans": spans})
    back, rejected = read_all(written("conll", rows), "x.conll")
    assert rejected == []
    assert [{"text": r.text, "spans": r.spans} for r in back] == rows


@given(lines=st.lists(st.text(characters, min_size=1).filter(lambda t: bool(t.strip())), min_size=1, max_size=5))
@settings(max_examples=40, deadline=None)
def test_lines_of_text_are_read_as_they_stand(lines: list[str]) -> None:
    lines = [" ".join(line.replace("\r", "\n").replace("\ufeff", "x").split("\n")) for line in lines]
    lines = [line for line in lines if line.strip()] or ["x"]
    back, _ = read_all("\n".join(lines), "x.txt", format="txt")
    assert [row.text for row in back] == lines


@given(cell=any_text)
def test_the_guard_is_undone_exactly(cell: str) -> None:
    assert unguard(guard(cell)) == cell
    assert not cell or guard(cell)[0] not in "=+-@\t\r\n＝＋－＠"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
@pytest.mark.parametrize("name", ["csv", "tsv"])
def test_formulas_are_written_behind_an_apostrophe(name: str, start: str) -> None:
    data = written(name, [{"text": f"{start}cmd|' /C calc'!A0", "label": f"{start}x"}])
    assert data.count(b"'" + start.encode()) == 2


def test_numbers_are_not_guarded() -> None:
    assert written("csv", [{"text": "a", "score": -1.5}]) == b"text,score\r\na,-1.5\r\n"


def test_none_is_an_empty_cell_and_no_label_is_an_empty_list() -> None:
    rows = [{"text": "a", "labels": None}, {"text": "b", "labels": []}, {"text": "c", "labels": ["x"]}]
    assert written("csv", rows) == b"text,labels\r\na,\r\nb,[]\r\nc,x\r\n"
    back, _ = read_all(written("csv", rows), guess_label=True)
    reader = PayloadReader(Labelset.of(["x"], multi=True))
    assert [reader.of_row(row) for row in back] == [None, Classification(labels=()), Classification(labels=("x",))]


def test_spans_that_nobody_gave_stay_apart_from_an_empty_list() -> None:
    rows = [{"text": "a", "spans": None}, {"text": "b", "spans": []}]
    reader = PayloadReader(Labelset.of(["x"], kind="spans"))
    for name in TABULAR:
        back, _ = read_all(written(name, rows), f"x.{name}", guess_label=True)
        assert [reader.of_row(row) for row in back] == [None, Spans(spans=())]
