"""Weights of experts, learnt on answers they had not seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.arrays import log_softmax
from learning.blend import blend_single, fit_blend, folds


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
