"""How well people do."""

from __future__ import annotations

from starlette.responses import Response

from api.deps import Actor, DatasetId, Db, answer
from api.routes import resource
from schemas.people import Scorecard, Scorecards

router = resource("members", "/v1/datasets/{dataset_id}/scorecards")


@router.get("/me", response_model=Scorecard, summary="Your own scorecard")
async def get_scorecard(db: Db, actor: Actor, dataset_id: DatasetId) -> Response:
    """How your answers agree with known ones and with other people's, how many were accepted, your pace, and what you
    have earned."""
    from jobs.scorecards import report_scorecard

    return answer((await report_scorecard(db, actor, dataset_id)).model_dump(mode="json"))


@router.get("", response_model=Scorecards, summary="Everybody's scorecards")
async def list_scorecards(db: Db, actor: Actor, dataset_id: DatasetId) -> Response:
    """By name, with 95 % intervals, and in groups between which there is a difference that is not chance. Needs the role
    admin."""
    from jobs.scorecards import report_scorecards

    return answer((await report_scorecards(db, actor, dataset_id)).model_dump(mode="json"))
