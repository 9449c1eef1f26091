"""What to label next: what every strategy keeps to, what single ones prefer, and what bad input comes to."""

from __future__ import annotations

import numpy as np
import pytest

from learning.strategies import STRATEGIES, Pool, adaptive, herding, pick, priorities
from learning.strategies.activelab import label_sureness
from learning.strategies.committee import bootstrap_committee, mean_divergence, vote_entropy
from learning.strategies.random_ import pick as pick_random
from schemas.errors import Invalid
from tests.learning.synthetic import Blobs, blobs

ALL = sorted(STRATEGIES)
ONLY_UNLABELLED = [name for name in ALL if name != "activelab"]


@pytest.fixture(scope="module")
def made() -> Blobs:
    return blobs([60, 60, 60], d=24)


def softened(made: Blobs, sharpness: float = 6.0) -> np.ndarray:
    scores = np.exp(sharpness * made.vectors @ made.names.T)
    return np.asarray(scores / scores.sum(axis=1, keepdims=True))


def pool_of(made: Blobs, labelled: int = 12) -> Pool:
    rows = np.arange(labelled)
    return Pool(made.vectors, softened(made), rows, made.y[rows], made.names)


def picked(strategy: str, pool: Pool, count: int, seed: int = 0) -> np.ndarray:
    return pick(strategy, pool, count, np.random.default_rng(seed))


class TestEveryStrategy:
    @pytest.mark.parametrize("strategy", ALL)
    def test_picks_as_many_distinct_items_as_asked(self, strategy: str, made: Blobs) -> None:
        found = picked(strategy, pool_of(made), 20)
        assert len(found) == len(set(found.tolist())) == 20

    @pytest.mark.parametrize("strategy", ONLY_UNLABELLED)
    def test_never_picks_what_has_a_label(self, strategy: str, made: Blobs) -> None:
        assert picked(strategy, pool_of(made, 100), 40).min() >= 100

    @pytest.mark.parametrize("strategy", ONLY_UNLABELLED)
    def test_more_than_there_are_gives_all_that_are_left(self, strategy: str, made: Blobs) -> None:
        assert sorted(picked(strategy, pool_of(made, 150), 500).tolist()) == list(range(150, 180))

    @pytest.mark.parametrize("strategy", ALL)
    def test_the_same_seed_picks_the_same(self, strategy: str, made: Blobs) -> None:
        pool = pool_of(made)
        assert picked(strategy, pool, 15, seed=3).tolist() == picked(strategy, pool, 15, seed=3).tolist()

    @pytest.mark.parametrize("strategy", ALL)
    def test_without_labels_student_or_names_something_is_picked(self, strategy: str, made: Blobs) -> None:
        assert len(set(picked(strategy, Pool(made.vectors), 10).tolist())) == 10

    @pytest.mark.parametrize("strategy", ALL)
    def test_all_items_identical(self, strategy: str) -> None:
        vectors = np.tile(np.eye(8, dtype=np.float32)[0], (50, 1))
        pool = Pool(vectors, np.full((50, 3), 1 / 3), np.arange(5), np.array([0, 1, 2, 0, 1]))
        assert len(set(picked(strategy, pool, 12).tolist())) == 12

    @pytest.mark.parametrize("strategy", ALL)
    def test_one_class_only(self, strategy: str, made: Blobs) -> None:
        pool = Pool(made.vectors, np.ones((180, 1)), np.arange(5), np.zeros(5, dtype=np.int64))
        assert len(set(picked(strategy, pool, 12).tolist())) == 12

    @pytest.mark.parametrize("strategy", ALL)
    def test_nothing_left_or_nothing_asked_gives_nothing(self, strategy: str, made: Blobs) -> None:
        assert len(picked(strategy, pool_of(made), 0)) == 0
        assert len(picked(strategy, Pool(made.vectors[:0]), 5)) == 0
        if strategy in ONLY_UNLABELLED:
            assert len(picked(strategy, pool_of(made, 180), 5)) == 0

    @pytest.mark.parametrize(
        "strategy", ["adaptive", "herding", "cluster-margin", "margin", "entropy", "least-confidence"]
    )
    def test_near_duplicates_do_not_fill_a_batch(self, strategy: str, made: Blobs) -> None:
        doubled = np.concatenate([np.tile(made.vectors[:1], (80, 1)), made.vectors[1:]])
        proba = np.concatenate([np.full((80, 3), 1 / 3), softened(made)[1:]])
        found = picked(strategy, Pool(doubled, proba), 20)
        assert (found < 80).sum() <= 2


class TestRefusals:
    def test_unknown_strategy_names_the_known(self, made: Blobs) -> None:
        with pytest.raises(Invalid, match="no strategy 'psychic'") as refused:
            picked("psychic", pool_of(made), 3)
        assert "adaptive" in str(refused.value.hint)

    def test_negative_count_is_refused(self, made: Blobs) -> None:
        with pytest.raises(Invalid, match="items to pick"):
            picked("margin", pool_of(made), -1)

    def test_nan_and_shapes_that_disagree_are_refused(self, made: Blobs) -> None:
        with pytest.raises(Invalid, match="NaN"):
            Pool(np.full((3, 4), np.nan))
        with pytest.raises(Invalid, match="NaN"):
            Pool(made.vectors, np.full((180, 3), np.nan))
        with pytest.raises(Invalid, match="rows for 180 items"):
            Pool(made.vectors, np.full((2, 3), 1 / 3))
        with pytest.raises(Invalid, match="1 labels for 2"):
            Pool(made.vectors, labelled=np.array([0, 1]), labels=np.array([0]))
        with pytest.raises(Invalid, match="differ in length"):
            Pool(made.vectors, class_vectors=np.ones((3, 5)))
        with pytest.raises(Invalid, match="annotators"):
            Pool(made.vectors, answers=np.ones((2, 2)))


class TestPreferences:
    @pytest.mark.parametrize("strategy", ["margin", "least-confidence", "entropy"])
    def test_uncertainty_takes_the_unsurest(self, strategy: str, made: Blobs) -> None:
        proba = np.tile([0.98, 0.01, 0.01], (180, 1))
        proba[77] = [0.4, 0.3, 0.3]
        assert picked(strategy, Pool(made.vectors, proba), 1).tolist() == [77]

    def test_margin_and_least_confidence_differ_where_they_should(self, made: Blobs) -> None:
        proba = np.tile([0.98, 0.01, 0.01], (180, 1))
        proba[3], proba[4] = [0.5, 0.5, 0.0], [0.4, 0.3, 0.3]
        pool = Pool(made.vectors, proba)
        assert (picked("margin", pool, 1).item(), picked("least-confidence", pool, 1).item()) == (3, 4)

    @pytest.mark.parametrize("strategy", ["typiclust", "k-means", "k-center", "adaptive"])
    def test_cold_start_sees_every_group(self, strategy: str) -> None:
        made = blobs([40, 40, 40, 40], d=24, noise=0.3)
        assert set(made.y[picked(strategy, Pool(made.vectors), 8)].tolist()) == {0, 1, 2, 3}

    def test_committee_asks_where_members_disagree(self, made: Blobs) -> None:
        opinions = np.tile([0.9, 0.05, 0.05], (3, 180, 1))
        opinions[:, 9] = np.eye(3) * 0.9 + 0.1 / 3
        pool = Pool(made.vectors, committee=opinions)
        assert picked("vote-entropy", pool, 1).tolist() == picked("committee-kl", pool, 1).tolist() == [9]

    def test_activelab_may_ask_again_about_a_doubtful_answer(self, made: Blobs) -> None:
        answers = np.full((180, 3), np.nan)
        answers[:60] = made.y[:60, None]
        answers[5] = [0.0, 1.0, 2.0]
        proba = np.eye(3)[made.y] * 0.94 + 0.02
        proba[5] = 1 / 3
        pool = Pool(made.vectors, proba, np.arange(60), made.y[:60], answers=answers)
        assert 5 in picked("activelab", pool, 3).tolist()
        assert picked("activelab", pool, 3).min() < 60

    def test_activelab_with_answers_of_one_class_scores_by_the_model(self) -> None:
        scores = label_sureness(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([[0.0], [np.nan]]))
        assert scores[1] < scores[0]


class TestCommittee:
    def test_entropy_of_votes_by_hand(self) -> None:
        opinions = np.array([[[0.9, 0.1]], [[0.2, 0.8]]])
        assert vote_entropy(opinions)[0] == pytest.approx(np.log(2))
        assert mean_divergence(np.array([[[0.5, 0.5]], [[0.5, 0.5]]]))[0] == 0.0

    def test_members_are_distributions_and_without_labels_there_is_none(self, made: Blobs) -> None:
        rng = np.random.default_rng(0)
        opinions = bootstrap_committee(made.vectors[:20], made.y[:20], 3, made.vectors, 4, rng)
        assert opinions.shape == (4, 180, 3)
        assert np.allclose(opinions.sum(axis=2), 1, atol=1e-5)
        with pytest.raises(Invalid, match="at least one label"):
            bootstrap_committee(made.vectors[:0], made.y[:0], 3, made.vectors, 4, rng)


class TestAdaptive:
    def test_control_arm_is_a_few_per_cent_of_all_picks_and_uniform(self, made: Blobs) -> None:
        rng, drawn, total = np.random.default_rng(0), [], 0
        for _ in range(200):
            batch, control = adaptive.pick_with_control(pool_of(made), 10, rng)
            assert set(control.tolist()) <= set(batch.tolist())
            assert len(batch) == len(set(batch.tolist())) == 10
            drawn += control.tolist()
            total += len(batch)
        assert 0.02 < len(drawn) / total < 0.045
        assert abs(np.mean(drawn) - 95.5) < 20

    def test_learns_faster_than_random(self, made: Blobs) -> None:
        from learning.student import Student

        hard = blobs([150, 150, 150, 150], d=32, noise=1.7, fog=2.0)
        new = blobs([200, 200, 200, 200], d=32, noise=1.7, fog=2.0, seed=5)

        def reached(choose: str, seed: int) -> float:
            rng, labelled, areas = np.random.default_rng(seed), np.zeros(0, np.int64), []
            for _ in range(5):
                proba = None
                if len(labelled):
                    student = Student.fit(hard.vectors[labelled], hard.y[labelled], hard.classes)
                    proba = student.predict_proba(hard.vectors)
                labelled = np.concatenate([labelled, pick(choose, Pool(hard.vectors, proba, labelled), 10, rng)])
                fitted = Student.fit(hard.vectors[labelled], hard.y[labelled], hard.classes)
                areas.append(float((fitted.predict(new.vectors) == new.y).mean()))
            return float(np.mean(areas))

        gains = [reached("adaptive", seed) - reached("random", seed) for seed in range(3)]
        assert np.mean(gains) > 0.0

    def test_herding_spreads_over_the_groups_before_it_digs(self) -> None:
        made = blobs([100, 100, 20], d=24, noise=0.4)
        found = herding.pick(Pool(made.vectors), 6, np.random.default_rng(0))
        assert set(made.y[found].tolist()) == {0, 1, 2}


def test_random_draws_every_item_alike(made: Blobs) -> None:
    rng = np.random.default_rng(0)
    counts = np.bincount(np.concatenate([pick_random(Pool(made.vectors), 20, rng) for _ in range(600)]), minlength=180)
    assert abs(counts - 600 * 20 / 180).max() < 40


def test_priorities_put_the_picked_first_then_the_unsure(made: Blobs) -> None:
    pool = pool_of(made)
    chosen = picked("margin", pool, 5)
    priority = priorities(pool, chosen)
    assert np.argsort(-priority)[:5].tolist() == chosen.tolist()
    assert (priority[pool.labelled] == 0).all()
    assert priority[np.setdiff1d(pool.unlabelled, chosen)].max() < 1
