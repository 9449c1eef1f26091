"""A dataset with a labelset and people, for the tests of what happens inside one."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import pytest

from schemas.errors import LabelCrewError
from store.rpc import Rpc
from tests.support.people import new_dataset, new_member, new_user

CLASSES = ("good", "bad", "ugly")


@dataclass
class Team:
    """One dataset and its admin; everything is done through ``rpc``."""

    rpc: Rpc
    admin: str
    dataset: str

    @classmethod
    async def of(cls, rpc: Rpc, *, items: int = 0, labelset: bool = True, **settings: Any) -> Team:
        """A dataset with the classes :data:`CLASSES` and ``items`` texts."""
        admin = await new_user(rpc, "admin")
        team = cls(rpc, admin, await new_dataset(rpc, admin, settings=settings))
        if labelset:
            await team.labelset()
        if items:
            await team.add(*(f"text number {n}" for n in range(1, items + 1)))
        return team

    async def labelset(self, kind: str = "classification", **params: Any) -> dict[str, Any]:
        """The next version of the labelset."""
        params.setdefault("classes", [{"name": name} for name in CLASSES])
        made: dict[str, Any] = await self.call("create_labelset", kind=kind, **params)
        return made

    async def member(self, role: str = "annotator") -> str:
        """A new member's id."""
        return await new_member(self.rpc, self.admin, self.dataset, role)

    async def call(self, function: str, actor: str | None = None, **params: Any) -> Any:
        """A call on this dataset, by the admin unless somebody else is named."""
        return await self.rpc.call(function, actor=actor or self.admin, dataset=self.dataset, **params)

    async def add(self, *texts: str, **fields: Any) -> list[str]:
        """Ids of items with these texts; ``fields`` are the same for all rows."""
        made = await self.call("create_items", rows=[{"text": text, **fields} for text in texts], want_results=True)
        return [row["id"] for row in made["results"]]

    async def items(self, **filters: Any) -> list[dict[str, Any]]:
        """A page of items."""
        page = await self.call("list_items", **{"limit": 500, **filters})
        return list(page["items"])

    async def item(self, item: str, actor: str | None = None) -> dict[str, Any]:
        """One item."""
        found: dict[str, Any] = await self.rpc.call("get_item", actor=actor or self.admin, item=item)
        return found

    async def claim(self, actor: str, count: int = 1, **params: Any) -> list[dict[str, Any]]:
        """What ``actor`` holds now."""
        return list(await self.call("claim_items", actor, count=count, **params))

    async def submit(
        self, actor: str, claim: dict[str, Any] | str, label: str = "good", **params: Any
    ) -> dict[str, Any]:
        """Answer a claim; or an item, by its id, without one."""
        if isinstance(claim, dict):
            lease = claim["lease"]
            params = {"lease": lease["id"], "token": lease["token"], **params}
            claim = str(lease["item_id"])
        params = {"payload": {"labels": [label]}, "labelset_version": 1, **params}
        done: dict[str, Any] = await self.rpc.call("submit_annotation", actor=actor, item=claim, **params)
        return done

    async def states(self) -> dict[str, int]:
        """How many items are in each state; none left out that has any."""
        dataset = await self.call("get_dataset")
        return {state: n for state, n in dataset["states"].items() if n}


async def refusal(call: Awaitable[Any], code: str) -> LabelCrewError:
    """The error that ``call`` raises, which has this code."""
    with pytest.raises(LabelCrewError) as raised:
        await call
    assert raised.value.code == code, str(raised.value)
    return raised.value


def draft(item: str, label: str = "good", **fields: Any) -> dict[str, Any]:
    """A model's answer, as JSON."""
    return {
        "item_id": item, "payload": {"labels": [label]}, "confidence": 0.9, "probability": 0.8, "model": "test-model",
        "labelset_version": 1, "route": "llm", **fields,
    }  # fmt: skip


def failure(item: str, **fields: Any) -> dict[str, Any]:
    """A model's failure, as JSON."""
    error = {"code": "model-refused", "detail": "it would not"}
    return draft(item, **{"payload": None, "confidence": None, "probability": None, "error": error, **fields})
