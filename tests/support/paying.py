"""A dataset that pays, for the tests of money."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from store.rpc import Rpc
from tests.support.teams import Team

TEN = {"level": 1, "per": "item", "amount": 10}


@dataclass
class Paying(Team):
    """A dataset with a wallet."""

    keys: int = 0

    async def start(self, *prices: dict[str, Any], escrow: int = 1000) -> Paying:
        await self.call("set_currency", currency="EUR")
        await self.prices(*(prices or (TEN,)))
        if escrow:
            await self.fund(escrow)
        return self

    async def prices(self, *prices: dict[str, Any]) -> None:
        await self.call("set_prices", prices=list(prices))

    async def fund(self, amount: int, key: str | None = None) -> dict[str, Any]:
        self.keys += 1
        funded: dict[str, Any] = await self.call("fund_escrow", amount=amount, key=key or f"k{self.keys}")
        return funded

    async def adjust(self, user: str, amount: int, key: str | None = None) -> Any:
        self.keys += 1
        return await self.call("adjust_pay", user=user, amount=amount, key=key or f"a{self.keys}", reason="because")

    async def money(self) -> dict[str, int]:
        """What is in each account; none left out that has any."""
        pay = await self.call("get_pay")
        accounts = ("escrow", "held", "payable", "paying", "paid", "waiting")
        return {account: pay[account] for account in accounts if pay[account]}

    async def answer(self, actor: str, label: str = "good", **params: Any) -> str:
        """Claim the next item and answer it; its id."""
        [claim] = await self.claim(actor)
        await self.submit(actor, claim, label, **params)
        return str(claim["item"]["id"])

    async def holds(self, **params: Any) -> list[dict[str, Any]]:
        return list(await self.call("list_holds", **params))


async def paying(rpc: Rpc, *prices: dict[str, Any], escrow: int = 1000, items: int = 4, **settings: Any) -> Paying:
    team = await Paying.of(rpc, items=items, **settings)
    assert isinstance(team, Paying)
    return await team.start(*prices, escrow=escrow)
