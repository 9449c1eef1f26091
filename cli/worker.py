"""`labelcrew worker`: one process that runs jobs, on any machine that reaches the database and the data folder."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

from cli.opening import opened, settings_with


def run(*, data_dir: Path | None, tied: bool) -> None:
    """Work until asked to stop; ``tied`` means also until standard input closes, which it does when the server ends."""
    from api.observability import configure_logging
    from jobs.worker import run_worker, stop_on_signals

    configured = settings_with(data_dir=data_dir)
    configure_logging(configured.model_copy(update={"log_level": "warning"}) if tied else configured)

    async def work() -> None:
        stop = asyncio.Event()
        stop_on_signals(stop)
        if tied:
            _stop_when_input_closes(stop)
        async with opened(configured) as store:
            configured.data_path.mkdir(parents=True, exist_ok=True, mode=0o700)
            workflows = store.dbos_dsn or f"sqlite:///{configured.data_path / 'workflows.sqlite'}"
            await run_worker(configured, store, workflows, stop=stop)

    asyncio.run(work())


def _stop_when_input_closes(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def wait() -> None:
        while os.read(0, 1024):  # not sys.stdin: its lock, held here, would abort the interpreter at its end
            pass
        loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait, daemon=True).start()
