"""A job's budget, as the model's client sees it: ask before each call, settle after.

The limit itself is kept by the database (`reserve_budget` holds cost + reserved <= budget for every process at once).
The purse only saves round trips: it reserves for a few calls at a time and hands that out here. Whatever a killed
process had reserved stays reserved: those calls were under way and their provider may well bill them, so the budget is
never exceeded, at worst left with a few calls unspent.
"""

from __future__ import annotations

import asyncio

from store.rpc import Rpc

CALLS_AHEAD = 16
"""Reserve for this many calls of the size just asked for, in one round trip."""


class Purse:
    """Spending of one job in one process. Implements the client's ``Spend`` protocol."""

    def __init__(self, rpc: Rpc, job_id: str) -> None:
        self._rpc = rpc
        self._job_id = job_id
        self._held = 0.0
        self._lock = asyncio.Lock()
        self.used_up = False

    async def reserve(self, usd: float) -> bool:
        """Whether a call that may cost ``usd`` fits the budget; if so that much is set aside."""
        async with self._lock:
            if self._held >= usd:
                self._held -= usd
                return True
            for ahead in (CALLS_AHEAD, 1):
                wanted = usd * ahead - self._held
                answer = await self._rpc.call("reserve_budget", job=self._job_id, usd=wanted)
                if answer["granted"]:
                    self._held += wanted - usd
                    return True
            self.used_up = True
            return False

    async def settle(self, reserved: float, actual: float) -> None:
        """A call that had ``reserved`` set aside cost ``actual``."""
        await self._rpc.call("settle_budget", job=self._job_id, reserved=reserved, actual=actual)

    async def close(self) -> None:
        """Gives back what was set aside and not handed out."""
        async with self._lock:
            held, self._held = self._held, 0.0
            if held > 0:
                await self._rpc.call("settle_budget", job=self._job_id, reserved=held, actual=0)
