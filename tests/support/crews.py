"""A dataset whose answers are reviewed, and what its people do, for tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from store.rpc import Rpc
from tests.support.teams import Team


@dataclass
class Crew:
    """A dataset with reviewers; ``people`` are by name: author, other, reviewer, second, judge."""

    team: Team
    people: dict[str, str]

    @classmethod
    async def of(cls, rpc: Rpc, *, items: int = 1, levels: int = 2, **settings: Any) -> Crew:
        team = await Team.of(rpc, items=items, review_levels=levels, **settings)
        roles = {"author": "annotator", "other": "annotator", "reviewer": "reviewer", "second": "reviewer"}
        roles |= {"judge": "super_reviewer"}
        return cls(team, {name: await team.member(role) for name, role in roles.items()})

    async def answer(self, who: str = "author", label: str = "good") -> str:
        """The item that ``who`` was handed and has answered."""
        [claim] = await self.team.claim(self.people[who])
        await self.team.submit(self.people[who], claim, label)
        return str(claim["item"]["id"])

    async def claim(self, who: str = "reviewer", level: int = 2, count: int = 1) -> list[dict[str, Any]]:
        return list(await self.team.call("claim_reviews", self.people[who], level=level, count=count))

    async def review(
        self, item: str, decision: str = "approved", who: str = "reviewer", **params: Any
    ) -> dict[str, Any]:
        if decision == "corrected":
            params.setdefault("payload", {"labels": ["bad"]})
        if decision == "rejected":
            params.setdefault("comment", "read the guidelines")
        done: dict[str, Any] = await self.team.rpc.call(
            "review_item", actor=self.people[who], item=item, decision=decision, **params
        )
        return done

    async def appeal(self, item: str, who: str = "author", comment: str = "it was right") -> dict[str, Any]:
        done: dict[str, Any] = await self.team.rpc.call(
            "appeal_item", actor=self.people[who], item=item, comment=comment
        )
        return done

    async def state(self, item: str) -> str:
        return str((await self.team.item(item))["state"])

    async def kinds(self, item: str) -> list[str]:
        history = await self.team.rpc.call("list_history", actor=self.team.admin, item=item)
        return [event["kind"] for event in reversed(history["events"])]
