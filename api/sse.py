"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): a job's progress as it happens.

The job's row is read every half second or so, and sent when it has changed. A comment every fifteen seconds keeps
proxies from closing a quiet connection. The stream ends with the job, with the client, or with the server.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import orjson
from starlette.responses import StreamingResponse

from api.deps import Gateway
from schemas.errors import LabelCrewError

POLL_SECONDS = 0.6
HEARTBEAT_SECONDS = 15.0
TERMINAL = frozenset({"done", "failed", "cancelled"})
HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


def event(name: str, data: Any) -> bytes:
    """One event. JSON has no raw line breaks, so one ``data:`` line is enough."""
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data, default=str) + b"\n\n"


async def job_events(gateway: Gateway, actor: str, job: str) -> StreamingResponse:
    """A response that follows a job. Raises ``not-found`` before the stream begins."""
    first = await gateway.rpc.call("get_job", actor=actor, job=job)
    return StreamingResponse(_follow(gateway, actor, first), media_type="text/event-stream", headers=HEADERS)


async def _follow(gateway: Gateway, actor: str, job: dict[str, Any]) -> AsyncIterator[bytes]:
    yield b"retry: 2000\n\n" + event("job", job)
    quiet = 0.0
    while job["state"] not in TERMINAL and not gateway.closing.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(gateway.closing.wait(), POLL_SECONDS)
        try:
            seen = await gateway.rpc.call("get_job", actor=actor, job=job["id"])
        except LabelCrewError as error:
            yield event("error", {"code": error.code, "detail": error.detail})
            return
        quiet += POLL_SECONDS
        if seen != job:
            job, quiet = seen, 0.0
            yield event("job", job)
        elif quiet >= HEARTBEAT_SECONDS:
            quiet = 0.0
            yield b": still here\n\n"
