"""Scores: against worked examples, against scikit-learn, and by what must always hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from learning.metrics import accuracy, auroc, brier, ece, log_loss, macro_f1, reliability, span_score
from schemas.errors import Invalid, LabelCrewError

PAIRS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60)
LABELS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


@given(LABELS)
def test_accuracy_and_macro_f1_agree_with_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = np.array(pairs).T
    assert accuracy(truth, predicted) == pytest.approx(oracle.accuracy_score(truth, predicted))
    assert macro_f1(truth, predicted) == pytest.approx(oracle.f1_score(truth, predicted, average="macro"))


@given(PAIRS)
def test_auroc_agrees_with_scikit_learn_or_is_not_a_number(pairs: list[tuple[float, bool]]) -> None:
    scores, positive = np.array([p for p, _ in pairs]), np.array([r for _, r in pairs])
    if positive.all() or not positive.any():
        assert math.isnan(auroc(scores, positive))
    else:
        assert auroc(scores, positive) == pytest.approx(oracle.roc_auc_score(positive, scores))


@given(PAIRS)
def test_brier_and_log_loss_agree_with_scikit_learn(pairs: list[tuple[float, bool]]) -> None:
    p, right = np.array([p for p, _ in pairs]), np.array([r for _, r in pairs], dtype=float)
    assert brier(p, right) == pytest.approx(oracle.brier_score_loss(right, p, labels=[0, 1]))
    rows = np.stack([1 - p, p], axis=1)
    assert brier(rows, right.astype(int)) == pytest.approx(2 * brier(p, right))
    assert log_loss(rows, right.astype(int)) == pytest.approx(log_loss(p, right), abs=1e-4)


@given(PAIRS, st.sampled_from(["width", "adaptive"]))
def test_the_reliability_table_holds_every_answer_once(pairs: list[tuple[float, bool]], kind: str) -> None:
    p, right = [p for p, _ in pairs], [r for _, r in pairs]
    table = reliability(p, right, kind=kind)  # type: ignore[arg-type]
    assert sum(row.size for row in table) == len(pairs)
    assert all(row.low - 1e-9 <= row.confidence <= row.high + 1e-9 for row in table)
    assert 0 <= ece(p, right, kind=kind) <= 1  # type: ignore[arg-type]


def test_ece_is_the_weighted_gap_of_the_bins() -> None:
    assert ece([0.9] * 10, [True] * 6 + [False] * 4) == pytest.approx(0.3)
    assert ece([0.1, 0.1, 0.9, 0.9], [False, False, True, True], kind="adaptive", bins=2) == pytest.approx(0.1)
    assert ece([1.0, 0.0], [True, False]) == 0


def test_only_a_span_that_agrees_in_all_three_counts() -> None:
    truth = [[(0, 4, "a"), (5, 9, "b")], []]
    found = [[(0, 4, "a"), (5, 8, "b"), (0, 4, "a")], [(1, 2, "a")]]
    score = span_score(truth, found)
    assert score == pytest.approx((1 / 3, 1 / 2, 0.4, 2))


def test_nothing_to_find_and_nothing_found_is_perfect() -> None:
    assert span_score([[]], [[]]).f1 == 1
    assert span_score([[(0, 1, "a")]], [[]]).f1 == 0
    assert span_score([[]], [[(0, 1, "a")]]).f1 == 0


@pytest.mark.parametrize("measure", [accuracy, macro_f1, ece, brier, log_loss, auroc])
def test_an_empty_input_has_no_score(measure: object) -> None:
    with pytest.raises(LabelCrewError) as caught:
        measure([], [])  # type: ignore[operator]
    assert caught.value.code == "no-training-data"


def test_confidences_outside_zero_to_one_are_invalid() -> None:
    for bad in ([1.5], [-0.5], [np.nan]):
        with pytest.raises(Invalid):
            ece(bad, [True])


def test_inputs_of_different_length_are_invalid() -> None:
    with pytest.raises(Invalid):
        accuracy([1, 2], [1])
    with pytest.raises(Invalid):
        span_score([[]], [])
    with pytest.raises(Invalid):
        log_loss([[0.5, 0.5]], [2])
