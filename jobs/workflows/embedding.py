"""The workflow behind an embedding job: every item gets its vector, then the index for searching them is made."""

from __future__ import annotations

from dbos import DBOS

from jobs.context import context
from jobs.vectors import embed_missing
from jobs.workflows.steps import begin_job, finish_job, workflow


@workflow("embed")
async def embed(job_id: str) -> None:
    """Embed until no item is without a vector; begun anew after a kill, it goes on with what is missing."""
    job = await begin_job(job_id)
    if job["state"] != "running":
        return
    embedded = await embed_all(job_id)
    await index_vectors(job_id)
    await finish_job(job_id, {"embedded": embedded})


@DBOS.step()
async def embed_all(job_id: str) -> int:
    """A chunk at a time, until none is left or the job is stopped."""
    ctx = context()
    job = await ctx.job(job_id)
    embedded = 0
    while job.state == "running":
        done = await embed_missing(ctx.rpc, job.created_by, job.dataset_id)
        if not done:
            break
        embedded += done
        await ctx.rpc.call("progress_job", job=job_id, done=done)
        job = await ctx.job(job_id)
    return embedded


@DBOS.step()
async def index_vectors(job_id: str) -> None:
    """The index over all vectors is made when there is enough to search, and only then."""
    job = await context().job(job_id)
    if job.state == "running":
        await context().rpc.call("index_embeddings", actor=job.created_by, dataset=job.dataset_id, timeout=600)
