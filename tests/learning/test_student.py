"""The student: from class names to thousands of labels, one or several labels an item."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.heads import fit_softmax_head
from learning.metrics import ece
from learning.student import Student
from learning.zero_shot import zero_shot_from
from schemas.errors import Invalid, LabelCrewError
from tests.learning.conftest import Banking
from tests.learning.synthetic import Blobs, accuracy_of, blobs
from tests.support.shared_data import shared_data


def few_of(made: Blobs, each: int) -> np.ndarray:
    return np.concatenate([np.flatnonzero(made.y == c)[:each] for c in range(len(made.classes))])


def taught(made: Blobs, each: int, **options: object) -> Student:
    rows = few_of(made, each)
    return Student.fit(made.vectors[rows], made.y[rows], made.classes, class_vectors=made.names, **options)  # type: ignore[arg-type]


def test_without_labels_it_answers_from_names_and_pool() -> None:
    made = blobs([100] * 5, noise=1.4, fog=1.6)
    student = Student.fit([], [], made.classes, class_vectors=made.names, pool=made.vectors)
    assert student.trained_on == 0
    assert student.metrics == {}
    assert accuracy_of(student.predict_proba(made.vectors), made.y) > accuracy_of(
        zero_shot_from(made.vectors, made.names), made.y
    )


def test_without_labels_and_names_there_is_no_training_data() -> None:
    with pytest.raises(LabelCrewError) as caught:
        Student.fit(np.zeros((0, 8)), [], ["a", "b"])
    assert caught.value.code == "no-training-data"


@pytest.mark.parametrize("each", [1, 8, 40])
def test_it_is_no_worse_than_a_plain_head_at_any_number_of_labels(each: int) -> None:
    made, new = blobs([80] * 6, noise=1.8, fog=1.6), blobs([80] * 6, noise=1.8, fog=1.6, seed=5)
    rows = few_of(made, each)
    head = fit_softmax_head(made.vectors[rows], np.eye(6)[made.y[rows]], np.ones(len(rows)), strength=10.0)
    ours = accuracy_of(taught(made, each, pool=made.vectors).predict_proba(new.vectors), new.y)
    assert ours >= accuracy_of(head.log_proba(new.vectors), new.y) - 0.01


def test_a_class_without_labels_is_still_found_by_its_name() -> None:
    made, new = blobs([60] * 4, noise=0.8, fog=0.5), blobs([60] * 4, noise=0.8, fog=0.5, seed=2)
    rows = np.flatnonzero(made.y != 3)
    student = Student.fit(made.vectors[rows], made.y[rows], made.classes, class_vectors=made.names, pool=made.vectors)
    assert (student.predict(new.vectors[new.y == 3]) == 3).mean() > 0.8


def test_a_class_without_labels_or_name_is_unlikely_but_possible() -> None:
    made = blobs([60] * 3)
    rows = np.flatnonzero(made.y != 2)
    found = Student.fit(made.vectors[rows], made.y[rows], made.classes).predict_proba(made.vectors)
    assert (found[:, 2] > 0).all()
    assert found[:, 2].max() < 0.2


def test_one_class_only_is_certain() -> None:
    made = blobs([20])
    student = Student.fit(made.vectors, made.y, made.classes, class_vectors=made.names, pool=made.vectors)
    assert (student.predict_proba(made.vectors) == 1).all()


def test_labels_of_one_class_among_two_lean_to_it() -> None:
    made = blobs([20, 20])
    rows = np.flatnonzero(made.y == 0)
    found = Student.fit(made.vectors[rows], made.y[rows], made.classes).predict_proba(made.vectors)
    assert (found[:, 0] > 0.8).all()


def test_identical_items_with_quarrelling_labels_get_the_majority_with_doubt() -> None:
    made = blobs([1, 1])
    same = np.repeat(made.vectors[:1], 40, axis=0)
    student = Student.fit(same, [0] * 30 + [1] * 10, made.classes)
    found = student.predict_proba(same)
    assert (found[:, 0] > 0.55).all()
    assert (found[:, 0] < 0.9).all()


@pytest.mark.parametrize(
    ("vectors", "y", "options"),
    [
        (np.full((2, 4), np.nan), [0, 1], {}),
        (np.zeros((2, 4)), [0, 2], {}),
        (np.zeros((2, 4)), [0], {}),
        (np.zeros((2, 4)), [0, 1], {"sample_weight": [1.0, -1.0]}),
        (np.zeros((2, 4)), [0, 1], {"sample_weight": [1.0]}),
        (np.zeros((2, 4)), [0, 1], {"class_vectors": np.zeros((3, 4))}),
        (np.zeros((2, 4)), [0, 1], {"class_vectors": np.zeros((2, 5))}),
        (np.zeros((2, 4)), [0, 1], {"pool": np.zeros((2, 5)), "class_vectors": np.zeros((2, 4))}),
    ],
)
def test_inputs_that_do_not_fit_together_are_invalid(vectors: object, y: object, options: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        Student.fit(vectors, y, ["a", "b"], **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("classes", [[], ["a", "a"]])
def test_classes_must_be_there_and_differ(classes: list[str]) -> None:
    with pytest.raises(Invalid):
        Student.fit(np.zeros((1, 4)), [0], classes)


def test_items_of_another_width_are_invalid() -> None:
    with pytest.raises(Invalid):
        taught(blobs([10, 10]), 5).predict_proba(np.zeros((1, 3)))


def test_no_items_give_no_rows() -> None:
    made = blobs([10, 10])
    assert taught(made, 5).predict_proba(made.vectors[:0]).shape == (0, 2)


def test_the_order_of_questions_does_not_matter() -> None:
    made = blobs([30] * 4)
    student = taught(made, 6, pool=made.vectors)
    mixed = np.random.default_rng(1).permutation(len(made.vectors))
    assert np.allclose(student.predict_proba(made.vectors[mixed]), student.predict_proba(made.vectors)[mixed])


def test_keys_indexes_and_weights_teach_the_same() -> None:
    made = blobs([20] * 3)
    keys = [made.classes[c] for c in made.y]
    by_index = Student.fit(made.vectors, made.y, made.classes).predict_proba(made.vectors)
    by_key = Student.fit(made.vectors, keys, made.classes).predict_proba(made.vectors)
    by_weight = Student.fit(made.vectors, np.eye(3)[made.y], made.classes).predict_proba(made.vectors)
    assert np.allclose(by_index, by_key)
    assert np.allclose(by_index, by_weight)


def test_a_weight_of_zero_is_as_good_as_absent() -> None:
    made = blobs([20] * 3)
    weight = (np.arange(60) % 2).astype(float)
    kept = weight > 0
    with_zeros = Student.fit(made.vectors, made.y, made.classes, sample_weight=weight)
    without = Student.fit(made.vectors[kept], made.y[kept], made.classes)
    assert with_zeros.trained_on == 30
    assert np.allclose(with_zeros.predict_proba(made.vectors), without.predict_proba(made.vectors))


def test_soft_labels_leave_doubt_where_people_disagreed() -> None:
    made = blobs([60, 60], noise=0.6)
    certain, torn = np.eye(2)[made.y], 0.6 * np.eye(2)[made.y] + 0.2
    sure = Student.fit(made.vectors, certain, made.classes).predict_proba(made.vectors).max(axis=1).mean()
    unsure = Student.fit(made.vectors, torn, made.classes).predict_proba(made.vectors).max(axis=1).mean()
    assert unsure == pytest.approx(0.8, abs=0.08)
    assert sure > unsure + 0.1


def test_metrics_are_of_answers_it_had_not_seen() -> None:
    made, new = blobs([50] * 5, noise=2.2), blobs([200] * 5, noise=2.2, seed=3)
    student = taught(made, 50)
    assert set(student.metrics) == {"accuracy", "ece", "macro_f1", "log_loss", "folds"}
    unseen = accuracy_of(student.predict_proba(new.vectors), new.y)
    assert student.metrics["accuracy"] == pytest.approx(unseen, abs=0.06)


def test_probabilities_are_calibrated_without_being_told() -> None:
    made, new = blobs([80] * 5, noise=2.4), blobs([300] * 5, noise=2.4, seed=3)
    found = taught(made, 80).predict_proba(new.vectors)
    assert ece(found.max(axis=1), found.argmax(axis=1) == new.y) < 0.06


def test_several_labels_an_item_are_found_each_for_itself() -> None:
    made = blobs([120] * 4, noise=0.7, fog=0.3)
    rng = np.random.default_rng(0)
    partner = rng.permutation(len(made.y))
    vectors = made.vectors + made.vectors[partner]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = [sorted({made.classes[a], made.classes[b]}) for a, b in zip(made.y, made.y[partner], strict=True)]
    learn, ask = slice(0, 300), slice(300, None)
    student = Student.fit(
        vectors[learn], labels[learn], made.classes, class_vectors=made.names, pool=vectors, multi=True
    )
    given = student.predict_proba(vectors[ask]) >= 0.5
    truth = np.array([[key in row for key in made.classes] for row in labels[ask]])
    assert (given == truth).mean() > 0.93
    assert student.metrics["macro_f1"] > 0.85
    again = Student.from_bytes(student.to_bytes())
    assert again.multi is True
    assert (again.predict_proba(vectors) == student.predict_proba(vectors)).all()


def test_several_labels_without_any_answer_come_from_the_names() -> None:
    made = blobs([10] * 3, noise=0.3, fog=0.1)
    student = Student.fit([], [], made.classes, class_vectors=made.names, multi=True)
    assert accuracy_of(student.predict_proba(made.vectors), made.y) == 1.0


@settings(max_examples=15, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 12), min_size=1, max_size=5),
    named=st.booleans(),
    pooled=st.booleans(),
    seed=st.integers(0, 99),
)
def test_bytes_keep_every_answer_whatever_was_learnt(sizes: list[int], named: bool, pooled: bool, seed: int) -> None:
    made = blobs(sizes, d=12, seed=seed)
    if not named and not len(made.y):
        return
    student = Student.fit(
        made.vectors, made.y, made.classes,
        class_vectors=made.names if named else None,
        pool=made.vectors if pooled else None,
    )  # fmt: skip
    again = Student.from_bytes(student.to_bytes())
    asked = blobs([7] * len(sizes), d=12, seed=seed + 1).vectors
    found = student.predict_proba(asked)
    assert (again.predict_proba(asked) == found).all()
    assert np.allclose(found.sum(axis=1), 1)
    assert (again.classes, again.trained_on, again.metrics) == (student.classes, student.trained_on, student.metrics)


@pytest.mark.parametrize("blob", [b"", b"not a student", b"\x80\x04K\x01.", taught(blobs([4, 4]), 2).to_bytes()[:-40]])
def test_other_bytes_are_invalid(blob: bytes) -> None:
    with pytest.raises(Invalid):
        Student.from_bytes(blob)


@shared_data("text/banking77")
def test_ten_examples_a_class_of_banking77_beat_the_plain_head(banking: Banking) -> None:
    student = Student.fit(banking.few, banking.few_y, banking.classes, class_vectors=banking.names, pool=banking.test)
    found = student.predict_proba(banking.test)
    head = fit_softmax_head(banking.few, np.eye(77)[banking.few_y], np.ones(len(banking.few)), strength=10.0)
    ours, plain = accuracy_of(found, banking.test_y), accuracy_of(head.log_proba(banking.test), banking.test_y)
    assert ours >= max(0.84, plain)
    assert ece(found.max(axis=1), found.argmax(axis=1) == banking.test_y) < 0.04


@shared_data("text/banking77")
def test_no_labels_at_all_on_banking77_beat_the_names(banking: Banking) -> None:
    everything = np.concatenate([banking.few, banking.test])
    student = Student.fit([], [], banking.classes, class_vectors=banking.names, pool=everything)
    assert accuracy_of(student.predict_proba(banking.test), banking.test_y) >= 0.66
