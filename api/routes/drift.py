"""Drift: what is compared with what, and what was found."""

from __future__ import annotations

from starlette.responses import Response

from api.deps import Actor, DatasetId, Db, answer
from api.routes import resource
from schemas.drift import DriftReport, DriftWindows

router = resource("learning", "/v1/datasets")


@router.get("/{dataset_id}/drift", response_model=DriftReport, summary="Whether what comes in has changed")
async def get_drift(db: Db, actor: Actor, dataset_id: DatasetId) -> Response:
    """The drift score with its threshold, every look so far, the classes and items that drive it, and how people and
    models do compared with their beginning. Looks are made by the workers, when enough has come in."""
    from jobs.drift import report_drift

    return answer((await report_drift(db, actor, dataset_id)).model_dump(mode="json"))


@router.put("/{dataset_id}/drift", response_model=DriftReport, summary="Choose the windows of drift")
async def set_drift(db: Db, actor: Actor, dataset_id: DatasetId, body: DriftWindows) -> Response:
    """Choose what later items are compared with, and begin to look anew. Needs the role admin."""
    from jobs.drift import set_windows

    return answer((await set_windows(db, actor, dataset_id, body)).model_dump(mode="json"))
