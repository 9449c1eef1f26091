"""The budget of hints and chat in one dataset, as the model's client sees it: ask before each call, settle after.

The limit is the dataset's ``budget_usd``; the database keeps it, for every process at once. Without a limit the costs are
counted all the same. What is settled goes by the call's own reservation, so a process that is killed leaves nothing set
aside for long.
"""

from __future__ import annotations

from store.rpc import Rpc


class Allowance:
    """What one person spends in one dataset. Implements the client's ``Spend`` protocol."""

    def __init__(self, rpc: Rpc, actor: str, dataset: str, *, limited: bool) -> None:
        """``limited``: whether there is a budget; without one nothing needs to be set aside."""
        self._limited = limited
        self._rpc = rpc
        self._actor = actor
        self._dataset = dataset
        self._held: list[tuple[float, str]] = []

    async def reserve(self, usd: float) -> bool:
        """Whether a call that may cost ``usd`` fits the budget; if so that much is set aside."""
        if not self._limited:
            return True
        answer = await self._rpc.call("reserve_guidance", actor=self._actor, dataset=self._dataset, usd=usd)
        if answer["granted"]:
            self._held.append((usd, answer["id"]))
        return bool(answer["granted"])

    async def settle(self, reserved: float, actual: float) -> None:
        """A call that had ``reserved`` set aside cost ``actual``."""
        held = next((pair for pair in self._held if pair[0] == reserved), None)
        if held is not None:
            self._held.remove(held)
        await self._rpc.call(
            "settle_guidance",
            actor=self._actor, dataset=self._dataset, usd=actual, reservation=held[1] if held else None,
        )  # fmt: skip


def allowance_for(rpc: Rpc, actor: str, dataset: str, budget_usd: float | None, *, priced: bool) -> Allowance | None:
    """The allowance to hand to a model's client: none where the price is unknown and no budget is to be kept, because
    then there is nothing to count. With a budget the client itself refuses a model without a price."""
    if not priced and budget_usd is None:
        return None
    return Allowance(rpc, actor, dataset, limited=budget_usd is not None)
