"""For those who run the server: is it alive, can it work, and in what numbers."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from api import VERSION
from api.bodies import Health, Readiness
from api.deps import Parts, answer
from api.observability import METRICS_MEDIA_TYPE
from api.readiness import readiness
from api.routes import resource

router = resource("operations", "")


@router.get("/health", response_model=Health, summary="Is the process alive")
async def get_health() -> Response:
    """Answers as long as the process does."""
    return answer({"status": "ok", "version": VERSION})


@router.get("/ready", response_model=Readiness, responses={503: {"model": Readiness}}, summary="Can it work")
async def get_ready(parts: Parts) -> Response:
    """Whether the database answers and is up to date, whether the default model can be reached, and how many workers
    are alive. Status 503 when requests cannot be served."""
    found = await readiness(parts)
    return answer(found.model_dump(), 200 if found.ready else 503)


@router.get(
    "/metrics",
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus text."}},
    response_class=Response,
    summary="Numbers for Prometheus",
)
async def get_metrics(request: Request, parts: Parts) -> Response:
    """Requests by route and status, calls to the database by function, open jobs by kind and state."""
    return Response(await request.app.state.metrics.expose(parts.rpc), media_type=METRICS_MEDIA_TYPE)
