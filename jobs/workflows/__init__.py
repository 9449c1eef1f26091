"""One module a kind of job. Each workflow takes a job's id, and reads as the order of its steps.

Importing this package registers the workflows with DBOS; :func:`begin` starts the one for a queued job.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from dbos import DBOS, SetWorkflowID

from jobs.workflows.auto_accepting import auto_accept
from jobs.workflows.bulk_acting import bulk
from jobs.workflows.consensus import consensus
from jobs.workflows.embedding import embed
from jobs.workflows.exporting import export
from jobs.workflows.importing import import_file
from jobs.workflows.prelabeling import SLICES, prelabel
from jobs.workflows.quality import quality_scan
from jobs.workflows.ranking import rank
from jobs.workflows.training import train_student

JOBS = "labelcrew-jobs"

WORKFLOWS: dict[str, Callable[[str], Coroutine[Any, Any, None]]] = {
    "import": import_file,
    "embed": embed,
    "prelabel": prelabel,
    "train": train_student,
    "rank": rank,
    "quality_scan": quality_scan,
    "auto_accept": auto_accept,
    "bulk": bulk,
    "export": export,
    "consensus": consensus,
}


async def register_queues(place: str) -> None:
    """Tells DBOS how many jobs and slices one process runs at a time; jobs with files only those of its ``place``."""
    await DBOS.register_queue_async(_queue(place), worker_concurrency=4, polling_interval_sec=0.2)
    await DBOS.register_queue_async(JOBS, worker_concurrency=8, polling_interval_sec=0.2)
    await DBOS.register_queue_async(SLICES, worker_concurrency=2, polling_interval_sec=0.2)


async def begin(job_id: str, kind: str, run: int, place: str | None) -> None:
    """Make the queued job a durable workflow; starting the same run twice starts it once."""
    with SetWorkflowID(f"{job_id}:{run}"):
        await DBOS.enqueue_workflow_async(_queue(place), WORKFLOWS[kind], job_id)


def _queue(place: str | None) -> str:
    return f"{JOBS}-{place}" if place else JOBS
