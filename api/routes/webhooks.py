"""Webhooks: telling another program what happens in a dataset."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from api.bodies import MAX_INTEGER, Body, Id
from api.deps import Actor, DatasetId, Db, Limit, Parts, answer
from api.routes import resource
from schemas.settings import Settings
from schemas.webhooks import Delivery, DeliveryState, EventKind, NewWebhookSecret, Replayed, Webhook

router = resource("webhooks", "/v1/datasets/{dataset_id}/webhooks")

Url = Annotated[str, Field(min_length=1, max_length=2000, examples=["https://example.org/labelcrew"])]
Kinds = Annotated[list[EventKind], Field(min_length=1, max_length=50)]
WebhookId = Annotated[Id, Query(alias="webhook", description="The webhook's id.")]


class NewWebhook(Body):
    """Where to tell what."""

    url: Url
    kinds: Kinds


class WebhookPatch(Body):
    """Only what is given changes. `rotate` makes a new secret; the old one signs nothing any more."""

    url: Url | None = None
    kinds: Kinds | None = None
    active: bool | None = None
    rotate: bool = False


class Replay(Body):
    """Which deliveries to send again: all that were given up when left out."""

    deliveries: list[Id] | None = Field(default=None, min_length=1, max_length=10_000)


async def _check(settings: Settings, url: str | None) -> None:
    if url is not None:
        from integrations.addresses import find_place, networks_of

        await find_place(url, networks_of(settings.webhook_networks), forbid_network=settings.forbid_network)


@router.get("", response_model=list[Webhook], summary="List webhooks")
async def list_webhooks(db: Db, actor: Actor, dataset_id: DatasetId) -> Response:
    """The dataset's webhooks, with how many deliveries wait and were given up. Needs the role admin."""
    return answer(await db.call("list_webhooks", actor=actor, dataset=dataset_id))


@router.post("", response_model=NewWebhookSecret, status_code=201, summary="Create a webhook")
async def create_webhook(parts: Parts, actor: Actor, dataset_id: DatasetId, body: NewWebhook) -> Response:
    """Have an address told what happens from now on. The secret that signs the messages is told this once. Addresses in
    private networks are refused unless the operator has allowed them. Needs the role admin."""
    from integrations.webhooks import new_secret

    await parts.rpc.call("list_webhooks", actor=actor, dataset=dataset_id)  # nobody else learns what a name resolves to
    await _check(parts.settings, body.url)
    params: dict[str, Any] = {"url": body.url, "kinds": body.kinds, "secret": new_secret()}
    return answer(await parts.rpc.call("create_webhook", actor=actor, dataset=dataset_id, **params), 201)


@router.patch("", response_model=NewWebhookSecret, summary="Change a webhook")
async def update_webhook(
    parts: Parts, actor: Actor, dataset_id: DatasetId, webhook: WebhookId, body: WebhookPatch
) -> Response:
    """Another address, other kinds, on or off, or a new secret, which is told this once. Needs the role admin."""
    from integrations.webhooks import new_secret

    await parts.rpc.call("list_webhooks", actor=actor, dataset=dataset_id)
    await _check(parts.settings, body.url)
    params: dict[str, Any] = body.model_dump(exclude={"rotate"})
    params["secret"] = new_secret() if body.rotate else None
    changed = await parts.rpc.call("update_webhook", actor=actor, dataset=dataset_id, webhook=webhook, **params)
    return answer(changed)


@router.delete("", status_code=204, summary="Delete a webhook")
async def delete_webhook(db: Db, actor: Actor, dataset_id: DatasetId, webhook: WebhookId) -> Response:
    """Tell this address nothing more, and forget its deliveries. Needs the role admin."""
    await db.call("delete_webhook", actor=actor, dataset=dataset_id, webhook=webhook)
    return Response(status_code=204)


@router.get("/deliveries", response_model=list[Delivery], summary="List deliveries")
async def list_deliveries(
    db: Db,
    actor: Actor,
    dataset_id: DatasetId,
    webhook: WebhookId,
    state: Annotated[list[DeliveryState] | None, Query(description="Only those in these states.")] = None,
    before: Annotated[int | None, Query(ge=1, le=MAX_INTEGER, description="Only those before this number.")] = None,
    limit: Limit = 50,
) -> Response:
    """What became of each message, newest first. Needs the role admin."""
    filters: dict[str, Any] = {"states": state, "before": before, "limit": limit}
    return answer(await db.call("list_deliveries", actor=actor, dataset=dataset_id, webhook=webhook, **filters))


@router.post("/replay", response_model=Replayed, summary="Send deliveries again")
async def replay_deliveries(
    db: Db, actor: Actor, dataset_id: DatasetId, webhook: WebhookId, body: Replay | None = None
) -> Response:
    """Send what was given up once more, or any deliveries that are named. Needs the role admin."""
    chosen = body.deliveries if body is not None else None
    found = await db.call("replay_deliveries", actor=actor, dataset=dataset_id, webhook=webhook, deliveries=chosen)
    return answer(found)
