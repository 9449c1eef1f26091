"""CoNLL: every tagging scheme becomes the same spans, and odd lines cost their sentence only."""

from __future__ import annotations

from typing import Any

import pytest

from formats.conll import spans_of, tags_of
from schemas.errors import LabelCrewError
from tests.formats.helpers import read_all, written
from tests.support.shared_data import shared_data, shared_path

WORDS = ["Ann", "Lee", "met", "Bob", "in", "New", "York", "City", "Paris"]
TEXT = " ".join(WORDS)


def quoted(spans: list[dict[str, Any]], text: str = TEXT) -> list[tuple[str, str]]:
    return [(text[s["start"] : s["end"]], s["label"]) for s in spans]


@pytest.mark.parametrize(
    "tags",
    [
        "B-PER I-PER O B-PER O B-LOC I-LOC I-LOC B-LOC",  # BIO
        "I-PER I-PER O I-PER O I-LOC I-LOC I-LOC B-LOC",  # IOB1
        "B-PER E-PER O S-PER O B-LOC I-LOC E-LOC S-LOC",  # BIOES
        "B-PER L-PER O U-PER O B-LOC I-LOC L-LOC U-LOC",  # BILOU
        "B-PER E-PER O S-PER O B-LOC M-LOC E-LOC S-LOC",  # BMES
    ],
)
def test_every_scheme_gives_the_same_spans(tags: str) -> None:
    assert quoted(spans_of(WORDS, tags.split())) == [
        ("Ann Lee", "PER"), ("Bob", "PER"), ("New York City", "LOC"), ("Paris", "LOC")
    ]  # fmt: skip


def test_another_class_begins_another_span_even_with_i() -> None:
    assert quoted(spans_of(["a", "b"], ["I-X", "I-Y"]), "a b") == [("a", "X"), ("b", "Y")]


def test_spans_count_code_points() -> None:
    rows, _ = read_all("👩‍👩‍👧 O\nZoë B-PER\n", "a.conll")
    assert rows[0].spans == [{"start": 6, "end": 9, "label": "PER"}]


def test_any_number_of_columns_and_docstart_and_comments_are_read() -> None:
    data = "-DOCSTART- -X- -X- O\n\n# sent_id = s-1\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\n\n# id s-2\n# O\ntags O\n"
    rows, rejected = read_all(data, "a.conll")
    assert rejected == []
    assert [(r.line, r.external_id, r.text, r.spans) for r in rows] == [
        (4, "s-1", "EU rejects", [{"start": 0, "end": 2, "label": "ORG"}]),
        (9, "s-2", "# tags", []),
    ]


def test_tokens_may_hold_spaces_where_tabs_separate() -> None:
    rows, _ = read_all("New York\tB-LOC\nis\tO\n", "a.conll")
    assert (rows[0].text, rows[0].spans) == ("New York is", [{"start": 0, "end": 8, "label": "LOC"}])


def test_a_line_without_a_tag_costs_its_sentence() -> None:
    rows, rejected = read_all("a O\nb\nc O\n\nd O\n", "a.conll")
    assert [r.text for r in rows] == ["d"]
    assert [(r.code, r.line, r.reason) for r in rejected] == [("bad-tag", 1, "line 2 has no tag: 'b'")]


def test_a_tag_of_another_kind_costs_its_sentence() -> None:
    _, rejected = read_all("a O\n\nb NN\n", "a.conll")
    assert [(r.code, r.line) for r in rejected] == [("bad-tag", 3)]


def test_doubled_sentence_ids_are_rejected() -> None:
    _, rejected = read_all("# id x\na O\n\n# id x\nb O\n", "a.conll")
    assert [(r.code, r.line) for r in rejected] == [("duplicate-id", 5)]


def test_tokens_are_cut_where_a_span_ends_within() -> None:
    tagged = tags_of("Berlin, (Paris)", [{"start": 0, "end": 6, "label": "L"}, {"start": 9, "end": 14, "label": "L"}])
    assert tagged == [("Berlin", "B-L"), (",", "O"), ("(", "O"), ("Paris", "B-L"), (")", "O")]


def test_spans_side_by_side_stay_two() -> None:
    tagged = tags_of("New York", [{"start": 0, "end": 3, "label": "L"}, {"start": 4, "end": 8, "label": "L"}])
    assert tagged == [("New", "B-L"), ("York", "B-L")]


def test_overlapping_spans_are_refused() -> None:
    with pytest.raises(LabelCrewError, match="overlap"):
        tags_of("New York", [{"start": 0, "end": 8, "label": "L"}, {"start": 4, "end": 8, "label": "M"}])


def test_rows_nobody_looked_at_are_left_out() -> None:
    assert written("conll", [{"text": "a", "spans": None}, {"text": "b", "spans": []}]) == b"b\tO\n\n"


@shared_data("ner/wnut17")
@pytest.mark.parametrize("part", ["train", "dev", "test"])
def test_wnut17_as_conll_gives_the_entities_of_its_makers(part: str) -> None:
    import orjson

    lines = shared_path("ner", "wnut17", f"{part}.jsonl").read_bytes().splitlines()
    gold = [orjson.loads(line) for line in lines]
    pairs = [zip(row["tokens"], row["tags"], strict=True) for row in gold]
    data = "".join("".join(f"{token}\t{tag}\n" for token, tag in sentence) + "\n" for sentence in pairs)
    rows, rejected = read_all(data, f"wnut17{part}.conll")
    assert rejected == []
    assert [r.text for r in rows] == [g["text"] for g in gold]
    assert [quoted(r.spans, r.text) for r in rows] == [  # type: ignore[arg-type]
        [(e["text"], e["label"]) for e in g["entities"]] for g in gold
    ]
    assert written("conll", [{"text": r.text, "spans": r.spans} for r in rows]).decode() == data
