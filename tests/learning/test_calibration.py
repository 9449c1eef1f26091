"""Calibration: increasing curves, sane before anything is verified, right after a lot."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.arrays import sigmoid, softmax
from learning.calibration import METHODS, VERBAL, Calibration, Method, Prior, fit_calibration, fit_temperature
from learning.heads import fit_softmax_head
from learning.metrics import ece, log_loss
from schemas.errors import Invalid
from tests.learning.conftest import Banking
from tests.support.shared_data import shared_data

GRID = np.linspace(0, 1, 101)


def overconfident(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Claims whose log-odds are three times what they should be."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(1, 1.2, n)
    return sigmoid(3 * odds), (rng.random(n) < sigmoid(odds)).astype(float)


@settings(max_examples=60, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=120),
    method=st.sampled_from(METHODS),
)
def test_every_curve_is_increasing_and_stays_in_range(pairs: list[tuple[float, bool]], method: Method) -> None:
    fitted = fit_calibration([p for p, _ in pairs], [r for _, r in pairs], methods=(method,))
    found = fitted.apply(GRID)
    assert ((found >= 0) & (found <= 1)).all()
    assert (np.diff(found) >= -1e-12).all()
    low, high = fitted.interval(GRID).T
    assert ((low <= high) & (low >= 0) & (high <= 1)).all()


@pytest.mark.parametrize("method", METHODS)
def test_parameters_survive_json(method: Method) -> None:
    confidence, right = overconfident(200)
    fitted = fit_calibration(confidence, right, methods=(method,))
    again = Calibration.from_dict(json.loads(json.dumps(fitted.to_dict())))
    assert again == fitted
    assert (again.apply(GRID) == fitted.apply(GRID)).all()


@pytest.mark.parametrize(
    "raw",
    [{}, {"version": 2}, {"version": 1, "method": "magic"}, {"version": 1, "method": "platt", "params": {}, "n": 0}],
)
def test_foreign_parameters_are_invalid(raw: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        Calibration.from_dict(raw)


def test_with_nothing_verified_the_prior_speaks() -> None:
    assert np.allclose(fit_calibration([], []).apply(GRID[1:-1]), GRID[1:-1], atol=1e-6)
    verbal = fit_calibration([], [], prior=VERBAL)
    assert verbal.n == 0
    assert verbal.apply([0.95])[0] == pytest.approx(0.813, abs=0.01)


def test_a_few_answers_move_the_prior_a_little_and_many_overrule_it() -> None:
    prior = Prior(slope=1.0)
    right_three = fit_calibration([0.6] * 3, [True] * 3, prior=prior).apply([0.6])[0]
    right_many = fit_calibration([0.6] * 300, [True] * 300, prior=prior).apply([0.6])[0]
    assert 0.6 < right_three < 0.85
    assert right_many > 0.97


def test_uncertainty_shrinks_as_answers_come_in() -> None:
    widths = []
    for n in (0, 20, 200, 2000):
        low, high = fit_calibration(*overconfident(n), methods=("platt",)).interval([0.9])[0]
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 0.3
    assert widths[-1] < 0.06


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    truth = float(sigmoid(np.array([0.5]))[0])
    claim = [float(sigmoid(np.array([1.5]))[0])]
    held = 0
    for seed in range(60):
        low, high = fit_calibration(*overconfident(150, seed), methods=("platt",)).interval(claim, level=0.9)[0]
        held += low <= truth <= high
    assert held >= 48


def test_overconfidence_is_taken_back() -> None:
    fitted, (asked, truth) = fit_calibration(*overconfident(500)), overconfident(20_000, seed=1)
    assert ece(asked, truth) > 0.09
    assert ece(fitted.apply(asked), truth) < 0.03
    assert fitted.log_loss is not None
    assert fitted.ece is not None
    assert fitted.log_loss < log_loss(asked, truth)


def test_cross_validation_prefers_the_simple_curve_when_it_is_the_truth() -> None:
    confidence, right = overconfident(2_500)
    assert fit_calibration(confidence, right).method in ("temperature", "platt")


def test_steps_are_found_where_no_smooth_curve_fits() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.random(4000)
    right = rng.random(4000) < np.select([confidence < 0.3, confidence < 0.7], [0.05, 0.5], 0.95)
    fitted = fit_calibration(confidence, right)
    assert fitted.method == "isotonic"
    assert fitted.apply([0.1, 0.5, 0.9]) == pytest.approx([0.05, 0.5, 0.95], abs=0.06)


def test_weights_count_like_repetition() -> None:
    confidence, right = [0.3, 0.6, 0.9], [False, True, True]
    weighted = fit_calibration(confidence, right, sample_weight=[2, 2, 2], methods=("platt",))
    repeated = fit_calibration(confidence * 2, right * 2, methods=("platt",))
    assert np.allclose(weighted.apply(GRID), repeated.apply(GRID), atol=1e-4)


@pytest.mark.parametrize(
    ("confidence", "right", "weight"),
    [([1.2], [True], None), ([np.nan], [True], None), ([0.5], [2], None), ([0.5], [], None), ([0.5], [True], [-1])],
)
def test_inputs_that_mean_nothing_are_invalid(confidence: object, right: object, weight: object) -> None:
    with pytest.raises(Invalid):
        fit_calibration(confidence, right, sample_weight=weight)  # type: ignore[arg-type]


def test_temperature_is_found_and_starts_from_its_prior() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3000, 5)) * 2
    y = np.array([rng.choice(5, p=row) for row in softmax(logits)])
    assert fit_temperature(3 * logits, y) == pytest.approx(3, rel=0.1)
    assert fit_temperature(np.zeros((0, 5)), [], prior=0.07) == pytest.approx(0.07, rel=1e-3)
    with pytest.raises(Invalid):
        fit_temperature(np.full((1, 2), np.nan), [0])


@shared_data("text/banking77")
def test_two_hundred_verified_answers_calibrate_a_head_on_banking77(banking: Banking) -> None:
    head = fit_softmax_head(banking.few, np.eye(77)[banking.few_y], np.ones(len(banking.few)), strength=10.0)
    logs = head.log_proba(banking.test)
    raw = np.exp(logs)
    assert ece(raw.max(axis=1), raw.argmax(axis=1) == banking.test_y) > 0.25
    after = []
    for seed in range(8):
        order = np.random.default_rng(seed).permutation(len(logs))
        verified, rest = order[:200], order[200:]
        found = softmax(logs[rest], fit_temperature(logs[verified], banking.test_y[verified]))
        after.append(ece(found.max(axis=1), found.argmax(axis=1) == banking.test_y[rest]))
    # with 1,340 answers to measure on, a perfect model shows about .02
    assert np.mean(after) < 0.035


def test_two_hundred_answers_do_not_spoil_a_model_that_is_calibrated_already() -> None:
    """Probabilities that are exactly right: what a curve on 200 answers costs, in log loss, over leaving them alone."""
    costs = []
    for seed in range(15):
        rng = np.random.default_rng(seed)
        told = rng.beta(3, 1, size=3200)
        right = rng.random(3200) < told
        said = fit_calibration(told[:200], right[:200]).apply(told[200:])
        costs.append(log_loss(said, right[200:]) - log_loss(told[200:], right[200:]))
    assert np.mean(costs) < 0.004
