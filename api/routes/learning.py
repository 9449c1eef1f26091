"""The learning loop: how it goes, how far people agree, and which drafts may skip the human."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from api.bodies import LicenceRevocation
from api.deps import Actor, DatasetId, Db, answer
from api.routes import resource
from schemas.insights import AgreementReport, LicenceReport
from schemas.metrics import DatasetMetrics

router = resource("learning", "/v1/datasets")


@router.get("/{dataset_id}/metrics", response_model=DatasetMetrics, summary="How the work and the learning go")
async def get_learning(
    db: Db,
    actor: Actor,
    dataset_id: DatasetId,
    next_labels: Annotated[int, Query(ge=1, le=100_000, description="How many more labels to look ahead.")] = 500,
    since: Annotated[datetime | None, Query(description="Count from this time on.")] = None,
    until: Annotated[datetime | None, Query(description="Count what was before this time.")] = None,
    bucket: Annotated[
        int, Query(ge=900, le=31_536_000, description="Seconds of one point of a series; a multiple of 900.")
    ] = 86_400,
) -> Response:
    """The learning curve of the dataset's students, what more labels are expected to buy, in points, hours and USD, and
    how each model's confidences are read. Beside it the work: rates, people, drafts, costs, labels, states, conflicts,
    what hints do, and drift; as totals and as series. Annotators see of the people only themselves."""
    from jobs.metrics import report_metrics

    found = await report_metrics(
        db, actor, dataset_id, next_labels=next_labels, since=since, until=until, bucket_seconds=bucket
    )
    return answer(found.model_dump(mode="json"))


@router.get("/{dataset_id}/agreement", response_model=AgreementReport, summary="How far people agree")
async def get_agreement(db: Db, actor: Actor, dataset_id: DatasetId) -> Response:
    """Agreement between annotators, with bootstrap intervals, and between models and people. Needs the role
    reviewer."""
    from jobs.agreement import report_agreement

    return answer((await report_agreement(db, actor, dataset_id)).model_dump(mode="json"))


@router.get("/{dataset_id}/licence", response_model=LicenceReport, summary="Which drafts may skip the human")
async def get_licence(db: Db, actor: Actor, dataset_id: DatasetId) -> Response:
    """The licences in force with what they promise, audits under way, and every licence there was."""
    from jobs.insights import report_licences

    return answer((await report_licences(db, actor, dataset_id)).model_dump(mode="json"))


@router.post("/{dataset_id}/licence/revoke", response_model=LicenceReport, summary="Take licences back")
async def revoke_licence(db: Db, actor: Actor, dataset_id: DatasetId, body: LicenceRevocation) -> Response:
    """What the licences in force had let pass becomes a draft again, and audits under way end. Needs the role admin."""
    from jobs.insights import report_licences, revoke_licences

    await revoke_licences(db, actor, dataset_id, body.reason)
    return answer((await report_licences(db, actor, dataset_id)).model_dump(mode="json"))
