"""Answers and a model that reads the items, together."""

from __future__ import annotations

import numpy as np
import pytest

from learning.consensus import Consensus, consensus, consensus_with_model, consensus_with_proba, crowdlab
from learning.frames import Answers, from_matrix
from learning.label_errors import out_of_sample_proba
from schemas.errors import Invalid
from tests.learning.synthetic import Blobs, accuracy_of, blobs
from tests.support.shared_data import shared_data, shared_rows


def answered(y: np.ndarray, k: int, *, each: int = 2, workers: int = 12, skill: float = 0.65, seed: int = 0) -> Answers:
    rng = np.random.default_rng(seed)
    matrix = np.full((len(y), workers), -1)
    for row, truth in enumerate(y):
        for who in rng.choice(workers, each, replace=False):
            matrix[row, who] = truth if rng.random() < skill else (truth + rng.integers(1, k)) % k
    return from_matrix(matrix, classes=list(range(k)))


@pytest.fixture(scope="module")
def made() -> Blobs:
    return blobs([80, 80, 80, 60], noise=1.1)


def test_a_model_breaks_the_ties_of_two_answers(made: Blobs) -> None:
    answers = answered(made.y, 4)
    with_model = consensus_with_model(answers, made.vectors, np.random.default_rng(0))
    alone = consensus(answers)
    assert accuracy_of(with_model.proba, made.y) > accuracy_of(alone.proba, made.y) + 0.05
    assert with_model.method == "dawid-skene-with-model"


def test_refitted_model_is_not_worse_than_crowdlab_with_the_same_vectors(made: Blobs) -> None:
    gains = []
    for seed in range(3):
        answers = answered(made.y, 4, seed=seed)
        rng = np.random.default_rng(seed)
        voted = consensus(answers, "majority").labels
        peer = crowdlab(answers, out_of_sample_proba(made.vectors, voted, 4, rng))
        ours = consensus_with_model(answers, made.vectors, np.random.default_rng(seed))
        gains.append(float((ours.labels == made.y).mean() - (peer.labels == made.y).mean()))
    assert np.mean(gains) > 0.0


def test_items_without_an_answer_are_labelled_by_the_model_but_not_decided(made: Blobs) -> None:
    answers = answered(made.y, 4, each=3, skill=0.85)
    kept = answers.task >= 20
    rest = Answers(
        answers.tasks, answers.workers, answers.classes, answers.task[kept], answers.worker[kept], answers.label[kept]
    )
    found = consensus_with_model(rest, made.vectors, np.random.default_rng(0))
    assert (found.labels[:20] == -1).all()
    assert accuracy_of(found.proba[:20], made.y[:20]) > 0.7


def test_outside_probabilities_are_weighed_by_how_well_they_fit(made: Blobs) -> None:
    answers = answered(made.y, 4)
    rng = np.random.default_rng(0)
    useless = np.full((len(made.y), 4), 0.25)
    confident_nonsense = np.eye(4)[rng.integers(4, size=len(made.y))] * 0.96 + 0.01
    knows = np.eye(4)[made.y] * 0.8 + 0.05
    alone, with_useless, with_nonsense, with_knowing = (
        accuracy_of(found.proba, made.y)
        for found in (
            consensus(answers),
            consensus_with_proba(answers, useless),
            consensus_with_proba(answers, confident_nonsense),
            consensus_with_proba(answers, knows),
        )
    )
    assert with_knowing > alone + 0.1
    assert with_useless > alone - 0.03
    assert with_nonsense > alone - 0.05


class TestCrowdlab:
    def test_labels_are_cleanlabs(self, made: Blobs) -> None:
        from cleanlab.multiannotator import get_label_quality_multiannotator

        answers = answered(made.y, 4, each=3)
        proba = out_of_sample_proba(made.vectors, consensus(answers, "majority").labels, 4, np.random.default_rng(0))
        found = crowdlab(answers, proba)
        wide = answers.matrix().astype(float)
        wide[wide < 0] = np.nan
        theirs = get_label_quality_multiannotator(wide, proba, verbose=False)["label_quality"]
        assert found.labels.tolist() == theirs["consensus_label"].tolist()
        assert np.allclose(
            found.proba[np.arange(len(wide)), found.labels], theirs["consensus_quality_score"], atol=1e-5
        )

    def test_items_and_annotators_without_answers_are_kept(self) -> None:
        answers = from_matrix([[0, 0, -1], [1, 1, -1], [-1, -1, -1], [0, 1, -1]], classes=["a", "b"])
        found = crowdlab(answers, [[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.3, 0.7]])
        assert found.labels.tolist()[:3] == [0, 1, -1]
        assert found.quality.shape == (3,)
        assert np.isfinite(found.quality).all()
        assert np.allclose(found.proba.sum(axis=1), 1.0)

    @pytest.mark.parametrize("matrix", [[[0, 0], [0, 0]], [[0, -1], [-1, 1]]])
    def test_what_cleanlab_cannot_judge_is_left_to_the_majority(self, matrix: list[list[int]]) -> None:
        answers = from_matrix(matrix, classes=["a", "b"])
        found = crowdlab(answers, [[0.5, 0.5], [0.5, 0.5]])
        assert found.labels.tolist() == consensus(answers, "majority").labels.tolist()


class TestBadInput:
    def test_wrong_numbers_of_items_and_classes_are_refused(self) -> None:
        answers = from_matrix([[0, 1]], classes=["a", "b"])
        rng = np.random.default_rng(0)
        with pytest.raises(Invalid, match="2 vectors for 1 items"):
            consensus_with_model(answers, np.ones((2, 4)), rng)
        with pytest.raises(Invalid, match="knows 3 classes"):
            crowdlab(answers, [[0.2, 0.3, 0.5]])
        with pytest.raises(Invalid, match="knows 3 classes"):
            consensus_with_proba(answers, [[0.2, 0.3, 0.5]])

    def test_nan_is_refused(self) -> None:
        answers = from_matrix([[0, 1]], classes=["a", "b"])
        with pytest.raises(Invalid, match="NaN"):
            consensus_with_model(answers, [[np.nan, 1.0]], np.random.default_rng(0))
        with pytest.raises(Invalid, match="NaN"):
            crowdlab(answers, [[np.nan, 1.0]])

    def test_few_items_one_class_and_identical_vectors_leave_the_annotators_alone(self) -> None:
        def ask(matrix: object, classes: int) -> Consensus:
            answers = from_matrix(np.asarray(matrix), classes=range(classes))
            return consensus_with_model(answers, np.ones((len(answers.tasks), 4)), np.random.default_rng(0))

        assert ask([[0, 0], [1, 1]], 2).labels.tolist() == [0, 1]
        assert ask(np.zeros((20, 2), dtype=int), 1).labels.tolist() == [0] * 20
        same = ask([[n % 2, n % 2] for n in range(20)], 2)
        assert same.labels.tolist() == [n % 2 for n in range(20)]
        assert ask(np.ones((20, 2), dtype=int), 3).labels.tolist() == [1] * 20


@shared_data("text/medical_abstracts")
def test_on_real_texts_with_two_answers_it_is_two_points_over_crowdlab() -> None:
    from learning.embedding import load_embedder

    rows = shared_rows("text/medical_abstracts/test.jsonl")[:900]
    classes = sorted({row["label"] for row in rows})
    y = np.array([classes.index(row["label"]) for row in rows])
    vectors = load_embedder().encode([row["text"][:600] for row in rows])
    gains = []
    for seed in range(3):
        answers = answered(y, len(classes), workers=30, skill=0.7, seed=seed)
        voted = consensus(answers, "majority").labels
        proba = out_of_sample_proba(vectors, voted, len(classes), np.random.default_rng(seed))
        ours = consensus_with_model(answers, vectors, np.random.default_rng(seed)).labels
        gains.append(float((ours == y).mean() - (crowdlab(answers, proba).labels == y).mean()))
    assert np.mean(gains) >= 0.02
