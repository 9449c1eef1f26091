"""Steps that every kind of job shares: beginning, ending, and failing with a reason that a person can act on."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from dbos import DBOS

from jobs.context import context, worker_is_stopping
from schemas.errors import Conflict, LabelCrewError

log = structlog.get_logger("jobs")


def run_number() -> int:
    """Which run of its job the workflow at hand is: workflows are named job:run or job:run:slice."""
    return int(str(DBOS.workflow_id).split(":")[1])


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
    """The job is done, unless somebody stopped it, or stopped and resumed it, while this run's last step ran."""
    job = await context().job(job_id)
    if job.state == "running" and job.run == run_number():
        await context().rpc.call("finish_job", job=job_id, result=result, note=note)


@DBOS.step()
async def fail_job(job_id: str, code: str, detail: str) -> None:
    """The job failed; ``detail`` is for the person who started it."""
    job = await context().job(job_id)
    if job.state not in ("done", "failed", "cancelled"):
        await context().rpc.call("fail_job", job=job_id, code=code, detail=detail)


class LeftToNextWorker(BaseException):
    """This process ends: the workflow stays as its last recorded step left it, for another worker to take over."""


def leave_if_stopping() -> None:
    """Raises :class:`LeftToNextWorker` when this process ends: a failure is then its own, not the job's."""
    if worker_is_stopping():
        raise LeftToNextWorker


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
                leave_if_stopping()
                await fail_job(job_id, error.code, str(error))
            except Exception as error:
                leave_if_stopping()
                log.error("job_failed", job=job_id, kind=name, exc_info=error)
                await fail_job(job_id, "internal", f"{type(error).__name__}: {error}"[:500])

        return run

    return decorate
