"""Routed drafting: every item says who answered and why, within the budget, and what models cannot do waits for people."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from pydantic import SecretStr

from crews.routing import RoutedLabeler, RouteLimits, RouteRates, plan_routes
from jobs.orders import check_order, estimate_order
from schemas.errors import Invalid, PaymentRequired, error_of
from schemas.labeling import PrelabelInput, with_finished
from schemas.payloads import Classification
from schemas.settings import Settings
from schemas.world import Draft, DraftError, Usage
from tests.jobs.conftest import Bench, Working, texts
from tests.support.openai_server import KEY, StandIn
from tests.support.teams import refusal

RATES = RouteRates(llm_right=0.9, crew_right=0.95, llm_usd=0.001, crew_usd=0.004, human_minutes=0.1)


class Scripted:
    """A labeler that answers with one label and one probability, or fails as it is told."""

    name = "scripted"
    batch_size = 10

    def __init__(
        self, label: str, route: str, probability: Sequence[float] = (), stop_after: int | None = None
    ) -> None:
        self.label, self.route, self.probability, self.stop_after = label, route, probability, stop_after
        self.asked: list[str] = []

    async def draft(self, items: Sequence[PrelabelInput]) -> list[Draft]:
        self.asked += [item.item_id for item in items]
        drafts = [self._draft(item, row) for row, item in enumerate(items)]
        if self.stop_after is not None:
            raise with_finished(error_of("budget-exceeded"), drafts[: self.stop_after])
        return drafts

    def _draft(self, item: PrelabelInput, row: int) -> Draft:
        failed = self.label == "fails"
        return Draft(
            item_id=item.item_id, model=self.name, route=self.route,  # type: ignore[arg-type]
            payload=None if failed else Classification(labels=(self.label,)),
            probability=self.probability[row] if self.probability else 0.9, usage=Usage(cost_usd=0.001),
            error=DraftError(code="model-refused", detail="no") if failed else None,
        )  # fmt: skip


def _items(n: int) -> list[PrelabelInput]:
    return [PrelabelInput(item_id=f"i{k}", text=f"text {k}") for k in range(n)]


def test_sure_items_stay_with_the_student_and_unsure_ones_are_worth_money() -> None:
    routing = plan_routes([0.99] * 50 + [0.3] * 50, RATES, RouteLimits(minutes=0.0, target_error=0.1))
    assert [routing.route(row) for row in range(50)] == ["student"] * 50
    assert {routing.route(row) for row in range(50, 100)} <= {"llm", "crew"}


def test_without_money_or_minutes_the_student_answers_everything() -> None:
    routing = plan_routes([0.4] * 20, RATES, RouteLimits(usd=0.0, minutes=0.0))
    assert routing.split["student"] == 20
    assert routing.usd == routing.minutes == 0


async def test_each_draft_says_its_route_and_the_reason() -> None:
    student = Scripted("a", "student", [0.99] * 5 + [0.2] * 5)
    language, crew = Scripted("b", "llm"), Scripted("c", "crew")
    limits = RouteLimits(usd=0.0011, minutes=0.0)
    labeler = RoutedLabeler(student, RATES, limits, language=language, crew=crew)
    drafts = await labeler.draft(_items(10))
    assert [d.item_id for d in drafts] == [f"i{k}" for k in range(10)]
    assert {d.route for d in drafts[5:]} <= {"llm", "crew"}
    assert set(language.asked + crew.asked) >= {f"i{k}" for k in range(5, 10)}
    assert all("expected to be right" in d.route_reason for d in drafts)


async def test_person_gets_a_suggestion_and_is_told_that_they_are_needed() -> None:
    labeler = RoutedLabeler(Scripted("a", "student", [0.3] * 4), RATES, RouteLimits())
    drafts = await labeler.draft(_items(4))
    assert {d.route for d in drafts} == {"human"}
    assert all(d.payload and d.route_reason.startswith("A person is needed") for d in drafts)


async def test_used_up_budget_and_failures_leave_the_students_answer() -> None:
    for language in (Scripted("b", "llm", stop_after=3), Scripted("fails", "llm")):
        labeler = RoutedLabeler(Scripted("a", "student", [0.3] * 8), RATES, RouteLimits(minutes=0.0), language=language)
        drafts = await labeler.draft(_items(8))
        answered = 3 if language.stop_after else 0
        assert Counter(d.route for d in drafts) == Counter({"student": 8 - answered, "llm": answered})
        assert all("not to be had" in d.route_reason for d in drafts if d.route == "student")


async def test_item_that_nobody_can_answer_comes_back_as_a_failure() -> None:
    labeler = RoutedLabeler(
        Scripted("fails", "student"), RATES, RouteLimits(minutes=0.0), language=Scripted("fails", "llm")
    )
    drafts = await labeler.draft(_items(3))
    assert all(d.error is not None for d in drafts)
    assert await labeler.draft([]) == []


def test_target_without_routing_and_nonsense_targets_are_refused() -> None:
    for params in ({"target_error": 0.05}, {"route": True, "target_error": 1.5}, {"route": True, "human_minutes": -1}):
        try:
            check_order(Settings(), "prelabel", {"model": "local/minilm-l6", **params})
        except Invalid:
            continue
        raise AssertionError(params)


async def test_routed_job_stores_route_and_reason_and_keeps_its_budget(
    bench: Bench, settings: Settings, working: Working
) -> None:
    ids = await bench.add(texts(90))
    for index, item in enumerate(ids[:12]):
        await bench.rpc.call(
            "submit_annotation", actor=bench.admin, item=item, labelset_version=1,
            payload={"labels": [("refund", "delivery", "size")[index % 3]]},
        )  # fmt: skip
    async with StandIn() as server:
        with_model = settings.model_copy(
            update={"openai_api_key": SecretStr(KEY), "openai_base_url": server.base_url, "model": "gpt-4.1-mini"}
        )
        params = {"route": True, "target_error": 0.02, "human_minutes": 0.2}
        estimate = await estimate_order(bench.rpc, with_model, bench.admin, bench.dataset, "prelabel", params, 0.01)
        assert sum(estimate.split.values()) == estimate.items == 78
        assert estimate.cost_usd is not None
        assert estimate.cost_usd <= 0.01 + 1e-9
        assert estimate.human_minutes <= 0.2
        async with working(with_model):
            done = await bench.until(await bench.order("prelabel", params, budget_usd=0.01))
    assert (done["state"], done["done"]) == ("done", 78), done
    assert done["cost_usd"] <= 0.01
    drafts = await bench.drafts_of(done["id"])
    assert all(draft["route_reason"] for draft in drafts)
    assert {draft["route"] for draft in drafts} <= {"student", "llm", "crew", "human"}
    assert done["result"]["routes"] == dict(Counter(draft["route"] for draft in drafts))


async def test_routing_with_the_embedded_model_alone_sends_the_unsure_to_people(
    bench: Bench, settings: Settings, working: Working
) -> None:
    await bench.add([*texts(20), "call me back", "hello there", "thanks a lot", "what now", "is anybody home"])
    async with working(settings):
        params = {"model": "local/minilm-l6", "route": True, "target_error": 0.02}
        done = await bench.until(await bench.order("prelabel", params))
    assert done["state"] == "done", done["error"]
    assert done["cost_usd"] == 0
    assert set(done["result"]["routes"]) <= {"student", "local", "human"}
    assert done["result"]["routes"]["human"] > 0


async def test_fatal_error_of_the_model_is_raised_with_what_was_answered() -> None:
    class Refused(Scripted):
        async def draft(self, items: Sequence[PrelabelInput]) -> list[Draft]:
            await asyncio.sleep(0)
            raise error_of("model-auth")

    student = Scripted("a", "student", [0.99] * 3 + [0.2] * 3)
    limits = RouteLimits(usd=0.0006, minutes=0.0)
    labeler = RoutedLabeler(student, RATES, limits, language=Refused("b", "llm"))
    error = await refusal(labeler.draft(_items(6)), "model-auth")
    finished = {draft.item_id for draft in error.__dict__["finished"]}
    assert finished == {"i0", "i1", "i2"}
    assert not isinstance(error, PaymentRequired)
