"""Guidelines become lines that can be cited, and the ones that apply are found."""

from __future__ import annotations

import numpy as np
import pytest

from learning.passages import MOST_PASSAGES, passages_of, rank_passages

GUIDE = """# Refunds

A refund is money that goes back
to the customer.

- Choose **refund** when money is asked for.
- Choose exchange when another thing is asked for.

## Delivery
1. Late parcels are delivery.

---
| class | meaning |
|---|---|
| stock | something is sold out |
"""


def test_items_paragraphs_and_rows_are_passages_by_the_line_they_begin_in() -> None:
    found = [(p.line, p.heading, p.text) for p in passages_of(GUIDE)]
    assert found == [
        (3, "Refunds", "A refund is money that goes back to the customer."),
        (6, "Refunds", "Choose **refund** when money is asked for."),
        (7, "Refunds", "Choose exchange when another thing is asked for."),
        (10, "Delivery", "Late parcels are delivery."),
        (13, "Delivery", "| class | meaning |"),
        (15, "Delivery", "| stock | something is sold out |"),
    ]


def test_every_passage_stands_in_the_line_that_it_names() -> None:
    lines = GUIDE.splitlines()
    for passage in passages_of(GUIDE):
        assert passage.text.split()[0] in lines[passage.line - 1]


@pytest.mark.parametrize("source", ["", "\n\n", "# Only a heading", "---", "```\n```"])
def test_guidelines_without_a_sentence_have_no_passage(source: str) -> None:
    assert passages_of(source) == []


def test_guidelines_without_end_are_cut() -> None:
    assert len(passages_of("\n".join(f"- rule {n}" for n in range(5_000)))) == MOST_PASSAGES
    assert len(passages_of("word " * 50_000)[0].text) <= 600


def unrelated(count: int) -> np.ndarray:
    return np.eye(384, dtype=np.float32)[:count]


def test_the_line_that_shares_rare_words_comes_first() -> None:
    passages = passages_of(GUIDE)
    [first, *_] = rank_passages(passages, unrelated(len(passages)), "my parcels are so late", None)
    assert passages[first].line == 10


def test_the_line_that_means_the_same_comes_first_without_a_word_in_common() -> None:
    passages = passages_of(GUIDE)
    vectors = unrelated(len(passages))
    assert rank_passages(passages, vectors, "cash back?", vectors[1])[0] == 1


def test_lines_that_name_a_class_in_question_apply() -> None:
    passages = passages_of(GUIDE)
    ranked = rank_passages(passages, unrelated(len(passages)), "zzz", None, names=["stock"])
    assert [passages[index].line for index in ranked] == [15]


@pytest.mark.parametrize("query", ["", "🙂🙂", "شكرا جزيلا", "zzz " * 20_000])
def test_no_line_applies_to_what_has_nothing_in_common(query: str) -> None:
    passages = passages_of(GUIDE)
    assert rank_passages(passages, unrelated(len(passages)), query, None) == []
