"""What a store of finished completions looks like, and what a rate limit: both are shared by all processes.

Answers that were paid for once need not be paid for again.

The key is the SHA-256 of everything that decides the answer (model, messages, schema, parameters), so whoever holds a
store need not know what is in it. One store is kept in Postgres, another in Upstash Redis; both are shared by all
processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

CachedCompletion = dict[str, Any]
"""Plain JSON: ``{"text", "confidences"?, "usage": {...}}`` as :mod:`agents.completion` writes and reads it."""


class CompletionCache(Protocol):
    """Completions by key. Losing an entry costs money, never correctness."""

    async def get_many(self, keys: Sequence[str]) -> dict[str, CachedCompletion]:
        """The entries that are there; the others are missing from the answer."""
        ...

    async def put_many(self, items: Mapping[str, CachedCompletion]) -> None:
        """Store entries; the last one wins."""
        ...


class RateVerdict(BaseModel):
    """Whether one more may pass."""

    model_config = ConfigDict(frozen=True)

    allowed: bool
    remaining: int
    reset_seconds: float
    """Seconds until the next one would pass; 0 while any remain."""


class RateLimiter(Protocol):
    """Counts what happened under a name in the last seconds, over all processes."""

    async def hit(self, key: str, *, limit: int, window_seconds: int) -> RateVerdict:
        """Count one under ``key`` unless ``limit`` (10,000 at most) fell into the last ``window_seconds``."""
        ...
