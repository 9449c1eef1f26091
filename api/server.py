"""Running the gateway: uvicorn on uvloop and httptools, one process, stopping without cutting anybody off.

The port is taken before anything else is opened, so that a taken one is told at once and in words.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable
from types import FrameType

import uvicorn
import uvloop
from fastapi import FastAPI

import store
from api.app import create_app
from api.bootstrap import noted_address
from api.observability import configure_logging
from schemas.errors import ConfigurationError, error_of
from schemas.settings import Settings
from store.rpc import Rpc

BACKLOG = 2048
WARM_UP_AFTER_SECONDS = 1.0
GRACE_SECONDS = 20
"""How long requests under way may take to finish after the server was asked to stop."""


def bind(settings: Settings) -> socket.socket:
    """A listening socket on the settings' host and port. Raises ``port-in-use``, or ``configuration`` for a host that
    is not this machine's. Port 0 takes any free one: ask the socket which."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise error_of("port-in-use", f"port {settings.port} on {settings.host} is taken") from error
        raise ConfigurationError(f"cannot listen on {settings.host}:{settings.port}: {error}") from error
    listener.set_inheritable(False)
    return listener


class _Server(uvicorn.Server):
    """Tells streams that would never end by themselves when it is time to."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app
        self.answers = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.answers.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self.stop()

    def stop(self) -> None:
        """Ask it to finish what is under way and end."""
        self.should_exit = True
        gateway = getattr(self._app.state, "gateway", None)
        if gateway is not None:
            gateway.closing.set()


def make_server(app: FastAPI, *, proxied: bool = False) -> _Server:
    """A uvicorn server for ``app``, not yet running. ``proxied``: a proxy on this machine says who the client is."""
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=proxied,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=GRACE_SECONDS,
        backlog=BACKLOG,
    )
    return _Server(config, app)


async def serve_app(
    settings: Settings,
    app: FastAPI,
    *,
    listener: socket.socket | None = None,
    on_ready: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Serve ``app`` until the process is asked to stop. ``on_ready`` runs once, when requests are answered."""
    server = make_server(app, proxied=settings.public_url is not None)
    running = asyncio.create_task(server.serve(sockets=[listener or bind(settings)]))
    answering = asyncio.create_task(server.answers.wait())
    try:
        await asyncio.wait([running, answering], return_when=asyncio.FIRST_COMPLETED)
        if on_ready is not None and answering.done():
            await on_ready()
        await running
    except BaseException:
        server.stop()
        await asyncio.gather(running, return_exceptions=True)
        raise
    finally:
        answering.cancel()


async def _warm_up(settings: Settings) -> None:
    """Load the embedded model while nobody waits for it, so that the first draft is as fast as the second."""
    if settings.default_model.startswith("local/"):
        await asyncio.sleep(WARM_UP_AFTER_SECONDS)
        await asyncio.to_thread(_load_embedder)


def _load_embedder() -> None:
    from learning.embedding import load_embedder

    load_embedder()


def serve(settings: Settings, *, on_ready: Callable[[Rpc], Awaitable[None]] | None = None) -> None:
    """Run the gateway in this process until it is asked to stop. ``on_ready`` is given the open database.

    Raises ``port-in-use``, ``data-dir-in-use`` and whatever else hinders the database from opening.
    """
    configure_logging(settings)
    listener = bind(settings)

    async def run() -> None:
        # Opened here rather than by the application, because uvicorn would turn what goes wrong into an exit code.
        rpc = await store.open_rpc(settings, exclusive=True)

        warming = asyncio.create_task(_warm_up(settings))

        async def ready() -> None:
            if on_ready is not None:
                await on_ready(rpc)

        try:
            await serve_app(settings, create_app(settings, rpc), listener=listener, on_ready=ready)
        finally:
            warming.cancel()
            await rpc.close()

    try:
        bound = settings.model_copy(update={"port": listener.getsockname()[1]})
        with noted_address(bound), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run())
    finally:
        listener.close()
