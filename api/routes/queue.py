"""The queue: take items, keep them, give them back, answer them, take an answer back."""

from __future__ import annotations

from starlette.responses import Response

from api.bodies import Answer, ClaimOrder, Claims, LeaseRelease, LeaseToken
from api.deps import Actor, DatasetId, Db, ItemId, LeaseId, answer
from api.routes import resource
from schemas.payloads import dump_payload
from schemas.world import Claim, Item, Lease, Submitted

router = resource("queue")


@router.post("/datasets/{dataset_id}/claim", response_model=Claims, summary="Claim items")
async def claim_items(db: Db, actor: Actor, dataset_id: DatasetId, order: ClaimOrder) -> Response:
    """Take the next items that need an answer. Nobody else gets them until the lease ends. Items that you hold already
    come first."""
    return answer({"claims": await db.call("claim_items", actor=actor, dataset=dataset_id, count=order.count)})


@router.post("/leases/{lease_id}/renew", response_model=Lease, summary="Renew a lease")
async def renew_lease(db: Db, actor: Actor, lease_id: LeaseId, body: LeaseToken) -> Response:
    """Keep an item for another stretch of time."""
    return answer(await db.call("renew_lease", actor=actor, lease=lease_id, token=body.token))


@router.post("/leases/{lease_id}/release", response_model=Item, summary="Give an item back")
async def release_lease(db: Db, actor: Actor, lease_id: LeaseId, body: LeaseRelease) -> Response:
    """Give an item back unanswered: to the next annotator, or with a reason as one that cannot be answered."""
    return answer(
        await db.call("release_lease", actor=actor, lease=lease_id, token=body.token, skip_reason=body.skip_reason)
    )


@router.put("/items/{item_id}/annotation", response_model=Submitted, summary="Submit an answer")
async def submit_annotation(db: Db, actor: Actor, item_id: ItemId, body: Answer) -> Response:
    """Store your answer for an item. With the lease's id and token it ends the lease; a lease that ended or passed on
    is refused, and nothing is stored. Without, it is a new revision of your own earlier answer, or a reviewer's."""
    stored = await db.call(
        "submit_annotation",
        actor=actor, item=item_id, payload=dump_payload(body.payload), labelset_version=body.labelset_version,
        lease=body.lease_id, token=body.token, lead_time_ms=body.lead_time_ms, key=body.key,
    )  # fmt: skip
    return answer(stored)


@router.post("/datasets/{dataset_id}/undo", response_model=Claim, summary="Take back your last answer")
async def undo_submit(db: Db, actor: Actor, dataset_id: DatasetId) -> Response:
    """Take your last answer back, if nobody has acted on the item since. You hold the item again."""
    return answer(await db.call("undo_submit", actor=actor, dataset=dataset_id))
