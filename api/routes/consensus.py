"""Consensus: what people who answered the same items amount to together."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from api.deps import Actor, DatasetId, Db, Limit, answer
from api.routes import resource
from schemas.consensus import ConsensusReport

router: APIRouter = resource("learning", "/v1/datasets")


@router.get(
    "/{dataset_id}/consensus", response_model=ConsensusReport, summary="How several people's answers were settled"
)
async def get_consensus(db: Db, actor: Actor, dataset_id: DatasetId, limit: Limit = 100) -> Response:
    """The newest run of the dataset's method, how far each annotator is to be trusted, with an interval, and the items
    on which people do not agree, the most doubtful first. A job of kind `consensus` makes a run. Needs the role
    reviewer."""
    from jobs.consensus import report_consensus

    return answer((await report_consensus(db, actor, dataset_id, limit=limit)).model_dump(mode="json"))
