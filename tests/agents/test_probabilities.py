"""The probability of a label, read off its tokens."""

from __future__ import annotations

import math
from typing import Any

import pytest

from agents.probabilities import label_probabilities


def tokens(*pairs: tuple[str, float]) -> list[dict[str, Any]]:
    return [{"token": text, "logprob": math.log(p), "bytes": list(text.encode())} for text, p in pairs]


def test_the_tokens_of_the_label_are_multiplied_and_no_others() -> None:
    said = tokens(
        ('{"why":"', 0.1), ("x", 0.1), ('","label":"', 0.9), ("card", 0.5), ("_lost", 0.8), ('"', 1.0), ("}", 0.2)
    )
    text = '{"why":"x","label":"card_lost"}'
    assert label_probabilities(text, said) == [pytest.approx(0.4)]


def test_the_end_of_a_label_counts_because_it_tells_card_from_card_lost() -> None:
    said = tokens(('{"label":"', 1.0), ("card", 1.0), ('"', 0.3), ("}", 1.0))
    assert label_probabilities('{"label":"card"}', said) == [pytest.approx(0.3)]


def test_every_answer_has_a_probability_in_order() -> None:
    text = '[{"label":"a"},{"label":"b"}]'
    said = tokens(('[{"label":"', 1), ("a", 0.5), ('"},{"label":"', 1), ("b", 0.25), ('"}]', 1))
    assert label_probabilities(text, said) == [pytest.approx(0.5), pytest.approx(0.25)]


def test_the_word_label_inside_a_reason_is_not_taken_for_one() -> None:
    text = '{"why":"the \\"label\\": \\"b\\" fits","label":"a"}'
    said = tokens((text[:-3], 1.0), ("a", 0.5), ('"}', 1.0))
    found = label_probabilities(text, said)
    assert found is not None
    assert len(found) == 1


def test_several_labels_are_one_value() -> None:
    text = '{"labels":["a","b]"]}'
    said = tokens(('{"labels":[', 1), ('"a"', 0.5), (',"b]"', 0.5), ("]", 1), ("}", 0.1))
    assert label_probabilities(text, said) == [pytest.approx(0.25)]


def test_letters_of_several_bytes_are_counted_as_bytes() -> None:
    text = '{"why":"größer 👍","label":"ä"}'
    said = [
        {"token": "?", "logprob": 0.0, "bytes": list(text[: text.index("ä")].encode())},
        {"token": "ä", "logprob": math.log(0.5), "bytes": list("ä".encode())},
        {"token": '"}', "logprob": 0.0, "bytes": list(b'"}')},
    ]
    assert label_probabilities(text, said) == [pytest.approx(0.5)]


@pytest.mark.parametrize("said", [None, [], [{"token": "x"}], [{"token": "x", "logprob": 0.0}], "text"])
def test_tokens_that_do_not_spell_the_text_give_nothing(said: Any) -> None:
    assert label_probabilities('{"label":"a"}', said) is None
