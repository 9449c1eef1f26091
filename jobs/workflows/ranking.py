"""The workflow behind a ranking job: every item gets its vector, then the head of the queue is chosen.

The worker does the second part by itself whenever it has retrained a student; the job is for those who cannot wait.
"""

from __future__ import annotations

from typing import Any

from dbos import DBOS

from jobs.context import context
from jobs.ranking import HEAD, MOST_VECTORS, order_queue
from jobs.workflows.embedding import embed_all
from jobs.workflows.steps import begin_job, finish_job, workflow


@workflow("rank")
async def rank(job_id: str) -> None:
    """Embed what has no vector, then put the queue in order."""
    job = await begin_job(job_id)
    if job["state"] != "running":
        return
    embedded = await embed_all(job_id)
    result = await order_once(job_id)
    await finish_job(job_id, {**result, "embedded": embedded}, _in_words(result))


@DBOS.step()
async def order_once(job_id: str) -> dict[str, Any]:
    """Choose and write the head of the queue."""
    ctx = context()
    job = await ctx.job(job_id)
    if job.state != "running":
        return {"ranked": 0, "control": 0, "open": 0}
    return await order_queue(ctx.rpc, job.created_by, job.dataset_id, count=int(job.params.get("count", HEAD)))


def _in_words(result: dict[str, Any]) -> str:
    if not result["open"]:
        return "There is nothing to put in order: no item is open."
    if not result["ranked"]:
        return "Nothing was put in order: people hold or have answered what is open."
    by = f"student {result['student']}" if result.get("student") else "the class names and how typical an item is"
    passed = result.get("without_vector", 0)
    beyond = f" {passed:,} have no vector, or come after the first {MOST_VECTORS:,}, and wait." if passed else ""
    return (
        f"{result['ranked']} of {result['open']} open items stand at the head of the queue, chosen by {by}; "
        f"{result['control']} of them were drawn at random, to compare with.{beyond}"
    )
