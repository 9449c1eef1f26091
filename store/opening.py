"""Which database the settings mean, and opening it: the embedded one, one's own by DSN, or Supabase's RPC."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from schemas.errors import ConfigurationError, LabelCrewError, error_of
from schemas.settings import Settings
from store.embedded import EmbeddedPostgres, server_pid
from store.migrate import expected_version, migrate, pending_error, status
from store.postgres import PostgresRpc
from store.rpc import Rpc


@dataclass(slots=True)
class Store:
    """An open database. It is an :class:`store.rpc.Rpc` itself; ``dsn`` and ``dbos_dsn`` are for durable workflows."""

    rpc: Rpc
    dsn: str | None
    """Direct connection string; None when only Supabase's RPC is at hand."""
    dbos_dsn: str | None
    """Database of the durable workflows: one of its own beside the embedded, the same database otherwise."""
    embedded: EmbeddedPostgres | None = None

    async def call(self, function: str, *, timeout: float | None = None, **params: Any) -> Any:  # noqa: ASYNC109
        """See :meth:`store.rpc.Rpc.call`."""
        return await self.rpc.call(function, timeout=timeout, **params)

    async def close(self) -> None:
        """Give the connections back, and let go of the embedded Postgres."""
        await self.rpc.close()
        if self.embedded is not None:
            await asyncio.to_thread(self.embedded.stop)


async def open_store(settings: Settings, *, exclusive: bool = False) -> Store:
    """Open the database that ``settings`` mean; close it when done.

    ``exclusive`` is for the server: one a data folder, the second gets ``data-dir-in-use``. The embedded database is
    set up and brought up to date on the way; one of your own is only compared, and ``migrations-pending`` raised when
    it is older or newer than this program.
    """
    if settings.supabase_url:
        if settings.supabase_service_role_key is None:
            raise ConfigurationError("SUPABASE_URL is set, SUPABASE_SERVICE_ROLE_KEY is not", hint="Set both.")
        from store.supabase import SupabaseRpc

        key = settings.supabase_service_role_key.get_secret_value()
        rpc: Rpc = await SupabaseRpc.open(settings.supabase_url, key)
        direct = settings.database_url.get_secret_value() if settings.database_url else None
        return await _checked(Store(rpc, dsn=direct, dbos_dsn=direct))
    if settings.database_url is not None:
        dsn = settings.database_url.get_secret_value()
        return await _checked(Store(await _open_postgres(dsn, settings), dsn=dsn, dbos_dsn=dsn))
    return await _open_embedded(settings, exclusive)


async def open_rpc(settings: Settings, *, exclusive: bool = False) -> Rpc:
    """:func:`open_store`, for callers that only call functions."""
    return await open_store(settings, exclusive=exclusive)


async def _open_embedded(settings: Settings, exclusive: bool) -> Store:
    embedded = EmbeddedPostgres(settings.data_path, exclusive=exclusive)
    dsn = await asyncio.to_thread(embedded.start)
    try:
        if not (await status(dsn)).current:
            served_by = None if exclusive else server_pid(settings.data_path)
            if served_by is not None:
                raise error_of(
                    "migrations-pending",
                    f"the server on {settings.data_path} (process {served_by}) runs another version than this program",
                    hint="Stop that server and start it with this version: it brings the database up to date.",
                )
            await migrate(dsn)
        rpc = await _open_postgres(dsn, settings)
    except BaseException:
        await asyncio.to_thread(embedded.stop)
        raise
    return Store(rpc, dsn=dsn, dbos_dsn=embedded.dbos_dsn, embedded=embedded)


async def _open_postgres(dsn: str, settings: Settings) -> PostgresRpc:
    return await PostgresRpc.open(dsn, pool_size=settings.db_pool_size)


async def _checked(store: Store) -> Store:
    try:
        found = await store.call("get_schema_version")
        if found != expected_version():
            raise pending_error(found)
    except LabelCrewError:
        await store.close()
        raise
    return store
