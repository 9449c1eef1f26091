"""The workflow behind a consensus job: all that several people have answered, settled by one method."""

from __future__ import annotations

from typing import Any

from dbos import DBOS

from jobs.consensus import run_consensus
from jobs.context import context
from jobs.workflows.steps import begin_job, finish_job, workflow


@workflow("consensus")
async def consensus(job_id: str) -> None:
    """Settle, and say what was found."""
    job = await begin_job(job_id, total=1)
    if job["state"] != "running":
        return
    result = await settle_once(job_id)
    await finish_job(job_id, result, _in_words(result))


@DBOS.step()
async def settle_once(job_id: str) -> dict[str, Any]:
    """One run over all answers. Done again after a kill it finds its own run, and writes the same rows again."""
    ctx = context()
    job = await ctx.job(job_id)
    result = await run_consensus(ctx.rpc, job.dataset_id, job=job_id, **job.params)
    await ctx.rpc.call("progress_job", job=job_id, done=1)
    return result


def _in_words(result: dict[str, Any]) -> str:
    if not result["items"]:
        return "No item has answers of two people yet."
    said = (
        f"{result['items']:,} items of {result['annotators']} annotators by {result['method']}: people agreed on "
        f"{result['agreed']:,}, {result['changed']:,} have another answer now"
    )
    return f"{said}, {result['asked']:,} wait for one more person." if result["asked"] else f"{said}."
