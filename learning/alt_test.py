"""The alternative annotator test: may this model replace a human annotator on this task?

Calderon, Reichart & Dror, *The alternative annotator test for LLM-as-a-judge: how to statistically justify replacing
human annotators with LLMs*, ACL 2025. Each annotator in turn is left out; who is closer to the others on the items they
did, the model or the one left out? The model wins against an annotator if it is at least as good up to ``epsilon``, the
price of a human, by a one-sided test, with the false discovery rate of all the tests held at ``q`` (Benjamini &
Yekutieli 2001, which allows them to depend on each other). It passes if it wins against at least half of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from learning.checks import Bools, Floats, check_share
from schemas.errors import Invalid

FEWEST_ITEMS = 30
"""Below so many items an annotator is not judged: the paper's least number for the t-test."""


@dataclass(frozen=True)
class AltTest:
    """``passed`` when ``winning_rate`` is at least one half. Arrays have one entry an annotator who was judged."""

    passed: bool
    winning_rate: float
    advantage: float
    """Mean probability that the model is as close to the others as the annotator is, or closer."""
    annotators: tuple[int, ...]
    """Columns of the annotators who were judged."""
    p_values: Floats
    won: Bools
    model_advantage: Floats
    human_advantage: Floats
    epsilon: float
    reason: str


def alt_test(answers: ArrayLike, model: ArrayLike, *, epsilon: float = 0.1, q: float = 0.05) -> AltTest:
    """Judge a model against annotators.

    ``answers`` (n, annotators): class indices, NaN where an annotator gave none. ``model`` (n,): the model's classes.
    ``epsilon``: 0.2 against experts, 0.15 skilled annotators, 0.1 a crowd (the paper's values). Raises
    :class:`schemas.errors.Invalid` unless three annotators answered, of whom one shares 30 items with others.
    """
    wide = np.asarray(answers, dtype=np.float64)
    guess = np.asarray(model, dtype=np.float64)
    if wide.ndim != 2 or guess.shape != (len(wide),):
        raise Invalid("answers must be (items, annotators) and the model's labels one an item")
    if np.isnan(guess).any():
        raise Invalid("the model has no label for some items", hint="Leave those items out, or count them as wrong.")
    if not 0.0 <= epsilon < 1.0:
        raise Invalid(f"epsilon must lie between 0 and 1, not {epsilon!r}")
    check_share(q, "q")
    given = ~np.isnan(wide)
    if given.any(axis=0).sum() < 3:
        raise Invalid("the test needs answers of at least three annotators")
    judged: list[int] = []
    p_values, model_wins, human_wins = [], [], []
    for column in np.flatnonzero(given.any(axis=0)):
        others = given.copy()
        others[:, column] = False
        rows = np.flatnonzero(given[:, column] & others.any(axis=1))
        if len(rows) < FEWEST_ITEMS:
            continue
        count = others[rows].sum(axis=1)
        of_model = ((wide[rows] == guess[rows, None]) & others[rows]).sum(axis=1) / count
        of_human = ((wide[rows] == wide[rows, column][:, None]) & others[rows]).sum(axis=1) / count
        wins, losses = (of_model >= of_human).astype(float), (of_human >= of_model).astype(float)
        judged.append(int(column))
        p_values.append(_p_value(losses - wins, epsilon))
        model_wins.append(wins.mean())
        human_wins.append(losses.mean())
    if not judged:
        raise Invalid(f"no annotator shares {FEWEST_ITEMS} items with others", hint="Have more items answered twice.")
    won = benjamini_yekutieli(np.array(p_values), q)
    rate = float(won.mean())
    verdict = "may replace" if rate >= 0.5 else "may not replace"
    return AltTest(
        rate >= 0.5,
        rate,
        float(np.mean(model_wins)),
        tuple(judged),
        np.array(p_values),
        won,
        np.array(model_wins),
        np.array(human_wins),
        epsilon,
        f"the model wins against {int(won.sum())} of {len(judged)} annotators: it {verdict} one (ε = {epsilon:g})",
    )


def _p_value(difference: Floats, epsilon: float) -> float:
    """One-sided t-test of mean(difference) < epsilon."""
    from scipy.stats import ttest_1samp

    if np.ptp(difference) == 0:  # no spread, so no t statistic: the answer is certain either way
        return 0.0 if difference[0] < epsilon else 1.0
    return float(ttest_1samp(difference, epsilon, alternative="less").pvalue)


def benjamini_yekutieli(p_values: Floats, q: float) -> Bools:
    """Which hypotheses (m,) are rejected with a false discovery rate of at most ``q``, whatever their dependence."""
    m = len(p_values)
    order = np.argsort(p_values, kind="stable")
    limits = np.arange(1, m + 1) / m * q / np.sum(1.0 / np.arange(1, m + 1))
    below = np.flatnonzero(p_values[order] <= limits)
    rejected = np.zeros(m, dtype=bool)
    if len(below):
        rejected[order[: below[-1] + 1]] = True
    return rejected
