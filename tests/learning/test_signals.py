"""Several signs of being right, blended into one probability."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.arrays import sigmoid
from learning.metrics import auroc, log_loss
from learning.signals import SignalBlend, fit_signals
from schemas.errors import Invalid


def drafts(n: int, seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Drafts whose student knows a lot, whose model's words say little, and whose votes are often missing."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0.5, 1.5, n)
    right = (rng.random(n) < sigmoid(odds)).astype(float)
    votes = sigmoid(odds + rng.normal(0, 1, n))
    votes[rng.random(n) < 0.5] = np.nan
    return {"words": sigmoid(rng.normal(2, 0.5, n)), "student": sigmoid(odds), "votes": votes}, right


def test_before_anything_is_verified_the_signs_count_alike() -> None:
    blend = fit_signals({"a": [], "b": []}, [])
    assert blend.apply({"a": [0.9], "b": [0.1]}) == pytest.approx([0.5])
    assert blend.apply({"a": [0.9], "b": [0.9]}) == pytest.approx([0.9])


def test_gold_decides_whom_to_believe() -> None:
    signals, right = drafts(600)
    blend = fit_signals(signals, right)
    weight = dict(zip(blend.names, blend.weights, strict=True))
    assert weight["student"] > 2 * weight["words"]
    asked, truth = drafts(5000, seed=1)
    found = blend.apply(asked)
    assert log_loss(found, truth) < log_loss(fit_signals({name: [] for name in asked}, []).apply(asked), truth)
    assert auroc(found, truth) > auroc(asked["words"], truth) + 0.1


def test_a_missing_sign_leaves_its_say_to_the_others() -> None:
    blend = SignalBlend(("a", "b"), (0.5, 0.5))
    assert blend.apply({"a": [0.9], "b": [np.nan]}) == pytest.approx([0.9])
    assert blend.apply({"a": [0.9]}) == pytest.approx([0.9])
    assert blend.apply({"a": [np.nan], "b": [np.nan]}) == pytest.approx([0.5])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1) | st.just(float("nan")), st.floats(0, 1), st.booleans()), max_size=40))
def test_a_blend_is_a_probability_and_survives_json(rows: list[tuple[float, float, bool]]) -> None:
    signals = {"a": [a for a, _, _ in rows], "b": [b for _, b, _ in rows]}
    blend = fit_signals(signals, [right for *_, right in rows])
    found = blend.apply(signals)
    assert ((found >= 0) & (found <= 1)).all()
    assert SignalBlend.from_dict(json.loads(json.dumps(blend.to_dict()))) == blend


def test_a_surer_sign_never_lowers_the_probability() -> None:
    signals, right = drafts(300)
    blend = fit_signals(signals, right)
    low = blend.apply({"words": [0.5], "student": [0.3], "votes": [0.5]})
    assert blend.apply({"words": [0.5], "student": [0.6], "votes": [0.5]}) >= low


def test_a_prior_of_ones_own_is_where_it_starts() -> None:
    blend = fit_signals({"a": [], "b": []}, [], prior={"a": 1.0, "b": 0.0})
    assert blend.weights == pytest.approx((1.0, 0.0))


@pytest.mark.parametrize(
    ("signals", "right"),
    [({}, []), ({"a": [0.5]}, []), ({"a": [0.5], "b": []}, [True]), ({"a": [2.0]}, [True]), ({"a": [0.5]}, [np.nan])],
)
def test_signs_that_do_not_fit_together_are_invalid(signals: dict[str, list[float]], right: list[float]) -> None:
    with pytest.raises(Invalid):
        fit_signals(signals, right)


@pytest.mark.parametrize("raw", [{}, {"version": 9, "names": [], "weights": [], "bias": 0, "n": 0}])
def test_foreign_parameters_are_invalid(raw: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        SignalBlend.from_dict(raw)
