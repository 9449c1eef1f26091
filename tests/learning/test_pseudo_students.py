"""Labels that a student gives itself: only where they help, and never told as verified."""

from __future__ import annotations

import numpy as np
import pytest

from learning.pseudo_students import self_teach
from learning.student import Student
from schemas.errors import Invalid
from tests.learning.synthetic import Blobs, accuracy_of, blobs


def _taught(made: Blobs, each: int, **more: object) -> tuple[Student, np.ndarray, np.ndarray]:
    rows = np.concatenate([np.flatnonzero(made.y == c)[:each] for c in range(len(made.classes))])
    rest = np.setdiff1d(np.arange(len(made.y)), rows)
    student = Student.fit(made.vectors[rows], made.y[rows], made.classes, **more)  # type: ignore[arg-type]
    return student, rows, rest


def test_where_the_pool_is_not_used_otherwise_they_help_and_are_counted() -> None:
    made, new = blobs([160] * 4, noise=1.6), blobs([200] * 4, noise=1.6, seed=9)
    student, rows, rest = _taught(made, 20)
    found = self_teach(student, made.vectors[rows], made.y[rows], made.vectors[rest])
    assert found.labels is not None
    assert found.student.metrics["pseudo_labels"] == len(found.labels) > 100
    assert found.student.metrics["pseudo_gain"] == found.gain > 0
    before, after = (accuracy_of(s.predict_proba(new.vectors), new.y) for s in (student, found.student))
    assert after > before


def test_metrics_and_count_of_verified_labels_stay_those_of_the_verified_ones() -> None:
    made = blobs([120] * 3, noise=1.2)
    student, rows, rest = _taught(made, 10, class_vectors=made.names)
    found = self_teach(student, made.vectors[rows], made.y[rows], made.vectors[rest], class_vectors=made.names).student
    assert found.trained_on == student.trained_on == 30
    assert {name: found.metrics[name] for name in student.metrics} == student.metrics
    assert "pseudo_labels" in found.metrics


@pytest.mark.parametrize("seed", range(4))
def test_labels_of_noise_are_not_learnt_from(seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(300, 24)).astype(np.float32)
    y = rng.integers(3, size=300)
    student = Student.fit(vectors[:60], y[:60], ["a", "b", "c"])
    found = self_teach(student, vectors[:60], y[:60], vectors[60:])
    assert found.labels is None
    assert np.array_equal(found.student.head.weights, student.head.weights)


def test_few_labels_no_pool_and_one_class_leave_the_student_as_it_was() -> None:
    made = blobs([20, 20])
    student, rows, rest = _taught(made, 2)
    for vectors, y, pool in (
        (made.vectors[rows], made.y[rows], made.vectors[rest]),
        (made.vectors, made.y, made.vectors[:0]),
    ):
        assert self_teach(student, vectors, y, pool).labels is None
    single = Student.fit(made.vectors, np.zeros(40, dtype=int), ["only"])
    assert self_teach(single, made.vectors, np.zeros(40, dtype=int), made.vectors).labels is None


def test_identical_items_are_no_reason_to_fail() -> None:
    vectors, y = np.ones((20, 8), np.float32), np.arange(20) % 2
    student = Student.fit(vectors, y, ["a", "b"])
    found = self_teach(student, vectors, y, np.ones((50, 8), np.float32))
    assert np.isfinite(found.student.predict_proba(vectors)).all()


def test_bad_input_is_refused() -> None:
    made = blobs([20, 20])
    multi = Student.fit(made.vectors, [["class 0"]] * 40, made.classes, multi=True)
    with pytest.raises(Invalid, match="exactly one class"):
        self_teach(multi, made.vectors, [["class 0"]] * 40, made.vectors)
    student = Student.fit(made.vectors, made.y, made.classes)
    with pytest.raises(Invalid):
        self_teach(student, made.vectors[:5], made.y, made.vectors)
    with pytest.raises(Invalid):
        self_teach(student, made.vectors, made.y, np.full((3, made.vectors.shape[1]), np.nan))
