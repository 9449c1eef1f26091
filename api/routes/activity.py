"""What happened: the audit log of a dataset as a timeline."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from api.bodies import MAX_INTEGER, Id
from api.deps import Actor, DatasetId, Db, Limit, answer
from api.routes import resource
from schemas.world import Event

router = resource("datasets", "/v1/datasets")


@router.get("/{dataset_id}/activity", response_model=list[Event], summary="List what happened")
async def list_activity(
    db: Db,
    actor: Actor,
    dataset_id: DatasetId,
    kind: Annotated[list[str] | None, Query(description="Only events of these kinds.", max_length=50)] = None,
    who: Annotated[Id | None, Query(description="Only what this user did.")] = None,
    subject: Annotated[Id | None, Query(description="Only what was done to this: an item, a job, a user.")] = None,
    since: Annotated[datetime | None, Query(description="Only events of this time or later.")] = None,
    until: Annotated[datetime | None, Query(description="Only events before this time.")] = None,
    after: Annotated[
        int | None, Query(ge=0, le=MAX_INTEGER, description="The events that follow this one's id.")
    ] = None,
    before: Annotated[
        int | None, Query(ge=0, le=MAX_INTEGER, description="The newest events before this one's id.")
    ] = None,
    limit: Limit = 100,
) -> Response:
    """The audit log of a dataset, in the order of ids. Without `after` the newest; give the first id of a page as
    `before` to go back, the last as `after` to follow. Needs the role reviewer."""
    events = await db.call(
        "list_activity",
        actor=actor, dataset=dataset_id, kinds=kind, who=who, subject=subject, since=since, until=until, after=after,
        before=before, limit=limit,
    )  # fmt: skip
    return answer(events)
