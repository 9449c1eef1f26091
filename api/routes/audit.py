"""The audit log's chain: how far it is sealed, whether it is whole, and the log as a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Query
from starlette.responses import Response, StreamingResponse

from api.deps import Actor, DatasetId, Db, answer
from api.routes import resource
from schemas.audit import AuditCheck, AuditState
from store.rpc import Rpc

router = resource("audit", "/v1/datasets/{dataset_id}/audit")

AfterSeal = Annotated[int, Query(ge=0, le=2**31 - 1, description="Go on after the seal of this number.")]


@router.get("", response_model=AuditState, summary="How far the audit log is sealed")
async def get_audit(db: Db, actor: Actor, dataset_id: DatasetId) -> Response:
    """How many events are sealed, how many are not yet, and the head of the chain. Note the head somewhere else now and
    then: as long as it is found again, nothing before it was changed. Needs the role admin."""
    return answer(await db.call("get_audit", actor=actor, dataset=dataset_id))


@router.get("/check", response_model=AuditCheck, summary="Check the audit log")
async def verify_audit(db: Db, actor: Actor, dataset_id: DatasetId, after: AfterSeal = 0) -> Response:
    """Compare up to twenty seals with the events that they cover. Ask again with `after` set to `next` until that is
    null; `broken` names the first thing that is not as it was sealed. Needs the role admin."""
    return answer(await db.call("verify_audit", actor=actor, dataset=dataset_id, after=after, timeout=120))


@router.get(
    "/export",
    response_class=StreamingResponse,
    responses={
        200: {"description": "A line an event.", "content": {"application/x-ndjson": {"schema": {"type": "string"}}}}
    },
    summary="Export the audit log",
)
async def export_audit(db: Db, actor: Actor, dataset_id: DatasetId) -> StreamingResponse:
    """Every event as a line of JSON, and after each run of them the line of its seal. `labelcrew audit verify --file`
    checks the file without the database. Needs the role admin."""
    first = await db.call("export_audit", actor=actor, dataset=dataset_id, timeout=120)  # refusals before the status

    return StreamingResponse(
        _pages(db, actor, dataset_id, first),
        media_type="application/x-ndjson",
        headers={"Content-Disposition": f'attachment; filename="audit-{dataset_id}.ndjson"'},
    )


async def _pages(db: Rpc, actor: str, dataset: str, page: dict[str, object]) -> AsyncIterator[bytes]:
    while True:
        lines = page["lines"]
        assert isinstance(lines, list)
        if lines:
            yield ("\n".join(lines) + "\n").encode()
        if page["next"] is None:
            return
        page = await db.call("export_audit", actor=actor, dataset=dataset, after=page["next"], timeout=120)
