"""The parts a student is made of: heads, neighbours, blend."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.arrays import log_softmax
from learning.blend import blend_single, fit_blend, folds
from learning.heads import fit_binary_heads, fit_softmax_head
from learning.neighbours import MAX_KEPT, Neighbours, votes, votes_among
from tests.learning.synthetic import accuracy_of, blobs


def test_a_soft_label_teaches_like_the_hard_ones_it_is_made_of() -> None:
    made = blobs([12, 12])
    soft = np.full((24, 2), 0.5)
    doubled = np.concatenate([made.vectors, made.vectors])
    hard = np.repeat(np.eye(2), 24, axis=0)
    half = np.full(48, 0.5)
    one = fit_softmax_head(made.vectors, soft, np.ones(24), strength=1.0)
    other = fit_softmax_head(doubled, hard, half, strength=1.0)
    assert np.allclose(one.log_proba(made.vectors), other.log_proba(made.vectors), atol=1e-3)


def test_a_head_never_knows_a_class_it_has_not_met_better_than_one_it_has() -> None:
    made = blobs([20, 20, 20])
    rows = made.y < 2
    head = fit_softmax_head(made.vectors[rows], np.eye(3)[made.y[rows]], np.ones(rows.sum()), strength=3.0)
    assert (np.exp(head.log_proba(made.vectors))[:, 2] < 0.1).all()


def test_binary_heads_cope_with_classes_that_always_or_never_apply() -> None:
    made = blobs([30, 30])
    targets = np.stack([np.ones(60), np.zeros(60), (made.y == 0).astype(float)], axis=1)
    head = fit_binary_heads(made.vectors, targets, np.ones(60), strength=3.0)
    given = head.logits(made.vectors) > 0
    assert given[:, 0].all()
    assert not given[:, 1].any()
    assert (given[:, 2] == (made.y == 0)).mean() > 0.95


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


def test_the_better_expert_gets_the_weight_and_nobody_gets_less_than_none() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 400)
    good = log_softmax(3 * np.eye(4)[y] + rng.normal(size=(400, 4)))
    noise, liar = log_softmax(rng.normal(size=(400, 4))), log_softmax(-3 * np.eye(4)[y])
    weights = fit_blend([good, noise, liar], np.eye(4)[y], [0.5, 0.5, 0.5])
    assert weights[0] > 0.8
    assert weights[0] > 2 * weights[1]
    assert weights[2] == pytest.approx(0, abs=0.05)


def test_the_prior_decides_where_nothing_is_known() -> None:
    nothing = np.zeros((0, 3))
    assert fit_blend([nothing, nothing], nothing, [1.0, 0.3]).tolist() == pytest.approx([1.0, 0.3])


def test_a_blend_of_one_expert_is_the_expert() -> None:
    logs = log_softmax(np.random.default_rng(0).normal(size=(5, 3)))
    assert np.allclose(blend_single([logs], [1.0]), logs)


@settings(max_examples=30)
@given(groups=st.lists(st.integers(0, 3), min_size=1, max_size=60), count=st.integers(2, 5))
def test_folds_spread_every_group_evenly(groups: list[int], count: int) -> None:
    members = np.array(groups)
    assigned = folds(members, count)
    assert ((assigned >= 0) & (assigned < count)).all()
    for group in set(groups):
        sizes = np.bincount(assigned[members == group], minlength=count)
        assert sizes.max() - sizes.min() <= 1
