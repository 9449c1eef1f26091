"""The tagger that learns from verified spans."""

from __future__ import annotations

import itertools

import pytest

from learning.crf import tags_of
from learning.metrics import span_score
from learning.span_tagger import SpanTagger
from learning.tokens import tokenize
from schemas.errors import Invalid, LabelCrewError
from tests.support.shared_data import shared_data, shared_rows

NAMES = ["Anna", "Bert", "Clara", "David", "Emma", "Farid", "Greta", "Hugo", "Ines", "Jonas"]
CITIES = ["Oslo", "Paris", "Lima", "Cairo", "Delhi", "Quito", "Rome", "Accra", "Perth", "Kyoto"]


def letters(count: int) -> tuple[list[str], list[list[tuple[int, int, str]]]]:
    """Made-up sentences: who wrote from where."""
    texts, spans = [], []
    for i in range(count):
        name, city = NAMES[i % 10], CITIES[(i * 7 + i // 10) % 10]
        text = f"Yesterday {name} wrote a letter from {city} again" if i % 3 else "Nothing was written by anybody"
        texts.append(text)
        places = [(text.index(name), text.index(name) + len(name), "person")] if i % 3 else []
        spans.append([*places, (text.index(city), text.index(city) + len(city), "place")] if i % 3 else [])
    return texts, spans


def test_of_overlapping_spans_the_longer_is_learnt() -> None:
    text = "New York City"
    tags = tags_of(text, [(0, 3, "word"), (0, 13, "place")], tokenize(text))
    assert tags == ["B-place", "I-place", "I-place"]


def test_it_learns_who_and_where_and_says_how_sure_it_is() -> None:
    texts, spans = letters(60)
    tagger = SpanTagger.fit(texts, spans)
    found = tagger.predict(["Yesterday Clara wrote a letter from Rome again", "Nothing at all", ""])
    assert [span[:3] for span in found[0]] == [(10, 15, "person"), (36, 40, "place")]
    assert all(0.5 < probability <= 1 for *_, probability in found[0])
    assert found[1:] == [[], []]
    assert tagger.labels == ("person", "place")


def test_bytes_keep_every_answer() -> None:
    texts, spans = letters(120)
    tagger = SpanTagger.fit(texts, spans)
    again = SpanTagger.from_bytes(tagger.to_bytes())
    assert again.answer(texts[:20]) == tagger.answer(texts[:20])
    assert again.metrics == tagger.metrics
    assert tagger.metrics["f1"] > 0.9
    assert {"precision", "recall", "accuracy", "ece"} <= set(tagger.metrics)


def test_spans_lie_in_the_text_in_order_and_never_overlap() -> None:
    tagger = SpanTagger.fit(*letters(40))
    for text in ["Anna Bert Oslo 👩‍🚀 東京", "a" * 500, "Oslo" * 40, "\n\n Anna \t"]:
        spans = tagger.predict([text])[0]
        assert all(0 <= start < end <= len(text) for start, end, *_ in spans)
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))


@pytest.mark.parametrize(("texts", "spans"), [([], []), (["a"], [[]]), ([" "], [[(0, 1, "x")]])])
def test_without_a_verified_span_there_is_no_training_data(texts: list[str], spans: list[list[object]]) -> None:
    with pytest.raises(LabelCrewError) as caught:
        SpanTagger.fit(texts, spans)  # type: ignore[arg-type]
    assert caught.value.code == "no-training-data"


@pytest.mark.parametrize("span", [(0, 9, "x"), (-1, 1, "x"), (1, 1, "x")])
def test_a_span_outside_its_text_is_invalid(span: tuple[int, int, str]) -> None:
    with pytest.raises(Invalid):
        SpanTagger.fit(["ab"], [[span]])


@pytest.mark.parametrize("blob", [b"", b"PK\x03\x04", b"\x80\x04K\x01."])
def test_other_bytes_are_invalid(blob: bytes) -> None:
    with pytest.raises(Invalid):
        SpanTagger.from_bytes(blob)


@shared_data("ner/wnut17")
def test_it_finds_entities_in_real_tweets() -> None:
    rows = shared_rows("ner/wnut17/train.jsonl")[:450]
    spans = [[(e["start"], e["end"], e["label"]) for e in row["entities"]] for row in rows]
    tagger = SpanTagger.fit([row["text"] for row in rows[:300]], spans[:300])
    found = tagger.predict([row["text"] for row in rows[300:]])
    score = span_score(spans[300:], [[place[:3] for place in places] for places in found])
    assert score.f1 > 0.2
    assert score.precision > 0.3
