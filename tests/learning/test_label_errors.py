"""Wrong labels are found, whichever way they went wrong, and clean ones are not accused."""

from __future__ import annotations

import numpy as np
import pytest

from learning.label_errors import neighbour_votes, out_of_sample_proba, rank_label_errors
from schemas.errors import Invalid
from tests.learning.synthetic import Blobs, blobs


@pytest.fixture(scope="module")
def made() -> Blobs:
    return blobs([120] * 5, d=48, noise=1.0)


def average_precision(score: np.ndarray, wrong: np.ndarray) -> float:
    hits = wrong[np.argsort(-score, kind="stable")]
    return float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())


def flipped(made: Blobs, how: str, share: float = 0.1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(made.y)) < share
    alike = made.names @ made.names.T - 9 * np.eye(5)
    other = (made.y + rng.integers(1, 5, size=len(made.y))) % 5 if how == "any" else alike.argmax(axis=1)[made.y]
    return np.where(wrong, other, made.y), wrong


@pytest.mark.parametrize("how", ["any", "similar"])
def test_wrong_labels_come_first_and_are_corrected(made: Blobs, how: str) -> None:
    given, wrong = flipped(made, how)
    proba = out_of_sample_proba(made.vectors, given, 5, np.random.default_rng(0))
    found = rank_label_errors(given, proba, made.vectors)
    assert average_precision(found.score, wrong) > 0.85
    top = found.ranking[: int(wrong.sum() * 0.8)]
    assert (found.suggested[top] == made.y[top]).mean() > 0.85
    assert 0.04 < found.noise_rate < 0.2
    assert np.allclose(found.confusion.sum(axis=1), 1)


def test_not_worse_than_cleanlabs_rankings(made: Blobs) -> None:
    from cleanlab.rank import get_label_quality_scores

    ours, theirs = [], {"self_confidence": [], "normalized_margin": []}
    for how in ("any", "similar"):
        for seed in range(2):
            given, wrong = flipped(made, how, seed=seed)
            proba = out_of_sample_proba(made.vectors, given, 5, np.random.default_rng(seed))
            ours.append(average_precision(rank_label_errors(given, proba, made.vectors).score, wrong))
            for method, kept in theirs.items():
                kept.append(average_precision(-get_label_quality_scores(given, proba, method=method), wrong))
    assert np.mean(ours) >= max(np.mean(kept) for kept in theirs.values()) - 0.005


def test_clean_labels_are_believed(made: Blobs) -> None:
    proba = out_of_sample_proba(made.vectors, made.y, 5, np.random.default_rng(0))
    found = rank_label_errors(made.y, proba, made.vectors)
    assert found.noise_rate < 0.04
    assert (found.probability > 0.9).mean() < 0.02


@pytest.mark.parametrize(("n", "k"), [(0, 3), (4, 1), (1, 2), (3, 3)])
def test_nothing_one_class_and_few_items_are_answered(n: int, k: int) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(n, 6)).astype(np.float32)
    labels = np.arange(n) % k
    found = rank_label_errors(labels, np.full((n, k), 1 / k), vectors)
    assert sorted(found.ranking.tolist()) == list(range(n))
    assert np.isfinite(found.score).all()


def test_all_items_identical_and_a_class_nobody_gave_are_answered() -> None:
    vectors, labels = np.ones((40, 6), np.float32), np.arange(40) % 2
    proba = out_of_sample_proba(vectors, labels, 3, np.random.default_rng(0))
    found = rank_label_errors(labels, proba, vectors)
    assert np.isfinite(found.score).all()
    assert np.isfinite(found.confusion).all()


def test_few_items_get_the_classes_shares() -> None:
    assert out_of_sample_proba(np.eye(3), [0, 1, 1], 2, np.random.default_rng(0))[0].tolist() == [0.4, 0.6]


def test_votes_leave_the_item_itself_out() -> None:
    vectors = np.array([[1, 0], [0.99, 0.1], [0, 1]], dtype=np.float32)
    assert neighbour_votes(vectors, np.array([0, 1, 2]), 3, neighbours=1)[0].tolist() == [0.0, 1.0, 0.0]


def test_bad_input_is_refused() -> None:
    with pytest.raises(Invalid):
        rank_label_errors([0, 3], np.full((2, 3), 1 / 3))
    with pytest.raises(Invalid, match="NaN"):
        rank_label_errors([0, 1], np.full((2, 3), np.nan))
    with pytest.raises(Invalid, match="vectors for"):
        rank_label_errors(np.zeros(9, int), np.full((9, 2), 0.5), np.ones((8, 4)))
