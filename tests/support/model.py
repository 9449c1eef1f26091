"""What tests of agents and crews share: a client of the stand-in, a cache and a budget kept in memory, labelsets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.client import ModelClient
from agents.prices import PRICES
from schemas.caching import CachedCompletion
from schemas.labeling import PrelabelInput
from tests.support.openai_server import KEY, StandIn

MODEL = "gpt-4.1-mini"


def client_of(server: StandIn, **options: Any) -> ModelClient:
    """A client of the stand-in, with the real price of the model it plays."""
    given: dict[str, Any] = {"api_key": KEY, "price": PRICES[MODEL], "timeout_s": 5.0} | options
    return ModelClient(given.pop("model", MODEL), base_url=server.base_url, **given)


def items_of_texts(texts: Iterable[str]) -> list[PrelabelInput]:
    """Items with the ids a, b, c … for a test to name."""
    return [PrelabelInput(item_id=f"i{number}", text=text) for number, text in enumerate(texts)]


@dataclass
class MemoryCache:
    """A completion cache that lives as long as its test."""

    entries: dict[str, CachedCompletion] = field(default_factory=dict)

    async def get_many(self, keys: Sequence[str]) -> dict[str, CachedCompletion]:
        return {key: self.entries[key] for key in keys if key in self.entries}

    async def put_many(self, items: Mapping[str, CachedCompletion]) -> None:
        self.entries.update(items)


@dataclass
class Budget:
    """A limit in US dollars that notes how close to it a run ever came."""

    limit: float
    spent: float = 0.0
    held: float = 0.0
    most: float = 0.0

    async def reserve(self, usd: float) -> bool:
        if self.spent + self.held + usd > self.limit:
            return False
        self.held += usd
        self.most = max(self.most, self.spent + self.held)
        return True

    async def settle(self, reserved: float, actual: float) -> None:
        self.held -= reserved
        self.spent += actual
