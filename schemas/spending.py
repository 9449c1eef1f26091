"""A budget, as whoever calls a model sees it: set an upper bound aside before the call, settle what it cost after."""

from __future__ import annotations

from typing import Protocol


class Spend(Protocol):
    """Keeps a limit in US dollars. May be called from many calls at once."""

    async def reserve(self, usd: float) -> bool:
        """Whether a call that may cost up to ``usd`` fits the budget; if so, that much is set aside."""
        ...

    async def settle(self, reserved: float, actual: float) -> None:
        """A call that had ``reserved`` set aside cost ``actual``; 0 for one that failed."""
        ...
