"""`labelcrew label --target-error`: the student answers what it is sure of, and money and people go where they pay.

How often the language model is right on such texts is measured, where there are enough labelled examples: some are put
aside, drafted like rows of the file, and compared. Their price counts towards the budget.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from cli.console import say
from crews.routing import CREW_PRICE, LLM_RIGHT, RoutedLabeler, RouteLimits, RouteRates, plan_routes, student_chance
from schemas.errors import Invalid, PaymentRequired
from schemas.labeling import Example, Labeler, PrelabelInput, finished_drafts
from schemas.settings import settings

if TYPE_CHECKING:
    from cli.labeling import LabelRun

PROBE = 30
"""Examples that the language model is tried on."""
LEAST_EXAMPLES = 60
PRIOR_WEIGHT = 10


async def routed_labeler(run: LabelRun, spent: float) -> RoutedLabeler:
    """The labeler that chooses for every row who answers. Says what it expects before anything is spent on rows."""
    from cli.labeling import BudgetHere
    from crews.local import local_model

    if run.target_error is None or not 0 < run.target_error < 1:
        raise Invalid("--target-error is a share of errors between 0 and 1, such as 0.05")
    student = await asyncio.to_thread(
        local_model, run.labelset, examples=run.examples, pool_texts=[row.text for row in run.rows]
    )
    language = crew = None
    rates = RouteRates(llm_right=None, crew_right=None)
    budget = BudgetHere(run.budget, spent) if run.budget is not None else None
    if run.costs:
        right = await _probe(run, budget)
        usd = _usd_a_row(run)
        rates = RouteRates(llm_right=right, crew_right=(1 + 2 * right) / 3, llm_usd=usd, crew_usd=CREW_PRICE * usd)
        language = _language(run, run.examples, budget, with_crew=False)
        crew = _language(run, run.examples, budget, interactive=True)
    rows = len(run.rows)
    left = None if run.budget is None else max(run.budget - (budget.spent if budget else 0.0), 0.0)
    limits = RouteLimits(
        usd=None if left is None else left / rows,
        minutes=None if run.human_minutes is None else run.human_minutes / rows,
        target_error=run.target_error,
    )
    await _tell(run, student, rates, limits)
    return RoutedLabeler(student, rates, limits, language=language, crew=crew)


async def _tell(run: LabelRun, student: Any, rates: RouteRates, limits: RouteLimits) -> None:
    """The split and the price, from a sample of the rows."""
    sample = run.rows[:: max(1, len(run.rows) // 500)][:500]
    drafts = await student.draft([PrelabelInput(item_id=str(n), text=row.text) for n, row in enumerate(sample)])
    routing = plan_routes([student_chance(draft) for draft in drafts], rates, limits)
    scale = len(run.rows) / len(sample)
    split = ", ".join(f"{round(count * scale):,} {name}" for name, count in routing.split.items() if count)
    say(f"expected: {split}; about ${routing.usd * scale:.4f} and {routing.minutes * scale:.0f} minutes of people")
    if routing.meets_target is False:
        say(f"expected to be right: {routing.expected_correct / len(sample):.1%}, short of the target")


async def _probe(run: LabelRun, budget: Any) -> float:
    """How often the language model is right, measured on examples that it is not shown."""
    if len(run.examples) < LEAST_EXAMPLES:
        return LLM_RIGHT
    step = len(run.examples) // PROBE
    tried = run.examples[::step][:PROBE]
    aside = {example.item_id for example in tried}
    labeler = _language(run, [e for e in run.examples if e.item_id not in aside], budget, with_crew=False)
    try:
        drafts = await labeler.draft([PrelabelInput(item_id=e.item_id, text=e.text) for e in tried])
    except PaymentRequired as error:
        drafts = finished_drafts(error)
    answers = {example.item_id: example.payload for example in tried}
    judged = [draft.payload == answers[draft.item_id] for draft in drafts if draft.payload is not None]
    if judged:
        say(f"{run.model} was right on {sum(judged)} of {len(judged)} examples that were put aside")
    return float((sum(judged) + PRIOR_WEIGHT * LLM_RIGHT) / (len(judged) + PRIOR_WEIGHT))


def _language(
    run: LabelRun, examples: list[Example], budget: Any, *, with_crew: bool = True, interactive: bool = False
) -> Labeler:
    from cli.retrieval import ExampleIndex
    from crews.models import language_model
    from learning.calibration import VERBAL, fit_calibration

    believed = fit_calibration([], [], prior=VERBAL)
    return language_model(
        run.model, run.labelset, run.guidelines, settings(), spend=budget,
        examples_for=ExampleIndex(examples).nearest if examples else None, batch_size=run.batch_size,
        concurrency=run.concurrency, calibrate=lambda claimed: float(believed.apply([claimed])[0]), with_crew=with_crew,
        interactive=interactive,
    )  # fmt: skip


def _usd_a_row(run: LabelRun) -> float:
    from agents.client import ModelClient
    from crews.models import estimate_run

    client = ModelClient.from_settings(settings(), run.model)
    sample = [row.text for row in run.rows[:40]]
    return (estimate_run(client, run.labelset, run.guidelines, sample, 1_000).cost_usd or 0.0) / 1_000
