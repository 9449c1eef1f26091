"""Settling what several people said: the dataset's method over all items with two answers or more, and its report.

A run reads every answer anew, for how good an annotator is shows only over all of them. Counting votes needs no run: the
database does it when the last answer arrives. A run by another method puts right what counting got wrong, and names the
items that deserve one more person.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import structlog

from jobs.context import context
from jobs.crowds import Crowd, Outcome, settle
from schemas.consensus import ConsensusReport
from schemas.errors import LabelCrewError, error_of
from schemas.labelsets import Labelset
from store.rpc import Rpc

log = structlog.get_logger("consensus")

READS_TEXTS = {"crowdlab", "with_model"}
"""Methods that also look at the items' vectors."""
PAGE = 2_000
MOST_ITEMS = 100_000
CHUNK = 500
SLOW_S = 150.0
LOOK_EVERY_S = 10.0
REST_S = 300.0
"""How long a dataset is left alone after a failure."""

_next_look = 0.0
_resting: dict[str, float] = {}


async def run_consensus(
    rpc: Rpc, dataset: str, *, job: str | None = None, method: str | None = None, extra: int = 0, most: int = 5,
    sure: float = 0.9,
) -> dict[str, Any]:  # fmt: skip
    """Settle all that several people have answered, by ``method`` or the dataset's own; what was done.

    Up to ``extra`` items whose answer is less likely than ``sure`` are handed to one more person, those where that tells
    most, none that has ``most`` answers already. Raises ``no-labelset``.
    """
    found = await rpc.call("find_crowd", dataset=dataset)
    if found["labelset"] is None:
        raise error_of("no-labelset")
    labelset = Labelset.model_validate(found["labelset"])
    chosen = method or found["method"]
    crowd = await read_crowd(rpc, dataset, vectors=chosen in READS_TEXTS)
    outcome = await asyncio.to_thread(settle, crowd, labelset, chosen)
    ask = set(outcome.asking(extra, most=most, sure=sure))
    run = await rpc.call(
        "create_consensus_run",
        dataset=dataset, job=job,
        run={
            "method": outcome.method, "labelset_version": labelset.version, "items": len(outcome.rows),
            "answers": outcome.answers, "annotators": outcome.annotators, "note": outcome.note,
        },
    )  # fmt: skip
    rows = [{**row, "ask": row["item"] in ask} for row in outcome.rows]
    for start in range(0, len(rows), CHUNK):
        await rpc.call(
            "save_consensus",
            run=run["id"], rows=rows[start : start + CHUNK], apply=chosen != "majority", timeout=SLOW_S,
        )  # fmt: skip
    done = await rpc.call("finish_consensus_run", run=run["id"], timeout=SLOW_S)
    return {
        **done,
        "run": run["id"],
        "method": outcome.method,
        "annotators": len(outcome.annotators),
        **_doubts(outcome),
    }


async def read_crowd(rpc: Rpc, dataset: str, *, vectors: bool = False) -> list[Crowd]:
    """Items with several people's answers, by arrival; the first :data:`MOST_ITEMS` of them."""
    rows: list[Crowd] = []
    after: int | None = 0
    while after is not None and len(rows) < MOST_ITEMS:
        page = await rpc.call(
            "list_crowd_answers", dataset=dataset, after=after, limit=PAGE, vectors=vectors, timeout=SLOW_S
        )
        rows += page["rows"]
        after = page["next"]
    return rows


async def report_consensus(rpc: Rpc, actor: str, dataset: str, *, limit: int = 100) -> ConsensusReport:
    """How people's answers were settled. Needs the role reviewer."""
    found = await rpc.call("get_consensus", actor=actor, dataset=dataset, limit=limit)
    known = await rpc.call("get_dataset", actor=actor, dataset=dataset)
    return ConsensusReport.model_validate(
        {**found, "method": known["settings"].get("consensus", "majority"), "note": _in_words(found)}
    )


async def refresh_stale_consensus() -> None:
    """Settle anew, by the dataset's method, where enough answers have come. Nobody is asked for one more answer: what
    costs people's time, an admin orders."""
    global _next_look  # noqa: PLW0603 — the worker calls this every second; looking costs a query a dataset
    now = time.monotonic()
    if now < _next_look:
        return
    _next_look = now + LOOK_EVERY_S
    rpc = context().rpc
    for row in await rpc.call("list_stale_consensus"):
        dataset = row["dataset_id"]
        if _resting.get(dataset, 0.0) > now:
            continue
        try:
            done = await run_consensus(rpc, dataset)
            log.info("consensus_refreshed", dataset=dataset, items=done["items"], changed=done["changed"])
        except LabelCrewError as error:
            _resting[dataset] = now + REST_S
            log.warning("consensus_not_refreshed", dataset=dataset, code=error.code, detail=error.detail)


def _doubts(outcome: Outcome) -> dict[str, int]:
    agreed = sum(1 for row in outcome.rows if row["agreed"])
    return {"agreed": agreed, "disagreed": len(outcome.rows) - agreed}


def _in_words(found: dict[str, Any]) -> str:
    run = found["run"]
    if run is None:
        return "Nothing was settled yet: order a job of kind consensus once items have answers of two people."
    if not run["items"]:
        return "No item has answers of two people yet: set the dataset's overlap to 2 or more."
    said = f"{found['agreed']:,} of {run['items']:,} items have one answer of all; {found['disagreed']:,} were settled."
    if found["waiting"]:
        said += f" {found['waiting']:,} wait for one more person."
    return f"{said} {run['note']}".strip()
