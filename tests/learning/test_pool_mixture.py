"""Class names refined by the unlabelled pool, and the gate that keeps skewed pools from harm."""

from __future__ import annotations

import numpy as np
import pytest

from learning.pool_mixture import class_frequencies, evenness, fit_pool_mixture, nearest, pool_gate
from learning.zero_shot import zero_shot_from
from schemas.errors import Invalid
from tests.learning.conftest import Banking
from tests.learning.synthetic import accuracy_of, blobs
from tests.support.shared_data import shared_data


def test_an_even_pool_makes_better_centres_than_the_names() -> None:
    made = blobs([150] * 6, noise=1.3, fog=1.6)
    mixture = fit_pool_mixture(made.vectors, made.names)
    names_alone = accuracy_of(made.vectors @ made.names.T, made.y)
    assert mixture.gate == 1.0
    assert accuracy_of(mixture.predict_proba(made.vectors), made.y) > names_alone + 0.02


@pytest.mark.parametrize("seed", range(4))
def test_a_skewed_pool_does_not_fall_below_the_names(seed: int) -> None:
    made = blobs([800, 100, 50, 50], noise=1.6, fog=1.6, seed=seed, heart=seed)
    mixture = fit_pool_mixture(made.vectors, made.names)
    names_alone = accuracy_of(made.vectors @ made.names.T, made.y)
    assert accuracy_of(mixture.scores(made.vectors), made.y) >= names_alone - 0.005


def test_the_gate_opens_for_even_and_closes_for_skewed_pools() -> None:
    even, skewed = blobs([100] * 5), blobs([900, 40, 30, 20, 10])
    assert pool_gate(even.vectors, even.names) == 1.0
    assert pool_gate(skewed.vectors, skewed.names) == 0.0


def test_a_pool_of_a_dozen_items_does_not_confirm_its_own_guesses() -> None:
    made = blobs([10] * 4)
    assert pool_gate(made.vectors, made.names) == 1.0
    assert fit_pool_mixture(made.vectors, made.names).gate == 0.0


def test_labels_pull_their_class_where_they_are() -> None:
    made = blobs([100] * 4, noise=2.5, fog=6.0)
    new = blobs([50] * 4, noise=2.5, fog=6.0, seed=9)
    few = np.concatenate([np.flatnonzero(made.y == c)[:3] for c in range(4)])
    alone = fit_pool_mixture(made.vectors, made.names, gate=1.0)
    taught = fit_pool_mixture(
        made.vectors, made.names, labelled=made.vectors[few], targets=np.eye(4)[made.y[few]], gate=1.0
    )
    assert accuracy_of(taught.scores(new.vectors), new.y) > accuracy_of(alone.scores(new.vectors), new.y)


def test_probabilities_sum_to_one_and_rows_stand_for_themselves() -> None:
    made = blobs([60, 30, 10])
    mixture = fit_pool_mixture(made.vectors, made.names)
    found = mixture.predict_proba(made.vectors)
    assert np.allclose(found.sum(axis=1), 1)
    shuffled = np.random.default_rng(3).permutation(len(made.vectors))
    assert np.allclose(mixture.predict_proba(made.vectors[shuffled]), found[shuffled], atol=1e-5)


@pytest.mark.parametrize("pool", [0, 1])
def test_without_a_pool_the_names_speak_alone(pool: int) -> None:
    made = blobs([10, 10])
    mixture = fit_pool_mixture(made.vectors[:pool], made.names)
    assert np.allclose(mixture.predict_proba(made.vectors), zero_shot_from(made.vectors, made.names))


def test_one_class_is_certain() -> None:
    made = blobs([10])
    assert (fit_pool_mixture(made.vectors, made.names).predict_proba(made.vectors) == 1).all()


def test_identical_items_are_no_trouble() -> None:
    made = blobs([5, 5])
    same = np.repeat(made.vectors[:1], 200, axis=0)
    found = fit_pool_mixture(same, made.names).predict_proba(same)
    assert np.isfinite(found).all()
    assert np.allclose(found, found[0])


def test_a_pool_that_is_not_finite_is_invalid() -> None:
    made = blobs([5, 5])
    broken = made.vectors.copy()
    broken[3, 3] = np.nan
    with pytest.raises(Invalid):
        fit_pool_mixture(broken, made.names)


def test_frequencies_are_recovered_from_soft_answers() -> None:
    made = blobs([700, 200, 100], noise=1.5, fog=0.2)
    found = class_frequencies(zero_shot_from(made.vectors, made.names, temperature=0.1))
    assert found == pytest.approx([0.7, 0.2, 0.1], abs=0.06)


def test_evenness_is_the_share_of_effective_classes() -> None:
    assert evenness(np.ones(8)) == pytest.approx(1)
    assert evenness(np.array([1.0, 0, 0, 0])) == pytest.approx(0.25)


def test_nearest_finds_the_highest_columns() -> None:
    assert sorted(nearest(np.array([[0.1, 0.9, 0.5, 0.7]]), 2)[0].tolist()) == [1, 3]
    assert nearest(np.zeros((2, 1)), 5).shape == (2, 1)


@shared_data("text/banking77")
def test_banking77_gains_over_names_from_its_pool_and_loses_nothing_when_skewed(banking: Banking) -> None:
    names_alone = accuracy_of(banking.test @ banking.names.T, banking.test_y)
    mixture = fit_pool_mixture(banking.test, banking.names)
    assert accuracy_of(mixture.scores(banking.test), banking.test_y) >= names_alone + 0.04
    four = [banking.classes.index(c) for c in ("card_arrival", "top_up_failed", "exchange_rate", "pin_blocked")]
    shares = dict(zip(four, (40, 5, 3, 2), strict=True))
    rows = np.concatenate([np.flatnonzero(banking.test_y == c)[:n] for c, n in shares.items()])
    truth = np.array([four.index(c) for c in banking.test_y[rows]])
    skewed, names = banking.test[rows], banking.names[four]
    assert accuracy_of(fit_pool_mixture(skewed, names).scores(skewed), truth) >= accuracy_of(skewed @ names.T, truth)
