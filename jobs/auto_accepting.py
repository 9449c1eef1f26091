"""Licences to skip the human: plan an audit, let people answer it, test it once, go on watching.

The statistics are learning/auto_accept.py and learning/sequential.py. What is promised here holds for the very drafts
that the audit was drawn from: they are kept with the plan, and neither a newer student nor a newer import changes them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from jobs.context import context
from schemas.errors import Invalid, LabelCrewError, error_of
from schemas.labelsets import Labelset
from store.rpc import Rpc

if TYPE_CHECKING:
    from learning.auto_accept import Licence, Plan

log = structlog.get_logger("licences")

SLOW_S = 150.0
"""Seconds that a call over all drafts of a large dataset may take."""


@dataclass(frozen=True)
class AuditOrder:
    """What is to be promised: at most ``alpha`` wrong with confidence 1 − ``delta``, after ``audit_size`` answers."""

    alpha: float = 0.05
    delta: float = 0.05
    audit_size: int = 200
    audit_share: float = 0.02
    """Of what is accepted, this share stays with people, to notice when the promise breaks."""
    by_class: bool = False
    model: str | None = None


async def plan_audit(rpc: Rpc, actor: str, dataset: str, job_id: str, order: AuditOrder) -> list[dict[str, Any]]:
    """Find the drafts worth auditing and put the audit at the head of the queue: the licences as stored, one a class
    if asked for. One that is refused at once says why. Raises ``no-labelset``, ``no-training-data`` without drafts, and
    ``conflict`` while another audit is open.
    """
    found = await rpc.call("get_dataset", actor=actor, dataset=dataset)
    if found["labelset"] is None:
        raise error_of("no-labelset")
    labelset = Labelset.model_validate(found["labelset"])
    if order.by_class and (labelset.kind != "classification" or labelset.multi):
        raise Invalid("licences by class need a labelset of which exactly one class applies to an item")
    drafts = await rpc.call(
        "list_accept_candidates", actor=actor, dataset=dataset, model=order.model, timeout=SLOW_S
    )  # fmt: skip
    if not drafts["seqs"]:
        raise error_of("no-training-data", _no_drafts(order), hint="Order a prelabel job first.")
    student = await rpc.call("get_student", dataset=dataset) if (drafts["model"] or "").startswith("local/") else None
    actively = bool(student and student["trained_on"]) and found["settings"].get("queue_order") != "arrival"
    plans = await asyncio.to_thread(_plan, drafts, labelset, order, actively)
    made = []
    for part, (classes, plan) in enumerate(plans):
        inside = _outermost(plan)
        licence = await rpc.call(
            "create_licence",
            actor=actor, dataset=dataset, job=job_id, part=part, timeout=SLOW_S,
            plan={
                "model": drafts["model"], "labelset_version": drafts["labelset_version"],
                "student_version": student["version"] if student else None, "classes": classes,
                "alpha": plan.alpha, "delta": plan.delta, "finite": plan.finite, "audit_share": order.audit_share,
                "candidates": len(drafts["seqs"]), "expected_coverage": plan.expected_coverage, "reason": plan.reason,
                "regions": [
                    {"threshold": r.threshold, "size": r.size, "predicted_error": r.predicted_error}
                    for r in plan.regions
                ],
            },
            seqs=[drafts["seqs"][i] for i in inside],
            predictions=[drafts["predictions"][i] for i in inside],
            confidences=[float(plan.confidence[i]) for i in inside],
            audit=[drafts["seqs"][i] for i in plan.audit],
        )  # fmt: skip
        made.append(licence)
    return made


async def open_audits(rpc: Rpc, actor: str, dataset: str, job_id: str) -> list[dict[str, Any]]:
    """Licences whose audit is under way, those of this very job left out."""
    licences = await rpc.call("list_licences", actor=actor, dataset=dataset)
    return [one for one in licences if one["state"] == "auditing" and one["job_id"] != job_id]


async def decide_audit(rpc: Rpc, actor: str, licence: str) -> dict[str, Any]:
    """Test the audit by what is answered, in the order drawn, and grant the licence or refuse it; the licence.

    A test is made once: who decides early gives up the answers that were still to come.
    """
    audit = await rpc.call("find_audit", licence=licence, timeout=SLOW_S)
    if audit["licence"]["state"] != "auditing":
        stored: dict[str, Any] = audit["licence"]
        return stored
    verdict = await asyncio.to_thread(_test, audit)
    decided: dict[str, Any] = await rpc.call(
        "decide_licence", actor=actor, licence=licence, verdict=verdict, timeout=SLOW_S
    )
    log.info("licence_decided", licence=licence, state=decided["state"], accepted=decided["accepted"])
    return decided


async def watch_licence(rpc: Rpc, actor: str, licence: str) -> dict[str, Any]:
    """Look at the audit that goes on after a grant, and revoke the licence when its promise is no longer credible."""
    audit = await rpc.call("find_audit", licence=licence, timeout=SLOW_S)
    if audit["licence"]["state"] != "granted":
        return {"state": audit["licence"]["state"]}
    from learning.sequential import monitor_licence

    wrong = [not row["right"] for row in audit["watch"]]
    found = monitor_licence(wrong, alpha=audit["licence"]["alpha"], delta=audit["licence"]["delta"])
    watch = {
        "tested": len(wrong), "errors": found.errors, "evidence": round(found.evidence, 4),
        "threshold": found.threshold, "reason": found.reason,
    }  # fmt: skip
    if found.revoked:
        revoked: dict[str, Any] = await rpc.call(
            "revoke_licence", actor=actor, licence=licence, reason=found.reason, watch=watch, timeout=SLOW_S
        )
        log.warning("licence_revoked", licence=licence, reason=found.reason)
        return revoked
    await rpc.call("save_watch", licence=licence, watch=watch)
    return {**audit["licence"], "watch_test": watch}


async def review_licences() -> None:
    """Decide every audit that people have completed, and watch every licence about which they said something new."""
    ctx = context()
    for row in await ctx.rpc.call("list_ripe_licences"):
        try:
            review = decide_audit if row["state"] == "auditing" else watch_licence
            await review(ctx.rpc, row["actor"], row["licence"])
        except LabelCrewError as error:
            log.warning("licence_not_reviewed", licence=row["licence"], code=error.code, detail=error.detail)


def missing_in_words(licences: Sequence[Mapping[str, Any]]) -> str:
    """How far open audits are."""
    drawn = sum(one["audit"]["drawn"] for one in licences)
    answered = sum(one["audit"]["answered"] for one in licences)
    return f"{answered} of {drawn} audit items are answered; {drawn - answered} are to go"


def _plan(
    drafts: dict[str, Any], labelset: Labelset, order: AuditOrder, actively: bool
) -> list[tuple[list[str] | None, Plan]]:
    """Plans with the classes each holds for. Heavy: runs in a thread."""
    from learning.auto_accept import TRUST, TRUST_ACTIVE, plan_by_class, plan_region

    confidence = np.array(drafts["probabilities"], dtype=np.float64)
    trust = TRUST_ACTIVE if actively else TRUST
    rng = np.random.default_rng()
    if order.by_class:
        place = {key: number for number, key in enumerate(labelset.keys)}
        known = np.array([label in place for label in drafts["labels"]])
        rows = np.flatnonzero(known)
        predicted = np.array([place[drafts["labels"][i]] for i in rows], dtype=np.int64)
        plans = plan_by_class(
            confidence[rows], predicted, len(place), alpha=order.alpha, delta=order.delta,
            audit_size=order.audit_size, rng=rng, trust=trust, finite=True,
        )  # fmt: skip
        worth = {label: plan for label, plan in plans.items() if _worth_it(plan).regions}
        if worth:
            return [([labelset.keys[c]], _over(worth[c], rows, len(confidence))) for c in sorted(worth)]
    plan = plan_region(
        confidence, alpha=order.alpha, delta=order.delta, audit_size=order.audit_size, rng=rng, trust=trust, finite=True
    )
    return [(None, _worth_it(plan))]


def _worth_it(plan: Plan) -> Plan:
    """The plan, unless the audit would leave nothing of its region to accept."""
    from dataclasses import replace

    if not plan.regions or plan.regions[-1].size > len(plan.audit):
        return plan
    reason = f"an audit of {len(plan.audit)} would look at every draft that it could show to be right"
    return replace(plan, regions=(), audit=plan.audit[:0], reason=reason)


def _over(plan: Plan, rows: Any, n: int) -> Plan:
    """The plan with indices into all ``n`` drafts instead of the ``rows`` it was made for."""
    from dataclasses import replace

    confidence = np.full(n, -1.0)
    confidence[rows] = plan.confidence
    return replace(plan, audit=np.asarray(rows)[plan.audit], confidence=confidence)


def _outermost(plan: Plan) -> list[int]:
    if not plan.regions:
        return []
    return [int(i) for i in np.flatnonzero(plan.confidence >= plan.regions[-1].threshold)]


def _test(audit: dict[str, Any]) -> dict[str, Any]:
    """The verdict on an audit, from the outcomes up to the first that is missing."""
    from learning.auto_accept import Plan, Region, test_region

    licence = audit["licence"]
    outcomes: list[bool] = []
    for row in audit["first"]:
        if row["right"] is None:
            break
        outcomes.append(row["right"])
    confidence = np.array([row["confidence"] for row in audit["first"]] + audit["confidences"], dtype=np.float64)
    plan = Plan(
        alpha=licence["alpha"], delta=licence["delta"],
        regions=tuple(Region(r["threshold"], r["size"], r["predicted_error"]) for r in licence["regions"]),
        audit=np.arange(len(audit["first"])), confidence=confidence, expected_coverage=licence["expected_coverage"],
        finite=licence["finite"], reason=licence["reason"],
    )  # fmt: skip
    tested = test_region(plan, np.array(outcomes, dtype=bool))
    return _verdict(tested, licence["candidates"])


def _verdict(tested: Licence, candidates: int) -> dict[str, Any]:
    return {
        "granted": tested.granted,
        "threshold": float(tested.threshold) if tested.granted else None,
        "coverage": len(tested.accepted) / candidates if candidates else 0.0,
        "bound": float(tested.bound),
        "audit_size": tested.audit_size,
        "audit_errors": tested.audit_errors,
        "method": tested.method,
        "reason": tested.reason,
    }


def _no_drafts(order: AuditOrder) -> str:
    whose = f" of {order.model}" if order.model else ""
    return f"there is no draft{whose} by the newest labelset that nobody has answered"
