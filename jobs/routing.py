"""Routed drafting of a dataset: what each route costs here, how often it has been right here, and the labeler for it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from schemas.errors import error_of
from schemas.labelsets import Labelset
from schemas.settings import LOCAL_MODEL, Settings
from schemas.spending import Spend
from schemas.world import JobEstimate
from store.rpc import Rpc

if TYPE_CHECKING:
    from crews.routing import RoutedLabeler, RouteLimits, RouteRates

PRIOR_WEIGHT = 10
"""What is believed of a route before anybody judged it weighs as much as so many verdicts."""
SAMPLE = 2_000
LOCAL = "local/"


async def routed_labeler(
    rpc: Rpc,
    settings: Settings,
    actor: str,
    dataset: str,
    *,
    model: str,
    limits: RouteLimits,
    spend: Spend | None = None,
) -> RoutedLabeler:
    """The labeler that chooses a route for every item of a dataset. With an embedded ``model`` the choice is between the
    student and people. Raises ``no-labelset``, ``unknown-model``."""
    from crews.routing import RoutedLabeler
    from jobs.labelers import labeler_for_dataset

    student = await labeler_for_dataset(rpc, settings, actor, dataset, model=LOCAL_MODEL)
    rates = await rates_here(rpc, settings, actor, dataset, model)
    if model.startswith(LOCAL):
        return RoutedLabeler(student, rates, limits)
    named: dict[str, Any] = {"model": model, "spend": spend}
    language = await labeler_for_dataset(rpc, settings, actor, dataset, with_crew=False, **named)
    crew = await labeler_for_dataset(rpc, settings, actor, dataset, interactive=True, **named)
    return RoutedLabeler(student, rates, limits, language=language, crew=crew)


async def rates_here(rpc: Rpc, settings: Settings, actor: str, dataset: str, model: str) -> RouteRates:
    """What people's verdicts, the price table and people's times say about the routes of this dataset."""
    from crews.routing import CREW_PRICE, CREW_RIGHT, HUMAN_RIGHT, LLM_RIGHT, RouteRates

    times = await rpc.call("measure_lead_times", actor=actor, dataset=dataset)
    minutes = (times["median_ms"] or 5_000.0) / 60_000
    if model.startswith(LOCAL):
        return RouteRates(llm_right=None, crew_right=None, human_right=HUMAN_RIGHT, human_minutes=minutes)
    found = await rpc.call("get_dataset", actor=actor, dataset=dataset)
    page = await rpc.call("list_items", actor=actor, dataset=dataset, states=["new", "drafted", "returned"], limit=40)
    usd = usd_an_item(settings, model, found, [item["text"] or "" for item in page["items"]])
    judged = await rpc.call("list_judged_drafts", dataset=dataset, model=model, limit=2_000)
    return RouteRates(
        llm_right=_believed(judged, "llm", LLM_RIGHT), crew_right=_believed(judged, "crew", CREW_RIGHT),
        human_right=HUMAN_RIGHT, llm_usd=usd, crew_usd=CREW_PRICE * usd, human_minutes=minutes,
    )  # fmt: skip


def usd_an_item(settings: Settings, model: str, dataset: Mapping[str, Any], sample: Sequence[str]) -> float:
    """What a plain draft costs; 0 where the price is unknown."""
    from agents.client import ModelClient
    from crews.models import estimate_run

    if dataset["labelset"] is None:
        raise error_of("no-labelset")
    labelset = Labelset.model_validate(dataset["labelset"])
    client = ModelClient.from_settings(settings, model)
    estimate = estimate_run(client, labelset, dataset["guidelines"], sample, 1_000)
    return (estimate.cost_usd or 0.0) / 1_000


def _is_priced(settings: Settings, model: str) -> bool:
    from agents.client import ModelClient

    return model.startswith(LOCAL) or ModelClient.from_settings(settings, model).price is not None


def limits_of(params: Mapping[str, Any], budget_usd: float | None, items: int) -> RouteLimits:
    """A job's budget and minutes, shared out over its items."""
    from crews.routing import RouteLimits

    minutes = params.get("human_minutes")
    return RouteLimits(
        usd=budget_usd / items if budget_usd is not None and items else None,
        minutes=minutes / items if minutes is not None and items else None,
        target_error=params.get("target_error"),
    )


async def estimate_routes(
    rpc: Rpc, settings: Settings, actor: str, dataset: str, params: Mapping[str, Any], model: str, items: int,
    budget_usd: float | None = None,
) -> JobEstimate:  # fmt: skip
    """The split over the routes and its price, planned on a sample of the vectors at hand; nothing is asked or spent."""
    from crews.routing import plan_routes

    rates = await rates_here(rpc, settings, actor, dataset, model)
    chances = await _student_chances(rpc, actor, dataset)
    limits = limits_of(params, budget_usd, items)
    routing = await asyncio.to_thread(plan_routes, chances, rates, limits)
    scale = items / len(chances)
    split = {name: round(count * scale) for name, count in routing.split.items() if count}
    if split:  # rounding must not lose an item
        split[max(split, key=lambda name: split[name])] += items - sum(split.values())
    share = routing.expected_correct / len(chances)
    target = params.get("target_error")
    reach = "" if target is None else (", which meets the target" if routing.meets_target else ", short of the target")
    return JobEstimate(
        items=items, input_tokens=0, output_tokens=0, minutes=0.0, model=model,
        cost_usd=round(routing.usd * scale, 6) if _is_priced(settings, model) else None,
        human_minutes=round(routing.minutes * scale, 1), split=split,
        note=f"{share:.1%} of the labels are expected to be right{reach}.",
    )  # fmt: skip


async def _student_chances(rpc: Rpc, actor: str, dataset: str) -> list[float]:
    """What the student expects of itself on items that nobody verified; even odds as long as there is no student."""
    stored = await rpc.call("get_student", dataset=dataset)
    sample = await rpc.call("sample_vectors", actor=actor, dataset=dataset, limit=SAMPLE)
    if stored is None or not sample["n"] or stored["metrics"] is None:
        return [0.5] * 100
    from crews.routing import UNTAUGHT
    from jobs.vectors import unpack_vectors
    from learning.student import Student
    from schemas.errors import Invalid

    def ask() -> list[float]:
        try:
            student = Student.from_bytes(base64.b64decode(stored["blob"]))
        except Invalid:  # the tagger of spans says nothing about whole texts
            return [0.5] * 100
        likely = student.predict_proba(unpack_vectors(sample["vectors"], sample["n"]))
        most = 1.0 if student.trained_on else UNTAUGHT
        return [min(float(p), most) for p in likely.max(axis=1)]

    return await asyncio.to_thread(ask)


def _believed(judged: Sequence[Mapping[str, Any]], route: str, prior: float) -> float:
    rows = [row["right"] for row in judged if row["route"] == route]
    return float((sum(rows) + PRIOR_WEIGHT * prior) / (len(rows) + PRIOR_WEIGHT))
