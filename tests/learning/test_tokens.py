"""Tokens with code-point offsets, in any script."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.tokens import align, tokenize


@given(st.text(st.characters(exclude_categories=[]), max_size=60))
def test_tokens_cover_all_but_white_space_in_order_without_overlap(text: str) -> None:
    tokens = tokenize(text)
    assert all(start < end for start, end in tokens)
    assert all(before[1] <= after[0] for before, after in pairwise(tokens))
    covered = {at for start, end in tokens for at in range(start, end)}
    assert all(char.isspace() for at, char in enumerate(text) if at not in covered)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("don't go!", ["don't", "go", "!"]),
        ("@anna #fun", ["@", "anna", "#", "fun"]),
        ("snake_case", ["snake", "_", "case"]),
        ("東京に", ["東", "京", "に"]),
        ("cafe\u0301 noir", ["cafe\u0301", "noir"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("שלום עולם", ["שלום", "עולם"]),
        ("3.14", ["3", ".", "14"]),
    ],
)
def test_words_are_cut_where_people_would(text: str, words: list[str]) -> None:
    assert [text[start:end] for start, end in tokenize(text)] == words


def test_a_token_is_the_mean_of_the_pieces_that_touch_it() -> None:
    pieces = np.array([[1.0, 0], [3.0, 0], [0, 5.0]], dtype=np.float32)
    vectors = align((pieces, [(0, 2), (2, 4), (5, 6)]), [(0, 4), (5, 6), (7, 8)])
    assert vectors.tolist() == [[2.0, 0.0], [0.0, 5.0], [0.0, 0.0]]
