"""What may be ordered as a job, checked before it is stored, and what it would cost."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from jobs.places import place_of
from schemas.consensus import ConsensusMethod
from schemas.errors import Invalid, error_of
from schemas.labelsets import Labelset
from schemas.quality import QualityScanOrder
from schemas.settings import LOCAL_MODEL, Settings
from schemas.world import JobEstimate
from store.rpc import Rpc

OPEN_STATES = ["new", "drafted", "returned"]
SAMPLE = 40
"""Items that an estimate looks at."""
UNTIMED_MS = 5_000.0
"""What an answer takes a person, as long as nobody has been timed here."""
TIMED = 32
"""Texts that the embedded model is timed with, for an estimate."""


class PrelabelOrder(BaseModel):
    """Draft every item that no person has answered; ``redo_human`` drafts the others too, beside their answers."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(default=None, min_length=1, max_length=200)
    redo_human: bool = False
    route: bool = False
    """Choose for each item whether the student alone, the language model, the crew or a person answers."""
    target_error: float | None = Field(default=None, gt=0, lt=1)
    """With ``route``: no more is spent than this expected share of errors needs."""
    human_minutes: float | None = Field(default=None, ge=0)
    """With ``route``: how much of people's time may be planned for."""

    @model_validator(mode="after")
    def _means_routing(self) -> PrelabelOrder:
        if not self.route and (self.target_error is not None or self.human_minutes is not None):
            raise ValueError("target_error and human_minutes go with route")
        return self


class ExportOrder(BaseModel):
    """Write a file in the background."""

    model_config = ConfigDict(extra="forbid")

    format: str = "jsonl"
    provenance: bool = True
    filters: dict[str, Any] = Field(default_factory=dict)


class RankOrder(BaseModel):
    """Choose the head of the queue anew."""

    model_config = ConfigDict(extra="forbid")

    count: int = Field(default=200, ge=1, le=2_000)


class AutoAcceptOrder(BaseModel):
    """Plan an audit that may license drafts to skip the human: at most ``alpha`` of them wrong, with confidence 1 −
    ``delta``. While an audit is open the job tells how far it is, or decides it by what is answered."""

    model_config = ConfigDict(extra="forbid")

    alpha: float = Field(default=0.05, ge=0.001, le=0.5)
    delta: float = Field(default=0.05, ge=0.001, le=0.5)
    audit_size: int = Field(default=200, ge=1, le=10_000)
    audit_share: float = Field(default=0.02, ge=0, le=0.5)
    by_class: bool = False
    model: str | None = Field(default=None, min_length=1, max_length=200)
    decide: bool = False


class ConsensusOrder(BaseModel):
    """Settle what several people said about the same items, by ``method`` or the dataset's setting. Up to ``extra`` items
    that are less certain than ``sure`` go to one more person, none that has ``most`` answers."""

    model_config = ConfigDict(extra="forbid")

    method: ConsensusMethod | None = None
    extra: int = Field(default=0, ge=0, le=10_000)
    most: int = Field(default=5, ge=2, le=50)
    sure: float = Field(default=0.9, gt=0, le=1)


class EmptyOrder(BaseModel):
    """Nothing to choose."""

    model_config = ConfigDict(extra="forbid")


ORDERS: dict[str, type[BaseModel]] = {
    "prelabel": PrelabelOrder,
    "embed": EmptyOrder,
    "train": EmptyOrder,
    "rank": RankOrder,
    "quality_scan": QualityScanOrder,
    "auto_accept": AutoAcceptOrder,
    "export": ExportOrder,
    "consensus": ConsensusOrder,
}


def check_order(
    settings: Settings, kind: str, params: dict[str, Any], *, budget_usd: float | None = None
) -> dict[str, Any]:
    """The parameters, whole. Raises :class:`Invalid`, ``unknown-model``, ``unknown-price``, ``network-forbidden``."""
    if kind not in ORDERS:
        raise Invalid(f"jobs of kind {kind} are not ordered this way", hint=f"Order one of: {', '.join(ORDERS)}.")
    try:
        order = ORDERS[kind].model_validate(params)
    except ValidationError as failure:
        first = failure.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Invalid(f"params.{where}: {first['msg']}") from None
    if isinstance(order, PrelabelOrder):
        _check_model(settings, order.model or settings.default_model, budget_usd)
    if isinstance(order, QualityScanOrder) and order.model is not None:
        _check_model(settings, order.model, budget_usd)
    if isinstance(order, ExportOrder):
        from formats.registry import format_of

        format_of(order.format)
        return {**order.model_dump(exclude_none=True), "place": place_of(settings)}
    return order.model_dump(exclude_none=True)


async def estimate_order(
    rpc: Rpc, settings: Settings, actor: str, dataset: str, kind: str, params: dict[str, Any],
    budget_usd: float | None = None,
) -> JobEstimate:  # fmt: skip
    """Items, tokens, price and minutes of a job, from a sample of the items it would handle."""
    order = check_order(settings, kind, params)
    found = await rpc.call("get_dataset", actor=actor, dataset=dataset)
    waiting = sum(found["states"].get(state, 0) for state in OPEN_STATES)
    items = waiting if kind == "prelabel" and not order.get("redo_human") else found["items"]
    model = order.get("model") or found["settings"].get("model") or settings.default_model
    page = await rpc.call("list_items", actor=actor, dataset=dataset, states=OPEN_STATES, limit=SAMPLE)
    sample = [item["text"] or "" for item in page["items"]]
    if kind == "auto_accept":
        return await _estimate_audit(rpc, actor, dataset, found, order)
    if kind == "consensus":
        return await _estimate_consensus(rpc, actor, dataset, order)
    if kind == "quality_scan":
        from jobs.judging import estimate_scan

        return await estimate_scan(rpc, settings, found, order, sample)
    if order.get("route"):
        from jobs.routing import estimate_routes

        return await estimate_routes(rpc, settings, actor, dataset, order, model, items, budget_usd)
    if kind == "prelabel" and model != LOCAL_MODEL:
        return _estimate_language_model(settings, model, found, sample, items)
    minutes = items * await _seconds_a_text(sample) / 60
    return JobEstimate(items=items, input_tokens=0, output_tokens=0, cost_usd=0.0, minutes=minutes, model=LOCAL_MODEL)


def _estimate_language_model(
    settings: Settings, model: str, dataset: dict[str, Any], sample: list[str], items: int
) -> JobEstimate:
    from agents.client import ModelClient
    from crews.models import estimate_run

    if dataset["labelset"] is None:
        raise error_of("no-labelset")
    labelset = Labelset.model_validate(dataset["labelset"])
    return estimate_run(ModelClient.from_settings(settings, model), labelset, dataset["guidelines"], sample, items)


async def _estimate_audit(
    rpc: Rpc, actor: str, dataset: str, found: dict[str, Any], order: dict[str, Any]
) -> JobEstimate:
    drafts = found["states"].get("drafted", 0)
    times = await rpc.call("measure_lead_times", actor=actor, dataset=dataset)
    minutes = order["audit_size"] * (times["median_ms"] or UNTIMED_MS) / 60_000
    note = (
        f"People answer {order['audit_size']} of the {drafts:,} drafts, drawn at random where they are surest; then as "
        f"many are accepted as can be shown to hold at most {order['alpha']:.1%} of errors."
    )
    return JobEstimate(
        items=drafts, input_tokens=0, output_tokens=0, cost_usd=0.0, minutes=0.0, model=order.get("model") or "",
        human_minutes=round(minutes, 1), note=note,
    )  # fmt: skip


async def _estimate_consensus(rpc: Rpc, actor: str, dataset: str, order: dict[str, Any]) -> JobEstimate:
    items = (await rpc.call("find_crowd", dataset=dataset))["items"]
    times = await rpc.call("measure_lead_times", actor=actor, dataset=dataset)
    asked = min(order["extra"], items)
    return JobEstimate(
        items=items, input_tokens=0, output_tokens=0, cost_usd=0.0, minutes=round(items / 60_000, 2), model="",
        human_minutes=round(asked * (times["median_ms"] or UNTIMED_MS) / 60_000, 1),
        note=f"{items:,} items have answers of several people; up to {asked:,} of them would go to one more.",
    )  # fmt: skip


def _check_model(settings: Settings, model: str, budget_usd: float | None) -> None:
    if model == LOCAL_MODEL:
        return
    if model.startswith("local/"):
        raise error_of(
            "unknown-model", f"there is no embedded model {model}", hint=f"The embedded one is {LOCAL_MODEL}."
        )
    from agents.client import ModelClient

    client = ModelClient.from_settings(settings, model)
    if budget_usd is not None and client.price is None:
        raise error_of("unknown-price", f"the price of {model} is not known, so a budget cannot be kept")


async def _seconds_a_text(sample: list[str]) -> float:
    """How long the embedded model takes for one such text on this machine, measured now."""
    if not sample:
        return 0.0
    from learning.embedding import load_embedder

    def measure() -> float:
        model = load_embedder()
        texts = (sample * TIMED)[:TIMED]
        began = time.perf_counter()
        model.encode(texts)
        return (time.perf_counter() - began) / len(texts)

    return await asyncio.to_thread(measure)
