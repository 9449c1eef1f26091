"""From quotes to code points."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.quotes import Place, find_quote


def cut(text: str, place: Place | None) -> str | None:
    return None if place is None else text[place.start : place.end]


def test_a_quote_is_found_where_it_stands() -> None:
    assert find_quote("Ada met Bob.", "Bob") == Place(8, 11)


def test_the_occurrence_chooses_among_equal_quotes() -> None:
    text = "Bob saw Bob and Bob"
    assert [find_quote(text, "Bob", n) for n in (1, 2, 3)] == [Place(0, 3), Place(8, 11), Place(16, 19)]


def test_an_occurrence_that_is_not_there_is_refused() -> None:
    assert find_quote("Bob saw Bob", "Bob", 3) is None


def test_a_wrong_occurrence_of_the_only_place_is_forgiven() -> None:
    assert find_quote("Ada met Bob.", "Bob", 4) == Place(8, 11)


def test_code_points_are_counted_not_bytes_or_code_units() -> None:
    text = "👍🏽 Zoë grüßt 東京 🇯🇵 Zoë"
    place = find_quote(text, "Zoë", 2)
    assert cut(text, place) == "Zoë"
    assert place is not None
    assert place.start == text.rindex("Zoë")


def test_a_word_within_a_word_does_not_count_while_the_word_itself_is_there() -> None:
    assert find_quote("BUS to the US", "US") == Place(11, 13)


def test_a_word_within_a_word_counts_when_nothing_else_is_there() -> None:
    assert find_quote("the BUS", "US") == Place(5, 7)


def test_a_character_is_not_cut_from_its_modifier() -> None:
    text = "👍🏽 and 👍"
    assert find_quote(text, "👍") == Place(7, 8)


def test_scripts_without_spaces_have_no_word_borders() -> None:
    assert find_quote("我在東京大学", "東京") == Place(2, 4)


@pytest.mark.parametrize(
    ("text", "quote", "found"),
    [
        ("She said “hello there” twice", '"hello there"', "“hello there”"),
        ("NEW   York\ncity", "new york city", "NEW   York\ncity"),
        ("ﬁne – really", "fine - really", "ﬁne – really"),
        ("cafe\u0301 noir", "café", "cafe\u0301"),
        ("wait…", "wait...", "wait…"),
        ("Straße", "STRASSE", "Straße"),
    ],
)
def test_case_white_space_and_typography_are_forgiven_and_noted(text: str, quote: str, found: str) -> None:
    place = find_quote(text, quote)
    assert cut(text, place) == found
    assert place is not None
    assert not place.exact


@pytest.mark.parametrize("quote", ["", "  ", "Carol"])
def test_a_quote_that_is_not_there_is_refused(quote: str) -> None:
    assert find_quote("Ada met Bob.", quote) is None


def test_white_space_around_a_quote_is_no_part_of_it() -> None:
    assert find_quote("Ada met Bob.", " Bob \n") == Place(8, 11)


@given(st.text(min_size=1, max_size=60), st.data())
def test_every_stretch_of_a_text_can_be_found_again(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    quote = text[start:end].strip()
    if quote:
        assert cut(text, find_quote(text, quote)) == quote


@given(st.text(max_size=40), st.text(max_size=10), st.integers(1, 4))
def test_whatever_is_asked_the_place_lies_inside_the_text(text: str, quote: str, occurrence: int) -> None:
    place = find_quote(text, quote, occurrence)
    assert place is None or 0 <= place.start < place.end <= len(text)
