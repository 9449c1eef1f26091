"""Steps that every kind of job shares: beginning, ending, and failing with a reason that a person can act on."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from dbos import DBOS

from jobs.context import context
from schemas.errors import Conflict, LabelCrewError

log = structlog.get_logger("jobs")


@DBOS.step()
async def begin_job(job_id: str, total: int | None = None) -> dict[str, Any]:
    """The job goes from queued to running. Done again after a kill, it finds the job running and says so."""
    try:
        answer: dict[str, Any] = await context().rpc.call("start_job", job=job_id, total=total)
    except Conflict:
        answer = await context().rpc.call("find_job", job=job_id)
    return answer


@DBOS.step()
async def finish_job(job_id: str, result: dict[str, Any], note: str = "") -> None:
    """The job is done, unless somebody paused or cancelled it while its last step ran."""
    job = await context().job(job_id)
    if job.state == "running":
        await context().rpc.call("finish_job", job=job_id, result=result, note=note)


@DBOS.step()
async def fail_job(job_id: str, code: str, detail: str) -> None:
    """The job failed; ``detail`` is for the person who started it."""
    job = await context().job(job_id)
    if job.state not in ("done", "failed", "cancelled"):
        await context().rpc.call("fail_job", job=job_id, code=code, detail=detail)


Workflow = Callable[[str], Coroutine[Any, Any, None]]


def workflow(name: str) -> Callable[[Workflow], Workflow]:
    """A DBOS workflow for a kind of job, whose errors end the job with their code instead of vanishing into a log."""

    def decorate(steps: Workflow) -> Workflow:
        @DBOS.workflow(name=name, max_recovery_attempts=100)
        @functools.wraps(steps)
        async def run(job_id: str) -> None:
            try:
                await steps(job_id)
            except LabelCrewError as error:
                await fail_job(job_id, error.code, str(error))
            except Exception as error:
                log.exception("job_failed", job=job_id, kind=name)
                await fail_job(job_id, "internal", f"{type(error).__name__}: {error}"[:500])

        return run

    return decorate
