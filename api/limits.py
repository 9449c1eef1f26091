"""Rate limits: so many of something for one user in a minute, told in every answer.

Headers follow draft-ietf-httpapi-ratelimit-headers-07: ``RateLimit-Limit``, ``-Remaining`` and ``-Reset``.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

from fastapi import Request

from api.deps import Actor, Parts
from schemas.caching import RateLimiter
from schemas.errors import RateLimited
from schemas.settings import Settings

WINDOW_SECONDS = 60
SIGN_INS_PER_MINUTE = 10


async def take(limiter: RateLimiter, request: Request, name: str, who: str, most: int) -> None:
    """Counts one ``name`` for ``who``. Raises :class:`RateLimited` when ``most`` in a minute are used up."""
    found = await limiter.hit(f"{name}:{who}", limit=most, window_seconds=WINDOW_SECONDS)
    reset = math.ceil(found.reset_seconds)
    request.state.headers = {
        "RateLimit-Limit": str(most),
        "RateLimit-Remaining": str(found.remaining),
        "RateLimit-Reset": str(reset),
    }
    if not found.allowed:
        wait = max(1, reset)
        raise RateLimited(f"at most {most} in a minute; try again in {wait} s", limit=most, retry_after=wait)


def per_minute(name: str, most: Callable[[Settings], int]) -> Callable[..., Awaitable[None]]:
    """A dependency that allows each user ``most(settings)`` calls in a minute."""

    async def limit(request: Request, parts: Parts, actor: Actor) -> None:
        await take(parts.limiter, request, name, actor, most(parts.settings))

    return limit


prelabels = per_minute("prelabel", lambda settings: settings.prelabel_per_minute)
hints = per_minute("hints", lambda settings: settings.hints_per_minute)
chats = per_minute("chat", lambda settings: settings.chats_per_minute)
