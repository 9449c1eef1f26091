"""Rates with intervals, and groups that chance does not make."""

from __future__ import annotations

import numpy as np
import pytest

from learning.scorecards import distinguishable, places, wilson


class TestWilson:
    @pytest.mark.parametrize(
        ("right", "of", "bounds"),
        # Newcombe 1998, table I, method 3
        [(81, 263, (0.2553, 0.3662)), (15, 148, (0.0624, 0.1605)), (0, 20, (0.0, 0.1611)), (1, 29, (0.0061, 0.1718))],
    )
    def test_bounds_are_those_of_the_literature(self, right: int, of: int, bounds: tuple[float, float]) -> None:
        assert wilson(right, of) == pytest.approx(bounds, abs=5e-5)

    def test_nothing_counted_leaves_everything_possible(self) -> None:
        assert wilson(0, 0) == (0.0, 1.0)

    @pytest.mark.parametrize(("right", "of"), [(0, 1), (1, 1), (5, 10), (999, 1000)])
    def test_bounds_hold_the_rate_and_stay_within_0_and_1(self, right: int, of: int) -> None:
        low, high = wilson(right, of)
        assert 0 <= low <= right / of <= high <= 1

    def test_more_confidence_is_wider(self) -> None:
        assert wilson(40, 50, 0.99)[0] < wilson(40, 50)[0] < wilson(40, 50, 0.5)[0]


class TestGroups:
    def test_those_with_a_gap_between_them_are_told_apart_best_first(self) -> None:
        counts = {"bad": (100, 400), "good": (390, 400), "fine": (385, 400), "absent": (0, 0)}
        assert distinguishable(counts) == [["fine", "good"], ["bad"]]

    def test_one_who_could_be_anywhere_joins_what_they_reach(self) -> None:
        assert distinguishable({"bad": (100, 400), "good": (390, 400), "new": (1, 1)}) == [["bad", "good", "new"]]

    def test_nobody_measured_makes_no_groups(self) -> None:
        assert distinguishable({}) == distinguishable({"a": (0, 0)}) == []

    def test_order_of_the_input_changes_nothing(self) -> None:
        counts = {"a": (390, 400), "b": (200, 400), "c": (380, 400), "d": (10, 400)}
        assert distinguishable(dict(reversed(counts.items()))) == distinguishable(counts)

    @pytest.mark.parametrize(("rate", "of"), [(0.5, 40), (0.9, 60), (0.97, 200)])
    def test_equals_are_told_apart_in_no_more_than_one_of_twenty_datasets(self, rate: float, of: int) -> None:
        rng = np.random.default_rng(7)
        draws = rng.binomial(of, rate, size=(400, 50))
        wrong = sum(len(distinguishable({str(n): (int(k), of) for n, k in enumerate(row)})) > 1 for row in draws)
        assert wrong <= 20


class TestPlaces:
    def test_place_is_bounded_by_who_is_surely_better_and_surely_worse(self) -> None:
        # Each reaches the next, so that there is one group; the ends are told apart all the same.
        counts = {"top": (390, 400), "high": (380, 400), "low": (360, 400), "least": (300, 400)}
        assert places(counts) == {"top": (1, 2), "high": (1, 3), "low": (2, 3), "least": (4, 4)}

    def test_everybody_alike_may_have_any_place(self) -> None:
        assert set(places({str(n): (9, 10) for n in range(5)}).values()) == {(1, 5)}

    def test_who_was_not_measured_has_no_place(self) -> None:
        assert places({"a": (1, 2), "b": (0, 0)}) == {"a": (1, 1)}

    def test_true_places_lie_within_the_bounds_in_nineteen_datasets_of_twenty(self) -> None:
        rng = np.random.default_rng(5)
        truth = np.linspace(0.98, 0.6, 20)
        missed = 0
        for row in rng.binomial(150, truth, size=(200, 20)):
            found = places({str(n): (int(right), 150) for n, right in enumerate(row)})
            missed += any(not found[str(n)][0] <= n + 1 <= found[str(n)][1] for n in range(20))
        assert missed <= 10
