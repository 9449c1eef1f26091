"""Items: bringing them in, finding them, and what became of each."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query, Request
from starlette.responses import Response

from api.bodies import ItemsCreated, NewItems
from api.deps import Actor, DatasetId, Db, ItemId, Limit, Parts, answer
from api.routes import resource
from api.uploads import UPLOAD_BODY, begin_import
from schemas.world import Annotation, Event, Item, ItemPage, ItemState, Job, Prediction, World

router = resource("items")

Probability = Annotated[float | None, Query(ge=0, le=1)]
Sort = Literal["seq", "-seq", "priority", "probability", "-probability", "-updated"]


class History(World):
    """All that became of an item, newest first."""

    annotations: list[Annotation]
    predictions: list[Prediction]
    events: list[Event]


@router.post("/datasets/{dataset_id}/items", response_model=ItemsCreated, summary="Add items")
async def create_items(db: Db, actor: Actor, dataset_id: DatasetId, body: NewItems) -> Response:
    """Add up to 5,000 items, with answers and drafts where there are any. An item that is there already is left as it
    is, so sending the same rows twice is harmless. Needs the role admin."""
    rows = body.model_dump(mode="json", exclude_unset=True)["rows"]
    made = await db.call("create_items", actor=actor, dataset=dataset_id, rows=rows)
    return answer({"results": None, **made})


@router.post(
    "/datasets/{dataset_id}/imports",
    response_model=Job,
    status_code=202,
    summary="Import a file",
    openapi_extra=UPLOAD_BODY,
)
async def import_file(request: Request, parts: Parts, actor: Actor, dataset_id: DatasetId) -> Response:
    """Send a file of any size up to the server's limit; it is stored as it arrives, and read by a job. Follow the job
    for the outcome. Needs the role admin."""
    return answer(await begin_import(request, parts, actor, dataset_id), 202)


@router.get("/datasets/{dataset_id}/items", response_model=ItemPage, summary="List items")
async def list_items(
    db: Db,
    actor: Actor,
    dataset_id: DatasetId,
    state: Annotated[list[ItemState] | None, Query(description="Only items in these states.")] = None,
    label: Annotated[
        str | None, Query(max_length=200, description="Only items with this label (a class's key).")
    ] = None,
    q: Annotated[str | None, Query(max_length=500, description="Only items whose text has these words.")] = None,
    source: Annotated[list[str] | None, Query(max_length=20, description="Only answers by these routes.")] = None,
    min_probability: Probability = None,
    max_probability: Probability = None,
    cursor: Annotated[str | None, Query(max_length=1000, description="`next_cursor` of the page before.")] = None,
    limit: Limit = 50,
    sort: Sort = "seq",
) -> Response:
    """A page of items. Pages are found by their place in the order, not by counting, so any depth is equally fast."""
    page = await db.call(
        "list_items",
        actor=actor, dataset=dataset_id, states=state, label=label, q=q, sources=source,
        min_probability=min_probability, max_probability=max_probability, cursor=cursor, limit=limit, sort=sort,
    )  # fmt: skip
    return answer(page)


@router.get("/items/{item_id}", response_model=Item, summary="Get an item")
async def get_item(db: Db, actor: Actor, item_id: ItemId) -> Response:
    """An item with its newest draft and the answer that counts."""
    return answer(await db.call("get_item", actor=actor, item=item_id))


@router.get("/items/{item_id}/history", response_model=History, summary="Get an item's history")
async def list_history(db: Db, actor: Actor, item_id: ItemId) -> Response:
    """Every answer, every draft and every event of an item."""
    history: dict[str, Any] = await db.call("list_history", actor=actor, item=item_id)
    return answer(history)
