"""The workflow behind bulk pre-labelling: ready the model, cut the work into slices, draft them on all workers.

A slice is a workflow of its own on a queue that every worker takes from. Pausing or cancelling the job stops the slices
after the calls under way; resuming cuts anew what is left. Nothing is drafted twice, because a job's draft for an item
is stored once.
"""

from __future__ import annotations

from typing import Any

from dbos import DBOS, SetWorkflowID

from jobs.context import context
from jobs.drafting import draft_slice
from jobs.labelers import is_local, labeler_for_dataset, ready_local_model
from jobs.purse import Purse
from jobs.workflows.steps import begin_job, fail_job, finish_job, leave_if_stopping, run_number, workflow
from schemas.errors import LabelCrewError
from schemas.labeling import Labeler
from schemas.world import Job

SLICES = "labelcrew-slices"
SLICE_ITEMS = 1_000
LOCAL_SLICE_ITEMS = 4_000


@workflow("prelabel")
async def prelabel(job_id: str) -> None:
    """Draft a label for every item that has none by this job."""
    job = await begin_job(job_id)
    if job["state"] != "running":
        return
    await ready_model(job_id)
    slices = await cut(job_id)
    handles = []
    for number, (after, until) in enumerate(slices):
        with SetWorkflowID(f"{DBOS.workflow_id}:{number}"):
            handles.append(await DBOS.enqueue_workflow_async(SLICES, prelabel_slice, job_id, after, until))
    for handle in handles:
        await handle.get_result()
    await conclude(job_id)


@DBOS.workflow(name="prelabel_slice", max_recovery_attempts=100)
async def prelabel_slice(job_id: str, after: int, until: int) -> None:
    """One slice; what is wrong with the whole run (a refused key) fails the job at once."""
    try:
        await draft(job_id, after, until)
    except LabelCrewError as error:
        leave_if_stopping()
        await fail_job(job_id, error.code, str(error))


@DBOS.step()
async def ready_model(job_id: str) -> None:
    """The embedded model learns from the dataset before it drafts for it; a language model needs nothing."""
    ctx = context()
    job = await ctx.job(job_id)
    if job.params.get("route") or is_local(ctx.settings, job.params.get("model")):
        await ready_local_model(ctx.rpc, job.created_by, job.dataset_id)


@DBOS.step()
async def cut(job_id: str) -> list[tuple[int, int]]:
    """Where the slices begin and end, by seq."""
    ctx = context()
    job = await ctx.job(job_id)
    size = LOCAL_SLICE_ITEMS if is_local(ctx.settings, job.params.get("model")) else SLICE_ITEMS
    redo_human = bool(job.params.get("redo_human", False))
    plan = await ctx.rpc.call("plan_job", job=job_id, slice=size, exclude_human=not redo_human, timeout=120)
    await ctx.rpc.call("progress_job", job=job_id, done=0, total=job.done + job.failed + plan["total"])
    return [(after, until) for after, until in plan["slices"]]


@DBOS.step()
async def draft(job_id: str, after: int, until: int) -> dict[str, Any]:
    """Draft the slice. Run again after a kill, it asks for what is missing."""
    ctx = context()
    job = await ctx.job(job_id)
    run = run_number()
    if job.state != "running" or job.run != run:
        return {"state": job.state}
    purse = Purse(ctx.rpc, job_id) if job.budget_usd is not None else None
    model = job.params.get("model")
    local, routed = is_local(ctx.settings, model), bool(job.params.get("route"))
    labeler = await _labeler(job, purse)
    try:
        outcome = await draft_slice(
            ctx.rpc, labeler, job.created_by, job.dataset_id, job_id, run=run, after=after, until=until,
            at_once=1 if local or routed else ctx.settings.llm_concurrency,
            redo_human=bool(job.params.get("redo_human", False)), vectors=local or routed,
        )  # fmt: skip
    finally:
        if purse is not None:
            await purse.close()
    if outcome.out_of_budget:
        note = f"The budget of {job.budget_usd:g} USD is used up. Raise it and resume, or take what there is."
        await ctx.rpc.call("pause_job", job=job_id, note=note)
    return {"state": outcome.state, "drafted": outcome.drafted, "failed": outcome.failed}


async def _labeler(job: Job, purse: Purse | None) -> Labeler:
    """The labeler that the job asked for; a routed one shares what is left of the budget over what is left to do."""
    ctx = context()
    model = job.params.get("model")
    if not job.params.get("route"):
        return await labeler_for_dataset(
            ctx.rpc, ctx.settings, job.created_by, job.dataset_id, model=model, spend=purse
        )
    from jobs.routing import limits_of, routed_labeler

    left = max((job.total or 0) - job.done - job.failed, 1)
    share = left / max(job.total or 1, 1)
    minutes = job.params.get("human_minutes")
    params = {**job.params, "human_minutes": None if minutes is None else minutes * share}
    money = None if job.budget_usd is None else max(job.budget_usd - job.cost_usd, 0.0)
    found = await ctx.rpc.call("get_dataset", actor=job.created_by, dataset=job.dataset_id)
    return await routed_labeler(
        ctx.rpc, ctx.settings, job.created_by, job.dataset_id,
        model=model or found["settings"].get("model") or ctx.settings.default_model,
        limits=limits_of(params, money, left), spend=purse,
    )  # fmt: skip


@DBOS.step()
async def conclude(job_id: str) -> None:
    """Done, unless the job was stopped on the way."""
    ctx = context()
    job = await ctx.job(job_id)
    if job.state == "running" and job.run == run_number():
        result = await ctx.rpc.call("summarise_drafts", job=job_id)
        await finish_job(job_id, result)
