"""`labelcrew label`: a file in, a file out, no server and no database.

Drafts are appended to a journal beside the output as they come, one JSON line each, so an interruption loses at most
the calls under way; running the same command again reads the journal and goes on. When every row has its draft, the
output is written in the input's order and the journal removed.
"""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from cli.console import err, out, progress, say, table
from cli.journal import Journal
from cli.labeling import LabelRun, fingerprint, prepare
from cli.opening import quiet_logs
from cli.scores import Scores, score
from schemas.errors import Invalid, error_of
from schemas.settings import settings
from schemas.world import Draft


@dataclass(frozen=True, kw_only=True)
class LabelOptions:
    """What the command line said; None means it said nothing."""

    source: Path
    text_column: str | None = None
    id_column: str | None = None
    classes: str | None = None
    labelset: Path | None = None
    multi: bool = False
    model: str | None = None
    examples: Path | None = None
    gold_column: str | None = None
    out: Path | None = None
    budget: float | None = None
    target_error: float | None = None
    human_minutes: float | None = None
    concurrency: int | None = None
    batch_size: int | None = None
    limit: int | None = None
    force: bool = False
    json_summary: bool = False

    @property
    def target(self) -> Path:
        """Where the output goes."""
        if self.out is not None:
            return self.out
        stem = self.source.name.removesuffix(".gz").rsplit(".", 1)[0]
        return self.source.with_name(f"{stem}.labels.jsonl")


def run(options: LabelOptions) -> None:
    """Label the file and say what came out. Raises registered errors; interrupted, it says how to go on."""
    quiet_logs(settings())
    target = options.target
    if target.suffix.lstrip(".") not in ("jsonl", "csv", "tsv", "json", "parquet"):
        raise error_of("unknown-format", f"{target.name}: the output's ending says its format")
    if target.resolve() == options.source.resolve():
        raise Invalid("the output would overwrite the input", hint="Name another file with --out.")
    journal = Journal(target)
    if options.force:
        journal.remove()
    elif target.exists() and not journal.exists:
        raise Invalid(
            f"{target} is there already",
            hint="Add --force to label again and overwrite it, or name another with --out.",
        )
    plan = prepare(options)
    done = journal.open(fingerprint(options, plan))
    if done:
        say(f"going on: {len(done):,} of {len(plan.rows):,} rows were labelled before")
    interrupted = asyncio.run(_label(plan, journal, done))
    if interrupted or plan.stopped_by_budget:
        _say_how_to_go_on(plan, done, target)
        raise SystemExit(130 if interrupted else 3)
    plan.write(target, done)
    journal.remove()
    _report(options, plan, done, target)


async def _label(plan: LabelRun, journal: Journal, done: dict[int, Draft]) -> bool:
    """Draft what is missing; True when interrupted. A second interrupt ends at once."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGINT, stop.set)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    with progress() as bar:
        task = bar.add_task(plan.model, total=len(plan.rows), completed=len(done), note="")

        def show(drafts: dict[int, Draft]) -> None:
            journal.append(drafts)
            done.update(drafts)
            cost = sum(d.usage.cost_usd for d in done.values()) if plan.costs else 0.0
            bar.update(task, completed=len(done), note=f"${cost:.4f}" if plan.costs else "")

        try:
            await plan.draft_missing(done, show, stop)
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            loop.remove_signal_handler(signal.SIGTERM)
            journal.close()
    return stop.is_set() and len(done) < len(plan.rows)


def _say_how_to_go_on(plan: LabelRun, done: dict[int, Draft], target: Path) -> None:
    reason = "the budget is used up" if plan.stopped_by_budget else "interrupted"
    err.print(f"{reason}: {len(done):,} of {len(plan.rows):,} rows are labelled and kept.", markup=False)
    more = "with a larger --budget " if plan.stopped_by_budget else ""
    err.print(f"Run the same command again {more}to go on; {target} is written when all are done.", markup=False)


def _report(options: LabelOptions, plan: LabelRun, done: dict[int, Draft], target: Path) -> None:
    scores = score(plan.gold, [done[i] for i in range(len(plan.gold))])
    summary = _summary(plan, done, scores, target)
    failed = summary["failed"]
    say(f"{summary['labelled']:,} of {summary['rows']:,} rows labelled by {plan.model} -> {target}")
    if summary["rejected"]:
        say(f"{summary['rejected']:,} rows of the file could not be taken; the first: {plan.rejected[0].reason}")
    if failed:
        say(f"{failed:,} rows got no label; their `error` column says why")
    waiting = summary["routes"].get("human", 0)
    if waiting:
        say(f"{waiting:,} rows need a person: their route is human, their label a suggestion")
    if scores is not None:
        table("", ["accuracy", "macro-F1", "ECE", "AUROC", "completion"], [scores.cells()])
    if options.json_summary:
        out.print(orjson.dumps(summary).decode(), markup=False, soft_wrap=True)


def _summary(plan: LabelRun, done: dict[int, Draft], scores: Scores | None, target: Path) -> dict[str, Any]:
    failed = sum(1 for d in done.values() if d.error is not None)
    routes: dict[str, int] = {}
    for draft in done.values():
        routes[draft.route] = routes.get(draft.route, 0) + 1
    return {
        "rows": len(plan.rows),
        "labelled": len(done) - failed,
        "failed": failed,
        "rejected": len(plan.rejected),
        "model": plan.model,
        "routes": routes,
        "cost_usd": round(sum(d.usage.cost_usd for d in done.values()), 6),
        "input_tokens": sum(d.usage.input_tokens for d in done.values()),
        "output_tokens": sum(d.usage.output_tokens for d in done.values()),
        "seconds": round(plan.seconds, 3),
        "rows_per_second": round(plan.drafted_now / plan.seconds, 1) if plan.seconds else None,
        "scores": scores.as_dict() if scores else None,
        "out": str(target),
    }
