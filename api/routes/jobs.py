"""Jobs: ordering work for the background, what it would cost, following it, stopping it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query
from starlette.responses import FileResponse, Response, StreamingResponse

from api.bodies import MAX_INTEGER, JobPlan, NewJob, ResumeJob
from api.deps import Actor, DatasetId, Db, JobId, Limit, Parts, answer
from api.exporting import exported_file
from api.routes import resource
from api.sse import job_events
from schemas.world import Job, JobEstimate, Rejections

router = resource("jobs")

EVENT = {
    "type": "object",
    "properties": {
        "event": {"type": "string", "enum": ["job", "error"]},
        "data": {"type": "string", "contentMediaType": "application/json", "description": "A job, or code and detail."},
    },
}


@router.post("/datasets/{dataset_id}/jobs", response_model=Job, status_code=202, summary="Order a job")
async def create_job(parts: Parts, actor: Actor, dataset_id: DatasetId, body: NewJob) -> Response:
    """Order work for the background: `prelabel` drafts labels for all items, `embed` computes their vectors, `train`
    teaches the dataset's student, `rank` puts the queue in order, `auto_accept` plans an audit that may license drafts
    to skip the human, `consensus` settles what several people said about the same items, `quality_scan` looks for
    conflicts and lets a language model judge the worst. Needs the role admin. A budget is never exceeded."""
    from jobs.orders import check_order

    params = check_order(parts.settings, body.kind, body.params, budget_usd=body.budget_usd)
    job = await parts.rpc.call(
        "create_job",
        actor=actor, dataset=dataset_id, kind=body.kind, params=params, budget_usd=body.budget_usd, key=body.key,
    )  # fmt: skip
    return answer(job, 202)


@router.post("/datasets/{dataset_id}/jobs/estimate", response_model=JobEstimate, summary="Estimate a job")
async def estimate_job(parts: Parts, actor: Actor, dataset_id: DatasetId, body: JobPlan) -> Response:
    """What a job would handle, cost and take, before it is ordered."""
    from jobs.orders import estimate_order

    estimate = await estimate_order(
        parts.rpc, parts.settings, actor, dataset_id, body.kind, body.params, body.budget_usd
    )
    return answer(estimate.model_dump(mode="json"))


@router.get("/datasets/{dataset_id}/jobs", response_model=list[Job], summary="List jobs")
async def list_jobs(db: Db, actor: Actor, dataset_id: DatasetId, limit: Limit = 50) -> Response:
    """The jobs of a dataset, newest first."""
    return answer(await db.call("list_jobs", actor=actor, dataset=dataset_id, limit=limit))


@router.get("/jobs/{job_id}", response_model=Job, summary="Get a job")
async def get_job(db: Db, actor: Actor, job_id: JobId) -> Response:
    """A job with its progress and its cost so far."""
    return answer(await db.call("get_job", actor=actor, job=job_id))


@router.get("/jobs/{job_id}/rejections", response_model=Rejections, summary="List the rows an import did not take")
async def list_rejections(
    db: Db,
    actor: Actor,
    job_id: JobId,
    after: Annotated[int, Query(ge=0, le=MAX_INTEGER, description="Only rows after this line.")] = 0,
    limit: Limit = 100,
) -> Response:
    """The lines of the file that were left out, and why each was."""
    return answer(await db.call("list_rejections", actor=actor, job=job_id, after=after, limit=limit))


@router.get(
    "/jobs/{job_id}/file",
    response_class=FileResponse,
    responses={200: {"description": "The file.", "content": {"application/octet-stream": {}}}},
    summary="Fetch the file of an export",
)
async def get_job_file(parts: Parts, actor: Actor, job_id: JobId) -> FileResponse:
    """The file that an export job wrote, once it is done."""
    job = await parts.rpc.call("get_job", actor=actor, job=job_id)
    return exported_file(parts.settings, job)


@router.get(
    "/jobs/{job_id}/events",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Server-sent events: `job`, with the job as its data, whenever it changes, until it ends.",
            "content": {"text/event-stream": {"schema": EVENT}},
        }
    },
    summary="Follow a job",
)
async def follow_job(parts: Parts, actor: Actor, job_id: JobId) -> StreamingResponse:
    """The job now, and again whenever it has changed, until it is done, failed or cancelled."""
    return await job_events(parts, actor, job_id)


async def _control(db: Db, actor: str, job_id: str, action: Literal["pause", "resume", "cancel"]) -> Response:
    return answer(await db.call("control_job", actor=actor, job=job_id, action=action))


@router.post("/jobs/{job_id}/pause", response_model=Job, summary="Pause a job")
async def pause_job(db: Db, actor: Actor, job_id: JobId) -> Response:
    """Stop after the calls that are under way; what is done stays. Needs the role admin."""
    return await _control(db, actor, job_id, "pause")


@router.post("/jobs/{job_id}/resume", response_model=Job, summary="Resume a job")
async def resume_job(db: Db, actor: Actor, job_id: JobId, change: ResumeJob | None = None) -> Response:
    """Go on with a paused job where it stopped, with a new budget if one is given. Needs the role admin."""
    if change is not None and change.budget_usd is not None:
        await db.call("set_job_budget", actor=actor, job=job_id, usd=change.budget_usd)
    return await _control(db, actor, job_id, "resume")


@router.post("/jobs/{job_id}/cancel", response_model=Job, summary="Cancel a job")
async def cancel_job(db: Db, actor: Actor, job_id: JobId) -> Response:
    """End a job for good; what is done stays. Needs the role admin."""
    return await _control(db, actor, job_id, "cancel")
