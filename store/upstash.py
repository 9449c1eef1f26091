"""Completion cache and rate limits on Upstash Redis, over its REST protocol, when it is configured.

Neither may stop the work. A cache that does not answer is a miss; a limiter that does not answer hands over to the one
on Postgres, because letting everybody through costs money and letting nobody through costs the day.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import orjson
import structlog

from schemas.caching import CachedCompletion, RateLimiter, RateVerdict
from store.cache import COMPLETION_TTL_SECONDS

if TYPE_CHECKING:
    from upstash_ratelimit.asyncio import Ratelimit
    from upstash_redis.asyncio import Redis

log = structlog.get_logger(__name__)

PREFIX = "labelcrew"
ANSWER_SECONDS = 5.0
AT_ONCE = 100
"""Keys a request: Upstash takes requests of up to 1 MB on its smallest plan."""


def connect(url: str, token: str) -> Redis:
    """The client; nothing is sent yet, and nothing is told to Upstash beyond the commands."""
    from upstash_redis.asyncio import Redis

    return Redis(url=url, token=token, rest_retries=1, rest_retry_interval=0.2, allow_telemetry=False)


def _failures() -> tuple[type[Exception], ...]:
    from upstash_redis.errors import UpstashError

    return (UpstashError, httpx.HTTPError, TimeoutError, ValueError, TypeError)


@dataclass(frozen=True, slots=True)
class UpstashCompletionCache:
    """:class:`schemas.caching.CompletionCache` in Redis strings, with Redis's own expiry."""

    redis: Redis
    ttl_seconds: int = COMPLETION_TTL_SECONDS

    async def get_many(self, keys: Sequence[str]) -> dict[str, CachedCompletion]:
        """See :class:`schemas.caching.CompletionCache`."""
        found: dict[str, CachedCompletion] = {}
        try:
            for start in range(0, len(keys), AT_ONCE):
                part = keys[start : start + AT_ONCE]
                async with asyncio.timeout(ANSWER_SECONDS):
                    values = await self.redis.mget(*(_completion_key(key) for key in part))
                found |= {
                    key: orjson.loads(value) for key, value in zip(part, values, strict=True) if value is not None
                }
        except _failures() as failure:
            log.warning("completion_cache_unreachable", failure=type(failure).__name__)
        return found

    async def put_many(self, items: Mapping[str, CachedCompletion]) -> None:
        """See :class:`schemas.caching.CompletionCache`."""
        entries = list(items.items())
        try:
            for start in range(0, len(entries), AT_ONCE):
                pipeline = self.redis.pipeline()
                for key, value in entries[start : start + AT_ONCE]:
                    pipeline.set(_completion_key(key), orjson.dumps(value).decode(), ex=self.ttl_seconds)
                async with asyncio.timeout(ANSWER_SECONDS):
                    await pipeline.exec()
        except _failures() as failure:
            log.warning("completion_cache_unreachable", failure=type(failure).__name__)


@dataclass(frozen=True, slots=True)
class UpstashRateLimiter:
    """:class:`schemas.caching.RateLimiter` by upstash-ratelimit's sliding window; ``otherwise`` while Redis is away."""

    redis: Redis
    otherwise: RateLimiter
    _limits: dict[tuple[int, int], Ratelimit] = field(default_factory=dict)

    async def hit(self, key: str, *, limit: int, window_seconds: int) -> RateVerdict:
        """See :class:`schemas.caching.RateLimiter`."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await self._limit(limit, window_seconds).limit(key)
        except _failures() as failure:
            log.warning("rate_limiter_unreachable", failure=type(failure).__name__)
            return await self.otherwise.hit(key, limit=limit, window_seconds=window_seconds)
        remaining = max(0, int(answer.remaining))
        wait = 0.0 if answer.allowed and remaining else max(0.0, answer.reset - time.time())
        return RateVerdict(allowed=answer.allowed, remaining=remaining, reset_seconds=round(wait, 3))

    def _limit(self, limit: int, window_seconds: int) -> Ratelimit:
        from upstash_ratelimit.asyncio import Ratelimit, SlidingWindow

        known = self._limits.get((limit, window_seconds))
        if known is None:
            window = SlidingWindow(max_requests=limit, window=window_seconds, unit="s")
            known = Ratelimit(self.redis, window, prefix=f"{PREFIX}:rate:{limit}:{window_seconds}")
            self._limits[limit, window_seconds] = known
        return known


def _completion_key(key: str) -> str:
    return f"{PREFIX}:completion:{key}"
