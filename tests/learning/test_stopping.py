"""Stopping: known curves are continued, little evidence gives wide intervals, and nobody is told to stop too soon."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.stopping import fit_learning_curve, stopping_report
from schemas.errors import Conflict, Invalid

SIZES = np.array([50, 100, 200, 400, 800, 1600])


def power(n: np.ndarray | float, a: float = 0.93, b: float = 1.5, c: float = 0.5) -> np.ndarray:
    return np.asarray(a - b * np.asarray(n, dtype=float) ** -c)


def test_a_power_law_is_continued() -> None:
    curve = fit_learning_curve(SIZES, power(SIZES), tested_on=np.full(6, 5000))
    expected = float(power(3200) - power(1600))
    gain = curve.gain(1600)
    assert gain.low <= expected <= gain.high
    assert gain.value == pytest.approx(expected, abs=0.006)
    assert curve.accuracy_at(1600).value == pytest.approx(float(power(1600)), abs=0.006)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(60):
        a, c = rng.uniform(0.75, 0.97), rng.uniform(0.3, 0.9)
        b = rng.uniform(0.1, 0.4) * 50**c
        seen = np.clip(power(SIZES, a, b, c) + rng.normal(0, 0.01, 6), 0, 1)
        gain = fit_learning_curve(SIZES, seen).gain(1000)
        truth = float(power(2600, a, b, c) - power(1600, a, b, c))
        hits += gain.low <= truth <= gain.high
    assert hits >= 50


def test_a_flat_curve_says_stop_in_words_with_its_price() -> None:
    sizes = np.arange(1, 21) * 1000
    curve = fit_learning_curve(sizes, np.full(20, 0.93), tested_on=np.full(20, 100_000))
    report = stopping_report(curve, 500, seconds_per_label=7.2, usd_per_hour=20, usd_per_label=0.002)
    assert report.stop
    assert report.points.high <= 0.3
    assert report.hours == pytest.approx(1.0)
    assert report.usd == pytest.approx(21.0)
    assert report.reason.startswith("the next 500 labels (1.0 hours, 21.00 USD) are expected to buy ≤ 0.")


def test_a_rising_curve_and_a_single_version_do_not_say_stop() -> None:
    rising = stopping_report(fit_learning_curve(SIZES[:4], power(SIZES[:4])), 500)
    single = stopping_report(fit_learning_curve([200], [0.8]), 500)
    assert not rising.stop
    assert rising.points.value > 1
    assert not single.stop
    assert "one measured version" in single.reason
    assert single.points.high - single.points.low > 3


def test_labels_for_an_accuracy_are_those_that_reach_it() -> None:
    curve = fit_learning_curve(SIZES, power(SIZES), tested_on=np.full(6, 5000))
    more = curve.labels_for(0.905)
    assert more is not None
    assert curve.accuracy_at(1600 + more).value >= 0.905 > curve.accuracy_at(1600 + more - 1).value
    assert curve.labels_for(0.5) == 0
    assert curve.labels_for(0.9999) is None


VERSIONS = st.lists(st.tuples(st.integers(1, 100_000), st.floats(0, 1)), min_size=1, max_size=8)


@settings(deadline=None, max_examples=15)
@given(VERSIONS)
def test_gains_are_finite_never_negative_and_grow_with_labels(versions: list[tuple[int, float]]) -> None:
    sizes, seen = zip(*versions, strict=True)
    curve = fit_learning_curve(sizes, seen)
    gains = [curve.gain(labels) for labels in (0, 1, 100, 10_000)]
    assert gains[0].value == pytest.approx(0, abs=1e-12)
    for less, more in pairwise(gains):
        assert 0 <= less.value <= more.value + 1e-12
    for gain in gains:
        assert np.isfinite([gain.value, gain.low, gain.high]).all()
        assert 0 <= gain.low <= gain.high <= 1
    assert 0 <= curve.best().low <= curve.best().high <= 1
    again = fit_learning_curve(sizes[::-1], seen[::-1])
    if len(set(sizes)) == len(sizes):
        assert again.gain(100).value == pytest.approx(gains[2].value, abs=1e-9)


@pytest.mark.parametrize(
    ("sizes", "seen"),
    [([10], [float("nan")]), ([float("nan")], [0.5]), ([0], [0.5]), ([10], [1.5]), ([10, 20], [0.5]), ([[1]], [0.5])],
)
def test_measurements_that_are_none_are_invalid(sizes: object, seen: object) -> None:
    with pytest.raises(Invalid):
        fit_learning_curve(sizes, seen)  # type: ignore[arg-type]


def test_no_version_and_senseless_requests_are_refused() -> None:
    with pytest.raises(Conflict):
        fit_learning_curve([], [])
    curve = fit_learning_curve([100], [0.7])
    for ask in (
        lambda: stopping_report(curve, 0),
        lambda: stopping_report(curve, 10, usd_per_hour=-1),
        lambda: curve.accuracy_at(50),
        lambda: fit_learning_curve([100], [0.7], tested_on=[0]),
    ):
        with pytest.raises(Invalid):
            ask()
