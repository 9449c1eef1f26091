"""One truth from many answers: by hand, as properties, on bad input, and on a real crowd."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.consensus import METHODS, Consensus, consensus, deserving, information_gain, quality_interval
from learning.consensus.dawid_skene import habit
from learning.frames import Answers, from_long, from_matrix
from schemas.errors import Conflict, Invalid
from tests.support.shared_data import shared_data, shared_path

ALL = sorted(METHODS)
MATRICES = st.integers(1, 5).flatmap(
    lambda m: st.lists(st.lists(st.integers(-1, 3), min_size=m, max_size=m), min_size=1, max_size=12)
)


def crowd(
    n: int, skills: Sequence[float], k: int = 3, each: int | None = None, seed: int = 0
) -> tuple[Answers, np.ndarray]:
    """``n`` items answered by annotators who are right with ``skills``, else give any other class; and the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(k, size=n)
    matrix = np.full((n, len(skills)), -1)
    for row in range(n):
        for who in rng.permutation(len(skills))[:each]:
            right = rng.random() < skills[who]
            matrix[row, who] = truth[row] if right else (truth[row] + rng.integers(1, k)) % k
    return from_matrix(matrix, classes=list(range(k))), truth


def accuracy(found: Consensus, truth: np.ndarray) -> float:
    return float((found.labels == truth).mean())


class TestEveryMethod:
    @pytest.mark.parametrize("method", ALL)
    def test_what_all_say_is_the_consensus(self, method: str) -> None:
        answers = from_matrix([[0, 0, 0], [1, 1, 1], [2, 2, 2], [0, 0, 0], [1, 1, 1]], classes=["a", "b", "c"])
        found = consensus(answers, method)
        assert found.labels.tolist() == [0, 1, 2, 0, 1]
        assert (found.quality > 0.5).all()

    @pytest.mark.parametrize("method", ALL)
    @settings(deadline=None, max_examples=8)
    @given(matrix=MATRICES)
    def test_probabilities_are_distributions_whatever_was_answered(self, method: str, matrix: list[list[int]]) -> None:
        if not (np.array(matrix) >= 0).any():
            return
        answers = from_matrix(matrix, classes=range(4))
        found = consensus(answers, method)
        assert found.proba.shape == (len(matrix), 4)
        assert np.allclose(found.proba.sum(axis=1), 1.0)
        assert np.isfinite(found.proba).all()
        assert ((found.quality >= 0) & (found.quality <= 1)).all()
        assert (found.labels[answers.counts().sum(axis=1) == 0] == -1).all()

    @pytest.mark.parametrize("method", ALL)
    def test_names_of_annotators_and_items_do_not_matter(self, method: str) -> None:
        answers, _ = crowd(40, [0.9, 0.8, 0.6, 0.4])
        order = np.random.default_rng(1).permutation(40)
        place = np.argsort(order)
        turned = replace(answers, task=place[answers.task])
        one, other = consensus(answers, method), consensus(turned, method)
        assert np.allclose(one.proba[order], other.proba, atol=1e-3)

    @pytest.mark.parametrize("method", ALL)
    def test_one_class_is_the_answer_to_everything(self, method: str) -> None:
        found = consensus(from_matrix([[0, 0], [0, -1]], classes=["only"]), method)
        assert found.labels.tolist() == [0, 0]
        assert np.allclose(found.proba, 1.0)

    @pytest.mark.parametrize("method", ALL)
    def test_one_answer_of_one_annotator_is_believed_and_their_quality_is_near_everybodys(self, method: str) -> None:
        answers, truth = crowd(60, [0.9, 0.9, 0.85])
        newcomer = replace(
            answers,
            workers=(*answers.workers, "newcomer"),
            task=np.append(answers.task, 0),
            worker=np.append(answers.worker, 3),
            label=np.append(answers.label, (truth[0] + 1) % 3),
        )
        quality = consensus(newcomer, method).quality
        assert 0.05 < quality[3] < 1.0
        alone = consensus(from_matrix([[1]], classes=["a", "b"]), method)
        assert alone.labels.tolist() == [1]

    @pytest.mark.parametrize("method", ALL)
    def test_a_class_that_nobody_gives_is_never_the_answer(self, method: str) -> None:
        answers, _ = crowd(40, [0.9, 0.7, 0.8], k=2)
        assert 2 not in consensus(replace(answers, classes=(0, 1, "unused")), method).labels

    @pytest.mark.parametrize("method", ALL)
    def test_all_identical_answers_are_certain(self, method: str) -> None:
        found = consensus(from_matrix(np.ones((20, 3), dtype=int), classes=["a", "b"]), method)
        assert (found.labels == 1).all()
        assert (found.proba[:, 1] > 0.8).all()

    @pytest.mark.parametrize("method", ALL)
    def test_no_answer_at_all_is_even_odds(self, method: str) -> None:
        nothing = np.zeros(0, dtype=np.int64)
        found = consensus(Answers(("t1", "t2"), ("w",), ("a", "b"), nothing, nothing, nothing), method)
        assert found.proba.tolist() == [[0.5, 0.5], [0.5, 0.5]]
        assert found.labels.tolist() == [-1, -1]


class TestRefusals:
    def test_unknown_method_names_the_known_ones(self) -> None:
        with pytest.raises(Invalid, match="no consensus 'oracle'") as refused:
            consensus(from_matrix([[0, 1]], classes=["a", "b"]), "oracle")
        assert "majority" in str(refused.value.hint)

    def test_answers_without_any_class_are_refused(self) -> None:
        nothing = np.zeros(0, dtype=np.int64)
        with pytest.raises(Invalid, match="at least one class"):
            consensus(Answers(("t",), ("w",), (), nothing, nothing, nothing))

    def test_nan_in_a_long_table_is_refused_with_its_row(self) -> None:
        with pytest.raises(Invalid, match="empty in row 1"):
            from_long({"task": [1, 2], "worker": ["a", "a"], "label": ["x", float("nan")]})

    def test_a_table_without_answers_is_refused(self) -> None:
        with pytest.raises(Conflict):
            from_matrix([[-1, -1]], classes=["a"])

    def test_an_index_out_of_range_is_refused(self) -> None:
        one = np.array([0])
        with pytest.raises(Invalid, match="labels hold class 7"):
            consensus(Answers(("t",), ("w",), ("a", "b"), one, one, np.array([7])))


class TestByHand:
    def test_majority_breaks_ties_for_the_class_given_more_often(self) -> None:
        answers = from_matrix([[0, 1, -1], [1, 1, 1], [0, 0, 1], [1, 1, -1]], classes=["a", "b"])
        found = consensus(answers, "majority")
        assert found.labels.tolist() == [1, 1, 0, 1]
        assert found.proba[2, 0] == pytest.approx(2 / 3, abs=1e-3)

    def test_weighted_vote_lets_two_good_annotators_outvote_three_bad_ones(self) -> None:
        answers, truth = crowd(300, [0.95, 0.95, 0.4, 0.4, 0.4])
        assert accuracy(consensus(answers, "weighted-vote"), truth) > accuracy(consensus(answers, "majority"), truth)

    @pytest.mark.parametrize("method", ["dawid-skene", "pooled-dawid-skene"])
    def test_dawid_skene_reads_an_annotator_who_always_says_the_opposite(self, method: str) -> None:
        answers, truth = crowd(300, [0.9, 0.9, 0.9, 0.05], k=2)
        found = consensus(answers, method)
        assert found.quality[3] < 0.2
        assert found.confusion is not None
        assert found.confusion[3, 0, 1] > 0.8
        assert accuracy(found, truth) > 0.96

    def test_dawid_skene_is_the_fixed_point_of_its_equations(self) -> None:
        answers, _ = crowd(80, [0.9, 0.7, 0.6])
        found = consensus(answers, "dawid-skene")
        counts = np.zeros((3, 3, 3)) + 0.01
        np.add.at(counts.transpose(0, 2, 1), (answers.worker, answers.label), found.proba[answers.task])
        confusion = counts / counts.sum(axis=2, keepdims=True)
        prior = found.proba.sum(axis=0) + 0.01
        scores = np.tile(np.log(prior / prior.sum()), (80, 1))
        for task, worker, label in zip(answers.task, answers.worker, answers.label, strict=True):
            scores[task] += np.log(confusion[worker, :, label])
        wanted = np.exp(scores - scores.max(axis=1, keepdims=True))
        assert np.allclose(found.proba, wanted / wanted.sum(axis=1, keepdims=True), atol=0.02)

    def test_glad_believes_the_skilled_and_ranks_them(self) -> None:
        answers, truth = crowd(200, [0.95, 0.8, 0.6, 0.4])
        found = consensus(answers, "glad")
        assert found.quality.argmax() == 0
        assert found.quality.argmin() == 3
        assert accuracy(found, truth) >= accuracy(consensus(answers, "majority"), truth)

    def test_mace_finds_who_answers_by_habit(self) -> None:
        answers, truth = crowd(200, [0.9, 0.85, 0.9])
        spammed = replace(
            answers,
            workers=(*answers.workers, "spammer"),
            task=np.append(answers.task, np.arange(200)),
            worker=np.append(answers.worker, np.full(200, 3)),
            label=np.append(answers.label, np.zeros(200, dtype=np.int64)),
        )
        found = consensus(spammed, "mace")
        assert found.quality[3] < 0.3 < found.quality[:3].min()
        assert accuracy(found, truth) > 0.93

    def test_habit_of_people_who_are_never_wrong_is_the_identity(self) -> None:
        assert np.allclose(habit(np.eye(3)[None] * 1000.0), np.eye(3), atol=0.02)


class TestPooling:
    def test_pooled_beats_plain_dawid_skene_where_annotators_answer_little(self) -> None:
        skills = np.random.default_rng(3).uniform(0.5, 0.95, size=40)
        gains = []
        for seed in range(5):
            answers, truth = crowd(200, list(skills), k=5, each=3, seed=seed)
            gains.append(accuracy(consensus(answers), truth) - accuracy(consensus(answers, "dawid-skene"), truth))
        assert np.mean(gains) > 0.01

    def test_a_crowd_too_big_for_confusion_matrices_is_weighed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys.modules["learning.consensus.dawid_skene"], "MOST_CELLS", 10)
        assert consensus(crowd(20, [0.9, 0.9, 0.8])[0]).method == "weighted-vote"


class TestQuality:
    def test_interval_holds_the_quality_and_narrows_with_answers(self) -> None:
        answers, _ = crowd(400, [0.9, 0.8, 0.7])
        few = replace(answers, task=answers.task[:30], worker=answers.worker[:30], label=answers.label[:30])
        many_found, few_found = consensus(answers), consensus(few)
        many, little = quality_interval(answers, many_found), quality_interval(few, few_found)
        assert ((many[:, 0] <= many_found.quality) & (many_found.quality <= many[:, 1])).all()
        assert ((many[:, 1] - many[:, 0]) < (little[:, 1] - little[:, 0])).all()

    def test_interval_holds_the_truth_nearly_always(self) -> None:
        skills = [0.95, 0.85, 0.75, 0.65]
        inside = 0
        for seed in range(30):
            answers, _ = crowd(150, skills, seed=seed)
            ends = quality_interval(answers, consensus(answers))
            inside += int(((ends[:, 0] <= skills) & (skills <= ends[:, 1])).sum())
        assert inside / 120 > 0.85

    def test_somebody_without_answers_could_be_anything(self) -> None:
        answers = replace(crowd(30, [0.9, 0.9])[0], workers=("a", "b", "nobody yet"))
        low, high = quality_interval(answers, consensus(answers))[2]
        assert high - low > 0.5


class TestOverlap:
    def test_items_people_disagree_on_deserve_another_answer_first(self) -> None:
        answers = from_matrix([[0, 0, 0], [0, 1, -1], [1, 1, -1], [1, 1, 1]], classes=["a", "b"])
        gain = information_gain(consensus(answers))
        assert deserving(gain, answers.counts().sum(axis=1), 2)[0] == 1

    def test_items_with_enough_answers_or_nothing_to_gain_are_left_in_peace(self) -> None:
        assert deserving([0.6, 0.4, 0.4, 0.0], [5, 3, 2, 1], 10, most=5).tolist() == [2, 1]
        assert deserving([], [], 3).tolist() == []

    def test_nan_gains_are_refused(self) -> None:
        with pytest.raises(Invalid, match="gains hold"):
            deserving([float("nan")], [1], 1)

    def test_gain_is_the_mutual_information_of_a_binary_channel(self) -> None:
        found = Consensus(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0.8]), "by hand")
        noise = -(0.8 * np.log(0.8) + 0.2 * np.log(0.2))
        assert np.allclose(information_gain(found), [np.log(2) - noise, 0.0], atol=1e-9)

    def test_nothing_is_gained_where_there_is_one_class(self) -> None:
        found = Consensus(np.ones((2, 1)), np.array([0.8]), "by hand")
        assert information_gain(found).tolist() == [0.0, 0.0]


@shared_data("crowd/weather_sentiment_amt")
def test_on_a_real_crowd_the_default_is_never_below_majority() -> None:
    labels, gold = (rows(f"crowd/weather_sentiment_amt/{name}.csv") for name in ("labels", "gold"))
    classes = sorted({row["label"] for row in [*labels, *gold]})
    answers = from_long(labels, task="item", classes=classes)
    truth = {row["item"]: classes.index(row["label"]) for row in gold}
    known = np.array([truth.get(str(task), -1) for task in answers.tasks])

    def right(method: str) -> float:
        return float((consensus(answers, method).labels == known)[known >= 0].mean())

    assert right("pooled-dawid-skene") >= max(right(m) for m in ("majority", "dawid-skene", "glad", "mace"))


def rows(name: str) -> list[dict[str, str]]:
    with shared_path(name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@shared_data("crowd/sentiment_polarity_amt")
@pytest.mark.parametrize(("method", "module", "name"), [
    ("dawid-skene", "dawid_skene", "DawidSkene"), ("glad", "glad", "GLAD"), ("mace", "mace", "MACE"),
])  # fmt: skip
def test_labels_are_crowd_kits_where_it_is_installed(method: str, module: str, name: str) -> None:
    found = pytest.importorskip(f"crowdkit.aggregation.classification.{module}")
    answers = from_long(rows("crowd/sentiment_polarity_amt/labels.csv"), task="item")
    options = {"dawid-skene": {"n_iter": 100}, "glad": {}, "mace": {"random_state": 0}}[method]
    theirs = getattr(found, name)(**options).fit_predict(answers.to_long_frame())
    ours = consensus(answers, method).labels
    assert (
        np.mean([answers.classes[label] == theirs[task] for task, label in zip(answers.tasks, ours, strict=True)])
        > 0.99
    )
