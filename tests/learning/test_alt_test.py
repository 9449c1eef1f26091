"""May this model replace an annotator? By hand, over many draws, and on too little data."""

from __future__ import annotations

import numpy as np
import pytest

from learning.alt_test import alt_test, benjamini_yekutieli
from schemas.errors import Invalid


def people(n: int = 200, skills: tuple[float, ...] = (0.8, 0.8, 0.8), seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(3, size=n)
    columns = [np.where(rng.random(n) < s, truth, (truth + rng.integers(1, 3, size=n)) % 3) for s in skills]
    return np.stack(columns, axis=1).astype(float), truth


def test_model_that_knows_passes_and_one_that_guesses_fails() -> None:
    answers, truth = people()
    good, bad = alt_test(answers, truth), alt_test(answers, np.random.default_rng(5).integers(3, size=200))
    assert (good.passed, good.winning_rate) == (True, 1.0)
    assert (bad.passed, bad.winning_rate) == (False, 0.0)
    assert good.advantage > bad.advantage
    assert "may not replace" in bad.reason


def test_model_worse_than_people_by_more_than_epsilon_seldom_passes() -> None:
    passed = 0
    for seed in range(60):
        answers, truth = people(150, (0.9, 0.9, 0.9), seed)
        rng = np.random.default_rng(1000 + seed)
        model = np.where(rng.random(150) < 0.75, truth, (truth + 1) % 3)
        passed += alt_test(answers, model, epsilon=0.1).passed
    assert passed <= 6


def test_annotators_with_few_shared_items_are_not_judged() -> None:
    answers, truth = people(100, (0.9, 0.9, 0.9, 0.9))
    answers[20:, 3] = np.nan
    assert alt_test(answers, truth).annotators == (0, 1, 2)


def test_somebody_who_always_agrees_with_the_model_gives_a_certain_answer() -> None:
    same = np.tile(np.arange(60)[:, None] % 2, (1, 3)).astype(float)
    assert alt_test(same, same[:, 0]).p_values.tolist() == [0.0, 0.0, 0.0]


def test_false_discovery_rate_by_hand() -> None:
    p = np.array([0.001, 0.02, 0.8])
    limits = np.array([1, 2, 3]) / 3 * 0.05 / (1 + 1 / 2 + 1 / 3)
    assert benjamini_yekutieli(p, 0.05).tolist() == [True, bool(limits[1] >= 0.02), False]
    assert benjamini_yekutieli(np.zeros(0), 0.05).tolist() == []


@pytest.mark.parametrize(
    ("answers", "model", "says"),
    [
        (np.zeros((40, 2)), np.zeros(40), "three annotators"),
        (np.zeros((10, 3)), np.zeros(10), "shares 30 items"),
        (np.zeros((40, 3)), np.full(40, np.nan), "no label for some"),
        (np.zeros((40, 3)), np.zeros(3), "one an item"),
    ],
)
def test_too_little_to_test_is_refused(answers: np.ndarray, model: np.ndarray, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        alt_test(answers, model)
