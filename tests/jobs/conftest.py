"""A worker in the test's own process, over the session's database, with its workflows in a database of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from jobs.worker import run_worker
from schemas.settings import Settings
from store.rpc import Rpc
from tests.support.database import Cluster
from tests.support.people import new_dataset, new_user

CLASSES = ("refund", "delivery", "size")


@pytest.fixture(scope="session")
def workflows_dsn(cluster: Cluster) -> Iterator[str]:
    """Where DBOS keeps its workflows in the tests."""
    with cluster.database("lc_workflows") as dsn:
        yield dsn


Working = Callable[[Settings], Any]


@pytest.fixture
def working(pg_rpc: Rpc, workflows_dsn: str) -> Working:
    """``async with working(settings):`` runs a worker."""

    @asynccontextmanager
    async def run(settings: Settings) -> AsyncIterator[None]:
        stop = asyncio.Event()
        worker = asyncio.create_task(run_worker(settings, pg_rpc, workflows_dsn, stop=stop))
        try:
            yield
        finally:
            stop.set()
            await worker

    return run


class Bench:
    """A dataset with three classes and its admin, and what tests do with them."""

    def __init__(self, rpc: Rpc, admin: str, dataset: str) -> None:
        self.rpc = rpc
        self.admin = admin
        self.dataset = dataset

    async def add(self, texts: list[str]) -> list[str]:
        """Items of these texts; their ids."""
        rows = [{"text": text} for text in texts]
        made = await self.rpc.call("create_items", actor=self.admin, dataset=self.dataset, rows=rows)
        return [row["id"] for row in made["results"]]

    async def order(self, kind: str, params: dict[str, Any] | None = None, **more: Any) -> str:
        """A job's id."""
        job = await self.rpc.call(
            "create_job", actor=self.admin, dataset=self.dataset, kind=kind, params=params or {}, **more
        )
        return str(job["id"])

    async def upload(self, settings: Settings, name: str, content: bytes, **params: Any) -> str:
        """A file as the gateway leaves it, and the order to import it; the job's id."""
        folder = settings.data_path / "uploads" / name
        folder.mkdir(parents=True)
        (folder / name).write_bytes(content)
        options = {"upload": f"{name}/{name}", "filename": name, "embed": False, **params}
        return await self.order("import", options)

    async def until(self, job: str, *states: str, seconds: float = 60) -> dict[str, Any]:
        """The job, once it is in one of ``states`` (default: ended)."""
        wanted = states or ("done", "failed", "cancelled")
        async with asyncio.timeout(seconds):
            while True:
                found: dict[str, Any] = await self.rpc.call("find_job", job=job)
                if found["state"] in wanted:
                    return found
                await asyncio.sleep(0.05)

    async def items(self, **filters: Any) -> list[dict[str, Any]]:
        """All items, as a page shows them."""
        page = await self.rpc.call("list_items", actor=self.admin, dataset=self.dataset, limit=500, **filters)
        found: list[dict[str, Any]] = page["items"]
        return found

    async def drafts_of(self, job: str) -> list[dict[str, Any]]:
        """Every stored draft of a job."""
        found = []
        for item in await self.items():
            drafts = await self.rpc.call("list_predictions", actor=self.admin, item=item["id"])
            found += [draft for draft in drafts if draft["job_id"] == job]
        return found


@pytest.fixture
async def bench(pg_rpc: Rpc) -> Bench:
    """An empty dataset with the classes refund, delivery and size."""
    admin = await new_user(pg_rpc)
    dataset = await new_dataset(pg_rpc, admin)
    await pg_rpc.call(
        "create_labelset",
        actor=admin, dataset=dataset, kind="classification", classes=[{"name": name} for name in CLASSES],
    )  # fmt: skip
    return Bench(pg_rpc, admin, dataset)


async def eventually(check: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    """Waits until ``check`` holds."""
    async with asyncio.timeout(seconds):
        while not await check():
            await asyncio.sleep(0.1)


def texts(count: int) -> list[str]:
    """Different texts of which a keyword model can tell the class."""
    words = ("where is my refund", "when does the delivery come", "which size fits me")
    return [f"{words[i % 3]}, order {i}" for i in range(count)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A data folder."""
    return tmp_path
