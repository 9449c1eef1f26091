"""What files say about labels, in the many ways they do, against what the labelset allows."""

from __future__ import annotations

from typing import Any

import pytest

from formats.exporting import RowExporter, check_export, export_columns
from formats.labels import PayloadReader, infer_classes, to_payload
from formats.rows import Row
from schemas.errors import InvalidPayload, LabelCrewError
from schemas.labelsets import LabelClass, Labelset
from schemas.payloads import dump_payload
from tests.formats.helpers import read_all
from tests.support.shared_data import shared_data, shared_path

SINGLE = Labelset(classes=[LabelClass(name="Refund", key="refund-1"), LabelClass(name="New York, NY")])
MULTI = Labelset.of(["a", "b", "x|y", "c, d"], multi=True)
SPANS = Labelset(kind="spans", classes=[LabelClass(name="Person", key="per"), LabelClass(name="Place", key="loc")])
TEXT = "Zoë 👋 met Bob in Rome"
ANSWER = {"spans": [{"start": 0, "end": 3, "label": "per"}, {"start": 17, "end": 21, "label": "loc"}]}


class TestClassification:
    @pytest.mark.parametrize("raw", ["Refund", " refund ", "refund-1", ["Refund"], '["Refund"]', {"label": "REFUND"}])
    def test_names_become_keys(self, raw: Any) -> None:
        assert dump_payload(to_payload(raw, SINGLE)) == {"labels": ["refund-1"]}

    def test_a_name_with_a_comma_is_one_name(self) -> None:
        assert dump_payload(to_payload("New York, NY", SINGLE)) == {"labels": ["New York, NY"]}

    @pytest.mark.parametrize(
        ("raw", "labels"),
        [
            ("a|b", ["a", "b"]),
            ("a; b", ["a", "b"]),
            ("b,a", ["b", "a"]),
            ('["a","b"]', ["a", "b"]),
            ("a", ["a"]),
            ("x|y", ["x|y"]),
            ("c, d", ["c, d"]),
            ([], []),
            ("[]", []),
            ({"choices": ["a"]}, ["a"]),
            ("a|a", ["a"]),
        ],
    )
    def test_several_labels_in_one_cell_are_cut(self, raw: Any, labels: list[str]) -> None:
        assert dump_payload(to_payload(raw, MULTI)) == {"labels": labels}

    def test_numbers_and_truths_are_names(self) -> None:
        assert dump_payload(to_payload(3, Labelset.of(["1", "3"]))) == {"labels": ["3"]}
        assert dump_payload(to_payload(2.0, Labelset.of(["1", "2"]))) == {"labels": ["2"]}
        assert dump_payload(to_payload(True, Labelset.of(["true", "false"]))) == {"labels": ["true"]}

    def test_unknown_classes_are_refused_naming_the_known(self) -> None:
        with pytest.raises(InvalidPayload) as caught:
            to_payload("Refunds", SINGLE)
        assert "'Refunds'" in caught.value.detail
        assert "Refund, New York, NY" in caught.value.hint

    def test_two_labels_where_one_is_allowed_are_refused(self) -> None:
        with pytest.raises(InvalidPayload, match="exactly one"):
            to_payload(["Refund", "New York, NY"], SINGLE)

    def test_spans_in_a_classification_are_refused(self) -> None:
        with pytest.raises(InvalidPayload, match="not spans"):
            to_payload([{"start": 0, "end": 1, "label": "Refund"}], SINGLE)


class TestSpans:
    @pytest.mark.parametrize(
        "raw",
        [
            [{"start": 17, "end": 21, "label": "Place"}, {"start": 0, "end": 3, "label": "Person"}],
            '[{"start": 0, "end": 3, "label": "Person"}, {"start": 17, "end": 21, "label": "loc"}]',
            # Prodigy
            [
                {"start": 0, "end": 3, "token_start": 0, "token_end": 0, "label": "Person", "text": "Zoë"},
                {"start": 17, "end": 21, "label": "Place"},
            ],
            # Label Studio, results and CSV
            [
                {"type": "labels", "value": {"start": 0, "end": 3, "text": "Zoë", "labels": ["Person"]}},
                {"type": "labels", "value": {"start": 17, "end": 21, "labels": ["Place"]}},
            ],
            [{"start": 0, "end": 3, "labels": ["Person"]}, {"start": 17.0, "end": 21.0, "labels": ["Place"]}],
            # doccano and spaCy
            [[0, 3, "Person"], [17, 21, "Place"]],
            {"entities": [[0, 3, "Person"], [17, 21, "Place"]]},
        ],
    )
    def test_every_tool_is_understood(self, raw: Any) -> None:
        assert dump_payload(to_payload(raw, SPANS, TEXT)) == ANSWER

    @pytest.mark.parametrize(
        ("raw", "words"),
        [
            ([{"start": 0, "end": 3, "label": "Animal"}], "unknown class"),
            ([{"start": 3, "end": 3, "label": "Person"}], "must end after it starts"),
            ([{"start": -1, "end": 3, "label": "Person"}], "greater than or equal to 0"),
            ([{"start": 0, "end": 99, "label": "Person"}], "outside the text"),
            ([{"start": 0, "end": 3, "label": "Person"}, {"start": 2, "end": 4, "label": "Place"}], "overlap"),
            ([{"start": 0.5, "end": 3, "label": "Person"}], "whole numbers"),
            ([{"start": "0", "end": 3, "label": "Person"}], "whole numbers"),
            ([{"begin": 0, "end": 3, "label": "Person"}], "start, end and label"),
            ([{"start": 0, "end": 3, "label": "Person", "text": "Zoe"}], "the text says 'Zoë'"),
            ("Person", "a list"),
            (["Person"], "start, end and label"),
        ],
    )
    def test_wrong_spans_are_refused_in_words(self, raw: Any, words: str) -> None:
        with pytest.raises(InvalidPayload, match=words):
            to_payload(raw, SPANS, TEXT)

    def test_offsets_in_utf_16_units_are_caught_by_the_quote(self) -> None:
        with pytest.raises(InvalidPayload) as caught:
            to_payload([{"start": 11, "end": 14, "label": "Person", "text": "Bob"}], SPANS, TEXT)
        assert "code points" in caught.value.hint


def test_boxes_are_read_by_the_same_door() -> None:
    labelset = Labelset(kind="boxes", classes=[LabelClass(name="Cat", key="c")])
    raw = [{"x": 1, "y": 2, "width": 3, "height": 4, "label": "cat"}]
    assert dump_payload(to_payload(raw, labelset))["boxes"][0]["label"] == "c"
    with pytest.raises(InvalidPayload):
        to_payload([{"x": 1, "label": "Cat"}], labelset)


def test_rows_that_say_nothing_have_no_payload() -> None:
    reader = PayloadReader(SINGLE)
    assert reader.of_row(Row(1, "a")) is None
    assert reader.of_row(Row(1, "a", label="")) is None


def test_a_spans_dataset_reads_the_spans_column_before_the_label() -> None:
    row = Row(1, TEXT, label="x", spans=[[0, 3, "Person"]])
    assert dump_payload(PayloadReader(SPANS).of_row(row)) == {"spans": ANSWER["spans"][:1]}  # type: ignore[arg-type]


class TestInferClasses:
    def test_names_are_sorted_numbers_by_value(self) -> None:
        assert infer_classes(["10", "9", "b", "A", "", None, "9"]) == ["9", "10", "A", "b"]

    def test_spellings_that_differ_in_case_are_one_class(self) -> None:
        assert infer_classes(["Spam", "spam", "ham"]) == ["ham", "Spam"]

    def test_cells_are_cut_only_when_several_are_allowed(self) -> None:
        assert infer_classes(["a|b", "b"]) == ["a|b", "b"]
        assert infer_classes(["a|b", "b"], multi=True) == ["a", "b"]

    def test_lists_and_spans_are_looked_into(self) -> None:
        raw = [["x"], '["y"]', [{"start": 0, "end": 1, "label": "P"}], [{"value": {"labels": ["Q"]}}], [[0, 1, "R"]]]
        assert infer_classes(raw) == ["P", "Q", "R", "x", "y"]

    def test_a_column_without_labels_is_refused(self) -> None:
        with pytest.raises(LabelCrewError, match="no label"):
            infer_classes(["", None])

    def test_a_column_of_texts_is_refused(self) -> None:
        with pytest.raises(LabelCrewError) as caught:
            infer_classes(f"text {i}" for i in range(2000))
        assert caught.value.code == "invalid-labelset"

    @shared_data("text/banking77")
    def test_banking77_gives_its_77_classes_and_every_row_a_payload(self) -> None:
        data = shared_path("text", "banking77", "train.jsonl").read_bytes()
        rows, rejected = read_all(data, "train.jsonl", label_column="label")
        classes = infer_classes(row.label for row in rows)
        reader = PayloadReader(Labelset.of(classes))
        assert (len(rows), rejected, len(classes)) == (10_003, [], 77)
        assert all(reader.of_row(row) is not None for row in rows)
        assert rows[0].external_id == "b77-train-00000"

    @shared_data("crowd/weather_sentiment_amt")
    def test_crowd_csv_is_read_with_its_columns_named(self) -> None:
        data = shared_path("crowd", "weather_sentiment_amt", "labels.csv").read_bytes()
        rows, rejected = read_all(data, "labels.csv", text_column="item", label_column="label")
        assert (len(rows), rejected) == (6030, [])
        assert infer_classes(row.label for row in rows) == [
            "cant_tell", "negative", "neutral", "not_weather_related", "positive"
        ]  # fmt: skip
        assert rows[0] == Row(2, "i0001", None, {"worker": "w012", "time_spent": "5"}, "not_weather_related")

    @shared_data("ner/wnut17")
    def test_wnut17_entities_pass_their_own_labelset(self) -> None:
        data = shared_path("ner", "wnut17", "dev.jsonl").read_bytes()
        rows, _ = read_all(data, "dev.jsonl", guess_label=True)
        reader = PayloadReader(Labelset.of(infer_classes(row.spans for row in rows), kind="spans"))
        found = [reader.of_row(row) for row in rows]
        assert len(found) == 1009
        assert sum(len(dump_payload(p)["spans"]) for p in found if p is not None) == 836


PROVENANCE = set(export_columns(SPANS, provenance=True)) - set(export_columns(SPANS))


class TestExport:
    STORED = {  # noqa: RUF012
        "seq": 1, "id": "u", "external_id": None, "text": TEXT, "metadata": {}, "state": "verified", "source": "human",
        "probability": 0.9, "payload": ANSWER, "model": "m", "cost_usd": 0.1,
    }  # fmt: skip

    def test_keys_become_names_and_columns_have_one_order(self) -> None:
        row = RowExporter(SPANS)(self.STORED)
        assert list(row) == ["id", "external_id", "text", "spans", "state", "source", "probability", "metadata"]
        assert [s["label"] for s in row["spans"]] == ["Person", "Place"]

    def test_provenance_is_there_on_demand(self) -> None:
        row = RowExporter(SPANS, provenance=True)(self.STORED)
        assert (row["model"], row["cost_usd"], row["rationale"]) == ("m", 0.1, None)
        assert list(row) == export_columns(SPANS, provenance=True)

    def test_a_compact_page_gives_the_same_rows(self) -> None:
        stored = [{**self.STORED, **dict.fromkeys(PROVENANCE)}, {**self.STORED, **dict.fromkeys(PROVENANCE, "x")}]
        page = {"columns": list(stored[0]), "rows": [list(row.values()) for row in stored]}
        exporter = RowExporter(SPANS, provenance=True)
        assert exporter.page(page) == [exporter(row) for row in stored]

    def test_labels_without_an_answer_are_none(self) -> None:
        assert RowExporter(SINGLE)({"payload": None})["labels"] is None
        assert RowExporter(SINGLE)({"payload": {"labels": ["refund-1", "gone"]}})["labels"] == ["Refund", "gone"]

    def test_conll_is_refused_for_what_it_cannot_say(self) -> None:
        check_export("conll", SPANS)
        check_export("csv", SINGLE)
        for labelset in (SINGLE, SPANS.model_copy(update={"allow_overlap": True})):
            with pytest.raises(LabelCrewError, match="CoNLL"):
                check_export("conll", labelset)
