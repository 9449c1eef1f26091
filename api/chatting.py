"""The chat's server-sent events. The answer is made in a task of its own, which is cancelled as soon as nobody reads.

A task of its own, because a response whose client has gone is cancelled at every step, also while it cleans up; this
one is cancelled once, and then has the time to close the model's stream and to keep what was said.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import structlog
from starlette.responses import StreamingResponse

from api.deps import Gateway
from api.sse import HEADERS, HEARTBEAT_SECONDS, event
from schemas.errors import LabelCrewError

Event = tuple[str, dict[str, Any]]
END: Event = ("", {})
AHEAD = 256
"""Events that may wait for a slow reader before the answer waits too."""

log = structlog.get_logger("chat")
_running: set[asyncio.Task[None]] = set()


def stream_chat(gateway: Gateway, events: AsyncGenerator[Event, None]) -> StreamingResponse:
    """A response that sends ``events`` as they come."""
    return StreamingResponse(_send(gateway, events), media_type="text/event-stream", headers=HEADERS)


async def _send(gateway: Gateway, events: AsyncGenerator[Event, None]) -> AsyncIterator[bytes]:
    queue: asyncio.Queue[Event] = asyncio.Queue(AHEAD)
    task = asyncio.create_task(_make(events, queue))
    _running.add(task)
    task.add_done_callback(_running.discard)
    closing = asyncio.create_task(gateway.closing.wait())
    try:
        while not gateway.closing.is_set():
            following = asyncio.create_task(queue.get())
            try:
                await asyncio.wait({following, closing}, timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not following.done():
                    following.cancel()
            if not following.done() or following.cancelled():
                yield b": still here\n\n"
                continue
            name, data = following.result()
            if not name:
                return
            yield event(name, data)
    finally:
        closing.cancel()
        task.cancel()


async def _make(events: AsyncGenerator[Event, None], queue: asyncio.Queue[Event]) -> None:
    try:
        async with aclosing(events):
            async for made in events:
                await queue.put(made)
    except LabelCrewError as error:
        await queue.put(("error", {"code": error.code, "detail": error.detail, "hint": error.hint}))
    except Exception:
        log.exception("chat_failed")
        await queue.put(("error", {"code": "internal", "detail": "Something went wrong on our side.", "hint": ""}))
    finally:
        with contextlib.suppress(asyncio.QueueFull):
            queue.put_nowait(END)
