"""Licences: the bounds by hand, the promise over many draws, and what cannot be promised."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, hypergeom

from learning.auto_accept import (
    draw_audit,
    plan_by_class,
    plan_region,
    upper_bound,
    upper_bound_finite,
)
from learning.auto_accept import test_region as decide
from schemas.errors import Invalid
from tests.support.shared_data import shared_data, shared_rows

ALPHA, DELTA = 0.05, 0.05


def drafts(n: int = 4000, seed: int = 0, bend: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Confidences (n,), and whether each draft is right; with ``bend`` above 1 they claim too much."""
    rng = np.random.default_rng(seed)
    chance = rng.beta(4, 0.8, size=n)
    return np.asarray(chance ** (1 / bend)), np.asarray(rng.random(n) < chance)


class TestBounds:
    @settings(deadline=None)
    @given(st.integers(1, 400), st.floats(0, 1), st.sampled_from([0.01, 0.05, 0.2]))
    def test_clopper_pearson_is_where_the_chance_of_so_few_errors_is_delta(
        self, audited: int, share: float, delta: float
    ) -> None:
        errors = int(share * audited)
        bound = upper_bound(errors, audited, delta)
        if errors == audited:
            assert bound == 1.0
        else:
            assert binom.cdf(errors, audited, bound) == pytest.approx(delta, abs=1e-6)

    def test_no_audit_promises_nothing(self) -> None:
        assert upper_bound(0, 0, 0.05) == 1.0

    def test_rule_of_three(self) -> None:
        assert upper_bound(0, 300, 0.05) == pytest.approx(3 / 300, rel=0.01)

    @settings(deadline=None, max_examples=60)
    @given(st.integers(1, 80), st.integers(0, 200), st.floats(0, 1))
    def test_finite_bound_holds_every_error_that_is_still_credible(self, audited: int, rest: int, share: float) -> None:
        errors, size = int(share * audited), audited + rest
        bound = upper_bound_finite(errors, audited, size, 0.05)
        assert 0.0 <= bound <= 1.0
        for left in range(rest + 1):
            if hypergeom.cdf(errors, size, errors + left, audited) > 0.05:
                assert left <= round(bound * rest)

    def test_whole_region_audited_leaves_nothing_to_doubt(self) -> None:
        assert upper_bound_finite(3, 50, 50, 0.05) == 0.0

    def test_more_errors_than_audited_is_refused(self) -> None:
        with pytest.raises(Invalid):
            upper_bound(3, 2, 0.05)
        with pytest.raises(Invalid):
            upper_bound_finite(1, 3, 2, 0.05)


class TestPlan:
    def test_audit_is_drawn_inside_the_widest_region_and_regions_are_nested(self) -> None:
        confidence, _ = drafts()
        plan = plan_region(confidence, alpha=ALPHA, audit_size=300, rng=np.random.default_rng(0))
        assert len(plan.audit) == len(set(plan.audit.tolist())) == 300
        assert confidence[plan.audit].min() >= plan.regions[-1].threshold
        assert [r.size for r in plan.regions] == sorted(r.size for r in plan.regions)
        assert plan.regions[-1].size == int((confidence >= plan.regions[-1].threshold).sum())

    def test_more_audit_covers_more(self) -> None:
        confidence, _ = drafts()
        shares = [
            plan_region(confidence, alpha=ALPHA, audit_size=n, rng=np.random.default_rng(0)).expected_coverage
            for n in (60, 150, 400, 1000)
        ]
        assert shares == sorted(shares)
        assert shares[0] < shares[-1]

    @pytest.mark.parametrize("confidence", [np.zeros(0), np.full(100, 0.2)])
    def test_drafts_that_no_audit_could_clear_get_a_reason(self, confidence: np.ndarray) -> None:
        plan = plan_region(confidence, alpha=ALPHA, audit_size=50, rng=np.random.default_rng(0))
        licence = decide(plan, [])
        assert (plan.regions, len(plan.audit), licence.granted) == ((), 0, False)
        assert plan.reason == licence.reason != ""

    def test_ties_of_confidence_are_never_split(self) -> None:
        confidence = np.repeat([0.99, 0.97, 0.5], 200)
        plan = plan_region(confidence, alpha=ALPHA, audit_size=150, rng=np.random.default_rng(0))
        assert all(region.size in (200, 400, 600) for region in plan.regions)

    def test_bad_input_is_refused(self) -> None:
        rng = np.random.default_rng(0)
        for confidence in ([np.nan, 0.5], [1.5], [[0.5]]):
            with pytest.raises(Invalid):
                plan_region(confidence, alpha=ALPHA, audit_size=5, rng=rng)
        for alpha, size in ((0.0, 5), (1.0, 5), (0.05, -1)):
            with pytest.raises(Invalid):
                plan_region([0.9, 0.9], alpha=alpha, audit_size=size, rng=rng)


class TestDecision:
    def test_clean_audit_is_licensed_and_a_bad_one_refused_with_its_figures(self) -> None:
        confidence, _ = drafts()
        plan = plan_region(confidence, alpha=ALPHA, audit_size=200, rng=np.random.default_rng(0))
        clean = decide(plan, np.ones(200))
        assert clean.granted
        assert clean.bound <= ALPHA
        assert clean.accepted.tolist() == np.flatnonzero(confidence >= clean.threshold).tolist()
        bad = decide(plan, np.arange(200) % 3 > 0)
        assert (bad.granted, bad.coverage, bad.threshold) == (False, 0.0, np.inf)
        assert bad.bound > ALPHA

    def test_first_outcomes_alone_decide_with_what_they_can_show(self) -> None:
        confidence, _ = drafts()
        plan = plan_region(confidence, alpha=ALPHA, audit_size=300, rng=np.random.default_rng(0))
        assert decide(plan, np.ones(300)).coverage >= decide(plan, np.ones(80)).coverage
        assert not decide(plan, np.ones(20)).granted

    def test_outcomes_that_are_none_are_refused(self) -> None:
        plan = plan_region(drafts()[0], alpha=ALPHA, audit_size=100, rng=np.random.default_rng(0))
        with pytest.raises(Invalid, match="right or wrong"):
            decide(plan, [0.5] * 100)
        with pytest.raises(Invalid, match="outcomes for an audit"):
            decide(plan, np.ones(101))


class TestPromise:
    @pytest.mark.parametrize("bend", [1.0, 3.0])
    def test_error_passes_alpha_in_at_most_delta_of_the_draws_even_when_confidences_lie(self, bend: float) -> None:
        """400 audits of one set of drafts: as many broken promises as the 99.9th percentile of chance at most."""
        confidence, right = drafts(6000, bend=bend)
        rng = np.random.default_rng(1)
        plan = plan_region(confidence, alpha=ALPHA, audit_size=200, rng=rng)
        broken = 0
        for _ in range(400):
            drawn = replace(plan, audit=draw_audit(plan, 200, rng))
            accepted = decide(drawn, right[drawn.audit]).accepted
            broken += bool(len(accepted) and (~right[accepted]).mean() > ALPHA)
        assert broken <= binom.ppf(0.999, 400, DELTA)

    def test_finite_licence_keeps_its_promise_about_the_items_nobody_saw(self) -> None:
        broken = 0
        for world in range(4):
            confidence, right = drafts(700, seed=world)
            rng = np.random.default_rng(world)
            plan = plan_region(confidence, alpha=ALPHA, audit_size=150, rng=rng, finite=True)
            for _ in range(50):
                drawn = replace(plan, audit=draw_audit(plan, 150, rng))
                accepted = decide(drawn, right[drawn.audit]).accepted
                unseen = np.setdiff1d(accepted, drawn.audit)
                broken += bool(len(unseen) and (~right[unseen]).mean() > ALPHA)
        assert broken <= binom.ppf(0.999, 200, DELTA)


class TestByClass:
    def test_each_class_is_promised_by_itself(self) -> None:
        confidence, right = drafts(6000)
        label = np.arange(6000) % 3
        right = right & ~((label == 2) & (np.random.default_rng(3).random(6000) < 0.5))
        plans = plan_by_class(
            np.where(label == 2, confidence * 0.5, confidence), label, 3, alpha=ALPHA, audit_size=600,
            rng=np.random.default_rng(0),
        )  # fmt: skip
        assert set(plans) == {0, 1}
        for name, plan in plans.items():
            assert (label[plan.audit] == name).all()
            licence = decide(plan, right[plan.audit])
            assert (label[licence.accepted] == name).all()

    def test_class_never_predicted_gets_no_plan_and_no_draft_none_at_all(self) -> None:
        confidence, _ = drafts(2000)
        rng = np.random.default_rng(0)
        assert 1 not in plan_by_class(confidence, np.zeros(2000, int), 2, alpha=ALPHA, audit_size=300, rng=rng)
        assert plan_by_class([], [], 2, alpha=ALPHA, audit_size=300, rng=rng) == {}


@shared_data("text/banking77")
def test_from_texts_to_licence_the_promise_holds_and_covers_a_good_part() -> None:
    """End to end on Banking77: embed, train on eight labels a class, draft the rest, plan, audit 500, accept; 200 times."""
    from learning.embedding import load_embedder
    from learning.student import Student
    from learning.zero_shot import class_vectors, words_of

    rows = shared_rows("text/banking77/train.jsonl")
    rng = np.random.default_rng(0)
    classes = sorted({row["label"] for row in rows})
    y = np.array([classes.index(row["label"]) for row in rows])
    few = np.concatenate([rng.permutation(np.flatnonzero(y == c))[:8] for c in range(len(classes))])
    rest = np.setdiff1d(np.arange(len(y)), few)[::2]
    embedder = load_embedder()
    vectors = embedder.encode([row["text"] for row in rows])
    names = class_vectors([[words_of(name)] for name in classes], embedder)
    student = Student.fit(vectors[few], y[few], classes, class_vectors=names, pool=vectors)
    proba = student.predict_proba(vectors[rest])
    right = proba.argmax(axis=1) == y[rest]
    for alpha, least in ((0.05, 0.35), (0.02, 0.05)):
        plan = plan_region(proba.max(axis=1), alpha=alpha, audit_size=500, rng=rng)
        broken, coverage = 0, []
        for _ in range(200):
            drawn = replace(plan, audit=draw_audit(plan, 500, rng))
            accepted = decide(drawn, right[drawn.audit]).accepted
            coverage.append(len(accepted) / len(rest))
            broken += bool(len(accepted) and (~right[accepted]).mean() > alpha)
        assert broken <= binom.ppf(0.999, 200, DELTA)
        assert np.mean(coverage) >= least
