"""What a store of finished completions looks like: answers that were paid for once need not be paid for again.

The key is the SHA-256 of everything that decides the answer (model, messages, schema, parameters), so whoever holds a
store need not know what is in it. One store is kept in Postgres, another in Upstash Redis; both are shared by all
processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

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
