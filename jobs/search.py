"""Search: the question becomes a vector and the classes it speaks of, in a thread; the database does the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from jobs.vectors import embedder
from schemas.errors import Invalid
from schemas.labelsets import Labelset
from schemas.search import SearchMode
from store.rpc import Rpc

if TYPE_CHECKING:
    from learning.embedding import Embedder

SPOKEN_OF = 0.55
"""Cosine between a question and the name of a class from which on the question is taken to speak of the class."""
NEARLY = 0.1
"""Classes that come so near to the best one are spoken of too."""
MOST_CLASSES = 3


async def search(
    rpc: Rpc, actor: str, dataset: str, *, q: str | None = None, item: str | None = None, mode: SearchMode = "hybrid",
    narrowed: Mapping[str, Any] | None = None, limit: int = 20,
) -> dict[str, Any]:  # fmt: skip
    """What fits the question ``q``, or is like ``item``; as ``schemas.search.SearchResult``.

    Raises ``invalid`` without exactly one of the two. Where the items have no vectors, or ones of another model, only
    words are searched, and the note says so.
    """
    question = (q or "").strip()
    if bool(question) == (item is not None):
        raise Invalid("a search has either words (q) or an item to find the like of (item)")
    found = await rpc.call("get_dataset", actor=actor, dataset=dataset)
    vector: list[float] | None = None
    labels: list[str] = []
    note = ""
    if question and mode != "words":
        if found["embedding_model"] is None:
            note = "the items have no vectors yet: order a job of kind embed to search by meaning"
        else:
            model = await embedder()
            if model.name == found["embedding_model"]:
                labelset = Labelset.model_validate(found["labelset"]) if found["labelset"] else None
                vector, labels = await asyncio.to_thread(_understand, question, labelset, model)
            else:
                note = f"the vectors are of {found['embedding_model']}, in which this server cannot read a question"
    hits = await rpc.call(
        "search_items",
        actor=actor, dataset=dataset, q=question if mode != "meaning" else None, vector=vector, item=item,
        labels=labels, filter=dict(narrowed or {}), limit=limit,
    )  # fmt: skip
    if item is not None and not hits:
        note = "the item has no vector yet, or nothing else passes the filter"
    return {"hits": hits, "labels": labels, "note": note}


def _understand(question: str, labelset: Labelset | None, model: Any) -> tuple[list[float], list[str]]:
    """The question's vector, and the keys of the classes it speaks of. Heavy: runs in a thread."""
    vector = _vector(question, model)
    if labelset is None or not labelset.active:
        return list(vector), []
    from learning.zero_shot import words_of

    keys = tuple(one.key for one in labelset.active)
    names = tuple(words_of(one.name) for one in labelset.active)
    return list(vector), _spoken_of(vector, keys, names, model)


@lru_cache(maxsize=512)
def _vector(question: str, model: Embedder) -> tuple[float, ...]:
    return tuple(float(value) for value in model.encode([question])[0])


def _spoken_of(vector: Sequence[float], keys: Sequence[str], names: tuple[str, ...], model: Any) -> list[str]:
    import numpy as np

    near = _named(names, model) @ np.asarray(vector, dtype=np.float32)
    best = np.argsort(-near, kind="stable")[:MOST_CLASSES]
    return [keys[i] for i in best if near[i] >= max(SPOKEN_OF, near[best[0]] - NEARLY)]


@lru_cache(maxsize=64)
def _named(names: tuple[str, ...], model: Embedder) -> Any:
    return model.encode(list(names))
