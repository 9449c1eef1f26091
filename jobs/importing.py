"""Bringing a file into a dataset: look through it once, then write it, both streaming.

The first pass reads the whole file and writes nothing, so that a file which turns out to be broken in its last line
leaves no trace; it also counts, for the progress, and collects class names where the dataset has no labelset yet. The
second pass writes. Items are known by their external id or by the hash of their text, so the second pass may be run
again after a kill; if it is cancelled or fails for good, what it created is removed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from formats.labels import PayloadReader, infer_classes, names_in
from formats.reading import open_rows
from formats.rows import ReadOptions, Rejected, Row
from schemas.errors import InvalidPayload
from schemas.labelsets import Labelset
from schemas.payloads import dump_payload
from store.rpc import Rpc

CHUNK = 5_000
IMPORTED = "import"
"""The model's name of predictions that came from a file."""


@dataclass
class Inspection:
    """What the first pass found. ``classes`` are the names in the label column."""

    rows: int = 0
    rejected: int = 0
    classes: list[str] = field(default_factory=list)
    spans: bool = False
    notices: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    text_column: str | None = None
    labelled: bool = False
    """Whether the file's labels are wanted: a column was named, or the format is one of labels."""


@dataclass
class Chunk:
    """Rows ready for the store, and those that are not, with the line each stood on."""

    items: list[dict[str, Any]]
    rejections: list[dict[str, Any]]


def read_options(params: dict[str, Any]) -> ReadOptions:
    """A job's parameters as the reader's options."""
    return ReadOptions(
        format=params.get("format"),
        text_column=params.get("text_column"),
        id_column=params.get("id_column"),
        label_column=params.get("label_column"),
    )


def inspect(path: Path, options: ReadOptions, name: str, *, has_labelset: bool) -> Inspection:
    """Read the whole file and write nothing. Raises what makes the file unreadable."""
    found = Inspection()
    seen: dict[str, None] = {}
    with path.open("rb") as source, open_rows(source, options, name) as reader:
        found.labelled = options.label_column is not None or reader.format == "conll"
        collect = found.labelled and not has_labelset
        for entry in reader:
            if isinstance(entry, Rejected):
                found.rejected += 1
                continue
            found.rows += 1
            if not collect:
                continue
            found.spans = found.spans or entry.spans is not None
            raw = entry.spans if entry.spans is not None else entry.label
            if not isinstance(raw, str) or raw not in seen:
                seen.update(dict.fromkeys(names_in(raw)))
        found.notices = list(reader.notices)
        found.columns = list(reader.columns)
        found.text_column = reader.text_column
    found.classes = infer_classes(list(seen)) if seen else []
    return found


def chunks(path: Path, options: ReadOptions, name: str, labelset: Labelset | None, labels_as: str) -> Iterator[Chunk]:
    """The file again, as rows for ``create_items``; a label that the labelset does not allow rejects its row."""
    payloads = PayloadReader(labelset) if labelset is not None else None
    with path.open("rb") as source, open_rows(source, options, name) as reader:
        entries = iter(reader)
        while batch := list(islice(entries, CHUNK)):
            made = Chunk([], [])
            for entry in batch:
                if isinstance(entry, Rejected):
                    made.rejections.append({"line": entry.line, "reason": entry.reason, "code": entry.code})
                    continue
                try:
                    made.items.append(_item(entry, payloads, labels_as))
                except InvalidPayload as error:
                    made.rejections.append({"line": entry.line, "reason": str(error), "code": error.code})
            yield made


def _item(row: Row, payloads: PayloadReader | None, labels_as: str) -> dict[str, Any]:
    item: dict[str, Any] = {"text": row.text}
    if row.external_id is not None:
        item["external_id"] = row.external_id
    if row.metadata:
        item["metadata"] = row.metadata
    payload = payloads.of_row(row) if payloads is not None else None
    if payload is not None:
        if labels_as == "prediction":
            item["prediction"] = {"payload": dump_payload(payload), "model": IMPORTED}
        else:
            item["annotation"] = dump_payload(payload)
    return item


async def write_file(rpc: Rpc, actor: str, dataset: str, job: str, source: Iterator[Chunk]) -> bool:
    """Write every chunk, reading the next one meanwhile; False when the job was stopped on the way."""
    await rpc.call("restart_job_progress", job=job)
    state = "running"
    following = asyncio.create_task(asyncio.to_thread(next, source, None))
    try:
        while state == "running" and (chunk := await following) is not None:
            following = asyncio.create_task(asyncio.to_thread(next, source, None))
            if chunk.items:
                await rpc.call(
                    "create_items",
                    actor=actor, dataset=dataset, rows=chunk.items, job=job, want_results=False, timeout=120,
                )  # fmt: skip
            answer = await rpc.call(
                "note_import_progress",
                job=job,
                done=len(chunk.items) + len(chunk.rejections),
                rejections=chunk.rejections,
            )
            state = answer["state"]
    finally:
        await asyncio.gather(following, return_exceptions=True)
    return state == "running"
