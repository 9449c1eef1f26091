"""What a search finds."""

from __future__ import annotations

from typing import Literal

from schemas.world import Item, World

SearchMode = Literal["hybrid", "words", "meaning"]


class SearchHit(World):
    """An item, and what found it."""

    item: Item
    score: float
    """Fused reciprocal ranks; comparable within one search only."""
    by: list[Literal["words", "meaning", "label"]]
    """The rankings that have it: its words, its meaning, a label that the question speaks of."""
    similarity: float | None
    """Cosine to the question or the item asked with, -1..1; None where no meaning was compared."""


class SearchResult(World):
    """What was found, best first."""

    hits: list[SearchHit]
    labels: list[str]
    """Keys of the classes that the question speaks of."""
    note: str = ""
    """What the search could not do, in words."""
