"""Completion cache and rate limits on Postgres, which needs nothing more than the database that is there anyway.

A cache that fails is a miss: an answer that was paid for is not lost because it could not be kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from schemas.caching import CachedCompletion, CompletionCache, RateLimiter, RateVerdict
from schemas.errors import LabelCrewError
from schemas.settings import Settings
from store.rpc import Rpc

log = structlog.get_logger(__name__)

COMPLETION_TTL_SECONDS = 90 * 86_400
"""How long an answer is kept: models and prompts change within months, and the keys with them."""


@dataclass(frozen=True, slots=True)
class PostgresCompletionCache:
    """:class:`schemas.caching.CompletionCache` in the table ``labelcrew.completions``."""

    rpc: Rpc
    ttl_seconds: int | None = COMPLETION_TTL_SECONDS

    async def get_many(self, keys: Sequence[str]) -> dict[str, CachedCompletion]:
        """See :class:`schemas.caching.CompletionCache`."""
        if not keys:
            return {}
        try:
            found: dict[str, CachedCompletion] = await self.rpc.call("get_completions", keys=list(keys))
        except LabelCrewError as failure:
            log.warning("completion_cache_failed", code=failure.code)
            return {}
        return found

    async def put_many(self, items: Mapping[str, CachedCompletion]) -> None:
        """See :class:`schemas.caching.CompletionCache`."""
        if not items:
            return
        rows = [{"key": key, "value": value} for key, value in items.items()]
        try:
            await self.rpc.call("put_completions", rows=rows, ttl_seconds=self.ttl_seconds)
        except LabelCrewError as failure:
            log.warning("completion_cache_failed", code=failure.code)


@dataclass(frozen=True, slots=True)
class PostgresRateLimiter:
    """:class:`schemas.caching.RateLimiter` in the table ``labelcrew.rate_limits``."""

    rpc: Rpc

    async def hit(self, key: str, *, limit: int, window_seconds: int) -> RateVerdict:
        """See :class:`schemas.caching.RateLimiter`."""
        verdict = await self.rpc.call("hit_rate_limit", key=key, max=limit, window_seconds=window_seconds)
        return RateVerdict.model_validate(verdict)


def caches_of(settings: Settings, rpc: Rpc) -> tuple[CompletionCache, RateLimiter]:
    """The cache and the limiter that the settings mean: in Upstash Redis when it is configured, else in Postgres."""
    if settings.upstash_redis_rest_url and settings.upstash_redis_rest_token:
        from store.upstash import UpstashCompletionCache, UpstashRateLimiter, connect

        redis = connect(settings.upstash_redis_rest_url, settings.upstash_redis_rest_token.get_secret_value())
        return UpstashCompletionCache(redis), UpstashRateLimiter(redis, otherwise=PostgresRateLimiter(rpc))
    return PostgresCompletionCache(rpc), PostgresRateLimiter(rpc)
