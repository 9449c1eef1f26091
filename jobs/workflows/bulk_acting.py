"""The workflow behind an action on many items: some hundred at a time, each by itself, until none is left.

The rows were chosen when the job was ordered (store/sql/functions/bulk.sql). A chunk does its items and counts them in
one transaction, so a step that runs again after a kill goes on where the database stands.
"""

from __future__ import annotations

from typing import Any

from dbos import DBOS

from jobs.context import context
from jobs.workflows.steps import begin_job, finish_job, workflow

CHUNK = 200


@workflow("bulk")
async def bulk(job_id: str) -> None:
    """Do what was ordered, or undo it."""
    job = await begin_job(job_id)
    if job["state"] != "running":
        return
    while await run_chunk(job_id):
        pass
    result = await count_rows(job_id)
    await finish_job(job_id, result, in_words(job["params"], result))


@DBOS.step()
async def run_chunk(job_id: str) -> bool:
    """Handle the next rows; whether any are left."""
    done: dict[str, Any] = await context().rpc.call("run_bulk", job=job_id, most=CHUNK, timeout=60)
    return bool(done["left"])


@DBOS.step()
async def count_rows(job_id: str) -> dict[str, Any]:
    """What became of all items."""
    counts: dict[str, Any] = await context().rpc.call("count_bulk", job=job_id)
    return counts


def in_words(params: dict[str, Any], result: dict[str, Any]) -> str:
    """The outcome, for people."""
    done, refused = result["done"], sum(result["refused"].values())
    if not done + refused:
        return "There was nothing to do: no item was chosen."
    verb = {
        "approve": "approved", "reject": "rejected", "set_class": "given the class", "assign": "assigned",
        "send_back": "sent back", "undo": "put back",
    }[str(params["action"])]  # fmt: skip
    words = f"{done} {'item was' if done == 1 else 'items were'} {verb}"
    return f"{words}; {refused} refused, each with its reason." if refused else f"{words}."
