"""Sends the payouts that a provider makes, and keeps at those of which nobody knows how they went."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from integrations.payouts import PayoutProvider, Transfer
from schemas.settings import Settings
from store.rpc import Rpc

log = structlog.get_logger("payouts")

AT_ONCE = 10
HAND_OUT_S = 120
"""For how long no other worker takes a payout that one is sending: longer than the provider may take to answer."""
FIRST_WAIT_S, LONGEST_WAIT_S = 30, 3600


async def send_payouts(rpc: Rpc, settings: Settings) -> int:
    """Send what is due; how many attempts were made. Without a provider's key nothing is, and payouts wait."""
    if settings.stripe_api_key is None:
        return 0
    claimed: list[dict[str, Any]] = await rpc.call("claim_payouts", most=AT_ONCE, seconds=HAND_OUT_S)
    if not claimed:
        return 0
    from integrations.stripe import StripeTransfers  # brings the SDK

    provider = StripeTransfers(settings.stripe_api_key.get_secret_value(), url=settings.stripe_url)
    try:
        await asyncio.gather(*(_send(rpc, provider, payout) for payout in claimed))
    finally:
        await provider.close()
    return len(claimed)


async def _send(rpc: Rpc, provider: PayoutProvider, payout: dict[str, Any]) -> None:
    transfer = Transfer(payout["id"], payout["account"], payout["amount"], payout["currency"])
    outcome = await provider.send(transfer, again=payout["attempt"] > 1)
    error = {"code": outcome.code, "detail": outcome.detail} if outcome.code else None
    if error is not None:
        log.warning("payout_not_sent", payout=payout["id"], state=outcome.state, code=outcome.code)
    await rpc.call(
        "finish_payout",
        payout=payout["id"], state=outcome.state, reference=outcome.reference, error=error,
        seconds=min(FIRST_WAIT_S * 2 ** (payout["attempt"] - 1), LONGEST_WAIT_S),
    )  # fmt: skip
