"""The workflow behind an export job: a file in the data folder, for sets too large to wait for in a request."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any

from dbos import DBOS

from formats.exporting import RowExporter, check_export, export_columns
from formats.writing import WriteOptions, encode_pages
from jobs.context import WorkContext, context
from jobs.workflows.steps import begin_job, finish_job, workflow
from schemas.errors import error_of
from schemas.labelsets import Labelset
from schemas.world import Job

PAGE = 5_000


@workflow("export")
async def export(job_id: str) -> None:
    """Write the dataset to a file; the job's result names it."""
    job = await begin_job(job_id)
    if job["state"] == "running":
        result = await write_export(job_id)
        await finish_job(job_id, result)


@DBOS.step()
async def write_export(job_id: str) -> dict[str, Any]:
    """The whole file, under its name only when it is complete; begun anew after a kill."""
    ctx = context()
    job = await ctx.job(job_id)
    name = str(job.params.get("format", "jsonl"))
    provenance = bool(job.params.get("provenance", True))
    dataset = await ctx.rpc.call("get_dataset", actor=job.created_by, dataset=job.dataset_id)
    if dataset["labelset"] is None:
        raise error_of("no-labelset")
    labelset = Labelset.model_validate(dataset["labelset"])
    check_export(name, labelset)
    await ctx.rpc.call("restart_job_progress", job=job_id, total=dataset["items"])
    target = ctx.exports / f"{job_id}.{name}"
    part = target.with_suffix(target.suffix + ".part")
    options = WriteOptions(columns=export_columns(labelset, provenance=provenance))
    rows = 0
    try:
        with part.open("wb") as sink:
            pages = _pages(ctx, job, RowExporter(labelset, provenance=provenance))
            async for piece in encode_pages(name, pages, options):
                sink.write(piece)
        os.replace(part, target)
        rows = (await ctx.job(job_id)).done
    except OSError as failure:
        raise error_of("disk-full", f"the export cannot be written: {failure.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
    return {"file": target.name, "bytes": target.stat().st_size, "rows": rows, "format": name}


async def _pages(ctx: WorkContext, job: Job, exporter: RowExporter) -> AsyncIterator[list[dict[str, Any]]]:
    after = 0
    filters = job.params.get("filters") or {}
    while True:
        page = await ctx.rpc.call(
            "export_items",
            actor=job.created_by, dataset=job.dataset_id, filters=filters, after=after, limit=PAGE, compact=True,
        )  # fmt: skip
        if page["rows"]:
            yield exporter.page(page)
            await ctx.rpc.call("progress_job", job=job.id, done=len(page["rows"]))
        if page["next"] is None:
            return
        after = page["next"]
