"""The workflow behind a training job: for those who want a student now, rather than when the worker gets to it."""

from __future__ import annotations

from typing import Any

from dbos import DBOS

from jobs.context import context
from jobs.students import refresh_drafts, train
from jobs.workflows.steps import begin_job, finish_job, workflow


@workflow("train")
async def train_student(job_id: str) -> None:
    """Train the dataset's student on everything that is verified, and refresh the drafts that people see next."""
    job = await begin_job(job_id, total=1)
    if job["state"] == "running":
        await finish_job(job_id, await teach_once(job_id))


@DBOS.step()
async def teach_once(job_id: str) -> dict[str, Any]:
    """One training."""
    ctx = context()
    job = await ctx.job(job_id)
    result = await train(ctx.rpc, job.created_by, job.dataset_id)
    result["redrafted"] = await refresh_drafts(ctx, job.created_by, job.dataset_id)
    await ctx.rpc.call("progress_job", job=job_id, done=1)
    return result
