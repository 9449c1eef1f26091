"""The checks that every statistic relies on, and the small functions shared by all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from learning.arrays import as_targets, as_vectors, even_share, log_softmax, logit, one_thread, sigmoid, softmax, unit
from schemas.errors import Invalid

SCORES = arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.floats(-1e3, 1e3))


@given(SCORES)
def test_softmax_rows_sum_to_one_for_any_finite_scores(scores: np.ndarray) -> None:
    found = softmax(scores)
    assert np.isfinite(found).all()
    assert np.allclose(found.sum(axis=1), 1)
    assert np.isfinite(log_softmax(scores)).all()


@given(st.floats(-700, 700))
def test_sigmoid_and_logit_undo_each_other_and_stay_in_range(x: float) -> None:
    p = float(sigmoid(np.array([x]))[0])
    assert 0 <= p <= 1
    if abs(x) < 20:
        assert float(logit(np.array([p]))[0]) == pytest.approx(x, abs=1e-4)


def test_unit_leaves_a_row_of_zeros_as_it_is() -> None:
    assert np.allclose(unit(np.array([[3.0, 4.0], [0.0, 0.0]])), [[0.6, 0.8], [0, 0]])


@pytest.mark.parametrize("bad", [[[1.0, np.nan]], [[np.inf, 1.0]], [["a"]], [[1.0], [1.0, 2.0]], np.zeros((2, 2, 2))])
def test_vectors_that_are_not_finite_rows_are_invalid(bad: object) -> None:
    with pytest.raises(Invalid):
        as_vectors(bad)  # type: ignore[arg-type]


def test_vectors_of_the_wrong_width_are_invalid() -> None:
    with pytest.raises(Invalid, match="3 columns"):
        as_vectors(np.zeros((2, 2)), dim=3)


def test_no_vectors_at_all_are_an_empty_matrix() -> None:
    assert as_vectors([], dim=5).shape == (0, 5)


def test_indexes_keys_and_weights_say_the_same() -> None:
    classes = ["a", "b"]
    expected = [[1.0, 0.0], [0.0, 1.0]]
    assert as_targets([0, 1], classes).tolist() == expected
    assert as_targets(["a", "b"], classes).tolist() == expected
    assert as_targets([[2.0, 0.0], [0.0, 3.0]], classes).tolist() == expected


def test_several_keys_a_row_are_several_ones() -> None:
    assert as_targets([["a", "b"], []], ["a", "b"], multi=True).tolist() == [[1.0, 1.0], [0.0, 0.0]]


@pytest.mark.parametrize(
    "bad", [["c"], [2], [-1], [[0.0, 0.0]], [[-1.0, 2.0]], [[np.nan, 1.0]], [[1.0, 0.0, 0.0]], [0.5]]
)
def test_labels_that_mean_nothing_are_invalid(bad: object) -> None:
    with pytest.raises(Invalid):
        as_targets(bad, ["a", "b"])  # type: ignore[arg-type]


def test_an_even_share_is_drawn_once_in_order_and_repeatably() -> None:
    drawn = even_share(1000, 10)
    assert len(set(drawn.tolist())) == 10
    assert (np.diff(drawn) > 0).all()
    assert (even_share(1000, 10) == drawn).all()
    assert even_share(5, 10).tolist() == [0, 1, 2, 3, 4]


def test_one_thread_gives_the_threads_back_even_after_an_error() -> None:
    from threadpoolctl import threadpool_info

    def blas() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    with one_thread():
        pass
    before = blas()

    def fail_inside() -> None:
        with one_thread():
            assert set(blas()) <= {1}
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_inside()
    assert blas() == before
