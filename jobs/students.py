"""Keeping each dataset's student fresh: read what people verified, train, store, and let the next drafts profit.

Training runs in a thread of a worker, so neither requests nor other jobs wait for it. How often is bounded by what it
costs: the pause between two trainings of a dataset grows with the time that the last one took.
"""

from __future__ import annotations

import asyncio
import base64
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import structlog

from jobs.context import WorkContext, context
from jobs.vectors import Vectors, embed_texts, embedder, save_vectors, unpack_vector, unpack_vectors
from schemas.errors import LabelCrewError
from schemas.labelsets import Labelset
from schemas.payloads import Classification, Payload, Spans, parse_payload
from schemas.settings import LOCAL_MODEL
from store.rpc import Rpc

log = structlog.get_logger("students")

MOST_ROWS = 20_000
POOL = 4_000
POOL_KEEPS_S = 60.0
LEAST_PAUSE_S = 1.5
PAUSE_FACTOR = 4.0


@dataclass
class Lesson:
    """What a student is taught: verified answers, newest first, and vectors of items without answers."""

    labelset: Labelset
    version: int
    item_ids: list[str]
    texts: list[str]
    vectors: Vectors
    payloads: list[Payload]
    pool: Vectors
    stamp: str | None
    pseudo_labels: bool = False
    """Whether the student may also learn from labels that it gives itself (the dataset's setting)."""


@dataclass
class _Pace:
    """When a dataset was last taught, and how long that took."""

    ended: float = -1e9
    took: float = 0.0
    pool: Vectors | None = None
    pool_read: float = -1e9
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def may_begin(self) -> bool:
        return time.monotonic() - self.ended >= max(LEAST_PAUSE_S, PAUSE_FACTOR * self.took)


_paces: dict[str, _Pace] = {}


async def refresh_stale_students() -> None:
    """Train every dataset whose verified answers changed since its newest student read them."""
    ctx = context()
    for row in await ctx.rpc.call("list_stale_students"):
        pace = _paces.setdefault(row["dataset_id"], _Pace())
        if pace.lock.locked() or not pace.may_begin():
            continue
        try:
            await train(ctx.rpc, row["actor"], row["dataset_id"])
            await follow_student(ctx, row["actor"], row["dataset_id"], pace)
        except LabelCrewError as error:
            pace.ended, pace.took = time.monotonic(), 15.0
            log.warning("student_not_trained", dataset=row["dataset_id"], code=error.code, detail=error.detail)


async def follow_student(ctx: WorkContext, actor: str, dataset: str, pace: _Pace) -> None:
    """What is done whenever a student has learnt: the queue is chosen anew, the drafts that come next are renewed, and
    the confidences of other models are read by what was verified. Its time counts as part of the training's."""
    from jobs.calibrations import refresh_calibrations
    from jobs.ranking import order_queue

    began = time.monotonic()
    found = await ctx.rpc.call("get_dataset", actor=actor, dataset=dataset)
    if found["settings"].get("queue_order", "adaptive") == "adaptive":
        await order_queue(ctx.rpc, actor, dataset)
    await refresh_drafts(ctx, actor, dataset)
    await refresh_calibrations(ctx.rpc, dataset)
    pace.ended = time.monotonic()
    pace.took += pace.ended - began


async def train(rpc: Rpc, actor: str, dataset: str) -> dict[str, Any]:
    """Train and store the dataset's next student. With no answer yet it learns from the class names and the pool."""
    pace = _paces.setdefault(dataset, _Pace())
    async with pace.lock:
        began = time.monotonic()
        lesson = await read_lesson(rpc, actor, dataset, pace)
        metrics, blob, trained_on = await asyncio.to_thread(teach, lesson, await embedder())
        saved = await rpc.call(
            "save_student",
            dataset=dataset, labelset_version=lesson.version, model=LOCAL_MODEL, metrics=metrics,
            blob=base64.b64encode(blob).decode(), trained_on=trained_on, seen_change=lesson.stamp,
        )  # fmt: skip
        pace.ended, pace.took = time.monotonic(), time.monotonic() - began
    return {"version": saved["version"], "trained_on": trained_on, "metrics": metrics}


async def read_lesson(rpc: Rpc, actor: str, dataset: str, pace: _Pace | None = None) -> Lesson:
    """Everything a student learns from; items without a vector get theirs now."""
    stamp = await rpc.call("training_stamp", dataset=dataset)
    found = await rpc.call("get_dataset", actor=actor, dataset=dataset)
    if found["labelset"] is None:
        from schemas.errors import error_of

        raise error_of("no-labelset")
    labelset = Labelset.model_validate(found["labelset"])
    rows = await rpc.call(
        "list_training_rows", actor=actor, dataset=dataset, limit=MOST_ROWS, vectors="base64", timeout=60
    )
    kept = [(row, payload) for row in rows if (payload := _usable(row["payload"], labelset)) is not None]
    return Lesson(
        labelset=labelset,
        version=labelset.version,
        item_ids=[row["item_id"] for row, _ in kept],
        texts=[row["text"] or "" for row, _ in kept],
        vectors=await _vectors_of(rpc, actor, dataset, [row for row, _ in kept]),
        payloads=[payload for _, payload in kept],
        pool=await _pool_of(rpc, actor, dataset, pace or _Pace()),
        stamp=stamp["last_change"],
        pseudo_labels=bool(found["settings"].get("pseudo_labels", False)),
    )


def teach(lesson: Lesson, model: Any) -> tuple[dict[str, float], bytes, int]:
    """Metrics, bytes and size of the training set of a student of this lesson. Heavy: call it in a thread."""
    if lesson.labelset.kind == "spans":
        from learning.span_tagger import SpanTagger

        spans = [[(s.start, s.end, s.label) for s in p.spans] for p in lesson.payloads if isinstance(p, Spans)]
        tagger = SpanTagger.fit(lesson.texts, spans)
        return tagger.metrics, tagger.to_bytes(), len(spans)
    from learning.student import Student
    from learning.zero_shot import class_texts, class_vectors

    answers = [list(p.labels) for p in lesson.payloads if isinstance(p, Classification)]
    y: Any = answers if lesson.labelset.multi else [labels[0] for labels in answers]
    names = class_vectors(class_texts(lesson.labelset.active), model)
    student = Student.fit(
        lesson.vectors, y, lesson.labelset.keys, class_vectors=names, pool=lesson.pool, multi=lesson.labelset.multi
    )
    if lesson.pseudo_labels and not lesson.labelset.multi:
        # They stay in this thread: nothing but their number is kept, so that none can pass for an answer.
        from learning.pseudo_students import self_teach

        student = self_teach(student, lesson.vectors, y, lesson.pool, class_vectors=names).student
    return student.metrics, student.to_bytes(), student.trained_on


async def refresh_drafts(ctx: WorkContext, actor: str, dataset: str) -> int:
    """Draft anew the items that people will see next, where the new student thinks differently; how many changed."""
    from jobs.labelers import redraft_upcoming

    return await redraft_upcoming(ctx.rpc, ctx.settings, actor, dataset)


def _usable(raw: dict[str, Any], labelset: Labelset) -> Payload | None:
    """The payload without classes that were retired since; None when nothing is left to learn from it."""
    payload = parse_payload(raw)
    known = set(labelset.keys)
    if isinstance(payload, Classification):
        kept = tuple(label for label in payload.labels if label in known)
        return Classification(labels=kept) if kept or (labelset.multi and not payload.labels) else None
    if isinstance(payload, Spans) and labelset.kind == "spans":
        return Spans(spans=tuple(span for span in payload.spans if span.label in known))
    return None


async def _vectors_of(rpc: Rpc, actor: str, dataset: str, rows: list[dict[str, Any]]) -> Vectors:
    missing = [i for i, row in enumerate(rows) if row["vector"] is None]
    vectors = np.zeros((len(rows), 384), dtype=np.float32)
    for i, row in enumerate(rows):
        if row["vector"] is not None:
            vectors[i] = unpack_vector(row["vector"])
    if missing:
        made = await embed_texts([rows[i]["text"] or "" for i in missing])
        vectors[missing] = made
        await save_vectors(rpc, actor, dataset, [rows[i]["item_id"] for i in missing], made)
    return vectors


async def _pool_of(rpc: Rpc, actor: str, dataset: str, pace: _Pace) -> Vectors:
    if pace.pool is None or time.monotonic() - pace.pool_read > POOL_KEEPS_S:
        found = await rpc.call("sample_vectors", actor=actor, dataset=dataset, limit=POOL)
        pace.pool = unpack_vectors(found["vectors"], found["n"]) if found["n"] else np.zeros((0, 384), np.float32)
        pace.pool_read = time.monotonic()
    return pace.pool
