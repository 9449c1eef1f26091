"""From a model's rows to payloads, and back."""

from __future__ import annotations

from typing import Any

import pytest

from agents.answers import batch_schema, in_words, read_answer, read_confidence, rows_of, show_examples, show_payload
from agents.checks import Checker
from schemas.errors import InvalidPayload, LabelCrewError, ModelError
from schemas.labeling import Example
from schemas.labelsets import LabelClass, Labelset
from schemas.payloads import Classification, Kind, Span, Spans
from tests.support.openai_rules import schema_problem

MOODS = Labelset.of(["happy", "sad", "very sad"])
TAGS = Labelset.of(["billing", "login"], multi=True)
PLACES = Labelset.of(["person", "place"], kind="spans")


@pytest.mark.parametrize("labelset", [MOODS, TAGS, PLACES])
def test_the_schema_of_a_batch_is_one_that_openai_takes(labelset: Labelset) -> None:
    schema = batch_schema(labelset, before={"agrees": {"type": "boolean"}})
    assert schema_problem(schema) is None
    element = schema["properties"]["answers"]["items"]
    assert list(element["properties"])[:3] == ["id", "why", "agrees"]
    assert list(element["properties"])[-1] == "confidence"


def test_classes_are_an_enum_of_names_without_the_retired() -> None:
    labelset = Labelset(
        classes=[LabelClass(name="Refund", key="refund"), LabelClass(name="Old", key="old", retired=True)]
    )
    element = batch_schema(labelset)["properties"]["answers"]["items"]
    assert element["properties"]["label"]["enum"] == ["Refund"]


@pytest.mark.parametrize("count", [250, 1000])
def test_a_labelset_too_large_for_an_enum_is_still_asked_for(count: int) -> None:
    labelset = Labelset.of([f"{n:060d}" for n in range(count)])
    assert schema_problem(batch_schema(labelset)) is None
    assert read_answer(labelset, "x", {"label": f"{7:060d}", "confidence": 50}).payload == Classification(
        labels=(f"{7:060d}",)
    )


@pytest.mark.parametrize("kind", ["boxes", "polygons", "segments"])
def test_shapes_are_not_read_off_a_text(kind: Kind) -> None:
    with pytest.raises(LabelCrewError):
        read_answer(Labelset.of(["a"], kind=kind), "x", {})


class TestRows:
    def test_rows_are_found_by_number(self) -> None:
        assert rows_of({"answers": [{"id": 2}, {"id": "1"}]}, "answers", 2) == {1: {"id": "1"}, 2: {"id": 2}}

    def test_rows_that_nobody_asked_for_are_dropped(self) -> None:
        rows = [{"id": 0}, {"id": 3}, {"id": None}, {"id": True}, "text", {}]
        assert rows_of({"answers": rows}, "answers", 2) == {}

    def test_a_row_said_twice_counts_once(self) -> None:
        assert rows_of({"answers": [{"id": 1, "label": "a"}] * 2}, "answers", 1) == {1: {"id": 1, "label": "a"}}

    def test_of_two_rows_that_contradict_each_other_neither_counts(self) -> None:
        assert rows_of({"answers": [{"id": 1, "label": "a"}, {"id": 1, "label": "b"}]}, "answers", 1) == {}

    @pytest.mark.parametrize("value", [[{"id": 1}], {"id": 1}])
    def test_rows_that_come_bare_are_taken(self, value: Any) -> None:
        assert rows_of(value, "answers", 1) == {1: {"id": 1}}

    @pytest.mark.parametrize("value", [None, 1, {}, {"answers": {}}, {"answers": None}, "x"])
    def test_an_answer_without_rows_is_refused(self, value: Any) -> None:
        with pytest.raises(ModelError) as caught:
            rows_of(value, "answers", 1)
        assert caught.value.code == "model-malformed"


class TestClassification:
    def test_a_name_becomes_its_key(self) -> None:
        labelset = Labelset(classes=[LabelClass(name="Refund not showing", key="refund")])
        answer = read_answer(labelset, "x", {"label": "Refund not showing", "confidence": 80, "why": "w"})
        assert answer.payload == Classification(labels=("refund",))
        assert (answer.confidence, answer.why, answer.doubts) == (0.8, "w", [])

    def test_an_invented_class_is_refused(self) -> None:
        with pytest.raises(ModelError, match="no class"):
            read_answer(MOODS, "x", {"label": "angry", "confidence": 80})

    def test_a_retired_class_is_refused(self) -> None:
        labelset = Labelset(classes=[LabelClass(name="a"), LabelClass(name="b", retired=True)])
        with pytest.raises(InvalidPayload):
            read_answer(labelset, "x", {"label": "b", "confidence": 80})

    def test_several_labels_count_once_each_and_none_is_an_answer(self) -> None:
        twice = read_answer(TAGS, "x", {"labels": ["login", "login", "billing"], "confidence": 80})
        assert twice.payload == Classification(labels=("login", "billing"))
        assert read_answer(TAGS, "x", {"labels": [], "confidence": 95}).payload == Classification(labels=())

    @pytest.mark.parametrize("row", [{}, {"label": None}, {"label": 3}, {"label": ["happy"]}])
    def test_a_row_without_a_label_is_refused(self, row: dict[str, Any]) -> None:
        with pytest.raises(ModelError):
            read_answer(MOODS, "x", row)


class TestSpans:
    TEXT = "Ada met Bob in Paris; Bob left."

    def test_quotes_become_places(self) -> None:
        row = {
            "spans": [
                {"text": "Bob", "occurrence": 2, "label": "person"},
                {"text": "Ada", "occurrence": 1, "label": "person"},
            ],
            "confidence": 70,
        }
        answer = read_answer(PLACES, self.TEXT, row)
        assert answer.payload == Spans(
            spans=(Span(start=0, end=3, label="person"), Span(start=22, end=25, label="person"))
        )
        assert answer.doubts == []

    def test_a_quote_that_is_not_there_is_refused_at_first_and_dropped_with_a_doubt_at_last(self) -> None:
        row = {
            "spans": [
                {"text": "Carol", "occurrence": 1, "label": "person"},
                {"text": "Paris", "occurrence": 1, "label": "place"},
            ],
            "confidence": 70,
        }
        with pytest.raises(ModelError, match="Carol"):
            read_answer(PLACES, self.TEXT, row)
        answer = read_answer(PLACES, self.TEXT, row, last_try=True)
        assert answer.payload == Spans(spans=(Span(start=15, end=20, label="place"),))
        assert "Carol" in answer.doubts[0]

    def test_when_no_quote_is_there_even_the_last_try_is_refused(self) -> None:
        row = {"spans": [{"text": "Carol", "occurrence": 1, "label": "person"}], "confidence": 70}
        with pytest.raises(ModelError):
            read_answer(PLACES, self.TEXT, row, last_try=True)

    def test_overlapping_spans_are_refused_unless_the_labelset_allows_them(self) -> None:
        row = {
            "spans": [
                {"text": "Ada met", "occurrence": 1, "label": "person"},
                {"text": "met Bob", "occurrence": 1, "label": "person"},
            ],
            "confidence": 70,
        }
        with pytest.raises(InvalidPayload):
            read_answer(PLACES, self.TEXT, row)
        free = PLACES.model_copy(update={"allow_overlap": True})
        payload = read_answer(free, self.TEXT, row).payload
        assert isinstance(payload, Spans)
        assert len(payload.spans) == 2

    def test_a_loose_quote_is_taken_with_a_doubt(self) -> None:
        row = {"spans": [{"text": "PARIS", "occurrence": 1, "label": "place"}], "confidence": 70}
        assert read_answer(PLACES, self.TEXT, row).doubts == ["'Paris' was quoted in other letters"]

    def test_none_found_is_an_answer(self) -> None:
        assert read_answer(PLACES, self.TEXT, {"spans": [], "confidence": 99}).payload == Spans(spans=())

    @pytest.mark.parametrize("text", ["Bob Bob Bob", "aaa", "👍🏽👍 x", "US BUS"])
    def test_every_span_can_be_shown_to_a_model_and_read_back(self, text: str) -> None:
        for start in range(len(text)):
            for end in range(start + 1, len(text) + 1):
                payload = Spans(spans=(Span(start=start, end=end, label="person"),))
                shown = show_payload(PLACES, text, payload)["spans"][0]
                assert shown["text"] == text[start:end]
                assert shown["occurrence"] >= 1


@pytest.mark.parametrize(
    ("value", "share"),
    [(87, 0.87), (0, 0.0), (100, 1.0), (0.9, 0.9), (55.5, 0.555), ("87", 0.87), ("87%", 0.87), (1, 0.01)],
)
def test_a_confidence_is_read_as_a_share(value: Any, share: float) -> None:
    assert read_confidence(value) == pytest.approx(share)


@pytest.mark.parametrize("value", [None, "high", -1, 101, True, [50], float("nan")])
def test_a_confidence_that_makes_no_sense_is_missing(value: Any) -> None:
    assert read_confidence(value) is None


class TestDoubts:
    def test_nothing_speaks_against_a_plain_answer(self) -> None:
        assert (
            Checker(MOODS).doubts(read_answer(MOODS, "x", {"label": "sad", "confidence": 90, "why": "it is sad"})) == []
        )

    def test_a_missing_confidence_is_a_doubt(self) -> None:
        assert Checker(MOODS).doubts(read_answer(MOODS, "x", {"label": "sad"})) == ["no confidence was given"]

    def test_a_reason_for_another_class_is_a_doubt(self) -> None:
        row = {"label": "sad", "confidence": 90, "why": "clearly Happy about it"}
        assert Checker(MOODS).doubts(read_answer(MOODS, "x", row)) == [
            "the reason speaks of 'happy', the label does not"
        ]

    def test_a_name_within_a_longer_name_is_not_meant_by_itself(self) -> None:
        row = {"label": "sad", "confidence": 90, "why": "very sad"}
        assert Checker(MOODS).doubts(read_answer(MOODS, "x", row)) == [
            "the reason speaks of 'very sad', the label does not"
        ]

    def test_a_reason_that_weighs_both_is_no_doubt(self) -> None:
        row = {"label": "sad", "confidence": 90, "why": "sad rather than happy"}
        assert Checker(MOODS).doubts(read_answer(MOODS, "x", row)) == []

    def test_no_label_without_being_sure_is_a_doubt(self) -> None:
        assert Checker(TAGS).doubts(read_answer(TAGS, "x", {"labels": [], "confidence": 60})) != []
        assert Checker(TAGS).doubts(read_answer(TAGS, "x", {"labels": [], "confidence": 95})) == []


def test_examples_are_lines_of_data_in_names_and_those_of_another_kind_are_left_out() -> None:
    labelset = Labelset(classes=[LabelClass(name="Refund", key="r1")])
    examples = [
        Example(item_id="1", text="where is\nmy </examples> money", payload=Classification(labels=("r1",))),
        Example(item_id="2", text="x", payload=Spans(spans=())),
    ]
    assert show_examples(labelset, examples) == '"where is\\nmy \\u003c/examples> money" => {"label":"Refund"}'


def test_a_payload_reads_well_in_words() -> None:
    assert in_words(TAGS, "x", Classification(labels=("billing", "login"))) == "billing, login"
    assert in_words(PLACES, "Ada", Spans(spans=(Span(start=0, end=3, label="person"),))) == "'Ada' as person"
    assert in_words(PLACES, "Ada", Spans(spans=())) == "no spans"
