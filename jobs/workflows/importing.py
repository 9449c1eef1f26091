"""The workflow behind an import: look through the file, settle the labelset, write, tidy up."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

from dbos import DBOS

from jobs.context import context
from jobs.importing import Inspection, chunks, inspect, read_options, write_file
from jobs.workflows.steps import begin_job, finish_job, workflow
from schemas.errors import error_of
from schemas.labelsets import PALETTE, Labelset

WORDS_AT_A_TIME = 20_000


@workflow("import")
async def import_file(job_id: str) -> None:
    """Import the uploaded file; a file that cannot be read, or a cancelled import, leaves nothing behind."""
    job = await begin_job(job_id)
    if job["state"] != "running":
        return
    try:
        found = await look_through(job_id)
        complete = await write_items(job_id, found["labelled"])
    except Exception:
        await undo_import(job_id)
        raise
    if complete:
        await finish_job(job_id, {**found, **await tally(job_id)})
        await forget_upload(job_id)
        await index_words(job_id)
        if job["params"].get("embed", True):
            await order_embedding(job_id)
    else:
        await undo_import(job_id)


@DBOS.step()
async def look_through(job_id: str) -> dict[str, Any]:
    """First pass. Makes the labelset out of the label column where the dataset has none."""
    ctx = context()
    job = await ctx.job(job_id)
    labelset = (await ctx.rpc.call("get_dataset", actor=job.created_by, dataset=job.dataset_id))["labelset"]
    found = await asyncio.to_thread(
        inspect, _path(job.params), read_options(job.params), _name(job.params), has_labelset=labelset is not None
    )
    if labelset is None and found.classes:
        await _create_labelset(job.created_by, job.dataset_id, found)
    await ctx.rpc.call("progress_job", job=job_id, done=0, total=found.rows + found.rejected)
    return {
        "columns": found.columns,
        "text_column": found.text_column,
        "notices": found.notices,
        "rows": found.rows,
        "labelled": found.labelled,
    }


@DBOS.step()
async def write_items(job_id: str, labelled: bool) -> bool:
    """Second pass; True when it went through to the end."""
    ctx = context()
    job = await ctx.job(job_id)
    if job.state != "running":
        return False
    dataset = await ctx.rpc.call("get_dataset", actor=job.created_by, dataset=job.dataset_id)
    with_labels = labelled and dataset["labelset"] is not None
    labelset = Labelset.model_validate(dataset["labelset"]) if with_labels else None
    labels_as = str(job.params.get("labels_as", "annotation")).removesuffix("s")
    source = chunks(_path(job.params), read_options(job.params), _name(job.params), labelset, labels_as)
    return await write_file(ctx.rpc, job.created_by, job.dataset_id, job_id, source)


@DBOS.step()
async def tally(job_id: str) -> dict[str, Any]:
    """How many items the job created, found there already, and rejected."""
    counted: dict[str, Any] = await context().rpc.call("count_import", job=job_id)
    return counted


@DBOS.step()
async def undo_import(job_id: str) -> None:
    """Remove what this import created and nobody has worked on. A paused import keeps it, and goes on later."""
    ctx = context()
    job = await ctx.job(job_id)
    if job.state != "paused":
        await ctx.rpc.call("rollback_import", actor=job.created_by, job=job_id, timeout=300)
        await forget_upload(job_id)


@DBOS.step()
async def forget_upload(job_id: str) -> None:
    """The uploaded file has served its purpose."""
    ctx = context()
    upload = (await ctx.job(job_id)).params["upload"]
    await asyncio.to_thread(shutil.rmtree, ctx.uploads / Path(str(upload)).parts[0], True)


@DBOS.step()
async def index_words(job_id: str) -> None:
    """Makes the new texts searchable now, so that the first search need not; an index while importing costs double."""
    ctx = context()
    job = await ctx.job(job_id)
    while await ctx.rpc.call("index_words", dataset=job.dataset_id, most=WORDS_AT_A_TIME, timeout=120):
        pass


@DBOS.step()
async def order_embedding(job_id: str) -> None:
    """New items want vectors, for similar items and the queue: a job of its own, once for this import."""
    ctx = context()
    job = await ctx.job(job_id)
    await ctx.rpc.call(
        "create_job", actor=job.created_by, dataset=job.dataset_id, kind="embed", params={}, key=f"embed:{job_id}"
    )


async def _create_labelset(actor: str, dataset: str, found: Inspection) -> None:
    classes = [{"name": name, "color": PALETTE[i % len(PALETTE)]} for i, name in enumerate(found.classes)]
    made = Labelset.of([c["name"] for c in classes], kind="spans" if found.spans else "classification")
    await context().rpc.call(
        "create_labelset",
        actor=actor, dataset=dataset, kind=made.kind, classes=[c.model_dump() for c in made.classes],
    )  # fmt: skip


def _path(params: dict[str, Any]) -> Path:
    path = context().uploads / str(params["upload"])
    if not path.is_file():
        raise error_of("unreadable-file", f"{_name(params)} is no longer there")
    return path


def _name(params: dict[str, Any]) -> str:
    return str(params.get("filename") or "upload")
