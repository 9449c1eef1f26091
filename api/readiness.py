"""Whether the server can do its work, part by part, without spending anything to find out."""

from __future__ import annotations

import asyncio

from api.bodies import Readiness
from api.deps import Gateway
from schemas.errors import LabelCrewError
from schemas.settings import Settings

PATIENCE_SECONDS = 5.0
ALIVE_SECONDS = 60


async def readiness(parts: Gateway) -> Readiness:
    """The database must answer and be of this program's version. A missing worker or model is told, but requests can be
    served without: jobs wait, and drafts are refused with their own error."""
    found = {"model": _model(parts.settings)}
    workers = 0
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            found["database"] = "ok"
            found["migrations"] = await _migrations(parts)
            workers = len(await parts.rpc.call("list_workers", alive_seconds=ALIVE_SECONDS))
    except (LabelCrewError, TimeoutError) as error:
        found["database"] = error.detail if isinstance(error, LabelCrewError) else "does not answer in time"
    found["workers"] = "ok" if workers else "none is running: jobs wait until one is started"
    ready = found["database"] == "ok" and found.get("migrations") == "ok"
    return Readiness(ready=ready, parts=found, workers=workers)


async def _migrations(parts: Gateway) -> str:
    from store.migrate import expected_version

    at = await parts.rpc.call("get_schema_version")
    expected = await asyncio.to_thread(expected_version)
    return "ok" if at == expected else f"the database is at {at}, this program needs {expected}"


def _model(settings: Settings) -> str:
    if settings.default_model.startswith("local/") or settings.openai_api_key or settings.openai_base_url:
        return "ok"
    return f"{settings.default_model} needs OPENAI_API_KEY or OPENAI_BASE_URL"
