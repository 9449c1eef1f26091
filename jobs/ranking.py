"""The order of the queue: which items people should see next, chosen anew whenever the student has learnt.

Choosing is learning/strategies' affair; here is what it needs, and what becomes of it. Vectors of a dataset are read
once and kept in the worker, 154 MB for 100,000 items; what is open is asked each time. Only the head of the queue is
written: the rest follows by arrival, and is chosen from again a few answers later.
"""

from __future__ import annotations

import asyncio
import base64
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from jobs.vectors import Vectors, embedder, unpack_vectors
from schemas.errors import error_of
from schemas.labelsets import Labelset
from store.rpc import Rpc

if TYPE_CHECKING:
    from learning.strategies import Pool
    from learning.student import Student

Seqs = NDArray[np.int64]

HEAD = 200
"""How many items are put in order; twenty people are busy with them for about ten seconds."""
PAGE = 10_000
MOST_VECTORS = 200_000
"""Items by arrival that are chosen from; later ones wait until earlier ones are done."""
KEPT_DATASETS = 2
REREAD_AFTER_S = 60.0
"""Vectors that came out of order are looked for this often."""


@dataclass
class _Known:
    """The vectors of a dataset as they were read, by seq."""

    seqs: Seqs
    vectors: Vectors
    read_at: float = 0.0


@dataclass(frozen=True)
class Choice:
    """The head of the queue: seqs in order, and those of them that were drawn at random."""

    seqs: list[int]
    control: list[int]
    info: dict[str, Any]


_known: dict[str, _Known] = {}
_reading = asyncio.Lock()


async def order_queue(rpc: Rpc, actor: str, dataset: str, *, count: int = HEAD) -> dict[str, Any]:
    """Choose the next ``count`` items and put them at the head of the queue; what was done, for people to read.

    Raises ``no-labelset``. Items without a vector are not chosen; with none at all nothing happens.
    """
    began = time.monotonic()
    found = await rpc.call("get_dataset", actor=actor, dataset=dataset)
    if found["labelset"] is None:
        raise error_of("no-labelset")
    labelset = Labelset.model_validate(found["labelset"])
    known = await _vectors_of(rpc, dataset)
    open_seqs = np.array((await rpc.call("list_rankable", dataset=dataset))["seqs"], dtype=np.int64)
    answered = np.array((await rpc.call("list_answered", dataset=dataset))["seqs"], dtype=np.int64)
    stored = await rpc.call("get_student", dataset=dataset) if labelset.kind == "classification" else None
    if stored is not None and stored["labelset_version"] != labelset.version:
        stored = None
    choice = await asyncio.to_thread(_choose, known, open_seqs, answered, stored, labelset, await embedder(), count)
    done = await rpc.call(
        "rank_queue", dataset=dataset, seqs=choice.seqs, control=choice.control, info=choice.info, timeout=60
    )
    return {**choice.info, **done, "seconds": round(time.monotonic() - began, 3)}


def forget_vectors(dataset: str | None = None) -> None:
    """Let go of the vectors kept for a dataset, or for all."""
    if dataset is None:
        _known.clear()
    else:
        _known.pop(dataset, None)


def _choose(
    known: _Known, open_seqs: Seqs, answered: Seqs, stored: dict[str, Any] | None, labelset: Labelset, model: Any,
    count: int,
) -> Choice:  # fmt: skip
    """Heavy: runs in a thread."""
    from learning.strategies import adaptive

    rows_open, rows_answered = _rows(known, open_seqs), _rows(known, answered)
    info: dict[str, Any] = {
        "strategy": "adaptive",
        "student": stored["version"] if stored else None,
        "open": len(open_seqs),
        "without_vector": len(open_seqs) - len(rows_open),
    }
    if not len(rows_open):
        return Choice([], [], info)
    pool, rows = _pool(known, rows_open, rows_answered, stored, labelset, model)
    picked, control = adaptive.pick_with_control(pool, count, np.random.default_rng())
    return Choice(known.seqs[rows[picked]].tolist(), known.seqs[rows[control]].tolist(), info)


def _pool(
    known: _Known, rows_open: Seqs, rows_answered: Seqs, stored: dict[str, Any] | None, labelset: Labelset, model: Any
) -> tuple[Pool, Seqs]:
    """The pool, and which of the known rows its rows are."""
    from learning.strategies import Pool
    from learning.student import Student

    rows = np.concatenate([rows_open, rows_answered])
    everything = len(rows) == len(known.seqs)
    if everything:
        rows = np.sort(rows)
    vectors = known.vectors if everything else known.vectors[rows]
    labelled = np.searchsorted(rows, rows_answered) if everything else np.arange(len(rows_open), len(rows))
    proba = class_vectors = None
    if stored is not None and len(labelset.keys) > 1:
        proba = opinions(Student.from_bytes(base64.b64decode(stored["blob"])), vectors)
    elif labelset.kind == "classification" and len(labelset.keys) > 1:
        from learning.zero_shot import class_texts
        from learning.zero_shot import class_vectors as vectors_of

        class_vectors = vectors_of(class_texts(labelset.active), model)
    return Pool(vectors, proba, labelled=np.sort(labelled), class_vectors=class_vectors), rows


def opinions(student: Student, vectors: Vectors) -> NDArray[np.float32]:
    """Probabilities (n, k) whose margin says how unsure the student is. Where several labels may be given: (n, 2), yes
    and no of the class it is least sure about."""
    likely = student.predict_proba(vectors).astype(np.float32)
    if not student.multi:
        return likely
    unsurest = np.abs(likely - 0.5).argmin(axis=1)
    yes = likely[np.arange(len(likely)), unsurest]
    return np.stack([yes, 1 - yes], axis=1)


def _rows(known: _Known, seqs: Seqs) -> Seqs:
    """Where these seqs stand among the known ones; those without a vector are left out."""
    if not len(known.seqs):
        return np.zeros(0, np.int64)
    places = np.searchsorted(known.seqs, seqs)
    places[places == len(known.seqs)] = 0
    return np.asarray(places[known.seqs[places] == seqs], dtype=np.int64)


async def _vectors_of(rpc: Rpc, dataset: str) -> _Known:
    """The dataset's vectors; only what is new is read."""
    async with _reading:
        known = _known.pop(dataset, None) or _Known(np.zeros(0, np.int64), np.zeros((0, 384), np.float32))
        total = min(await rpc.call("count_vectors", dataset=dataset), MOST_VECTORS)
        if total > len(known.seqs):
            known = await _read_on(rpc, dataset, known)
        if total > len(known.seqs) and time.monotonic() - known.read_at > REREAD_AFTER_S:
            known = await _read_on(rpc, dataset, _Known(known.seqs[:0], known.vectors[:0]))
            known.read_at = time.monotonic()
        while len(_known) >= KEPT_DATASETS:
            _known.pop(next(iter(_known)))
        _known[dataset] = known
        return known


async def _read_on(rpc: Rpc, dataset: str, known: _Known) -> _Known:
    after: int | None = int(known.seqs[-1]) if len(known.seqs) else 0
    seqs, vectors = [known.seqs], [known.vectors]
    have = len(known.seqs)
    while after is not None and have < MOST_VECTORS:
        page = await rpc.call("read_vectors", dataset=dataset, after=after, limit=PAGE, timeout=60)
        if page["seqs"]:
            seqs.append(np.array(page["seqs"], dtype=np.int64))
            vectors.append(await asyncio.to_thread(unpack_vectors, page["vectors"], len(page["seqs"])))
            have += len(page["seqs"])
        after = page["next"]
    return _Known(np.concatenate(seqs), np.concatenate(vectors), known.read_at)
