"""The workflow behind a quality scan: vectors for what has none, every check of the instruments, then the judge.

Each check is a step, so a scan that was killed goes on with the next one. What the checks look at is read once a
process and job, and again only where another process takes over.
"""

from __future__ import annotations

import asyncio
from typing import Any

from dbos import DBOS

from jobs.context import context
from jobs.judging import judge_worst
from jobs.quality import Snapshot, checks_for, keep, look, read_snapshot
from jobs.workflows.embedding import embed_all
from jobs.workflows.steps import begin_job, finish_job, run_number, workflow

_snapshots: dict[str, Snapshot] = {}


@workflow("quality_scan")
async def quality_scan(job_id: str) -> None:
    """Look for conflicts in the whole dataset."""
    job = await begin_job(job_id)
    if job["state"] != "running":
        return
    checks = checks_for(job["params"].get("kinds"))
    await embed_all(job_id)
    try:
        await plan_scan(job_id, len(checks))
        found: dict[str, int] = {}
        for check in checks:
            found |= await scan_by(job_id, check)
    finally:
        _snapshots.pop(job_id, None)
    judged = await judge_findings(job_id)
    result = {"found": found, "judged": judged["judged"], "relabel": judged["relabel"]}
    await finish_job(job_id, result, f"{in_words(found)} {judged['note']}".strip())


@DBOS.step()
async def plan_scan(job_id: str, checks: int) -> int:
    """Progress counts every item once a check; how many items there are."""
    job = await context().job(job_id)
    snapshot = await _snapshot(job_id)
    if job.state == "running":
        total = job.done + job.failed + len(snapshot.items) * checks
        await context().rpc.call("progress_job", job=job_id, done=0, total=total)
    return len(snapshot.items)


@DBOS.step()
async def scan_by(job_id: str, check: str) -> dict[str, int]:
    """One check: what stands now, by kind. Done again after a kill, it finds and saves the same."""
    ctx = context()
    job = await ctx.job(job_id)
    if job.state != "running" or job.run != run_number():
        return {}
    snapshot = await _snapshot(job_id)
    found = await asyncio.to_thread(look, snapshot, check)
    standing = await keep(ctx.rpc, job.dataset_id, found, job.params.get("kinds"))
    await ctx.rpc.call("progress_job", job=job_id, done=len(snapshot.items), key=f"{job.run}:{check}")
    return standing


@DBOS.step()
async def judge_findings(job_id: str) -> dict[str, Any]:
    """The language model's part, where there is one."""
    ctx = context()
    job = await ctx.job(job_id)
    if job.state != "running" or job.run != run_number():
        return {"judged": 0, "relabel": 0, "note": ""}
    done = await judge_worst(ctx.rpc, ctx.settings, job)
    return {"judged": done.judged, "relabel": done.relabel, "note": done.note}


async def _snapshot(job_id: str) -> Snapshot:
    if job_id not in _snapshots:
        job = await context().job(job_id)
        _snapshots[job_id] = await read_snapshot(context().rpc, job.created_by, job.dataset_id)
    return _snapshots[job_id]


def in_words(found: dict[str, int]) -> str:
    """What a scan found, for people."""
    some = {kind: count for kind, count in found.items() if count}
    if not some:
        return "No conflict was found."
    told = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in some.items())
    return f"{sum(some.values())} conflicts stand: {told}."
