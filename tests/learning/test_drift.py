"""Drift: alarms where there is one, silence where there is none, and plain answers to poor inputs."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.random import Generator

from learning.drift import (
    adjusted,
    jensen_shannon,
    look_for_drift,
    mix_test,
    mmd_test,
    next_look,
    over_time,
    score_of,
    spent,
    stability_index,
    watch_calibration,
    watch_rate,
)
from schemas.errors import Invalid


@pytest.fixture
def rng() -> Generator:
    return np.random.default_rng(5)


def one_hot(labels: np.ndarray, k: int) -> np.ndarray:
    return np.eye(k, dtype=np.float32)[labels]


class TestLooks:
    def test_all_looks_together_spend_alpha(self) -> None:
        assert sum(spent(look, 0.05) for look in range(1, 10_000)) == pytest.approx(0.05, rel=1e-3)

    def test_looks_come_when_there_is_more_to_see(self) -> None:
        sizes = [0]
        while sizes[-1] < 1200:
            sizes.append(next_look(sizes[-1]))
        assert sizes == [0, 75, 150, 300, 600, 900, 1200]
        assert next_look(299) == 300

    @pytest.mark.parametrize("look", [1, 3, 40])
    def test_score_is_one_exactly_where_the_look_may_raise_an_alarm(self, look: int) -> None:
        assert score_of(adjusted(spent(look, 0.05), look), 0.05) == pytest.approx(1.0)
        assert score_of(adjusted(spent(look, 0.05) / 2, look, share=0.5), 0.05) == pytest.approx(1.0)
        assert score_of(1.0, 0.05) == 0


class TestTexts:
    def test_p_values_of_equal_samples_are_uniform(self, rng: Generator) -> None:
        values = [
            mmd_test(rng.normal(size=(60, 8)), rng.normal(size=(40, 8)), rng=rng, permutations=99).p_value
            for _ in range(120)
        ]
        assert np.mean(np.array(values) <= 0.1) < 0.2
        assert 0.4 < np.mean(values) < 0.6

    def test_moved_items_are_found_and_named_first(self, rng: Generator) -> None:
        before, now = rng.normal(size=(300, 16)), rng.normal(size=(100, 16))
        now[:30] += 1.5
        found = mmd_test(before, now, rng=rng)
        assert found.p_value < 1e-4
        assert set(np.argsort(-found.witness)[:10]) <= set(range(30))

    def test_identical_texts_everywhere_are_no_drift(self) -> None:
        found = mmd_test(np.ones((50, 4)), np.ones((40, 4)))
        assert (found.distance, found.p_value) == (0.0, 1.0)

    def test_shape_that_does_not_fit_is_refused(self) -> None:
        with pytest.raises(Invalid, match="dimensions"):
            mmd_test(np.ones((5, 4)), np.ones((5, 3)))
        with pytest.raises(Invalid, match="two items"):
            mmd_test(np.ones((1, 4)), np.ones((5, 4)))
        with pytest.raises(Invalid, match="NaN"):
            mmd_test(np.full((5, 4), np.nan), np.ones((5, 4)))


class TestMix:
    def test_fifth_of_the_mix_is_found(self, rng: Generator) -> None:
        before = one_hot(rng.choice(5, 1000, p=[0.2] * 5), 5)
        now = one_hot(rng.choice(5, 300, p=[0.4, 0.15, 0.15, 0.15, 0.15]), 5)
        found = mix_test(before, now, rng=rng)
        assert found.p_value < 1e-6
        assert 0.1 < found.psi < 0.4
        assert found.now[0] > found.before[0] + 0.1

    def test_one_class_only_has_nothing_to_shift(self) -> None:
        found = mix_test(np.ones((30, 1)), np.ones((30, 1)))
        assert (found.p_value, found.psi, found.js) == (1.0, 0.0, 0.0)

    def test_several_labels_an_item_or_none(self, rng: Generator) -> None:
        before, now = (rng.random((200, 3)) < 0.3 for _ in range(2))
        assert mix_test(before, now, rng=rng).p_value > 0.001

    def test_divergence_runs_from_same_to_nothing_in_common(self) -> None:
        assert jensen_shannon([5, 5], [50, 50]) == pytest.approx(0)
        assert jensen_shannon([1, 0], [0, 1]) == pytest.approx(1)
        assert stability_index([10, 0], [0, 10]) > 1
        with pytest.raises(Invalid):
            jensen_shannon([-1, 2], [1, 1])


class TestData:
    def test_drift_of_texts_and_labels_is_told_in_words_with_what_drives_it(self, rng: Generator) -> None:
        before, now = rng.normal(size=(400, 16)), rng.normal(size=(150, 16))
        labels, shifted = rng.integers(0, 3, 400), np.where(rng.random(150) < 0.3, 0, rng.integers(0, 3, 150))
        now[shifted == 0] += 1
        found = look_for_drift(
            before, now, reference_labels=one_hot(labels, 3), current_labels=one_hot(shifted, 3),
            classes=["refund", "delivery", "size"], look=2, rng=rng,
        )  # fmt: skip
        assert found.alarm
        assert found.score >= 1
        assert [part.name for part in found.parts] == ["texts", "labels"]
        assert found.shifts[0].label == "refund"
        assert len(found.drivers) == 10
        assert "differ from the reference" in found.reason

    def test_nothing_to_compare_says_so_and_raises_no_alarm(self) -> None:
        found = look_for_drift(np.zeros((0, 8)), np.zeros((0, 8)))
        assert (found.alarm, found.score, found.parts) == (False, 0.0, [])
        assert "too little" in found.reason

    def test_labels_alone_are_enough(self, rng: Generator) -> None:
        found = look_for_drift(
            np.zeros((0, 8)), np.zeros((0, 8)), reference_labels=one_hot(np.arange(100) % 2, 2),
            current_labels=one_hot(np.zeros(80, int), 2), classes=["a", "b"], rng=rng,
        )  # fmt: skip
        assert found.alarm
        assert len(found.drivers) == 0

    def test_looking_often_raises_few_alarms(self, rng: Generator) -> None:
        alarms = 0
        for _ in range(30):
            reference, stream = rng.normal(size=(150, 8)), rng.normal(size=(600, 8))
            sizes, size = [], 0
            while (size := next_look(size)) <= 600:
                sizes.append(size)
            alarms += any(
                look_for_drift(reference, stream[:size], look=k, rng=rng, permutations=199).alarm
                for k, size in enumerate(sizes, start=1)
            )
        assert alarms <= 4


class TestOutcomes:
    def test_rate_that_rises_is_found_and_one_that_stays_is_not(self, rng: Generator) -> None:
        before = rng.random(200) < 0.1
        assert watch_rate(before, rng.random(400) < 0.35).alarm
        quiet = watch_rate(before, np.tile([0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 40))
        assert not quiet.alarm
        assert quiet.score < 1

    def test_short_reference_says_so(self) -> None:
        found = watch_rate([0, 1], [1] * 100)
        assert not found.alarm
        assert "at least 20" in found.reason
        assert watch_rate([0] * 30, []).reason == "nothing since"

    def test_rate_that_was_at_its_most_cannot_rise(self) -> None:
        assert not watch_rate([1] * 50, [1] * 50).alarm

    def test_model_that_is_too_sure_is_found(self, rng: Generator) -> None:
        claimed = rng.uniform(0.6, 1, 500)
        assert watch_calibration(claimed, rng.random(500) < claimed - 0.25).alarm
        assert not watch_calibration(claimed, rng.random(500) < claimed).alarm
        assert watch_calibration([], []).reason == "nothing was judged"
        with pytest.raises(Invalid):
            watch_calibration([0.5], [1, 0])

    def test_stretches_of_time_hold_all_outcomes(self) -> None:
        points = over_time([1] * 60 + [0] * 40, [0.9] * 100, stretches=5)
        assert [point.size for point in points] == [20] * 5
        assert [point.agreement for point in points] == [1, 1, 1, 0, 0]
        assert points[-1].ece == pytest.approx(0.9)
        assert over_time([]) == []
