"""Examples are near to the item and unlike each other."""

from __future__ import annotations

import numpy as np

from learning.diversity import likely_rival, pick_diverse


def unit(*rows: list[float]) -> np.ndarray:
    found = np.array(rows, dtype=np.float32)
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def test_five_copies_are_shown_once_and_counted() -> None:
    vectors = unit([1, 0, 0], [1, 0.01, 0], [1, 0, 0.01], [0.7, 0.7, 0], [0.6, 0, 0.8])
    picks = pick_diverse(np.array([0.99, 0.98, 0.98, 0.7, 0.6]), vectors, ["a"] * 5, 5)
    assert [(p.index, p.copies) for p in picks] == [(0, 2), (3, 0), (4, 0)]


def test_copies_that_people_answered_differently_are_both_shown() -> None:
    vectors = unit([1, 0], [1, 0])
    picks = pick_diverse(np.array([1.0, 1.0]), vectors, ["a", "b"], 5)
    assert {p.index for p in picks} == {0, 1}


def test_the_nearest_comes_first_and_no_more_than_asked_for_are_shown() -> None:
    rng = np.random.default_rng(1)
    vectors = unit(*rng.normal(size=(30, 384)).tolist())
    similarity = vectors @ vectors[7]
    picks = pick_diverse(similarity, vectors, list(range(30)), 5)
    assert picks[0].index == 7
    assert len(picks) == 5


def test_of_nothing_nothing_is_shown() -> None:
    assert pick_diverse(np.zeros(0), np.zeros((0, 384)), [], 5) == []


def test_the_rival_is_the_second_likeliest_unless_the_past_says_otherwise() -> None:
    probabilities = [0.6, 0.25, 0.15]
    assert likely_rival(probabilities, 0, []) == 1
    assert likely_rival(probabilities, 0, [(0, 2, 9), (2, 0, 3)]) == 2
    assert likely_rival(probabilities, 0, [(1, 2, 50)]) == 1


def test_there_is_no_rival_where_there_is_no_other_likely_class() -> None:
    assert likely_rival([1.0], 0, []) is None
    assert likely_rival([0.99, 0.01], 0, []) is None
