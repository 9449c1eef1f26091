"""Conflicts: what the QA agent's instruments found, what it thinks of it, and how people settled it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api.bodies import AnyPayload, Id
from api.deps import Actor, DatasetId, Db, answer
from api.routes import resource
from schemas.payloads import dump_payload
from schemas.quality import ConflictKind, ConflictPage, ConflictState, ResolveAction, WholeConflict

router = resource("quality")

ConflictId = Annotated[Id, Path(description="The conflict's id.")]


class ResolveConflict(BaseModel):
    """How a conflict is settled. ``relabel`` takes ``payload``, else what the verdict or the finding proposes."""

    model_config = ConfigDict(extra="forbid")

    action: ResolveAction
    payload: AnyPayload | None = None
    labelset_version: int | None = Field(default=None, ge=1)
    """Under which version ``payload`` was given; None means the newest."""
    comment: str = Field(default="", max_length=2000)


@router.get("/datasets/{dataset_id}/conflicts", response_model=ConflictPage, summary="List conflicts")
async def list_conflicts(
    db: Db,
    actor: Actor,
    dataset_id: DatasetId,
    kind: Annotated[list[ConflictKind] | None, Query(description="Only these kinds.")] = None,
    state: Annotated[list[ConflictState] | None, Query(description="In these states; open ones by default.")] = None,
    item: Annotated[Id | None, Query(description="About this item.")] = None,
    min_severity: Annotated[float | None, Query(ge=0, le=1, description="As bad as this, or worse.")] = None,
    cursor: Annotated[str | None, Query(max_length=500, description="The next_cursor of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="How many at most.")] = 50,
) -> Response:
    """What is doubtful about the labels, the worst first, with the evidence; a job of kind `quality_scan` looks for it,
    and the worker looks right after answers. Needs the role reviewer."""
    page = await db.call(
        "list_conflicts",
        actor=actor, dataset=dataset_id, kinds=kind, states=state or ["open"], item=item, min_severity=min_severity,
        cursor=cursor, limit=limit,
    )  # fmt: skip
    return answer(page)


@router.get("/conflicts/{conflict_id}", response_model=WholeConflict, summary="Get a conflict")
async def get_conflict(db: Db, actor: Actor, conflict_id: ConflictId) -> Response:
    """A conflict with the item it is about and the items that its evidence names. Needs the role reviewer."""
    return answer(await db.call("get_conflict", actor=actor, conflict=conflict_id))


@router.post("/conflicts/{conflict_id}/resolve", response_model=WholeConflict, summary="Settle a conflict")
async def resolve_conflict(db: Db, actor: Actor, conflict_id: ConflictId, body: ResolveConflict) -> Response:
    """`relabel` gives the item another answer as your decision, in the same transaction; `keep` says that the labels are
    right; `dismiss` that this is no conflict. It does not come up again unless the evidence changes. Needs the role
    reviewer."""
    done = await db.call(
        "resolve_conflict",
        actor=actor, conflict=conflict_id, action=body.action,
        payload=None if body.payload is None else dump_payload(body.payload), labelset_version=body.labelset_version,
        comment=body.comment,
    )  # fmt: skip
    return answer(done)
