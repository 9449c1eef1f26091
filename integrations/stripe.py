"""Payouts as Stripe Connect transfers, over Stripe's own SDK (the extra ``labelcrew[stripe]``).

A transfer carries the payout's id three times: as idempotency key, so that a repeated request is one transfer for as
long as Stripe remembers keys; as transfer group, so that after that time it is looked up before it is sent again; and as
metadata, for people. What Stripe refuses for good (no such account, a currency the account does not take) ends the
payout; what may pass (network, rate limits, too little balance on the platform) leaves it pending.
https://docs.stripe.com/connect/separate-charges-and-transfers
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from integrations.payouts import Outcome, Transfer
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    import stripe

TIMEOUT_S = 30
MAY_PASS = {"balance_insufficient", "lock_timeout", "rate_limit", "idempotency_key_in_use", "api_key_expired"}
"""Codes of refusals that say nothing about the payee."""


class StripeTransfers:
    """:class:`integrations.payouts.PayoutProvider`. ``url`` is another address of the API, for tests."""

    def __init__(self, api_key: str, *, url: str | None = None) -> None:
        try:
            import stripe
        except ImportError:
            raise ConfigurationError(
                "the Stripe SDK is not installed",
                hint="Install LabelCrew with its extra: pip install 'labelcrew[stripe]'.",
            ) from None
        self._stripe = stripe
        self._http = stripe.HTTPXClient(timeout=TIMEOUT_S)
        options: dict[str, Any] = {"base_addresses": {"api": url}} if url else {}
        self._client = stripe.StripeClient(api_key, http_client=self._http, max_network_retries=0, **options)

    async def send(self, transfer: Transfer, *, again: bool) -> Outcome:
        """See :class:`integrations.payouts.PayoutProvider`."""
        try:
            if again and (found := await self._find(transfer)) is not None:
                return Outcome("paid", found)
            made = await self._client.v1.transfers.create_async(
                {
                    "amount": transfer.amount,
                    "currency": transfer.currency.lower(),
                    "destination": transfer.account,
                    "transfer_group": transfer.id,
                    "metadata": {"payout": transfer.id},
                },
                {"idempotency_key": f"labelcrew-{transfer.id}"},
            )
        except self._stripe.StripeError as refused:
            return self._refusal(refused)
        return Outcome("paid", made.id)

    async def close(self) -> None:
        """See :class:`integrations.payouts.PayoutProvider`."""
        await self._http.close_async()  # type: ignore[no-untyped-call, unused-ignore]

    async def _find(self, transfer: Transfer) -> str | None:
        """The transfer that an earlier attempt has made."""
        page = await self._client.v1.transfers.list_async({"transfer_group": transfer.id, "limit": 10})
        for made in page.data:
            if made.destination == transfer.account and made.amount == transfer.amount:
                return str(made.id)
        return None

    def _refusal(self, refused: stripe.StripeError) -> Outcome:
        final = isinstance(refused, self._stripe.InvalidRequestError | self._stripe.PermissionError)
        code = str(refused.code or type(refused).__name__)
        detail = str(refused.user_message or code)[:500]
        return Outcome("failed" if final and code not in MAY_PASS else "pending", None, code, detail)
