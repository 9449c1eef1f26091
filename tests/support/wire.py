"""A wire to the tests' Postgres that can be cut in the middle of a call, as networks do."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from psycopg.conninfo import conninfo_to_dict


class Wire:
    """Passes bytes between a TCP port of its own and the unix socket behind ``dsn``."""

    def __init__(self, dsn: str) -> None:
        parts = conninfo_to_dict(dsn)
        self._socket = f"{parts['host']}/.s.PGSQL.5432"
        self._database = parts["dbname"]
        self._open: list[asyncio.StreamWriter] = []

    @property
    def dsn(self) -> str:
        """The same database, over this wire."""
        port = self._server.sockets[0].getsockname()[1]
        return f"postgresql://postgres@127.0.0.1:{port}/{self._database}?sslmode=disable"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()
        self._server.close()

    def cut(self) -> None:
        """Break every connection that is open now."""
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    async def _connect(self, near: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        far, request = await asyncio.open_unix_connection(self._socket)
        self._open += [answer, request]
        await asyncio.gather(self._pass_on(near, request), self._pass_on(far, answer))

    @staticmethod
    async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while part := await source.read(2**16):
                target.write(part)
                await target.drain()
        target.close()
