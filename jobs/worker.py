"""The worker process: picks up queued jobs, runs their workflows, takes over from dead workers, keeps students fresh.

Start as many as there is work for, on any machine that reaches the database: they share one queue. Small loops
run beside the workflows:

* *begin*: a queued job becomes a durable workflow whose id is the job's id and run number, so that two workers that
  see the same row start it once;
* *beat*: says that this process is alive, and takes over the workflows of processes that fell silent;
* *learn*: settles what several people said (jobs/consensus.py), retrains a dataset's student when people have verified
  more (jobs/students.py), and decides about licences when people have answered their audits (jobs/auto_accepting.py);
* *watch*: looks for conflicts in what was just answered (jobs/quality_watch.py);
* *sweep*: closes leases that ran out, and notes what waits too long;
* *wait*: until somebody asks it to stop;
* *seal*: seals what was written to the audit log (jobs/sealing.py);
* *pay*: sends payouts through their provider (jobs/payouts.py);
* *tell*: delivers webhooks (jobs/webhooks.py);
* *count*: adds up what the metrics tell (jobs/metrics.py);
* *drift*: compares what came in with what came before (jobs/drift.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import structlog

from jobs.context import WorkContext, set_context
from schemas.errors import LabelCrewError
from schemas.settings import Settings
from store.rpc import Rpc

if TYPE_CHECKING:
    from dbos import DBOS

log = structlog.get_logger("worker")

BEGIN_EVERY_S = 0.3
BEAT_EVERY_S = 5.0
SILENT_S = 20
LEARN_EVERY_S = 1.0
SWEEP_EVERY_S = 5.0
WATCH_EVERY_S = 1.0
SEAL_EVERY_S = 2.0
PAY_EVERY_S = 5.0
TELL_EVERY_S = 1.0
COUNT_EVERY_S = 2.0
DRIFT_EVERY_S = 5.0
WORKFLOW_VERSION = "1"
"""Pinned, so that a restart with newer code recovers what older code began; raise it when a workflow's steps change."""


async def run_worker(settings: Settings, rpc: Rpc, system_database_url: str, *, stop: asyncio.Event) -> None:
    """Work until ``stop`` is set. Running steps are left as they are: the next worker goes on with them."""
    from dbos import DBOS

    import jobs.workflows  # registers the workflows before launch

    executor = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    here = WorkContext(settings=settings, rpc=rpc)
    set_context(here)
    instance = DBOS(
        config={
            "name": "labelcrew",
            "system_database_url": system_database_url,
            "application_version": WORKFLOW_VERSION,
            "executor_id": executor,
            "console_log_level": "ERROR",
            "log_level": "ERROR",
            "use_listen_notify": True,
            "sys_db_pool_size": 8,
            "notification_listener_polling_interval_sec": 0.5,
        }
    )
    DBOS.launch()
    try:
        await jobs.workflows.register_queues(here.place)
        await _beat(rpc, executor)
        log.info("worker_ready", executor=executor)
        loops = [
            _every(BEGIN_EVERY_S, stop, lambda: _begin_jobs(rpc, here.place)),
            _every(BEAT_EVERY_S, stop, lambda: _beat(rpc, executor)),
            _every(LEARN_EVERY_S, stop, _learn),
            _every(SWEEP_EVERY_S, stop, lambda: _sweep(rpc)),
            _every(WATCH_EVERY_S, stop, _watch),
            _every(SEAL_EVERY_S, stop, lambda: _seal(rpc)),
            _every(PAY_EVERY_S, stop, lambda: _pay(rpc, settings)),
            _every(TELL_EVERY_S, stop, lambda: _tell(rpc, settings)),
            _every(COUNT_EVERY_S, stop, lambda: _count(rpc)),
            _every(DRIFT_EVERY_S, stop, lambda: _look_for_drift(rpc)),
        ]
        await asyncio.gather(*loops)
        with contextlib.suppress(LabelCrewError):
            await rpc.call("leave_worker", executor=executor)
    finally:
        here.stopping = True
        await _leave_workflows(instance)
        await asyncio.to_thread(DBOS.destroy)
        # DBOS made its own threads the loop's, and has ended them.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
        set_context(None)


async def _leave_workflows(instance: DBOS) -> None:
    """Stops what runs in this process as a kill would, so that nothing of it is recorded as its end."""
    tasks = list(instance._workflow_tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def stop_on_signals(stop: asyncio.Event) -> None:
    """Sets ``stop`` when the process is asked to end."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)


async def _every(seconds: float, stop: asyncio.Event, do: Callable[[], Awaitable[None]]) -> None:
    """Repeats ``do`` until ``stop``; a failure is logged and the loop goes on: the database may be restarting."""
    while not stop.is_set():
        try:
            await do()
        except Exception as error:
            log.warning("worker_loop_failed", loop=getattr(do, "__name__", "loop"), error=str(error))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)


async def _begin_jobs(rpc: Rpc, place: str) -> None:
    from jobs.workflows import begin

    for row in await rpc.call("list_queued_jobs", place=place):
        await begin(row["id"], row["kind"], row["run"], row["place"])


async def _sweep(rpc: Rpc) -> None:
    await rpc.call("sweep_queue")


async def _beat(rpc: Rpc, executor: str) -> None:
    from dbos import DBOS

    await rpc.call("beat_worker", executor=executor, info={"pid": os.getpid(), "host": socket.gethostname()})
    gone = [row["executor_id"] for row in await rpc.call("list_workers") if _is_gone(row["info"])]
    dead = await rpc.call("reap_workers", silent_seconds=SILENT_S, executors=gone)
    if dead:
        log.info("taking_over", workers=dead)
        await asyncio.to_thread(DBOS._recover_pending_workflows, dead)


def _is_gone(info: dict[str, object]) -> bool:
    """Whether a worker of this very machine is known to be dead, so that nobody need wait for its silence."""
    pid = info.get("pid")
    if info.get("host") != socket.gethostname() or not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


async def _seal(rpc: Rpc) -> None:
    from jobs.sealing import seal

    await seal(rpc)


async def _watch() -> None:
    from jobs.quality_watch import watch_answers

    await watch_answers()


async def _pay(rpc: Rpc, settings: Settings) -> None:
    from jobs.payouts import send_payouts

    await send_payouts(rpc, settings)


async def _tell(rpc: Rpc, settings: Settings) -> None:
    from jobs.webhooks import deliver

    await deliver(rpc, settings)


async def _learn() -> None:
    from jobs.auto_accepting import review_licences
    from jobs.consensus import refresh_stale_consensus
    from jobs.students import refresh_stale_students

    await refresh_stale_consensus()
    await refresh_stale_students()
    await review_licences()


async def _count(rpc: Rpc) -> None:
    from jobs.metrics import roll_up

    await roll_up(rpc)


async def _look_for_drift(rpc: Rpc) -> None:
    from jobs.drift import watch_drift

    await watch_drift(rpc)
