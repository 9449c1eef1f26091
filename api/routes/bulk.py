"""One action on many items: counted first, done by a job, undone as a whole."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from api.bodies import MAX_INTEGER
from api.deps import Actor, DatasetId, Db, JobId, Limit, answer
from api.routes import resource
from api.workflow_bodies import BulkOrder
from schemas.reviews import BulkCount, Refusals
from schemas.world import Job

router = resource("reviews")


@router.post(
    "/datasets/{dataset_id}/items/bulk",
    response_model=BulkCount,
    responses={202: {"model": Job, "description": "Ordered: follow the job."}},
    summary="Act on many items",
)
async def order_bulk(db: Db, actor: Actor, dataset_id: DatasetId, body: BulkOrder) -> Response:
    """`approve` answers, or drafts that nobody answered; `reject` answers with a comment; `set_class`; `assign` open
    items to somebody; `send_back` into the queue. With `dry_run` the answer is a count, else a job for the items that are
    chosen now. Needs the role reviewer."""
    chosen = None if body.filter is None else body.filter.model_dump(mode="json", exclude_none=True)
    done = await db.call(
        "order_bulk",
        actor=actor, dataset=dataset_id, action=body.action, ids=body.ids, filter=chosen, options=body.options(),
        dry_run=body.dry_run, key=body.key, timeout=120,
    )  # fmt: skip
    return answer(done, 200 if body.dry_run else 202)


@router.get("/jobs/{job_id}/refusals", response_model=Refusals, summary="List what an action on many items refused")
async def list_refusals(
    db: Db,
    actor: Actor,
    job_id: JobId,
    after: Annotated[int, Query(ge=0, le=MAX_INTEGER, description="Only items after this `seq`.")] = 0,
    limit: Limit = 100,
) -> Response:
    """The items that were left as they are, and why each was. Needs the role reviewer."""
    return answer(await db.call("list_refusals", actor=actor, job=job_id, after=after, limit=limit))


@router.post("/jobs/{job_id}/undo", response_model=Job, status_code=202, summary="Undo an action on many items")
async def undo_bulk(db: Db, actor: Actor, job_id: JobId) -> Response:
    """Puts every item back to what it was before, but for those that somebody has worked on since: the new job reports
    them. Needs the role reviewer, and to have ordered the action oneself or to be an admin."""
    return answer(await db.call("undo_bulk", actor=actor, job=job_id, timeout=120), 202)
