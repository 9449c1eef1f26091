"""Finding items by what they say, by what they mean, and by what they are like."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from api.bodies import Id
from api.deps import Actor, DatasetId, Db, answer
from api.routes import resource
from schemas.search import SearchMode, SearchResult
from schemas.world import ItemState

router = resource("items", "/v1/datasets")


@router.get("/{dataset_id}/search", response_model=SearchResult, summary="Search items")
async def search_items(
    db: Db,
    actor: Actor,
    dataset_id: DatasetId,
    q: Annotated[str | None, Query(max_length=1000, description="Words, or a question in words.")] = None,
    item: Annotated[Id | None, Query(description="Instead of words: an item, to find more like it.")] = None,
    mode: Annotated[SearchMode, Query(description="Whether words, meaning or both decide.")] = "hybrid",
    state: Annotated[list[ItemState] | None, Query(description="Only items in these states.")] = None,
    label: Annotated[
        str | None, Query(max_length=200, description="Only items with this label (a class's key).")
    ] = None,
    source: Annotated[list[str] | None, Query(max_length=20, description="Only answers by these routes.")] = None,
    annotator: Annotated[Id | None, Query(description="Only items that this person has answered.")] = None,
    since: Annotated[datetime | None, Query(description="Only items changed at this time or later.")] = None,
    until: Annotated[datetime | None, Query(description="Only items changed before this time.")] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="How many at most.")] = 20,
) -> Response:
    """The items that fit best. Words and meaning make rankings of their own, which are fused; so do labels that the
    question speaks of."""
    from jobs.search import search

    narrowed = {
        "states": state, "label": label, "sources": source, "annotator": annotator,
        "since": since.isoformat() if since else None, "until": until.isoformat() if until else None,
    }  # fmt: skip
    return answer(await search(db, actor, dataset_id, q=q, item=item, mode=mode, narrowed=narrowed, limit=limit))
