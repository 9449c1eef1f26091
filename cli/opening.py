"""What every command that touches the database begins with: the settings, the store, and in whose name it acts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from schemas.errors import error_of
from schemas.settings import Settings, settings
from store.opening import Store
from store.rpc import Rpc

T = TypeVar("T")


def settings_with(**given: Any) -> Settings:
    """The environment's settings with what the command line gave; None means that it gave nothing."""
    return settings().model_copy(update={name: value for name, value in given.items() if value is not None})


@asynccontextmanager
async def opened(configured: Settings, *, exclusive: bool = False) -> AsyncIterator[Store]:
    """The store, open as long as the block runs."""
    from store.opening import open_store

    store = await open_store(configured, exclusive=exclusive)
    try:
        yield store
    finally:
        await store.close()


def with_store(data_dir: Path | None, work: Callable[[Settings, Store], Awaitable[T]]) -> T:
    """Run ``work`` with the store open."""
    configured = settings_with(data_dir=data_dir)
    quiet_logs(configured)

    async def run() -> T:
        async with opened(configured) as store:
            return await work(configured, store)

    return asyncio.run(run())


def quiet_logs(configured: Settings) -> None:
    """Commands speak to people: only warnings are logged unless the settings ask for more."""
    from api.observability import configure_logging

    configure_logging(
        configured.model_copy(update={"log_level": "warning"}) if configured.log_level == "info" else configured
    )


async def operator(store: Rpc) -> str:
    """The account that commands on the server's own machine act as: the first one, made if there is none."""
    from api.bootstrap import ADMIN_EMAIL

    found = await store.call("find_owner")
    if found is None:
        found = await store.call("create_user", email=ADMIN_EMAIL, name="Admin")
    return str(found["id"])


async def find_dataset(store: Rpc, actor: str, named: str) -> dict[str, Any]:
    """A dataset by id or by name. Raises ``not-found`` with the names that there are."""
    mine: list[dict[str, Any]] = await store.call("list_datasets", actor=actor)
    try:
        wanted = str(UUID(named))
    except ValueError:
        wanted = ""
    for dataset in mine:
        if dataset["id"] == wanted or dataset["name"] == named:
            return dataset
    names = ", ".join(repr(d["name"]) for d in mine[:10]) or "none yet"
    raise error_of("not-found", f"there is no dataset {named!r}", hint=f"Datasets: {names}.")
