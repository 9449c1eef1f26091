"""Delivers webhooks: reads the audit log on from where each stands, sends what is due, and comes back to what failed."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import structlog

from integrations.addresses import networks_of
from integrations.webhooks import WebhookSender
from schemas.settings import Settings
from store.rpc import Rpc

log = structlog.get_logger("webhooks")

AT_ONCE = 50
EACH = 10
"""Deliveries to one address at a time, so that a slow one does not keep the others waiting."""
HAND_OUT_S = 60
"""For how long no other worker takes a delivery that one is sending."""
WAITS_S = (5, 30, 120, 600, 1800, 7200, 18_000, 36_000, 50_400)
"""After the first, second … failure. After the last it is given up: a day and a third after the event."""


async def deliver(rpc: Rpc, settings: Settings, *, most: int = 1_000) -> int:
    """Make deliveries of what has happened, and send what is due; how many attempts were made."""
    while (await rpc.call("spread_events", most=most))["behind"]:
        pass
    sent = 0
    sender: WebhookSender | None = None
    try:
        while claimed := await rpc.call("claim_deliveries", most=AT_ONCE, each=EACH, seconds=HAND_OUT_S):
            if sender is None:
                sender = WebhookSender(networks_of(settings.webhook_networks), forbid_network=settings.forbid_network)
            await asyncio.gather(*(_send(rpc, sender, delivery) for delivery in claimed))
            sent += len(claimed)
    finally:
        if sender is not None:
            await sender.close()
    return sent


async def _send(rpc: Rpc, sender: WebhookSender, delivery: dict[str, Any]) -> None:
    event = delivery["event"]
    message = {"type": event["kind"], "timestamp": event["created_at"], "data": event}
    answer = await sender.send(delivery["url"], delivery["secret"], delivery["id"], message)
    attempt = delivery["attempt"]
    if answer.delivered:
        state = "delivered"
    else:
        state = "dead" if answer.gone or attempt > len(WAITS_S) else "pending"
        log.info("webhook_not_delivered", delivery=delivery["id"], attempt=attempt, status=answer.status, state=state)
    wait = WAITS_S[min(attempt, len(WAITS_S)) - 1] * random.uniform(0.8, 1.2)  # noqa: S311 - spreads the load
    await rpc.call(
        "finish_delivery",
        delivery=delivery["id"], attempt=attempt, state=state, status=answer.status, error=answer.error,
        seconds=round(wait), gone=answer.gone,
    )  # fmt: skip
