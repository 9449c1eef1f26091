"""Agreement: against published tables, against scikit-learn, and by what must always hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from learning.agreement import (
    Rectangle,
    answer_counts,
    box_f1,
    box_iou,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    krippendorff_alpha_interval,
    matched_spans,
    pairwise_kappa,
    segment_f1,
    span_f1,
    span_gamma,
    time_iou,
)
from schemas.errors import Conflict, Invalid

N = float("nan")
# Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), example C: four observers, twelve units.
KRIPPENDORFF = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
        [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
    ]
).T
# Fleiss (1971), table 1: 30 patients, 6 raters; depression, personality disorder, schizophrenia, neurosis, other.
FLEISS = [
    [0, 0, 0, 6, 0], [0, 3, 0, 0, 3], [0, 1, 4, 0, 1], [0, 0, 0, 0, 6], [0, 3, 0, 3, 0], [2, 0, 4, 0, 0],
    [0, 0, 4, 0, 2], [2, 0, 3, 1, 0], [2, 0, 0, 4, 0], [0, 0, 0, 0, 6], [1, 0, 0, 5, 0], [1, 1, 0, 4, 0],
    [0, 3, 3, 0, 0], [1, 0, 0, 5, 0], [0, 2, 0, 3, 1], [0, 0, 5, 0, 1], [3, 0, 0, 1, 2], [5, 1, 0, 0, 0],
    [0, 2, 0, 4, 0], [1, 0, 2, 0, 3], [0, 0, 0, 0, 6], [0, 1, 0, 5, 0], [0, 2, 0, 1, 3], [2, 0, 0, 4, 0],
    [1, 0, 0, 4, 1], [0, 5, 0, 1, 0], [4, 0, 0, 0, 2], [0, 2, 0, 4, 0], [1, 0, 5, 0, 0], [0, 0, 0, 0, 6],
]  # fmt: skip
MATRICES = st.integers(1, 12).flatmap(
    lambda n: st.lists(st.lists(st.integers(-1, 3), min_size=3, max_size=3), min_size=n, max_size=n)
)


def classes_of(values: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(values), -1, values - 1).astype(int)


def test_alpha_of_krippendorffs_example_is_as_published() -> None:
    nominal = krippendorff_alpha(answer_counts(classes_of(KRIPPENDORFF), 5))
    interval = krippendorff_alpha_interval(KRIPPENDORFF)
    assert nominal.value == pytest.approx(0.743, abs=5e-4)
    assert interval.value == pytest.approx(0.849, abs=5e-4)
    assert (nominal.items, nominal.answers) == (interval.items, interval.answers) == (11, 40)
    assert nominal.low is not None
    assert nominal.high is not None
    assert nominal.low < nominal.value < nominal.high <= 1


def test_kappa_of_fleisss_table_is_as_published() -> None:
    found = fleiss_kappa(FLEISS)
    assert found.value == pytest.approx(0.430, abs=5e-4)
    assert found.observed == pytest.approx(0.556, abs=5e-4)
    assert (found.items, found.answers) == (30, 180)


def test_cohens_kappa_of_a_two_by_two_table_is_as_worked_by_hand() -> None:
    # 20 both yes, 5 and 10 differ, 15 both no: observed .7, by chance .5
    first, second = [1] * 25 + [0] * 25, [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15
    assert cohen_kappa(first, second, 2).value == pytest.approx(0.4)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40),
    st.sampled_from(["none", "linear", "quadratic"]),
)
def test_cohens_kappa_agrees_with_scikit_learn(pairs: list[tuple[int, int]], weights: str) -> None:
    first, second = np.array(pairs).T
    found = cohen_kappa(first, second, 4, weights=weights, samples=0)  # type: ignore[arg-type]
    if len(set(first) | set(second)) == 1:
        assert found.value is None
        assert found.observed == 1
    else:
        oracle = cohen_kappa_score(first, second, labels=range(4), weights=None if weights == "none" else weights)
        assert found.value == pytest.approx(oracle, abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(MATRICES, st.randoms())
def test_order_of_items_annotators_and_classes_changes_nothing(rows: list[list[int]], random: object) -> None:
    matrix = np.array(rows)
    if ((matrix >= 0).sum(axis=1) < 2).all():
        with pytest.raises(Conflict):
            krippendorff_alpha(answer_counts(matrix, 4))
        return
    other = np.where(matrix >= 0, 3 - matrix, -1)[::-1, ::-1]
    for measure in (krippendorff_alpha, fleiss_kappa):
        one = measure(answer_counts(matrix, 4), samples=50)
        two = measure(answer_counts(other, 4), samples=50)
        assert one.value == pytest.approx(two.value, nan_ok=False)
        assert one.value is None or one.value <= 1 + 1e-12
        assert one.low is None or (one.high is not None and one.low <= one.high)


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from([0.0, 1.0, 2.5, 7.0, N]), min_size=3, max_size=3), min_size=2, max_size=9))
def test_interval_alpha_knows_neither_zero_nor_unit_of_the_scale(rows: list[list[float]]) -> None:
    values = np.array(rows)
    if ((~np.isnan(values)).sum(axis=1) < 2).all():
        return
    one, two = (krippendorff_alpha_interval(v, samples=0).value for v in (values, values * -1e6 + 1e7))
    assert one == pytest.approx(two, abs=1e-6)


def test_with_one_class_alpha_is_undefined_and_says_why() -> None:
    for found in (fleiss_kappa([[3, 0], [2, 0]]), krippendorff_alpha([[3], [2]]), cohen_kappa([0, 0], [0, 0], 2)):
        assert found.value is found.low is found.high is None
        assert found.observed == 1
        assert "same class" in found.reason
    assert krippendorff_alpha_interval([[2, 2], [2, 2]]).value is None


def test_one_item_has_a_value_but_no_interval() -> None:
    found = krippendorff_alpha([[1, 1]])
    assert found.value == pytest.approx(0)
    assert found.low is None
    assert found.reason


@pytest.mark.parametrize("counts", [np.zeros((0, 3)), [[1, 0], [0, 1]], [[0, 0]]])
def test_nothing_answered_twice_is_refused(counts: object) -> None:
    for measure in (fleiss_kappa, krippendorff_alpha):
        with pytest.raises(Conflict, match="two annotators"):
            measure(counts)  # type: ignore[arg-type]
    with pytest.raises(Conflict):
        cohen_kappa([0, -1], [-1, 0], 2)


@pytest.mark.parametrize("bad", [[[N, 2]], [[-1, 3]], [[0.5, 2]], [1, 2], [[1], [1, 2]], [["a", "b"]]])
def test_counts_that_are_none_are_invalid(bad: object) -> None:
    with pytest.raises(Invalid):
        krippendorff_alpha(bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [[[0, 4]], [[N, 1.0]], [["x", "y"]], [0, 1], [[0], [0, 1]], [[-2, 0]]])
def test_answers_out_of_range_are_invalid(bad: object) -> None:
    with pytest.raises(Invalid):
        answer_counts(bad, 3)  # type: ignore[arg-type]
    with pytest.raises(Invalid):
        krippendorff_alpha_interval([[1.0, float("inf")]])


def test_pairs_without_shared_items_are_left_out() -> None:
    found = pairwise_kappa([[0, 0, -1], [1, 1, 0], [0, 1, -1], [1, 1, -1]], 2)
    assert [(pair.first, pair.second) for pair in found] == [(0, 1), (0, 2), (1, 2)]
    assert found[0].agreement.value == pytest.approx(0.5)
    assert [(pair.first, pair.second) for pair in pairwise_kappa([[0, 0, -1], [1, 1, -1]], 2)] == [(0, 1)]


def test_spans_count_when_they_overlap_enough() -> None:
    marks = [{"a": [(0, 10, "x"), (20, 30, "y")], "b": [(0, 8, "x"), (20, 30, "z")]}, {"a": [], "b": []}]
    assert span_f1(marks).value == 0
    found = span_f1(marks, least=0.5)
    assert found.value == pytest.approx(0.5)
    assert found.observed == pytest.approx(0.8)
    assert matched_spans(marks[0]["a"], marks[0]["b"]) == [(0, 0)]


def test_the_most_matches_win_over_the_largest_overlap() -> None:
    # the first of b fits both of a best, but then the second of b has no partner
    a, b = [(0, 10, "x"), (3, 13, "x")], [(2, 11, "x"), (9, 19, "x")]
    assert len(matched_spans(a, b, least=0.2)) == 2


SPANS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 10), st.sampled_from("xy")).map(lambda s: (s[0], s[0] + s[1], s[2])),
    max_size=4,
)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(SPANS, SPANS), min_size=1, max_size=5))
def test_span_scores_are_symmetric_and_bounded(pairs: list[tuple[list, list]]) -> None:
    ahead = [{"a": a, "b": b} for a, b in pairs]
    behind = [{"a": b, "b": a} for a, b in pairs]
    one, two = (span_f1(marks, least=0.5, samples=20).value for marks in (ahead, behind))
    assert one == pytest.approx(two)
    assert one is None or 0 <= one <= 1
    gamma = span_gamma(ahead, draws=3, samples=20).value
    assert gamma is None or gamma <= 1
    same = span_gamma([{"a": a, "b": a} for a, _ in pairs], draws=10, samples=0).value
    assert same is None or same == pytest.approx(1)


def test_gamma_forgives_a_near_miss_and_is_near_zero_for_chance() -> None:
    rng = np.random.default_rng(1)

    def drawn() -> list[tuple[int, int, str]]:
        starts = rng.integers(0, 95, 3)
        return [(int(start), int(start) + 5, str(rng.choice(["x", "y"]))) for start in starts]

    first, second = [drawn() for _ in range(80)], [drawn() for _ in range(80)]
    chance = span_gamma([{"a": a, "b": b} for a, b in zip(first, second, strict=True)], lengths=[100] * 80)
    moved = [{"a": a, "b": [(start + 1, end + 1, label) for start, end, label in a]} for a in first]
    near = span_gamma(moved, lengths=[101] * 80, samples=0)
    assert chance.value == pytest.approx(0, abs=0.08)
    assert near.value is not None
    assert 0.8 < near.value < 1
    exact = span_f1(moved).value
    assert exact is not None
    assert exact < 0.05


def test_nobody_marking_anything_is_undefined_not_zero() -> None:
    empty = [{"a": [], "b": []}, {"a": [], "b": []}]
    for found in (span_f1(empty), span_gamma(empty), box_f1(empty), segment_f1(empty), time_iou(empty)):
        assert found.value is None
        assert "nobody marked" in found.reason
    for measure in (span_f1, span_gamma, box_f1, segment_f1, time_iou):
        with pytest.raises(Conflict):
            measure([{"a": []}, {}])  # type: ignore[operator]


@pytest.mark.parametrize("bad", [(3, 3, "x"), (N, 4, "x"), (5, 1, "x"), (1, 2)])
def test_stretches_without_length_are_invalid(bad: tuple) -> None:
    for measure in (span_f1, span_gamma, segment_f1, time_iou):
        with pytest.raises((Invalid, ValueError)):
            measure([{"a": [bad], "b": [(0, 1, "x")]}])  # type: ignore[operator]
    with pytest.raises(Invalid):
        span_f1([{"a": [], "b": []}], least=0)


def test_iou_of_boxes_is_as_worked_by_hand() -> None:
    square, shifted = Rectangle(0, 0, 2, 2, "x"), Rectangle(1, 1, 2, 2, "x")
    diamond = Rectangle(0, 0, 2, 2, "x", 45)
    assert box_iou([square], [shifted, square])[0] == pytest.approx([1 / 7, 1])
    # the octagon that two unit-inradius squares share has the area 8(√2 − 1)
    octagon = 8 * (2**0.5 - 1)
    assert box_iou([square], [diamond])[0, 0] == pytest.approx(octagon / (8 - octagon))
    assert box_iou([Rectangle(0, 0, 4, 2, "x", 90)], [Rectangle(1, -1, 2, 4, "x")])[0, 0] == pytest.approx(1)
    assert box_iou([square], [square._replace(label="y")])[0, 0] == 0
    assert box_iou([square], [square._replace(label="y")], labels=False)[0, 0] == 1
    assert box_f1([{"a": [square], "b": [square, shifted]}]).value == pytest.approx(2 / 3)
    with pytest.raises(Invalid):
        box_iou([square], [Rectangle(0, 0, 0, 1, "x")])


@given(st.lists(st.tuples(*[st.floats(-50, 50)] * 2, *[st.floats(0.5, 40)] * 2, st.floats(-180, 180)), max_size=3))
def test_iou_is_symmetric_and_one_with_itself(rows: list[tuple[float, ...]]) -> None:
    boxes = [Rectangle(x, y, w, h, "x", turn) for x, y, w, h, turn in rows]
    found = box_iou(boxes, boxes)
    assert ((found >= 0) & (found <= 1)).all()
    assert np.allclose(found, found.T, atol=1e-6)
    assert np.allclose(np.diag(found), 1, atol=1e-6)


def test_time_covered_counts_whatever_its_cuts() -> None:
    marks = [{"a": [(0.0, 4.0, "speech")], "b": [(0.0, 2.0, "speech"), (2.0, 3.0, "speech")]}]
    assert time_iou(marks).value == pytest.approx(0.75)
    assert segment_f1(marks).value == pytest.approx(2 / 3)
    assert time_iou([{"a": [(0.0, 1.0, "x")], "b": [(0.0, 1.0, "y")]}]).value == 0
