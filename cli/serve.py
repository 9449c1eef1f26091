"""`labelcrew serve`: the gateway in this process, a worker in another, the embedded database beside them.

A worker is tied to its server by a pipe: when the server ends, however it ends, the pipe closes and the worker stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import webbrowser
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from cli.console import err, say
from cli.opening import settings_with
from schemas.settings import Settings
from store.rpc import Rpc

Ready = Callable[[Settings, Rpc], Coroutine[Any, Any, None]]


def run(*, host: str | None, port: int | None, data_dir: Path | None, browser: bool) -> None:
    """Serve until asked to stop."""
    configured = settings_with(host=host, port=port, data_dir=data_dir)

    async def ready(_: Settings, rpc: Rpc) -> None:
        from api.bootstrap import first_login_link, public_address

        address = public_address(configured)
        link = await first_login_link(configured, rpc)
        say_about_workspace()
        err.print(f"LabelCrew serves on {address}", markup=False, style="bold")
        if link:
            err.print(f"Sign in, once, with: {link}", markup=False, soft_wrap=True)
        elif not configured.supabase_url:
            say("a sign-in link: labelcrew user link EMAIL")
        if browser:
            open_browser(link or address)

    serve_with_workers(configured, ready)


def serve_with_workers(configured: Settings, ready: Ready) -> None:
    """Serve with the configured number of workers; ``ready`` runs once requests are answered, beside them."""
    from api.server import serve

    _bring_up_to_date(configured)
    background: set[asyncio.Task[None]] = set()

    async def on_ready(rpc: Rpc) -> None:
        for _ in range(configured.workers):
            background.add(asyncio.create_task(_keep_worker(configured)))
        background.add(asyncio.create_task(ready(configured, rpc)))

    # uvicorn hands an interrupt on once it has finished what was under way: being told to stop is no failure.
    with contextlib.suppress(KeyboardInterrupt):
        serve(configured, on_ready=on_ready)


def say_about_workspace() -> None:
    """Without Node at set-up there is no workspace; the API is there all the same."""
    from api.web import workspace_built

    if not workspace_built():
        say("no workspace here: it is built by `make web`, which needs Node 20.9 or newer; the API runs without it")


def open_browser(address: str) -> None:
    """Show the page, where there is a screen and somebody at it."""
    has_screen = sys.platform == "darwin" or any(name in os.environ for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    if has_screen and sys.stderr.isatty():
        with contextlib.suppress(webbrowser.Error):
            webbrowser.open(address)


def _bring_up_to_date(configured: Settings) -> None:
    """A database of one's own is migrated here; the embedded one when it opens; Supabase's by `db migrate`."""
    if configured.database_url is None:
        return
    from store.migrate import migrate

    applied = asyncio.run(migrate(configured.database_url.get_secret_value()))
    if applied:
        say(f"database brought up to date: {', '.join(applied)}")


async def _keep_worker(configured: Settings) -> None:
    """Start a worker and start it again if it dies, after a pause that grows while it keeps dying."""
    pause = 0.5
    while True:
        began = asyncio.get_running_loop().time()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cli.main", "worker", "--data-dir", str(configured.data_path), "--tied",
            stdin=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            await _end(process)
            raise
        if asyncio.get_running_loop().time() - began > 30:
            pause = 0.5
        say(f"the worker ended with {code}; a new one starts in {pause:g} s")
        await asyncio.sleep(pause)
        pause = min(pause * 2, 30)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    with contextlib.suppress(TimeoutError, ProcessLookupError):
        await asyncio.wait_for(process.wait(), 15)
    if process.returncode is None:
        process.kill()
        await process.wait()
