"""The part of a quality scan that costs money: a language model judges the worst conflicts, within the job's budget."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from jobs.labelers import clients_of
from jobs.purse import Purse
from schemas.errors import LabelCrewError
from schemas.labelsets import Labelset
from schemas.settings import Settings
from schemas.world import Job, JobEstimate
from store.rpc import Rpc

NO_MODEL = "No language model is configured: the words of the findings come from templates."
SECONDS_AN_ITEM = 0.0007
"""The instruments' own time, two cores, seventy classes: seven seconds for 10,000 items."""
RULING_TOKENS = 150
CALL_SECONDS = 3.0
FEW = 3
"""Evidence that names fewer items is filled up with the item's nearest verified ones."""
JUDGED_KINDS = ("classification", "spans")
"""What a text model can judge."""


@dataclass(frozen=True)
class Judged:
    """What came of it. ``note`` is in words, for the job."""

    judged: int
    relabel: int
    note: str


def judge_of(settings: Settings, dataset: dict[str, Any], model: str | None) -> str | None:
    """The language model that judges: ``model``, else the dataset's, else the server's; None where there is none."""
    name = model or dataset["settings"].get("model") or settings.default_model
    configured = bool(settings.openai_api_key or settings.openai_base_url)
    return name if configured and not name.startswith("local/") else None


async def judge_worst(rpc: Rpc, settings: Settings, job: Job) -> Judged:
    """Let the model rule on the worst conflicts of the job's dataset that it has not judged as they stand."""
    found = await rpc.call("get_dataset", actor=job.created_by, dataset=job.dataset_id)
    most = int(job.params.get("adjudicate", 20))
    name = judge_of(settings, found, job.params.get("model"))
    if name is None:
        return Judged(0, 0, NO_MODEL if most else "")
    labelset = Labelset.model_validate(found["labelset"])
    if not most or labelset.kind not in JUDGED_KINDS:
        return Judged(0, 0, "" if not most else f"A language model cannot judge {labelset.kind}.")
    from crews.quality import adjudicate, case_of

    least = float(job.params.get("min_severity", 0.3))
    raw = await rpc.call("list_unjudged", dataset=job.dataset_id, limit=most, min_severity=least)
    stamps = {one["id"]: one["evidence"].get("stamp") for one in raw}
    for one in raw:
        if len(one["others"]) < FEW:
            near = await rpc.call("similar_items", actor=job.created_by, item=one["item_id"], limit=FEW, verified=True)
            one["others"] += [other["item"] for other in near]
    cases = [case for one in raw if (case := case_of(one, labelset)) is not None]
    purse = Purse(rpc, job.id) if job.budget_usd is not None else None
    began = time.perf_counter()
    try:
        session = await adjudicate(
            clients_of(rpc, settings).get(name), labelset, found["guidelines"], cases, spend=purse
        )
    finally:
        if purse is not None:
            await purse.close()
    rows = [
        {
            "conflict": conflict,
            "stamp": stamps[conflict],
            "verdict": ruling.model_dump(mode="json", exclude_defaults=True),
        }
        for conflict, ruling in session.rulings.items()
    ]
    ask = int(job.params.get("ask", 0))
    saved = await rpc.call("save_verdicts", dataset=job.dataset_id, rows=rows, ask=ask) if rows else {}
    kept = saved.get("judged", 0)
    cost = sum(ruling.cost_usd for ruling in session.rulings.values())
    if purse is None and cost:
        await rpc.call("progress_job", job=job.id, done=0, cost_usd=cost)
    relabel = sum(ruling.verdict == "relabel" for ruling in session.rulings.values())
    note = _in_words(name, kept, relabel, len(cases), session.stopped, began)
    if asked := saved.get("asked", 0):
        note += f" {asked} that it found unclear go to one more person."
    return Judged(kept, relabel, note)


async def estimate_scan(
    rpc: Rpc, settings: Settings, dataset: dict[str, Any], order: dict[str, Any], sample: list[str]
) -> JobEstimate:
    """What a scan would take: the instruments' time, and what judging would cost at most."""
    minutes = dataset["items"] * SECONDS_AN_ITEM / 60
    cases = order.get("adjudicate", 20)
    name = judge_of(settings, dataset, order.get("model"))
    if (
        name is None
        or not cases
        or dataset["labelset"] is None
        or dataset["labelset"]["kind"] not in ("classification", "spans")
    ):
        return JobEstimate(
            items=dataset["items"], input_tokens=0, output_tokens=0, cost_usd=0.0, minutes=minutes, model="",
            note=NO_MODEL if name is None else "",
        )  # fmt: skip
    from crews.quality import estimate_session

    client = clients_of(rpc, settings).get(name)
    labelset = Labelset.model_validate(dataset["labelset"])
    tokens = estimate_session(client, labelset, dataset["guidelines"], sample, cases)
    written = RULING_TOKENS * cases
    return JobEstimate(
        items=dataset["items"], input_tokens=tokens, output_tokens=written,
        cost_usd=client.price.cost(tokens, 0, written) if client.price else None,
        minutes=minutes + cases / 16 * CALL_SECONDS / 60, model=name,
        note=f"The instruments look at every label; {name} judges at most {cases} of what they find.",
    )  # fmt: skip


def _in_words(name: str, judged: int, relabel: int, cases: int, stopped: LabelCrewError | None, began: float) -> str:
    if not cases:
        return "There was nothing for a language model to judge."
    said = f"{name} judged {judged} of {cases} conflicts in {time.perf_counter() - began:.0f} s and would relabel {relabel}."
    if stopped is None:
        return said
    if stopped.code == "budget-exceeded":
        return f"{said} The budget ended it there."
    return f"{said} It ended there: {stopped.detail}"
