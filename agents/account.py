"""A budget and the calls under way that hold a part of it.

A call reserves the most it may cost and gives most of that back when it is done. So a budget that has no room at the
moment is not used up while calls are under way: the next call waits for one of them. It is used up when there is no
room and nothing under way.
"""

from __future__ import annotations

import asyncio

from schemas.errors import error_of
from schemas.spending import Spend


class Account:
    """One budget in one event loop."""

    def __init__(self, spend: Spend) -> None:
        self._spend = spend
        self._settled = asyncio.Event()
        self._under_way = 0
        self.users = 0
        """Calls that are about to reserve, or have."""

    async def reserve(self, usd: float) -> None:
        """Set ``usd`` aside, when necessary after waiting for other calls. Raises budget-exceeded."""
        while True:
            settled = self._settled
            if await self._spend.reserve(usd):
                self._under_way += 1
                return
            if settled is not self._settled:
                continue  # a call ended while this one asked
            if not self._under_way:
                raise error_of("budget-exceeded", "The budget does not allow another call.")
            await settled.wait()

    async def settle(self, reserved: float, actual: float) -> None:
        """A call is done: what it did not cost is free again."""
        try:
            await self._spend.settle(reserved, actual)
        finally:
            self._under_way -= 1
            settled, self._settled = self._settled, asyncio.Event()
            settled.set()
