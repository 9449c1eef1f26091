"""Votes of the nearest labelled items."""

from __future__ import annotations

import numpy as np

from learning.neighbours import MAX_KEPT, Neighbours, votes, votes_among
from tests.learning.synthetic import accuracy_of, blobs


def test_neighbours_vote_for_the_class_around_them() -> None:
    made, new = blobs([40] * 4), blobs([40] * 4, seed=1)
    found = Neighbours.keep(made.vectors, np.eye(4)[made.y]).votes(new.vectors)
    assert np.allclose(found.sum(axis=1), 1)
    assert accuracy_of(found, new.y) > 0.95


def test_eight_bits_keep_a_cosine_to_a_hundredth() -> None:
    made = blobs([200] * 3, d=384)
    kept = Neighbours.keep(made.vectors, np.eye(3)[made.y])
    assert np.abs(kept.vectors @ made.vectors.T - made.vectors @ made.vectors.T).max() < 0.01


def test_no_neighbour_at_all_is_an_even_vote() -> None:
    assert votes(np.zeros((2, 0)), np.zeros((0, 4))).tolist() == [[0.25] * 4] * 2


def test_votes_come_out_the_same_block_by_block() -> None:
    made = blobs([700, 700], d=8)
    targets = np.eye(2)[made.y]
    whole = votes(made.vectors @ made.vectors.T, targets)
    assert np.allclose(votes_among(made.vectors, made.vectors, targets), whole)


def test_more_items_than_are_kept_are_thinned() -> None:
    vectors = np.zeros((MAX_KEPT + 5, 2), np.float32)
    assert len(Neighbours.keep(vectors, np.ones((MAX_KEPT + 5, 1))).codes) == MAX_KEPT
