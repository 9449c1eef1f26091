"""`labelcrew jobs`, and following a job to its end, which import and pre-label do too."""

from __future__ import annotations

import asyncio
from pathlib import Path

from cli.console import err, progress, say, table
from cli.opening import find_dataset, operator, with_store
from schemas.errors import error_of
from schemas.settings import Settings
from schemas.world import Job
from store.opening import Store

ENDED = ("done", "failed", "cancelled", "paused")
LOOK_EVERY_S = 0.3


def run_list(*, dataset: str, data_dir: Path | None) -> None:
    """A line a job, newest first."""

    async def work(_: Settings, store: Store) -> list[Job]:
        actor = await operator(store)
        found = await find_dataset(store, actor, dataset)
        return [Job.model_validate(j) for j in await store.call("list_jobs", actor=actor, dataset=found["id"])]

    jobs = with_store(data_dir, work)
    rows = [
        [j.id, j.kind, j.state, _share(j), f"${j.cost_usd:.4f}", j.note or (j.error.detail if j.error else "")]
        for j in jobs
    ]
    table("", ["job", "kind", "state", "done", "cost", "note"], rows)


def run_watch(job: str, *, data_dir: Path | None) -> None:
    """Follow a job until it ends or pauses."""

    async def work(configured: Settings, store: Store) -> Job:
        return await follow(configured, store, job)

    tell_end(with_store(data_dir, work))


def run_control(job: str, action: str, *, data_dir: Path | None, budget: float | None = None) -> None:
    """Pause, resume or cancel."""

    async def work(_: Settings, store: Store) -> Job:
        actor = await operator(store)
        if budget is not None:
            await store.call("set_job_budget", actor=actor, job=job, usd=budget)
        return Job.model_validate(await store.call("control_job", actor=actor, job=job, action=action))

    found = with_store(data_dir, work)
    say(f"the job is {found.state}")


async def follow(configured: Settings, store: Store, job_id: str) -> Job:
    """Show a job's progress until it ends. While no other worker is alive, this process does the work itself."""
    stop = asyncio.Event()
    worker: asyncio.Task[None] | None = None
    try:
        with progress() as bar:
            job = Job.model_validate(await store.call("find_job", job=job_id))
            task = bar.add_task(job.kind, total=job.total, note="")
            while job.state not in ENDED:
                if worker is None and not await store.call("list_workers"):
                    worker = _start_worker(configured, store, stop)
                if worker is not None and worker.done():
                    worker.result()  # raises what ended it
                await asyncio.sleep(LOOK_EVERY_S)
                job = Job.model_validate(await store.call("find_job", job=job_id))
                note = f"${job.cost_usd:.4f}" if job.cost_usd else ""
                bar.update(task, completed=job.done + job.failed, total=job.total, note=note)
    finally:
        stop.set()
        if worker is not None:
            await asyncio.wait([worker])
    return job


def _start_worker(configured: Settings, store: Store, stop: asyncio.Event) -> asyncio.Task[None]:
    from jobs.worker import run_worker

    configured.data_path.mkdir(parents=True, exist_ok=True, mode=0o700)
    workflows = store.dbos_dsn or f"sqlite:///{configured.data_path / 'workflows.sqlite'}"
    return asyncio.create_task(run_worker(configured, store, workflows, stop=stop))


def tell_end(job: Job) -> None:
    """How a job ended; a failure is raised as the error it is."""
    if job.state == "failed" and job.error is not None:
        raise error_of("internal", f"the {job.kind} failed: {job.error.detail}", hint="")
    if job.state in ("paused", "cancelled"):
        err.print(f"the {job.kind} is {job.state}. {job.note}", markup=False)


def _share(job: Job) -> str:
    return f"{job.done + job.failed:,}" + (f" of {job.total:,}" if job.total else "")
