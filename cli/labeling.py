"""The engine behind `labelcrew label`: what to label, by which model, in which order, and how well it went."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from cli.console import say
from cli.journal import Drafts
from schemas.errors import Invalid, InvalidPayload, LabelCrewError, PaymentRequired, error_of
from schemas.labeling import Example, Labeler, PrelabelInput, finished_drafts
from schemas.labelsets import Labelset
from schemas.payloads import Classification, Payload, Spans
from schemas.settings import settings
from schemas.world import Draft

if TYPE_CHECKING:
    from cli.label import LabelOptions
    from formats.rows import ReadOptions, Rejected, Row


@dataclass
class LabelRun:
    """Everything that was found out before the first call."""

    rows: list[Row]
    rejected: list[Rejected]
    labelset: Labelset
    guidelines: str
    model: str
    examples: list[Example]
    gold: list[Payload | None]
    budget: float | None
    concurrency: int
    batch_size: int | None
    target_error: float | None = None
    human_minutes: float | None = None
    drafted_now: int = 0
    seconds: float = 0.0
    stopped_by_budget: bool = False

    @property
    def costs(self) -> bool:
        """Whether this model may cost money."""
        return not self.model.startswith("local/")

    async def draft_missing(self, done: Drafts, show: Callable[[Drafts], None], stop: asyncio.Event) -> None:
        """Draft every row that ``done`` has not; ``show`` gets each batch as it comes. Raises what stops the run."""
        missing = [index for index in range(len(self.rows)) if index not in done]
        if not missing:
            return
        started = time.monotonic()
        spent = sum(draft.usage.cost_usd for draft in done.values())
        labeler = await build_labeler(self, spent)
        gate = asyncio.Semaphore(self.concurrency)
        fatal: list[LabelCrewError] = []

        def keep(drafts: list[Draft]) -> None:
            self.drafted_now += len(drafts)
            show({int(draft.item_id): draft for draft in drafts})

        async def ask(batch: list[int]) -> None:
            try:
                if not (stop.is_set() or fatal or self.stopped_by_budget):
                    inputs = [PrelabelInput(item_id=str(i), text=self.rows[i].text) for i in batch]
                    keep(await labeler.draft(inputs))
            except LabelCrewError as error:
                keep(finished_drafts(error))
                if isinstance(error, PaymentRequired):
                    self.stopped_by_budget = True
                else:
                    fatal.append(error)
            finally:
                gate.release()

        async with asyncio.TaskGroup() as tasks:
            size = self.batch_size or labeler.batch_size
            for start in range(0, len(missing), size):
                await gate.acquire()
                tasks.create_task(ask(missing[start : start + size]))
                if stop.is_set() or fatal or self.stopped_by_budget:
                    break
        self.seconds = time.monotonic() - started
        if fatal:
            raise fatal[0]

    def write(self, target: Path, done: Drafts) -> None:
        """The output, in the order of the input."""
        from formats.writing import writer

        temporary = target.with_name(f".{target.name}.part")
        try:
            with temporary.open("wb") as sink, writer(target.suffix.lstrip("."), sink) as rows:
                rows.write(self._output_row(i, done[i]) for i in range(len(self.rows)))
            temporary.replace(target)
        except OSError as failure:
            raise error_of("disk-full", f"{target}: {failure.strerror}") from None
        finally:
            temporary.unlink(missing_ok=True)

    def _output_row(self, index: int, draft: Draft) -> dict[str, Any]:
        row = self.rows[index]
        return {
            "id": row.external_id if row.external_id is not None else str(row.line),
            "text": row.text,
            **named(self.labelset, draft.payload),
            "probability": draft.probability,
            "confidence": draft.confidence,
            "rationale": draft.rationale,
            "model": draft.model,
            "route": draft.route,
            "route_reason": draft.route_reason,
            "cost_usd": draft.usage.cost_usd,
            "error": f"{draft.error.code}: {draft.error.detail}" if draft.error else None,
        }


def named(labelset: Labelset, payload: Payload | None) -> dict[str, Any]:
    """A payload as people read it: class names instead of keys, one label as a plain value."""
    if isinstance(payload, Spans):
        return {"spans": [{**span.model_dump(), "label": labelset.name_of(span.label)} for span in payload.spans]}
    if labelset.kind == "spans":
        return {"spans": None}
    names = [labelset.name_of(key) for key in payload.labels] if isinstance(payload, Classification) else None
    if labelset.multi:
        return {"labels": names}
    return {"label": names[0] if names else None}


def prepare(options: LabelOptions) -> LabelRun:
    """Read the file and settle classes, model and examples. Raises registered errors before anything is spent."""
    from formats.labels import infer_classes
    from formats.labelset_file import read_labelset
    from formats.rows import ReadOptions

    model = options.model or settings().default_model
    check_model(model, options.budget)
    rows, rejected = _read(
        options.source,
        ReadOptions(
            text_column=options.text_column,
            id_column=options.id_column,
            label_column=options.gold_column,
            max_rows=options.limit,
        ),
    )
    if not rows:
        raise error_of("empty-file", f"no row of {options.source.name} could be taken: {rejected[0].reason}")
    example_rows = _example_rows(options)
    guidelines = ""
    if options.labelset is not None:
        labelset, guidelines = read_labelset(options.labelset)
    elif options.classes is not None:
        names = [name for name in (part.strip() for part in options.classes.split(",")) if name]
        labelset = labelset_of(names, multi=options.multi)
    else:
        written = [row.label for row in [*example_rows, *rows] if row.label is not None]
        if not written:
            raise Invalid(
                "there are no classes to choose from",
                hint="Name them: --classes positive,negative; or --labelset FILE.yaml; or give --examples.",
            )
        labelset = labelset_of(infer_classes(written, multi=options.multi), multi=options.multi)
    return LabelRun(
        rows=rows,
        rejected=rejected,
        labelset=labelset,
        guidelines=guidelines,
        model=model,
        examples=_examples(example_rows, labelset),
        gold=_gold(rows, labelset) if options.gold_column else [],
        budget=options.budget,
        # of two batches, one may be embedded on all cores while the other becomes drafts on one
        concurrency=options.concurrency or (2 if model.startswith("local/") else settings().llm_concurrency),
        batch_size=options.batch_size,
        target_error=options.target_error,
        human_minutes=options.human_minutes,
    )


def check_model(model: str, budget: float | None) -> None:
    """Raises ``unknown-model``, ``network-forbidden``, and ``unknown-price`` where a budget is to be kept."""
    from jobs.orders import check_order

    check_order(settings(), "prelabel", {"model": model}, budget_usd=budget)


def labelset_of(names: list[str], *, multi: bool) -> Labelset:
    """A labelset from names on the command line, with its inconsistencies as a registered error."""
    try:
        return Labelset.of(names, multi=multi)
    except ValidationError as failure:
        raise error_of("invalid-labelset", failure.errors()[0]["msg"].removeprefix("Value error, ")) from None


def _read(path: Path, options: ReadOptions) -> tuple[list[Row], list[Rejected]]:
    from formats.reading import open_rows
    from formats.rows import Row

    rows: list[Row] = []
    rejected: list[Rejected] = []
    with open_rows(path, options) as reader:
        for notice in reader.notices:
            say(notice)
        for entry in reader:
            if isinstance(entry, Row):
                rows.append(entry)
            else:
                rejected.append(entry)
    return rows, rejected


def _example_rows(options: LabelOptions) -> list[Row]:
    if options.examples is None:
        return []
    from formats.rows import ReadOptions

    column = options.gold_column
    rows, _ = _read(options.examples, ReadOptions(label_column=column, guess_label=column is None))
    labelled = [row for row in rows if row.label is not None or row.spans is not None]
    if not labelled:
        raise Invalid(f"{options.examples.name} has no labels", hint="Name their column with --gold-column.")
    return labelled


def _examples(rows: list[Row], labelset: Labelset) -> list[Example]:
    from formats.labels import PayloadReader

    reader = PayloadReader(labelset)
    examples = []
    for row in rows:
        payload = reader.of_row(row)
        if payload is not None:
            examples.append(Example(item_id=row.external_id or f"example {row.line}", text=row.text, payload=payload))
    return examples


def _gold(rows: list[Row], labelset: Labelset) -> list[Payload | None]:
    from formats.labels import PayloadReader

    reader = PayloadReader(labelset)
    gold: list[Payload | None] = []
    for row in rows:
        try:
            gold.append(reader.of_row(row))
        except InvalidPayload:
            gold.append(None)
    return gold


async def build_labeler(run: LabelRun, spent: float) -> Labeler:
    """The model that drafts this file, told everything that is known."""
    if run.target_error is not None:
        from cli.routing import routed_labeler

        return await routed_labeler(run, spent)
    if run.model.startswith("local/"):
        from crews.local import local_model

        return await asyncio.to_thread(
            local_model, run.labelset, examples=run.examples, pool_texts=[row.text for row in run.rows]
        )
    from cli.retrieval import ExampleIndex
    from crews.models import language_model
    from learning.calibration import VERBAL, fit_calibration

    index = await asyncio.to_thread(ExampleIndex, run.examples) if run.examples else None
    believed = fit_calibration([], [], prior=VERBAL)
    budget = BudgetHere(run.budget, spent) if run.budget is not None else None
    return language_model(
        run.model,
        run.labelset,
        run.guidelines,
        settings(),
        spend=budget,
        examples_for=index.nearest if index else None,
        batch_size=run.batch_size,
        concurrency=run.concurrency,
        calibrate=lambda claimed: float(believed.apply([claimed])[0]),
    )


@dataclass
class BudgetHere:
    """A budget kept in this process: the ``Spend`` of a run without a database."""

    limit: float
    spent: float
    held: float = 0.0

    async def reserve(self, usd: float) -> bool:
        """Whether a call that may cost ``usd`` still fits."""
        if self.spent + self.held + usd > self.limit + 1e-12:
            return False
        self.held += usd
        return True

    async def settle(self, reserved: float, actual: float) -> None:
        """A call that had ``reserved`` set aside cost ``actual``."""
        self.held -= reserved
        self.spent += actual


def fingerprint(options: LabelOptions, run: LabelRun) -> str:
    """What must be the same for a run to go on where another stopped: rows, classes, guidelines, examples, model."""
    digest = hashlib.sha256()
    routed = f"{run.target_error} {run.human_minutes}" if run.target_error is not None else ""
    for part in (run.model + routed, run.labelset.model_dump_json(), run.guidelines, str(options.limit)):
        digest.update(part.encode() + b"\0")
    for example in run.examples:
        digest.update(example.model_dump_json().encode())
    for row in run.rows:
        digest.update(row.text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()
