"""Auto-accept with a licence: which drafts may skip the human, and what is promised about them.

Two steps, so that one sample never both chooses and proves:

1. :func:`plan_region` looks only at the drafts' calibrated probabilities. It finds the most confident region that an
   audit of the given size is likely to certify, perhaps with a safer one nested inside, and draws **all** audit items
   at random inside it.
2. :func:`test_region` takes the audit's outcomes and tests each region once, the safest first and each at the full
   level δ, stopping at the first that fails (fixed-sequence testing, which needs no correction; Maurer, Hothorn &
   Lehmacher 1995; as in Angelopoulos, Bates, Candès, Jordan & Lei, *Learn then test*, 2021). The test is the exact
   binomial bound of Clopper & Pearson (1934).

Then, with probability at least 1 − δ over the draw of the audit, the error of what was accepted is at most α. The
probabilities only steer the plan: were they wrong, the audit would fail, not the promise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from learning.checks import Bools, Floats, Ints, check_count, check_labels, check_share, check_unit
from schemas.errors import Invalid

TRUST = 0.5
"""How far the true error may stray from the predicted one: standard deviation of the logarithm of their ratio."""
TRUST_ACTIVE = 0.9
"""The same for a model trained on actively chosen labels: cross-validation on hard items makes it too careful."""
SIZES = 60
"""Regions of so many sizes are considered."""
ASSUMED = (
    "the audit items were drawn at random inside the region and labelled without sight of the draft",
    "the auditors' labels are right",
    "later items come from the same source as those the region was planned on",
)


@dataclass(frozen=True)
class Region:
    """The drafts with a confidence of at least ``threshold``: ``size`` of them, wrong in ``predicted_error``."""

    threshold: float
    size: int
    predicted_error: float


@dataclass(frozen=True)
class Plan:
    """What to audit, and which regions the audit will decide about."""

    alpha: float
    delta: float
    regions: tuple[Region, ...]
    """Nested, the safest first; empty when no region has a chance."""
    audit: Ints
    """Indices of the drafts to have labelled, drawn uniformly from the outermost region."""
    confidence: Floats
    """(n,) as given; the thresholds speak about these."""
    expected_coverage: float
    """Share of the drafts that is expected to be licensed, failures counted as none."""
    finite: bool
    reason: str
    """In words: what was planned, or why nothing was."""


@dataclass(frozen=True)
class Licence:
    """What may be accepted, and what is promised: with probability 1 − ``delta``, at most ``alpha`` of it is wrong."""

    alpha: float
    delta: float
    coverage: float
    """Share of all drafts that may be accepted; 0 when nothing was licensed."""
    bound: float
    """Upper confidence bound of the error: of the licensed region, else of the region that failed."""
    audit_size: int
    """Audited items inside the region that ``bound`` speaks about."""
    audit_errors: int
    accepted: Ints
    """Indices of the accepted drafts, those audited among them (their labels are a person's by now)."""
    threshold: float
    """Accept a draft with at least this confidence; above 1 when nothing was licensed."""
    method: str
    reason: str
    assumptions: tuple[str, ...] = ASSUMED

    @property
    def granted(self) -> bool:
        """Whether anything may be accepted."""
        return len(self.accepted) > 0


def upper_bound(errors: int, audited: int, delta: float) -> float:
    """Clopper and Pearson's upper bound of an error rate, at confidence 1 − ``delta``; 1 without any audit."""
    from scipy.stats import beta

    if not 0 <= errors <= audited:
        raise Invalid(f"{errors} errors among {audited} audited items")
    check_share(delta, "delta")
    return 1.0 if errors == audited else float(beta.ppf(1.0 - delta, errors + 1, audited - errors))


def upper_bound_finite(errors: int, audited: int, size: int, delta: float) -> float:
    """Upper bound of the error among the ``size − audited`` items of a region that were not audited.

    Exact for an audit without replacement from a finite region (hypergeometric; Buonaccorsi 1987). Tighter than
    Clopper–Pearson when the audit is a good part of the region, and silent about items that are not in it.
    """
    from scipy.stats import hypergeom

    if not 0 <= errors <= audited <= size:
        raise Invalid(f"{errors} errors among {audited} audited of {size} items")
    check_share(delta, "delta")
    if audited == size:
        return 0.0
    low, high = errors, size - (audited - errors)  # the errors in the region that are still possible
    while low < high:
        middle = (low + high + 1) // 2
        if hypergeom.cdf(errors, size, middle, audited) > delta:
            low = middle
        else:
            high = middle - 1
    return (low - errors) / (size - audited)


def plan_region(
    confidence: ArrayLike,
    *,
    alpha: float,
    audit_size: int,
    rng: Generator,
    delta: float = 0.05,
    trust: float = TRUST,
    finite: bool = False,
) -> Plan:
    """Find the region worth auditing, from the drafts' probabilities of being right, and draw the audit in it.

    ``confidence`` (n,): calibrated on labels that are not used again for the audit (cross-validation on the training
    labels will do). ``audit_size``: how many items people will label. ``trust``: see :data:`TRUST`; use
    :data:`TRUST_ACTIVE` after active learning. ``finite``: license only these n drafts, not later ones like them.

    The region maximises the expected coverage: size × probability of passing, over the predicted error and its doubt.
    """
    check_share(alpha, "alpha")
    check_share(delta, "delta")
    audit_size = check_count(audit_size, "the audit's size")
    values = check_unit(confidence)
    ranked = np.sort(values)[::-1]
    candidates = _candidates(ranked, audit_size)
    chosen, expected = _best_nest(candidates, audit_size, alpha, delta, trust, finite)
    if not chosen:
        reason = _why_nothing(len(values), audit_size, alpha, delta)
        return Plan(alpha, delta, (), np.zeros(0, np.int64), values, 0.0, finite, reason)
    share = expected / len(values)
    widest = chosen[-1]
    reason = (
        f"auditing {min(audit_size, widest.size)} of the {widest.size} drafts with a confidence of "
        f"{widest.threshold:.3f} or more, predicted to be wrong in {widest.predicted_error:.1%}; "
        f"expected coverage {share:.0%}"
    )
    plan = Plan(alpha, delta, tuple(chosen), np.zeros(0, np.int64), values, share, finite, reason)
    return replace(plan, audit=draw_audit(plan, audit_size, rng))


def draw_audit(plan: Plan, audit_size: int, rng: Generator) -> Ints:
    """Indices of ``audit_size`` drafts, drawn uniformly from the plan's outermost region, in random order."""
    if not plan.regions:
        return np.zeros(0, np.int64)
    inside = np.flatnonzero(plan.confidence >= plan.regions[-1].threshold)
    return rng.permutation(rng.choice(inside, min(audit_size, len(inside)), replace=False))


def test_region(plan: Plan, correct: ArrayLike) -> Licence:
    """Decide about the planned regions from the audit: ``correct`` (m,) says for each of ``plan.audit`` whether the
    draft was right. Fewer outcomes than planned are fine if they are the first ones: the order is random.
    """
    outcomes = np.asarray(correct)
    if outcomes.ndim != 1 or len(outcomes) > len(plan.audit):
        raise Invalid(f"{outcomes.shape} outcomes for an audit of {len(plan.audit)} items")
    if outcomes.dtype != bool and not np.isin(outcomes, (0, 1)).all():
        raise Invalid("every outcome of an audit is right or wrong: 1 or 0")
    right: Bools = outcomes.astype(bool)
    audited = plan.confidence[plan.audit[: len(right)]]
    method = "hypergeometric" if plan.finite else "clopper-pearson"
    licensed: Region | None = None
    bound, inside_count, errors = 1.0, 0, 0
    for region in plan.regions:
        inside = audited >= region.threshold
        count, wrong = int(inside.sum()), int((~right[inside]).sum())
        upper = _bound(wrong, count, region.size, plan.delta, plan.finite)
        if upper > plan.alpha:
            if licensed is None:
                bound, inside_count, errors = upper, count, wrong
            break
        licensed, bound, inside_count, errors = region, upper, count, wrong
    n = len(plan.confidence)
    if licensed is None:
        reason = plan.reason if not plan.regions else (
            f"{errors} of {inside_count} audited drafts were wrong: the error may be as high as {bound:.1%}, "
            f"above the target of {plan.alpha:.1%}"
        )  # fmt: skip
        nothing = np.zeros(0, np.int64)
        return Licence(plan.alpha, plan.delta, 0.0, bound, inside_count, errors, nothing, np.inf, method, reason)
    threshold = licensed.threshold
    accepted = np.flatnonzero(plan.confidence >= threshold)
    reason = (
        f"{errors} of {inside_count} audited drafts were wrong: with {1 - plan.delta:.0%} confidence at most "
        f"{bound:.1%} of the {len(accepted)} accepted are"
    )
    share = len(accepted) / n
    return Licence(plan.alpha, plan.delta, share, bound, inside_count, errors, accepted, threshold, method, reason)


def plan_by_class(
    confidence: ArrayLike,
    predicted: ArrayLike,
    classes: int,
    *,
    alpha: float,
    audit_size: int,
    rng: Generator,
    delta: float = 0.05,
    trust: float = TRUST,
    finite: bool = False,
) -> dict[int, Plan]:
    """A plan for each predicted class that the audit can carry, so that the promise holds *in every class* licensed.

    Audit and δ are shared evenly among the classes tried (Bonferroni), which are as many as make the expected coverage
    largest. Indices in the plans' ``audit`` point into the arrays given here; each plan's ``confidence`` is −1 outside
    its class. Classes that are missing cannot be licensed with this audit.
    """
    values = check_unit(confidence)
    labels = check_labels(predicted, classes, len(values), "predicted classes")
    check_share(delta, "delta")
    audit_size = check_count(audit_size, "the audit's size")

    def draft(label: int, tried: int) -> Plan:
        rows = np.flatnonzero(labels == label)
        plan = plan_region(
            values[rows],
            alpha=alpha,
            audit_size=audit_size // tried,
            rng=rng,
            delta=delta / tried,
            trust=trust,
            finite=finite,
        )
        spread = np.full(len(values), -1.0)
        spread[rows] = values[rows]
        share = plan.expected_coverage * len(rows) / len(values)
        return Plan(alpha, plan.delta, plan.regions, rows[plan.audit], spread, share, finite, plan.reason)

    present = np.unique(labels)
    best: dict[int, Plan] = {}
    for tried in sorted({1, 2, 3, 5, 8, max(len(present), 1)}):
        if tried > len(present) or audit_size // tried < 1:
            continue
        plans = {int(label): draft(int(label), tried) for label in present}
        kept = sorted(plans, key=lambda label: -plans[label].expected_coverage)[:tried]
        found = {label: plans[label] for label in kept if plans[label].regions}
        if _total(found) > _total(best):
            best = found
    return best


def _total(plans: dict[int, Plan]) -> float:
    return sum(plan.expected_coverage for plan in plans.values())


def _bound(errors: int, audited: int, size: int, delta: float, finite: bool) -> float:
    if audited == 0:
        return 1.0
    return upper_bound_finite(errors, audited, size, delta) if finite else upper_bound(errors, audited, delta)


def _candidates(ranked: Floats, audit_size: int) -> list[Region]:
    """Nested regions of about evenly spaced sizes, ties of confidence never split."""
    n = len(ranked)
    if n == 0 or audit_size == 0:
        return []
    sums = np.cumsum(1.0 - ranked)
    found: dict[int, Region] = {}
    for place in np.unique(np.linspace(1, n, min(n, SIZES)).astype(int)):
        threshold = float(ranked[place - 1])
        size = int(np.searchsorted(-ranked, -threshold, side="right"))
        found[size] = Region(threshold, size, float(sums[size - 1] / size))
    return [found[size] for size in sorted(found)]


def _best_nest(
    candidates: list[Region], audit_size: int, alpha: float, delta: float, trust: float, finite: bool
) -> tuple[list[Region], float]:
    """The one region, or the pair of nested ones, with the largest expected number of accepted drafts."""
    from scipy.stats import binom

    # Nine quantiles of a log-normal stand for the doubt about the predicted error.
    ratio = np.exp(trust * np.array([-1.59, -0.97, -0.59, -0.28, 0.0, 0.28, 0.59, 0.97, 1.59]))
    best, expected = [], 0.0

    @cache
    def allowed(audited: int, size: int) -> int:
        return _errors_allowed(audited, size, alpha, delta, finite)

    for outer in candidates:
        drawn = min(audit_size, outer.size)
        limit = allowed(drawn, outer.size if finite else 0)
        if limit < 0:
            continue
        rate = np.minimum(ratio * outer.predicted_error, 1.0)
        alone = float(binom.cdf(limit, drawn, rate).mean()) * outer.size
        if alone > expected:
            best, expected = [outer], alone
        if alone < 0.3 * expected:
            continue
        for inner in candidates:
            if not 0.3 * outer.size < inner.size < 0.95 * outer.size:
                continue
            some = round(drawn * inner.size / outer.size)
            first = allowed(some, inner.size if finite else 0)
            if first < 0:
                continue
            mass = outer.predicted_error * outer.size - inner.predicted_error * inner.size
            beyond = np.minimum(ratio * mass / (outer.size - inner.size), 1.0)
            within = np.minimum(ratio * inner.predicted_error, 1.0)
            seen = np.arange(first + 1)
            chance = binom.pmf(seen[:, None], some, within)
            both = (chance * binom.cdf(limit - seen[:, None], drawn - some, beyond)).sum(axis=0)
            gain = float((chance.sum(axis=0) * inner.size + both * (outer.size - inner.size)).mean())
            if gain > expected:
                best, expected = [inner, outer], gain
    return best, expected


def _errors_allowed(audited: int, size: int, alpha: float, delta: float, finite: bool) -> int:
    """The most errors with which an audit still passes; −1 when even none would not do."""
    low, high = -1, audited
    while low < high:
        middle = (low + high + 1) // 2
        if _bound(middle, audited, size, delta, finite) <= alpha:
            low = middle
        else:
            high = middle - 1
    return low


def _why_nothing(n: int, audit_size: int, alpha: float, delta: float) -> str:
    if n == 0:
        return "there are no drafts"
    needed = int(np.ceil(np.log(delta) / np.log1p(-alpha)))
    if audit_size < needed:
        return f"an audit of {audit_size} cannot show an error below {alpha:.1%}: {needed} labels are the least"
    return f"no part of the drafts is confident enough for an audit of {audit_size} to show an error below {alpha:.1%}"
