"""Looking at each other's work: reviews, appeals, items with a known answer, and what comes back into the queue."""

from __future__ import annotations

from starlette.responses import Response

from api.deps import Actor, DatasetId, Db, ItemId, Limit, answer
from api.routes import resource
from api.workflow_bodies import Appeal, Gold, NewReview, Return, ReviewOrder
from schemas.payloads import dump_payload
from schemas.reviews import Overdue, ReviewClaims, Reviewed, Reviews
from schemas.world import Claim, Item

router = resource("reviews")


@router.post("/datasets/{dataset_id}/reviews/claim", response_model=ReviewClaims, summary="Claim items to review")
async def claim_reviews(db: Db, actor: Actor, dataset_id: DatasetId, order: ReviewOrder) -> Response:
    """Take the next items that wait for a review at level 2, or for the last word at level 3. Never one that you have
    answered. Renew and release their leases like any other. Needs the role reviewer; level 3 that of a super_reviewer."""
    claims = await db.call("claim_reviews", actor=actor, dataset=dataset_id, level=order.level, count=order.count)
    return answer({"claims": claims})


@router.post("/items/{item_id}/review", response_model=Reviewed, summary="Review an answer")
async def review_item(db: Db, actor: Actor, item_id: ItemId, body: NewReview) -> Response:
    """Approve the answer that counts, correct it, or reject it with a comment: then it goes back to its author, and
    comes back to you. Nobody reviews their own work (`own-work`). Needs the role reviewer."""
    done = await db.call(
        "review_item",
        actor=actor, item=item_id, decision=body.decision, labelset_version=body.labelset_version,
        payload=None if body.payload is None else dump_payload(body.payload),
        comment=body.comment, lease=body.lease_id, token=body.token, key=body.key,
    )  # fmt: skip
    return answer(done)


@router.get("/items/{item_id}/reviews", response_model=Reviews, summary="List an item's reviews")
async def list_reviews(db: Db, actor: Actor, item_id: ItemId) -> Response:
    """What was said about the item's answers; an annotator sees what was said about their own."""
    return answer(await db.call("list_reviews", actor=actor, item=item_id))


@router.post("/items/{item_id}/appeal", response_model=Item, summary="Appeal against a review")
async def appeal_item(db: Db, actor: Actor, item_id: ItemId, body: Appeal) -> Response:
    """Your answer was corrected or rejected and you think it was right: somebody at level 3 decides, for good."""
    return answer(await db.call("appeal_item", actor=actor, item=item_id, comment=body.comment))


@router.post("/items/{item_id}/return", response_model=Item, summary="Send an item back into the queue")
async def return_item(db: Db, actor: Actor, item_id: ItemId, body: Return) -> Response:
    """A skipped item with the answers it has, any other to be answered anew by anybody. Needs the role reviewer."""
    return answer(await db.call("return_item", actor=actor, item=item_id, note=body.note))


@router.post("/items/{item_id}/unskip", response_model=Claim, summary="Take your skip back")
async def take_back_skip(db: Db, actor: Actor, item_id: ItemId) -> Response:
    """The item that you skipped is as before, and you hold it again."""
    return answer(await db.call("take_back_skip", actor=actor, item=item_id))


@router.put("/items/{item_id}/gold", response_model=Item, summary="Give an item a known answer")
async def set_gold(db: Db, actor: Actor, item_id: ItemId, body: Gold) -> Response:
    """The item is shown to annotators among the others, as often as `gold_share` says, to see how they answer. An item
    that is still open is decided by it. Needs the role reviewer."""
    payload = None if body.payload is None else dump_payload(body.payload)
    stored = await db.call(
        "set_gold", actor=actor, item=item_id, payload=payload, labelset_version=body.labelset_version
    )
    return answer(stored)


@router.delete("/items/{item_id}/gold", response_model=Item, summary="Take an item out of the known ones")
async def clear_gold(db: Db, actor: Actor, item_id: ItemId) -> Response:
    """The item is one like any other again. Needs the role reviewer."""
    return answer(await db.call("clear_gold", actor=actor, item=item_id))


@router.get("/datasets/{dataset_id}/overdue", response_model=list[Overdue], summary="What waits too long")
async def list_overdue(db: Db, actor: Actor, dataset_id: DatasetId, limit: Limit = 100) -> Response:
    """Items that wait longer in their state than `sla_minutes` of the dataset allows, the longest first. Needs the role
    reviewer."""
    return answer(await db.call("list_overdue", actor=actor, dataset=dataset_id, limit=limit))
