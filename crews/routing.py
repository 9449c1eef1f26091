"""Who answers which item: the student alone, the language model, the crew, or a person.

The student looks at everything, for nothing. Where it is unsure, the arithmetic of learning/routing.py decides whether
a better answer is worth its price, within a budget of USD and of people's minutes; budgets and targets are shared out
over the items, so that a run can be planned a few hundred items at a time, by as many processes as there are. Every
draft says which route it took and why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.errors import LabelCrewError, PaymentRequired
from schemas.labeling import Labeler, PrelabelInput, finished_drafts, with_finished
from schemas.world import Draft

if TYPE_CHECKING:
    from learning.routing import Routing

BATCH = 250
"""Items planned together."""
LLM_RIGHT, CREW_RIGHT, HUMAN_RIGHT = 0.85, 0.9, 0.97
"""How often a route is right, as long as nobody has judged its drafts here."""
CREW_PRICE = 4.0
"""What a deliberation costs, in plain drafts: two agents, each with more to read and to write."""
UNTAUGHT = 0.8
"""What class names alone reach on real data sets is .5 to .85: no item is believed to do better before answers say so."""
WITHOUT_DRAFT = 0.01
"""The student's chance where it has no answer at all."""


@dataclass(frozen=True)
class RouteRates:
    """How often each route is right, and what an item costs by it. A route whose chance is None is not there."""

    llm_right: float | None = LLM_RIGHT
    crew_right: float | None = CREW_RIGHT
    human_right: float = HUMAN_RIGHT
    llm_usd: float = 0.0
    crew_usd: float = 0.0
    human_minutes: float = 5 / 60


@dataclass(frozen=True)
class RouteLimits:
    """What may be spent an item, on average (None: no limit), and the share of errors that is aimed at."""

    usd: float | None = None
    minutes: float | None = None
    target_error: float | None = None


def plan_routes(probability: Sequence[float], rates: RouteRates, limits: RouteLimits) -> Routing:
    """A route for each item, from the student's calibrated ``probability`` (n,) of being right by itself."""
    from learning.routing import RouteOption, likely_right, route_items

    n = len(probability)
    options = [RouteOption("student", list(probability))]
    if rates.llm_right is not None:
        options.append(RouteOption("llm", likely_right(list(probability), rates.llm_right), usd=rates.llm_usd))
    if rates.crew_right is not None:
        options.append(RouteOption("crew", likely_right(list(probability), rates.crew_right), usd=rates.crew_usd))
    options.append(RouteOption("human", rates.human_right, minutes=rates.human_minutes))
    return route_items(
        options,
        usd=None if limits.usd is None else limits.usd * n,
        minutes=None if limits.minutes is None else limits.minutes * n,
        target_error=limits.target_error,
    )


class RoutedLabeler:
    """A labeler that asks others. What an expensive one cannot answer stays as the student said."""

    def __init__(
        self,
        student: Labeler,
        rates: RouteRates,
        limits: RouteLimits,
        *,
        language: Labeler | None = None,
        crew: Labeler | None = None,
    ) -> None:
        """Without ``language`` or ``crew`` those routes are not taken."""
        self._student = student
        self._others = {"llm": language, "crew": crew}
        self._rates = RouteRates(
            llm_right=rates.llm_right if language else None, crew_right=rates.crew_right if crew else None,
            human_right=rates.human_right, llm_usd=rates.llm_usd, crew_usd=rates.crew_usd,
            human_minutes=rates.human_minutes,
        )  # fmt: skip
        self._limits = limits

    @property
    def name(self) -> str:
        """The language model's name, or the student's where there is none."""
        return (self._others["llm"] or self._student).name

    @property
    def batch_size(self) -> int:
        """How many items are planned together."""
        return BATCH

    async def draft(self, items: Sequence[PrelabelInput]) -> list[Draft]:
        """One draft for each item, in order. A used-up budget leaves the rest to the student; raises what else concerns
        the whole run, with the drafts done before it."""
        if not items:
            return []
        first = await self._student.draft(items)
        routing = await asyncio.to_thread(
            plan_routes, [student_chance(draft) for draft in first], self._rates, self._limits
        )
        drafts = [
            _routed(draft, routing.route(row), routing.reasons[row], routing.right[row])
            for row, draft in enumerate(first)
        ]
        asked = {name: [row for row in range(len(items)) if routing.route(row) == name] for name in ("llm", "crew")}
        answers = await asyncio.gather(
            *(self._ask(name, [items[row] for row in rows]) for name, rows in asked.items()), return_exceptions=True
        )
        fatal: LabelCrewError | None = None
        unanswered: set[str] = set()
        for rows, answer in zip(asked.values(), answers, strict=True):
            if isinstance(answer, BaseException) and not isinstance(answer, LabelCrewError):
                raise answer
            found = finished_drafts(answer) if isinstance(answer, LabelCrewError) else answer
            if isinstance(answer, LabelCrewError) and not isinstance(answer, PaymentRequired):
                fatal = fatal or answer
                unanswered |= {items[row].item_id for row in rows} - {draft.item_id for draft in found}
            by_id = {draft.item_id: draft for draft in found}
            for row in rows:
                drafts[row] = _answered(drafts[row], by_id.get(items[row].item_id), routing.reasons[row])
        if fatal is not None:
            raise with_finished(fatal, [draft for draft in drafts if draft.item_id not in unanswered])
        return drafts

    async def _ask(self, name: str, items: Sequence[PrelabelInput]) -> list[Draft]:
        labeler = self._others[name]
        return await labeler.draft(items) if labeler is not None and items else []


def student_chance(draft: Draft) -> float:
    """The chance that the student's draft is right; one that goes by class names alone is not believed beyond 80 %."""
    if draft.payload is None or draft.probability is None:
        return WITHOUT_DRAFT
    return min(max(draft.probability, 0.0), UNTAUGHT if draft.route == "local" else 1.0)


def _routed(draft: Draft, route: str | None, reason: str, right: float) -> Draft:
    """The student's draft, with the reason of the route that was chosen for its item."""
    if draft.payload is None:
        return draft
    words = f"{reason[:1].upper()}{reason[1:]}."
    if route in (None, "human"):
        said = f"A person is needed: {reason}. The student's draft is a suggestion." if route else words
        return draft.model_copy(update={"route": "human", "route_reason": said})
    return draft.model_copy(update={"route_reason": words})


def _answered(first: Draft, answer: Draft | None, reason: str) -> Draft:
    """The answer of the route that was asked; the student's where there is none, because it failed or was not paid."""
    if answer is None or answer.payload is None:
        if first.payload is None:
            return answer or first
        failed = answer.error.code if answer is not None and answer.error else "the budget is used up"
        usage = answer.usage if answer is not None else first.usage
        said = f"The student alone, because a better answer was not to be had ({failed})."
        return first.model_copy(update={"route_reason": said, "usage": usage})
    return answer.model_copy(
        update={"route_reason": f"{reason[:1].upper()}{reason[1:]}. {answer.route_reason}".strip()}
    )
