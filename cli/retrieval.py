"""Labelled examples of a file, found by meaning: what a language model is shown with each batch."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from learning.embedding import load_embedder
from schemas.labeling import Example, PrelabelInput

SHOWN = 8


class ExampleIndex:
    """The examples with their vectors, in memory. Making it embeds them: do that in a thread."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self._embedder = load_embedder()
        self._examples = list(examples)
        self._vectors = self._embedder.encode([example.text for example in examples])

    async def nearest(self, items: Sequence[PrelabelInput]) -> list[Example]:
        """The examples that help most with these items: each item's nearest, then the nearest to their middle."""
        return await asyncio.to_thread(self._nearest, items)

    def _nearest(self, items: Sequence[PrelabelInput]) -> list[Example]:
        vectors = self._embedder.encode([item.text for item in items])
        similar = vectors @ self._vectors.T
        order = [*similar.argmax(axis=1).tolist(), *(-similar.mean(axis=0)).argsort().tolist()]
        return [self._examples[i] for i in list(dict.fromkeys(order))[:SHOWN]]
