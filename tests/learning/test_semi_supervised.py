"""Labels that a model gives itself: balanced, marked, and useful."""

from __future__ import annotations

import numpy as np
import pytest

from learning.arrays import Array, Vectors
from learning.heads import fit_softmax_head
from learning.semi_supervised import Predict, balanced_top, co_train, self_train, two_views
from schemas.errors import Invalid, LabelCrewError
from tests.learning.synthetic import Blobs, accuracy_of, blobs


def head(vectors: Vectors, targets: Array, weight: Array) -> Predict:
    fitted = fit_softmax_head(vectors, targets, weight, strength=10.0)
    return lambda items: np.exp(fitted.log_proba(items))


@pytest.fixture
def made() -> Blobs:
    return blobs([120] * 4, noise=2.0)


@pytest.fixture
def few(made: Blobs) -> np.ndarray:
    return np.concatenate([np.flatnonzero(made.y == c)[:2] for c in range(4)])


def test_self_training_beats_its_own_start(made: Blobs, few: np.ndarray) -> None:
    new, truth = blobs([200] * 4, noise=2.0, seed=7), np.eye(4)[made.y[few]]
    before = accuracy_of(head(made.vectors[few], truth, np.ones(len(few)))(new.vectors), new.y)
    added = self_train(head, made.vectors[few], truth, made.vectors, threshold=0.5)
    taught = head(
        np.concatenate([made.vectors[few], made.vectors[added.index]]),
        np.concatenate([truth, np.eye(4)[added.label]]),
        np.concatenate([np.ones(len(few)), added.probability]),
    )
    assert accuracy_of(taught(new.vectors), new.y) > before + 0.03


def test_pseudo_labels_are_marked_once_each_and_never_below_the_threshold(made: Blobs, few: np.ndarray) -> None:
    added = self_train(
        head, made.vectors[few], np.eye(4)[made.y[few]], made.vectors, threshold=0.6, per_class=7, rounds=3
    )
    assert len(set(added.index.tolist())) == len(added)
    assert (added.probability >= 0.6).all()
    assert set(added.round.tolist()) <= {1, 2, 3}
    for number in (1, 2, 3):
        assert np.bincount(added.label[added.round == number], minlength=4).max() <= 7


def test_two_views_teach_each_other(made: Blobs, few: np.ndarray) -> None:
    views = two_views(made.vectors)
    added = co_train(head, (views[0][few], views[1][few]), np.eye(4)[made.y[few]], views, threshold=0.5, rounds=5)
    assert set(added.view.tolist()) == {0, 1}
    assert len(set(added.index.tolist())) == len(added) > 40
    assert (made.y[added.index] == added.label).mean() > 0.8


def test_a_class_takes_no_more_than_its_share() -> None:
    probabilities = np.array([[0.99, 0.01], [0.98, 0.02], [0.97, 0.03], [0.05, 0.95], [0.45, 0.55]])
    rows, labels, chosen = balanced_top(probabilities, 0.9, 2)
    assert rows.tolist() == [0, 1, 3]
    assert labels.tolist() == [0, 0, 1]
    assert chosen.tolist() == [0.99, 0.98, 0.95]


def test_nothing_sure_adds_nothing(made: Blobs, few: np.ndarray) -> None:
    assert len(self_train(head, made.vectors[few], np.eye(4)[made.y[few]], made.vectors, threshold=1.0)) == 0


def test_an_empty_pool_adds_nothing(made: Blobs, few: np.ndarray) -> None:
    assert len(self_train(head, made.vectors[few], np.eye(4)[made.y[few]], made.vectors[:0])) == 0


def test_without_a_verified_label_there_is_no_training_data(made: Blobs) -> None:
    with pytest.raises(LabelCrewError) as caught:
        self_train(head, made.vectors[:0], np.zeros((0, 4)), made.vectors)
    assert caught.value.code == "no-training-data"


def test_views_of_different_items_are_invalid(made: Blobs, few: np.ndarray) -> None:
    views = two_views(made.vectors)
    with pytest.raises(Invalid):
        co_train(head, (views[0][few], views[1][few]), np.eye(4)[made.y[few]], (views[0], views[1][:5]))
    with pytest.raises(Invalid):
        self_train(head, made.vectors[few], made.y[few], made.vectors)
    with pytest.raises(Invalid):
        self_train(head, made.vectors[few], np.eye(4)[made.y[few]], made.vectors, threshold=0)
    with pytest.raises(Invalid):
        two_views(np.zeros((3, 1)))
