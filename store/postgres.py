"""The direct transport: psycopg's asynchronous pool, one prepared statement a function and set of parameters.

Types come from the database's own catalogue, read once a process, so that ``p_rows`` is sent as jsonb and ``p_keys`` as
``text[]`` without this module knowing any function. Every connection becomes ``labelcrew_service``, which may execute
the functions and nothing else.
"""

from __future__ import annotations

import select
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import orjson
import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb, set_json_dumps, set_json_loads
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from schemas.errors import Invalid, Unavailable, error_of
from store.errors import TRANSIENT, TURNED_AWAY, from_psycopg, unavailable, unknown_function
from store.rpc import request_id

STATEMENT_SECONDS = 30.0
CONNECT_SECONDS = 10

REQUEST = "request id"
"""Name of the parameter of a statement that holds it; no parameter of a function can have it."""
NAMED = " from (select pg_catalog.set_config('labelcrew.request_id', {}, true)) _"
"""Set before the function runs, and gone with its transaction, in the same round trip."""

CATALOGUE = """
select p.proname, p.provolatile <> 'v',
       coalesce(p.proargnames, '{}'),
       array(select format_type(t, null) from unnest(p.proargtypes) with ordinality a(t, n) order by n)
from pg_catalog.pg_proc p
where p.pronamespace = to_regnamespace('labelcrew_api')
"""


@dataclass(frozen=True, slots=True)
class _Function:
    reads_only: bool
    types: Mapping[str, str]
    """Parameter without its ``p_`` to SQL type."""


@dataclass(frozen=True, slots=True)
class _Statement:
    query: sql.Composed
    named: sql.Composed
    """The same, telling the id of the request that is being served; as `request_id`."""
    jsonb: tuple[str, ...]
    """Parameters to wrap as jsonb."""
    reads_only: bool


class PostgresRpc:
    """:class:`store.rpc.Rpc` over a connection pool. Make one with :meth:`open`."""

    def __init__(self, pool: AsyncConnectionPool, catalogue: Mapping[str, _Function]) -> None:
        self._pool = pool
        self._catalogue = catalogue
        self._statements: dict[tuple[str, tuple[str, ...]], _Statement] = {}

    @classmethod
    async def open(cls, dsn: str, *, pool_size: int = 10) -> PostgresRpc:
        """Connect. Raises ``unavailable`` when nobody answers, ``migrations-pending`` on an empty database."""
        pool = AsyncConnectionPool(
            dsn,
            min_size=1,
            max_size=pool_size,
            open=False,
            configure=_configure,
            timeout=CONNECT_SECONDS,
            kwargs={"autocommit": True, "connect_timeout": CONNECT_SECONDS, "application_name": "labelcrew"},
        )
        try:
            # The pool would try for long, and in the background; a first connection of our own tells at once.
            async with await psycopg.AsyncConnection.connect(dsn, connect_timeout=CONNECT_SECONDS) as connection:
                rows = await (await connection.execute(CATALOGUE)).fetchall()
                catalogue = {
                    name: _Function(reads_only, {a.removeprefix("p_"): t for a, t in zip(names, types, strict=False)})
                    for name, reads_only, names, types in rows
                }
                if "get_schema_version" not in catalogue:
                    raise error_of("migrations-pending", "the database has not been set up yet")
                await _configure(connection)
            await pool.open(wait=True, timeout=CONNECT_SECONDS)
        except psycopg.errors.InsufficientPrivilege as refused:
            raise from_psycopg(refused) from None
        except (psycopg.OperationalError, PoolTimeout) as failure:
            await pool.close()
            raise unavailable(failure) from None
        return cls(pool, catalogue)

    async def call(self, function: str, *, timeout: float | None = None, **params: Any) -> Any:  # noqa: ASYNC109
        """See :meth:`store.rpc.Rpc.call`."""
        statement = self._statements.get((function, tuple(params))) or self._prepare(function, tuple(params))
        try:
            for name in statement.jsonb:
                params[name] = Jsonb(params[name], dumps=orjson.dumps)
            if (named := request_id.get()) is not None:
                params[REQUEST] = named
            try:
                return await self._execute(statement, params, timeout)
            except psycopg.Error as failure:
                if not _may_retry(failure, statement):
                    raise
            return await self._again(statement, params, timeout)
        except PoolTimeout:
            raise Unavailable("the database has no connection free") from None
        except psycopg.Error as failure:
            raise from_psycopg(failure, function) from None
        except (orjson.JSONEncodeError, UnicodeEncodeError) as failure:
            raise Invalid(f"a value cannot be stored: {failure}") from None

    async def close(self) -> None:
        """See :meth:`store.rpc.Rpc.close`."""
        await self._pool.close()

    async def _execute(self, statement: _Statement, params: dict[str, Any], timeout: float | None) -> Any:  # noqa: ASYNC109
        connection = await self._take()
        query = statement.named if REQUEST in params and not statement.reads_only else statement.query
        try:
            if timeout is None:
                cursor = await connection.execute(query, params, prepare=True)
                row = await cursor.fetchone()
            else:
                async with connection.transaction():
                    await connection.execute("select set_config('statement_timeout', %s, true)", [f"{timeout:.3f}s"])
                    cursor = await connection.execute(query, params, prepare=True)
                    row = await cursor.fetchone()
        finally:
            await self._pool.putconn(connection)
        return row[0] if row else None

    async def _take(self) -> psycopg.AsyncConnection:
        """A live connection. Dead ones are thrown away without a round trip and without the pool's pause between."""
        deadline = time.monotonic() + CONNECT_SECONDS
        while True:
            connection = await self._pool.getconn(timeout=max(0.0, deadline - time.monotonic()))
            if _is_idle(connection):
                return connection
            await connection.close()
            await self._pool.putconn(connection)

    async def _again(self, statement: _Statement, params: dict[str, Any], timeout: float | None) -> Any:  # noqa: ASYNC109
        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda failure: _may_retry(failure, statement)),
            wait=wait_random_exponential(multiplier=0.02, max=1.0),
            stop=stop_after_attempt(5),
            reraise=True,
        )
        return await retrying(self._execute, statement, params, timeout)

    def _prepare(self, function: str, names: tuple[str, ...]) -> _Statement:
        entry = self._catalogue.get(function)
        if entry is None or any(name not in entry.types for name in names):
            raise unknown_function(function, names)
        # Types are the catalogue's own words (format_type); names are compared with the catalogue's and quoted.
        arguments = [
            sql.SQL("{} => {}::{}").format(
                sql.Identifier(f"p_{name}"), sql.Placeholder(name), sql.SQL(cast(Any, entry.types[name]))
            )
            for name in names
        ]
        query = sql.SQL("select {}.{}({})").format(
            sql.Identifier("labelcrew_api"), sql.Identifier(function), sql.SQL(", ").join(arguments)
        )
        named = query + sql.SQL(NAMED).format(sql.Placeholder(REQUEST))
        jsonb = tuple(name for name in names if entry.types[name] == "jsonb")
        statement = _Statement(query, named, jsonb, entry.reads_only)
        self._statements[function, names] = statement
        return statement


def _may_retry(failure: BaseException, statement: _Statement) -> bool:
    """Whether running it again cannot do it twice: the server said that it was rolled back, or it only reads."""
    if isinstance(failure, PoolTimeout):
        return False
    if isinstance(failure, psycopg.Error) and failure.sqlstate in TRANSIENT | TURNED_AWAY:
        return True
    lost = isinstance(failure, psycopg.OperationalError) and failure.sqlstate in {None, "57P02"}
    return lost and statement.reads_only


async def _configure(connection: psycopg.AsyncConnection) -> None:
    set_json_loads(orjson.loads, connection)
    set_json_dumps(orjson.dumps, connection)
    connection.prepared_max = 300
    timeout = f"{STATEMENT_SECONDS:.0f}s"
    await connection.execute(
        f"set role labelcrew_service; set statement_timeout = '{timeout}'; set lock_timeout = '{timeout}'; "
        f"set idle_in_transaction_session_timeout = '{timeout}'; set timezone = 'UTC'"
    )


def _is_idle(connection: psycopg.AsyncConnection) -> bool:
    """Whether there is nothing to read: on a connection that nobody uses, it would be its end, or the last words."""
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)
