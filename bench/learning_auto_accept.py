"""The licence to skip a human: how much may be accepted, and how often the promise is broken.

Students are trained on Banking77 and draft the rest of its training items; audits are drawn again and again. A promise
(at most α of what is accepted is wrong) is broken when the accepted drafts hold more errors than α; that may happen in
δ = 5 % of the draws. Beside the plan: one region planned at power .9, learn-then-test on raw confidence, and the two
usual mistakes, a threshold picked and trusted on one audit sample, and the same with an uncorrected confidence bound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from bench.learning_active import BATCH
from bench.learning_sets import TextSet, load
from bench.tables import Table
from learning import auto_accept
from learning.arrays import one_thread
from learning.auto_accept import TRUST, TRUST_ACTIVE, draw_audit, plan_region, upper_bound
from learning.checks import Bools, Floats, Ints
from learning.strategies import Pool, pick
from learning.student import Student

DELTA = 0.05


@dataclass(frozen=True)
class Drafts:
    """What a student says about the items it was not trained on: probability (n,), raw confidence (n,), right (n,)."""

    probability: Floats
    raw: Floats
    right: Bools


def draft(data: TextSet, labelled: Ints) -> Drafts:
    """Train on ``labelled`` and draft the rest."""
    rest = np.setdiff1d(np.arange(len(data.y)), labelled)
    student = Student.fit(
        data.train[labelled], data.y[labelled], data.classes, class_vectors=data.names, pool=data.train
    )
    proba = student.predict_proba(data.train[rest])
    guess = proba.argmax(axis=1)
    raw = student.confidence(data.train[rest])[np.arange(len(rest)), guess]
    return Drafts(proba.max(axis=1), raw, guess == data.y[rest])


def few_shot(data: TextSet, rng: Generator) -> Ints:
    """Eight labels of each class."""
    return np.concatenate([rng.permutation(np.flatnonzero(data.y == c))[:8] for c in range(data.k)])


def many(data: TextSet, rng: Generator) -> Ints:
    """4,000 labels at random: a model that is right in 91 of 100."""
    return rng.permutation(len(data.y))[:4000]


def active(data: TextSet, rng: Generator) -> Ints:
    """616 labels chosen by the default strategy."""
    labelled = np.zeros(0, np.int64)
    while len(labelled) < 8 * data.k:
        student = Student.fit(
            data.train[labelled], data.y[labelled], data.classes, class_vectors=data.names, pool=data.train
        )
        pool = Pool(data.train, student.predict_proba(data.train), labelled)
        labelled = np.concatenate([labelled, pick("adaptive", pool, min(BATCH, 8 * data.k - len(labelled)), rng)])
    return labelled


Arm = Callable[[Drafts, float, int, Generator], Ints]


def planned(trust: float) -> Arm:
    """The product's own way. The plan depends on the drafts alone, so it is made once for all draws of the audit."""
    plans: dict[tuple[int, float, int], auto_accept.Plan] = {}

    def arm(drafts: Drafts, alpha: float, audit: int, rng: Generator) -> Ints:
        key = (id(drafts), alpha, audit)
        if key not in plans:
            plans[key] = plan_region(drafts.probability, alpha=alpha, audit_size=audit, rng=rng, trust=trust)
        plan = replace(plans[key], audit=draw_audit(plans[key], audit, rng))
        return auto_accept.test_region(plan, drafts.right[plan.audit]).accepted

    return arm


def one_region(drafts: Drafts, alpha: float, audit: int, rng: Generator) -> Ints:
    """The largest region whose predicted error passes with power .9; all audit labels inside; one test."""
    from scipy.stats import binom

    order = np.argsort(-drafts.probability)
    predicted = np.cumsum(1 - drafts.probability[order]) / np.arange(1, len(order) + 1)
    allowed = max((k for k in range(audit) if upper_bound(k, audit, DELTA) <= alpha), default=-1)
    passing = np.flatnonzero(binom.cdf(allowed, audit, predicted) >= 0.9) if allowed >= 0 else np.zeros(0)
    if not len(passing) or passing[-1] < audit:
        return np.zeros(0, np.int64)
    region = order[: int(passing[-1]) + 1]
    wrong = int((~drafts.right[rng.choice(region, audit, replace=False)]).sum())
    return region if wrong <= allowed else np.zeros(0, np.int64)


def on_one_sample(accept: Callable[[Floats, Ints], int]) -> Arm:
    """Audit a random sample of everything, rank it by raw confidence, and let ``accept`` choose how deep to go."""

    def arm(drafts: Drafts, alpha: float, audit: int, rng: Generator) -> Ints:
        sample = rng.choice(len(drafts.raw), audit, replace=False)
        sample = sample[np.argsort(-drafts.raw[sample])]
        wrong = np.cumsum(~drafts.right[sample])
        depth = accept(np.full(1, alpha), wrong)
        return np.flatnonzero(drafts.raw >= drafts.raw[sample[depth - 1]]) if depth else np.zeros(0, np.int64)

    return arm


def _naive(alpha: Floats, wrong: Ints) -> int:
    passing = np.flatnonzero(wrong / np.arange(1, len(wrong) + 1) <= alpha[0])
    return int(passing[-1]) + 1 if len(passing) else 0


def _uncorrected(alpha: Floats, wrong: Ints) -> int:
    return max((d for d in range(1, len(wrong) + 1) if upper_bound(int(wrong[d - 1]), d, DELTA) <= alpha[0]), default=0)


def _learn_then_test(alpha: Floats, wrong: Ints) -> int:
    # Fixed-sequence testing from the most confident threshold that could pass at all downwards.
    start = next((d for d in range(1, len(wrong) + 1) if upper_bound(0, d, DELTA) <= alpha[0]), len(wrong) + 1)
    deepest = 0
    for depth in range(start, len(wrong) + 1, max(1, len(wrong) // 50)):
        if upper_bound(int(wrong[depth - 1]), depth, DELTA) > alpha[0]:
            break
        deepest = depth
    return deepest


def run(quick: bool) -> list[Table]:
    """Coverage and broken promises at α = 5 % and 2 %, for three students."""
    data = load("banking77")
    students: dict[str, tuple[Callable[[TextSet, Generator], Ints], int, float]] = {
        "8 labels a class": (few_shot, 8, TRUST),
        "4,000 labels": (many, 4, TRUST),
        "616 actively chosen": (active, 2, TRUST_ACTIVE),
    }
    tables = []
    draws = 20 if quick else 200
    for name, (choose, trained, trust) in students.items():
        if quick and choose is not few_shot:
            continue
        with one_thread():
            seeds = range(1 if quick else trained)
            sets = [draft(data, choose(data, np.random.default_rng(seed))) for seed in seeds]
        accuracy = float(np.mean([s.right.mean() for s in sets]))
        cases = [(alpha, audit) for alpha in (0.05, 0.02) for audit in (200, 500)]
        columns = [f"α={alpha:.0%}, audit {audit}: {what}" for alpha, audit in cases for what in ("coverage", "broken")]
        title = f"Auto-accept, Banking77, student of {name} (accuracy {accuracy:.3f}), {draws} draws"
        table = Table(title, ["way", *columns])
        arms: dict[str, Arm] = {
            "planned regions, tested in order": planned(trust),
            "one region at power .9": one_region,
            "learn-then-test, raw confidence": on_one_sample(_learn_then_test),
            "uncorrected bound, same sample": on_one_sample(_uncorrected),
            "threshold on the same sample": on_one_sample(_naive),
        }
        for way, arm in arms.items():
            table.rows.append([way, *(cell for case in cases for cell in trial(arm, sets, *case, draws))])
        tables.append(table)
    return tables


def trial(arm: Arm, sets: list[Drafts], alpha: float, audit: int, draws: int) -> tuple[float, float]:
    """Mean coverage, and the share of draws in which more than ``alpha`` of the accepted drafts are wrong."""
    coverage, broken = [], []
    for draw in range(draws):
        drafts = sets[draw % len(sets)]
        accepted = arm(drafts, alpha, audit, np.random.default_rng(draw))
        coverage.append(len(accepted) / len(drafts.right))
        broken.append(len(accepted) > 0 and (~drafts.right[accepted]).mean() > alpha)
    return float(np.mean(coverage)), float(np.mean(broken))
