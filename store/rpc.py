"""The one door to the database: a function's name, its parameters, and the JSON that it returns.

Two transports speak it, :class:`store.postgres.PostgresRpc` and :class:`store.supabase.SupabaseRpc`. They call the same
SQL functions with the same privileges, and raise the same errors.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Protocol

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request that is being served, if one is: the events that its calls record carry it."""


class Rpc(Protocol):
    """Calls SQL functions of the schema ``labelcrew_api``."""

    async def call(self, function: str, *, timeout: float | None = None, **params: Any) -> Any:  # noqa: ASYNC109
        """Call ``labelcrew_api.<function>`` and return its JSON value, decoded.

        ``params`` are named without their ``p_``; one that is left out keeps the function's default. ``timeout`` is in
        seconds, for a call that is known to take longer than most (30 s). Raises the error that the function raised,
        else :class:`schemas.errors.Unavailable` when the database cannot be reached.
        """
        ...

    async def close(self) -> None:
        """Give the connections back. The object is of no use afterwards."""
        ...
