"""Drafting one slice of a dataset for a job: read, ask the model, write, in small steps that overlap.

What a kill can cost is bounded by writing drafts as soon as their call returns; what writing costs is bounded by
gathering the drafts of many calls into one statement. A draft is stored at most once for a job and an item
(a unique constraint), so running a slice again after a kill asks only for what is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jobs.vectors import embed_texts, save_vectors, unpack_vector
from schemas.errors import LabelCrewError, PaymentRequired
from schemas.labeling import Labeler, PrelabelInput, finished_drafts
from schemas.world import Draft
from store.rpc import Rpc

WRITE_EVERY_S = 0.05
READ_ITEMS = 1000


@dataclass(frozen=True)
class SliceOutcome:
    """How a slice ended. ``state`` is the job's state as seen last: a slice stops early when it is not running."""

    drafted: int
    failed: int
    state: str
    out_of_budget: bool = False


class DraftWriter:
    """Gathers drafts and writes them twenty times a second, with the job's progress in the same statement."""

    def __init__(self, rpc: Rpc, job_id: str, run: int) -> None:
        self._rpc = rpc
        self._job_id = job_id
        self._run_number = run
        self._waiting: list[Draft] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._error: BaseException | None = None
        self.drafted = 0
        self.failed = 0
        self.state = "running"
        self._task = asyncio.create_task(self._run())

    @property
    def stopped(self) -> bool:
        """Whether the job was paused, cancelled or failed, or writing itself failed."""
        return self.state != "running" or self._error is not None

    def add(self, drafts: Sequence[Draft]) -> None:
        """Hands drafts over for writing."""
        self._waiting.extend(drafts)
        self._wake.set()

    async def close(self) -> None:
        """Writes what is left. Raises what writing raised."""
        self._closing = True
        self._wake.set()
        await self._task
        if self._error is not None:
            raise self._error

    async def _run(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                if not self._closing:
                    await asyncio.sleep(WRITE_EVERY_S)
                drafts, self._waiting = self._waiting, []
                if drafts:
                    await self._write(drafts)
                if self._closing and not self._waiting:
                    return
        except BaseException as error:
            self._error = error

    async def _write(self, drafts: list[Draft]) -> None:
        rows = [draft.model_dump(mode="json", exclude_defaults=False) for draft in drafts]
        answer = await self._rpc.call("save_job_drafts", job=self._job_id, rows=rows)
        self.drafted += answer["created"] - answer["errors"]
        self.failed += answer["errors"]
        self.state = answer["state"] if answer["run"] == self._run_number else "resumed elsewhere"


async def draft_slice(
    rpc: Rpc,
    labeler: Labeler,
    actor: str,
    dataset: str,
    job_id: str,
    *,
    run: int,
    after: int,
    until: int,
    at_once: int,
    redo_human: bool = False,
    vectors: bool = False,
) -> SliceOutcome:
    """Draft every item of the job with ``after < seq <= until`` that the job has no draft for yet, in its ``run``.

    ``at_once`` is how many calls may be under way; with ``vectors`` the model is handed the items' embeddings, which
    are computed and kept where they are missing. Raises the errors that stop a whole job (a refused key, an
    unreachable server); what goes wrong with single items comes back as drafts with errors.
    """
    writer = DraftWriter(rpc, job_id, run)
    gate = asyncio.Semaphore(at_once)
    out_of_budget = False
    fatal: LabelCrewError | None = None

    async def ask(batch: list[PrelabelInput]) -> None:
        nonlocal out_of_budget, fatal
        try:
            if not (writer.stopped or out_of_budget or fatal):
                writer.add(await labeler.draft(batch))
        except LabelCrewError as error:
            writer.add(finished_drafts(error))
            if isinstance(error, PaymentRequired):
                out_of_budget = True
            else:
                fatal = fatal or error
        finally:
            gate.release()

    try:
        async with asyncio.TaskGroup() as tasks:
            seen = after
            while seen < until and not (writer.stopped or out_of_budget or fatal):
                page = await rpc.call(
                    "next_job_items",
                    actor=actor, job=job_id, limit=READ_ITEMS, after=seen, exclude_human=not redo_human,
                    vectors=vectors,
                )  # fmt: skip
                seen = page[-1]["seq"] if page else until
                rows = [row for row in page if row["seq"] <= until]
                inputs = await (embedded_inputs(rpc, actor, dataset, rows) if vectors else plain_inputs(rows))
                for start in range(0, len(inputs), labeler.batch_size):
                    await gate.acquire()
                    tasks.create_task(ask(inputs[start : start + labeler.batch_size]))
    finally:
        await writer.close()
    if fatal is not None:
        raise fatal
    return SliceOutcome(writer.drafted, writer.failed, writer.state, out_of_budget)


async def plain_inputs(rows: list[dict[str, Any]]) -> list[PrelabelInput]:
    """The items as a language model wants them: their texts."""
    return [PrelabelInput(item_id=row["id"], text=row["text"] or "") for row in rows]


async def embedded_inputs(rpc: Rpc, actor: str, dataset: str, rows: list[dict[str, Any]]) -> list[PrelabelInput]:
    """The items as the embedded model wants them: with their vectors, new ones computed and kept."""
    missing = [row for row in rows if row["vector"] is None]
    vectors = {row["id"]: unpack_vector(row["vector"]) for row in rows if row["vector"] is not None}
    if missing:
        made = await embed_texts([row["text"] or "" for row in missing])
        ids = [row["id"] for row in missing]
        await save_vectors(rpc, actor, dataset, ids, made)
        vectors.update(zip(ids, made, strict=True))
    return [
        PrelabelInput(item_id=row["id"], text=row["text"] or "", vector=tuple(vectors[row["id"]].tolist()))
        for row in rows
    ]
