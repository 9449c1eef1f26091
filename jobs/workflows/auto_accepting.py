"""The workflow behind auto-accept: plan the audit and put it before people, or say how far the open one is.

It ends when the audit stands at the head of the queue. The worker decides about the licence as soon as people have
answered it, and watches it from then on (jobs/auto_accepting.py).
"""

from __future__ import annotations

from typing import Any

from dbos import DBOS

from jobs.auto_accepting import (
    AuditOrder,
    decide_audit,
    missing_in_words,
    open_audits,
    plan_audit,
)
from jobs.context import context
from jobs.ranking import order_queue
from jobs.workflows.steps import begin_job, finish_job, workflow


@workflow("auto_accept")
async def auto_accept(job_id: str) -> None:
    """One audit at a time: the open one is decided or told about, else a new one is planned."""
    job = await begin_job(job_id, total=1)
    if job["state"] != "running":
        return
    result = await settle_open(job_id)
    if not result["licences"]:
        result = await plan(job_id)
        await make_way(job_id)
    await finish_job(job_id, result, result.pop("note"))


@DBOS.step()
async def settle_open(job_id: str) -> dict[str, Any]:
    """What is there already: decided now if asked for, else told about."""
    ctx = context()
    job = await ctx.job(job_id)
    licences = await open_audits(ctx.rpc, job.created_by, job.dataset_id, job_id)
    if licences and job.params.get("decide"):
        licences = [await decide_audit(ctx.rpc, job.created_by, one["id"]) for one in licences]
        return {"licences": [_short(one) for one in licences], "note": " ".join(_decided(one) for one in licences)}
    return {"licences": [_short(one) for one in licences], "note": f"{missing_in_words(licences)}."}


@DBOS.step()
async def plan(job_id: str) -> dict[str, Any]:
    """A new audit."""
    ctx = context()
    job = await ctx.job(job_id)
    options = {name: value for name, value in job.params.items() if name != "decide"}
    licences = await plan_audit(ctx.rpc, job.created_by, job.dataset_id, job_id, AuditOrder(**options))
    await ctx.rpc.call("progress_job", job=job_id, done=1, key="plan")
    return {"licences": [_short(one) for one in licences], "note": " ".join(_planned(one) for one in licences)}


@DBOS.step()
async def make_way(job_id: str) -> None:
    """The queue is chosen anew, without the drafts that the audit is about."""
    ctx = context()
    job = await ctx.job(job_id)
    found = await ctx.rpc.call("get_dataset", actor=job.created_by, dataset=job.dataset_id)
    if found["settings"].get("queue_order", "adaptive") == "adaptive":
        await order_queue(ctx.rpc, job.created_by, job.dataset_id)


def _short(licence: dict[str, Any]) -> dict[str, Any]:
    names = ("id", "state", "classes", "reason", "audit", "accepted", "bound", "coverage", "expected_coverage")
    return {name: licence[name] for name in names}


def _planned(licence: dict[str, Any]) -> str:
    if licence["state"] == "refused":
        return f"No audit was planned: {licence['reason']}."
    which = f" of class {', '.join(licence['classes'])}" if licence["classes"] else ""
    return (
        f"{licence['audit']['drawn']} drafts{which} were drawn at random and stand at the head of the queue, without "
        f"their drafts shown: {licence['reason']}. The licence is decided when people have answered them."
    )


def _decided(licence: dict[str, Any]) -> str:
    if licence["state"] == "granted":
        return f"Granted, {licence['accepted']} drafts are accepted: {licence['reason']}."
    return f"Refused: {licence['reason']}."
