"""What models do for one item: a draft, and the items most like it; and which models there are."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query
from starlette.responses import Response

from api.bodies import Model, PrelabelOrder
from api.deps import Actor, Db, ItemId, Parts, answer
from api.limits import prelabels
from api.models import available_models
from api.routes import resource
from schemas.world import Prediction, SimilarItem

router = resource("models")


@router.post(
    "/items/{item_id}/prelabel",
    response_model=Prediction,
    dependencies=[Depends(prelabels)],
    summary="Draft a label for an item",
)
async def prelabel(parts: Parts, actor: Actor, item_id: ItemId, order: PrelabelOrder | None = None) -> Response:
    """Ask a model for a draft now. A language model answers through the crew: one agent drafts, another checks. The
    draft is stored with its probability, its reason and its price. At most 60 in a minute for each user."""
    from jobs.labelers import prelabel_item  # brings the models' libraries

    model = order.model if order else None
    return answer(await prelabel_item(parts.rpc, parts.settings, actor, item_id, model=model))


@router.get("/items/{item_id}/similar", response_model=list[SimilarItem], summary="List similar items")
async def list_similar(
    db: Db,
    actor: Actor,
    item_id: ItemId,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
    verified: Annotated[bool, Query(description="Only items whose answer is verified.")] = False,
) -> Response:
    """The items nearest in meaning, nearest first; empty until the item is embedded."""
    return answer(await db.call("similar_items", actor=actor, item=item_id, limit=limit, verified=verified))


@router.get("/models", response_model=list[Model], summary="List models")
async def list_models(parts: Parts, _actor: Actor) -> Response:
    """The models that can draft on this server, the default one first."""
    return answer(available_models(parts.settings))
