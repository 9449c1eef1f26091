"""What a provider of payouts must do, so that any can stand behind a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Transfer:
    """Money to send. ``id`` names it for good: sending the same id again must not send it again."""

    id: str
    account: str
    amount: int
    """In the currency's minor unit."""
    currency: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt went. ``pending`` means that nobody knows, or that it may go better later."""

    state: Literal["paid", "failed", "pending"]
    reference: str | None = None
    code: str = ""
    detail: str = ""


class PayoutProvider(Protocol):
    """Sends transfers."""

    async def send(self, transfer: Transfer, *, again: bool) -> Outcome:
        """Send it, or find out that it was sent: ``again`` says that an earlier attempt ended without an answer. Errors
        of the provider are outcomes; nothing is raised for them."""
        ...

    async def close(self) -> None:
        """Give the connections back."""
        ...
