"""Routing: budgets are kept to the cent, money goes where it helps most, and close to the best there is."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.routing import RouteOption, likely_right, route_items
from schemas.errors import Conflict, Invalid

STUDENT = np.array([0.99, 0.9, 0.6, 0.3])


def options(student: np.ndarray = STUDENT) -> list[RouteOption]:
    return [
        RouteOption("student", student),
        RouteOption("llm", 0.9, usd=0.01),
        RouteOption("human", 0.97, minutes=0.5),
    ]


def test_without_budget_every_item_takes_the_free_route() -> None:
    found = route_items(options(), usd=0, minutes=0)
    assert found.split == {"student": 4, "llm": 0, "human": 0}
    assert (found.usd, found.minutes) == (0, 0)
    assert found.expected_correct == pytest.approx(STUDENT.sum())


def test_without_limits_every_item_takes_the_best_route() -> None:
    found = route_items(options())
    assert [found.route(item) for item in range(4)] == ["student", "human", "human", "human"]
    assert found.meets_target is None


def test_a_small_budget_goes_to_the_items_that_gain_most() -> None:
    routes = options()
    routes[1] = RouteOption("llm", [0.99, 0.93, 0.92, 0.7], usd=0.01)
    found = route_items(routes, usd=0.01, minutes=0.5)
    assert [found.route(item) for item in range(4)] == ["student", "student", "llm", "human"]
    assert found.usd == pytest.approx(0.01)
    assert found.minutes == pytest.approx(0.5)
    assert found.reasons[3] == "a person is expected to be right in 97% for 0.5 minutes; the student alone only in 30%"
    assert "cost more than they are worth" in found.reasons[1]


def test_a_target_is_met_for_no_more_than_it_needs() -> None:
    alike = [RouteOption("student", np.full(100, 0.9)), RouteOption("human", 0.98, minutes=1.0)]
    found = route_items(alike, target_error=0.05)
    assert found.meets_target
    assert 63 <= found.split["human"] <= 64
    missed = route_items(alike, minutes=10, target_error=0.05)
    assert missed.meets_target is False
    assert missed.split["human"] == 10


def test_what_nothing_can_pay_for_stays_in_the_queue() -> None:
    found = route_items([RouteOption("llm", np.full(5, 0.9), usd=1.0)], usd=2.0)
    assert found.split == {"llm": 2, "none": 3}
    assert sum(found.route(item) is None for item in range(5)) == 3
    assert found.expected_correct == pytest.approx(1.8)
    assert any("waits in the queue" in reason for reason in found.reasons)


CHANCES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=5)
BUDGETS = st.tuples(st.floats(0, 0.06), st.floats(0, 3))


@settings(deadline=None, max_examples=80)
@given(CHANCES, BUDGETS)
def test_budgets_hold_and_the_best_is_at_most_two_items_away(
    chances: list[tuple[float, float, float]], budget: tuple[float, float]
) -> None:
    right = np.array(chances)
    usd, minutes = budget
    costs = np.array([[0, 0], [0.01, 0], [0, 0.7]])
    found = route_items(
        [
            RouteOption("student", right[:, 0]),
            RouteOption("llm", right[:, 1], usd=0.01),
            RouteOption("human", right[:, 2], minutes=0.7),
        ],
        usd=usd,
        minutes=minutes,
    )
    assert found.usd <= usd
    assert found.minutes <= minutes
    assert sum(found.split.values()) == len(right) == len(found.reasons)
    best = max(
        sum(right[item, route] for item, route in enumerate(choice))
        for choice in product(range(3), repeat=len(right))
        if (costs[list(choice)].sum(axis=0) <= [usd + 1e-12, minutes + 1e-12]).all()
    )
    assert found.expected_correct >= right[:, 0].sum() - 1e-9
    assert best - 2 <= found.expected_correct <= best + 1e-6


def test_many_items_come_within_a_thousandth_of_the_relaxed_optimum() -> None:
    from scipy.optimize import linprog

    rng = np.random.default_rng(3)
    n = 300
    right = np.column_stack([rng.beta(3, 1.5, n), rng.beta(9, 1.5, n), np.full(n, 0.97)])
    usd, minutes = rng.uniform(0.001, 0.01, n), rng.uniform(0.1, 1, n)
    found = route_items(
        [
            RouteOption("student", right[:, 0]),
            RouteOption("llm", right[:, 1], usd=usd),
            RouteOption("human", right[:, 2], minutes=minutes),
        ],
        usd=0.4,
        minutes=20,
    )
    spent = np.zeros((2, n, 3))
    spent[0, :, 1], spent[1, :, 2] = usd, minutes
    relaxed = linprog(
        -right.ravel(),
        A_ub=spent.reshape(2, -1),
        b_ub=[0.4, 20],
        A_eq=np.kron(np.eye(n), np.ones(3)),
        b_eq=np.ones(n),
        bounds=(0, 1),
    )
    assert found.expected_correct >= 0.999 * -relaxed.fun


def test_what_is_hard_for_the_student_is_likely_hard_for_others() -> None:
    found = likely_right(STUDENT, 0.85)
    assert found.mean() == pytest.approx(0.85)
    assert (np.diff(found) < 0).all()
    assert likely_right(STUDENT, 0.85, slope=0) == pytest.approx(0.85)
    assert likely_right([], 0.85).size == 0


@pytest.mark.parametrize(
    "bad",
    [
        [],
        [RouteOption("llm", [float("nan")])],
        [RouteOption("llm", [1.2])],
        [RouteOption("llm", [0.5], usd=-1)],
        [RouteOption("llm", [0.5, 0.5]), RouteOption("crew", [0.5])],
        [RouteOption("llm", [0.5]), RouteOption("llm", [0.6])],
        [RouteOption("llm", ["x"])],
    ],
)
def test_routes_that_make_no_sense_are_invalid(bad: list[RouteOption]) -> None:
    with pytest.raises(Invalid):
        route_items(bad)


def test_senseless_budgets_are_invalid_and_no_items_are_refused() -> None:
    for limits in ({"usd": -1.0}, {"minutes": float("nan")}, {"target_error": 1.0}, {"usd_per_minute": 0.0}):
        with pytest.raises(Invalid):
            route_items(options(), **limits)
    with pytest.raises(Conflict):
        route_items([RouteOption("student", [])])
