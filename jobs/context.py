"""What every step needs in a worker process: the settings, the door to the database, one client of the model's server.

Opened once a process, inside the event loop that runs the workflows, because connections belong to a loop.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.places import place_of
from schemas.settings import Settings
from schemas.world import Job
from store.rpc import Rpc


@dataclass
class WorkContext:
    """What this process has open."""

    settings: Settings
    rpc: Rpc
    place: str = field(init=False)
    """The name of this process's data folder."""
    stopping: bool = False
    """Set when this process ends: what fails from then on is left to the next worker, not told to the user."""

    def __post_init__(self) -> None:
        self.place = place_of(self.settings)

    async def job(self, job_id: str) -> Job:
        """The job as it stands now."""
        return Job.model_validate(await self.rpc.call("find_job", job=job_id))

    @property
    def uploads(self) -> Path:
        """Where files that were sent wait for their import."""
        return _made(self.settings.data_path / "uploads")

    @property
    def exports(self) -> Path:
        """Where files that were asked for wait to be fetched."""
        return _made(self.settings.data_path / "exports")


_current: WorkContext | None = None


def set_context(context: WorkContext | None) -> None:
    """Called once by the worker before any workflow runs, and with None when it ends."""
    global _current  # noqa: PLW0603 — DBOS calls workflows as plain functions; there is no other way to hand them this
    _current = context


def context() -> WorkContext:
    """The process's context."""
    assert _current is not None, "no worker runs in this process"
    return _current


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def worker_is_stopping() -> bool:
    """Whether this process is ending, or has no worker any more."""
    return _current is None or _current.stopping


def plain(job: Job) -> dict[str, Any]:
    """A job as JSON, for a step's recorded result."""
    return job.model_dump(mode="json")
