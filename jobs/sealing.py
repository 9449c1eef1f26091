"""Seals the audit log: a few seconds behind the writers, so that none of them ever waits for the chain."""

from __future__ import annotations

from store.rpc import Rpc

MOST_AT_ONCE = 5_000
"""Events in one call: about 60 ms of database time."""


async def seal(rpc: Rpc) -> int:
    """Seal every event that is settled by now; how many there were. Several workers may try at once: one does it."""
    sealed = 0
    while True:
        done = await rpc.call("seal_events", most=MOST_AT_ONCE)
        sealed += int(done["sealed"])
        if not done["behind"]:
            return sealed
