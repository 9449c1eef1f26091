"""Labels from class names alone."""

from __future__ import annotations

import numpy as np
import pytest

from learning.embedding import Embedder
from learning.zero_shot import class_texts, class_vectors, words_of, zero_shot, zero_shot_from, zero_shot_multi
from schemas.errors import Invalid
from schemas.labelsets import LabelClass
from tests.learning.conftest import Banking
from tests.learning.synthetic import accuracy_of, blobs
from tests.support.shared_data import shared_data


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("card_arrival", "card arrival"),
        ("cardArrival", "card Arrival"),
        ("HTTPError", "HTTP Error"),
        ("top-up/failed", "top up failed"),
        ("reverted_card_payment?", "reverted card payment"),
        ("???", "???"),
        ("東京", "東京"),
    ],
)
def test_a_class_name_becomes_words(name: str, words: str) -> None:
    assert words_of(name) == words


def test_a_class_is_described_by_name_description_and_examples() -> None:
    described = LabelClass(name="lost_card", description="The card is gone", examples=["I lost it", "  "])
    assert class_texts([described, LabelClass(name="b")]) == [
        ["lost card", "lost card: The card is gone", "I lost it"],
        ["b"],
    ]


def test_a_bare_common_name_is_described_by_what_it_usually_means() -> None:
    [bare, _] = class_texts([LabelClass(name="Positive"), LabelClass(name="invoice")])
    assert bare[0] == "Positive"
    assert len(bare) > 3
    [own] = class_texts([LabelClass(name="positive", description="The test found the virus")])
    assert own == ["positive", "positive: The test found the virus"]


def test_moods_are_told_apart_by_their_names_alone(embedder: Embedder) -> None:
    told = class_texts([LabelClass(name="positive"), LabelClass(name="negative")])
    texts = ["Absolutely delighted, five stars.", "Broke after a day, what a disappointment."]
    assert zero_shot(embedder.encode(texts), told, embedder).argmax(axis=1).tolist() == [0, 1]


def test_class_vectors_are_unit_means_of_their_texts(embedder: Embedder) -> None:
    vectors = class_vectors([["lost card", "the card is gone"], ["exchange rate"]], embedder)
    assert vectors.shape == (2, embedder.dim)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_class_without_any_text_is_invalid(embedder: Embedder) -> None:
    with pytest.raises(Invalid):
        class_vectors([["a"], []], embedder)


def test_plain_cases_are_told_apart_with_sane_probabilities(embedder: Embedder) -> None:
    texts = ["I lost my card yesterday", "What is the rate from euros to dollars?"]
    found = zero_shot(embedder.encode(texts), [["lost card"], ["exchange rate"]], embedder)
    assert found.argmax(axis=1).tolist() == [0, 1]
    assert np.allclose(found.sum(axis=1), 1)
    assert found.max() > 0.9


def test_every_class_may_apply_or_none_where_several_are_allowed() -> None:
    made = blobs([20, 20, 20], noise=0.3, fog=0.1)
    both = made.names[:1] + made.names[1:2]
    both = both / np.linalg.norm(both)
    alone = zero_shot_multi(made.names, made.names)
    assert (alone > 0.5).sum(axis=1).tolist() == [1, 1, 1]
    assert (zero_shot_multi(both, made.names) > 0.5).tolist() == [[True, True, False]]


def test_no_items_give_no_rows() -> None:
    made = blobs([1, 1])
    assert zero_shot_from(made.vectors[:0], made.names).shape == (0, 2)


@shared_data("text/banking77")
def test_banking77_names_alone_reach_sixty_per_cent(banking: Banking) -> None:
    assert accuracy_of(zero_shot_from(banking.test, banking.names), banking.test_y) >= 0.60
