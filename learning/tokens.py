"""Texts as tokens with code-point offsets, for labels that cover part of a text.

A token is a run of letters, marks and digits (with inner apostrophes), or one character of anything else that is not
white space. Scripts written without spaces (Han, kana, Thai, Lao, Khmer, Burmese) are cut into single characters, so
that a span may start and end anywhere in them. Marks that combine with the character before them are never cut off.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from learning.arrays import Vectors
from learning.embedding import TokenVectors

# Combining marks of scripts that write vowels or accents as marks, and the joiners between emoji. Python's \w knows
# letters and digits but not marks, which it would leave behind as tokens of their own.
_MARKS = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0711\u0730-\u074a\u0900-\u0903\u093a-\u094f\u0951-\u0957"
    "\u0962\u0963\u0981-\u0983\u09bc-\u09d7\u0a01-\u0a03\u0a3c-\u0a51\u0a70-\u0a75\u0a81-\u0a83\u0abc-\u0acd"
    "\u0b01-\u0b03\u0b3c-\u0b57\u0b82\u0bbe-\u0bd7\u0c00-\u0c04\u0c3c-\u0c56\u0c81-\u0c83\u0cbc-\u0cd6"
    "\u0d00-\u0d03\u0d3b-\u0d57\u0d81-\u0d83\u0dca-\u0ddf\u0f18\u0f19\u0f35\u0f37\u0f39\u0f71-\u0f84"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u200c\u200d\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f"
)
_UNSPACED = (
    "\u0e00-\u0e7f\u0e80-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
# The combining vowels and tones inside the unspaced scripts stay with the character before them.
_UNSPACED_MARKS = (
    "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u102b-\u103e\u1056-\u1059\u17b4-\u17d3"
    "\u3099\u309a"
)
_LETTER = rf"(?:[^\W_{_UNSPACED}][{_MARKS}]*)"
_TOKEN = re.compile(
    rf"{_LETTER}+(?:['’]{_LETTER}+)*"  # a word
    rf"|[{_UNSPACED}][{_UNSPACED_MARKS}{_MARKS}]*"  # one character of an unspaced script
    rf"|[^\s][{_MARKS}]*"  # a sign
)

Offset = tuple[int, int]


def tokenize(text: str) -> list[Offset]:
    """Offsets (start, end) of the tokens in code points, end exclusive, in order, never overlapping."""
    return [match.span() for match in _TOKEN.finditer(text)]


def align(pieces: TokenVectors, tokens: Sequence[Offset]) -> Vectors:
    """Vectors (t, d) of ``tokens``: each the mean of the word pieces that touch it, zeros where none does."""
    vectors, offsets = pieces
    summed = np.zeros((len(tokens), vectors.shape[1]), dtype=np.float32)
    count = np.zeros((len(tokens), 1), dtype=np.float32)
    first = 0
    for vector, (start, end) in zip(vectors, offsets, strict=True):
        while first < len(tokens) and tokens[first][1] <= start:
            first += 1
        at = first
        while at < len(tokens) and tokens[at][0] < end:
            summed[at] += vector
            count[at] += 1
            at += 1
    return np.asarray(summed / np.maximum(count, 1))
