"""Webhooks: who is told what happens in a dataset, and what became of each telling."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from schemas.world import World

EventKind = Literal[
    "items_created", "item_submitted", "item_returned", "item_verified", "item_reviewed", "conflict_opened",
    "conflict_resolved", "job_finished", "job_failed", "licence_granted", "licence_revoked",
]  # fmt: skip
"""What may be told: these kinds of events of the audit log."""

DeliveryState = Literal["pending", "delivered", "dead"]


class Webhook(World):
    """An address and what it is told."""

    id: str
    dataset_id: str
    url: str
    kinds: list[str]
    active: bool
    note: str
    """Why it is switched off, where nobody did it."""
    pending: int
    """Deliveries that wait."""
    dead: int
    """Deliveries that were given up, and can be replayed."""
    created_at: datetime
    updated_at: datetime


class NewWebhookSecret(Webhook):
    """A webhook with its secret, which is told this once."""

    secret: str | None
    """``whsec_`` and base64: the key of the signatures. None when it was not changed."""


class Delivery(World):
    """One event on its way to one address."""

    id: str
    """Also the header ``webhook-id``: the same for every attempt."""
    number: int
    webhook_id: str
    event_id: int
    kind: str
    state: DeliveryState
    attempts: int
    due_at: datetime
    status: int | None
    """Of the last answer."""
    error: str | None
    created_at: datetime
    updated_at: datetime


class Replayed(World):
    """How many deliveries will be sent again."""

    replayed: int


class Message(BaseModel):
    """The body of a delivery, as JSON."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: str
    """The kind of the event."""
    timestamp: datetime
    """When it happened."""
    data: dict[str, Any]
    """The event: id, dataset_id, actor_id, subject_id, data, before, after. Ids and counts, no item's text."""
