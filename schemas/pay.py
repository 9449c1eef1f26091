"""Money for work, as it crosses a border. Amounts are integers in the minor unit of a currency: 250 of EUR is €2.50."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.payloads import Kind
from schemas.world import World

Provider = Literal["manual", "stripe"]
HoldState = Literal["waiting", "held", "released", "paid", "refunded"]


class PriceRule(BaseModel):
    """What one piece of work earns."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    task: Kind | None = None
    """Kind of the labelset that it is for; any kind that has no price of its own when left out."""
    level: Literal[1, 2, 3] = 1
    """1 for an answer, 2 and 3 for a review."""
    per: Literal["item", "minute"] = "item"
    """By the minute: of the time spent on an item that is accepted; answers only."""
    amount: int = Field(ge=0, le=100_000_000)
    """In the minor unit."""
    max_seconds: int | None = Field(default=None, ge=1, le=86_400)
    """By the minute: no more of the time spent on one item is paid. 600 when left out."""


class Price(World):
    """A price in force."""

    id: int
    task: Kind | None
    level: int
    per: Literal["item", "minute"]
    amount: int
    max_seconds: int | None
    created_at: datetime


class Balances(World):
    """Where money is, in minor units."""

    held: int
    """For work that is handed in and not accepted yet."""
    payable: int
    """For accepted work: owed."""
    paying: int
    """In a payout under way."""
    paid: int
    waiting: int
    """For work that the escrow could not pay for when it was handed in; set aside as soon as it can."""


class Pay(Balances):
    """A dataset's wallet."""

    dataset_id: str
    currency: str
    escrow: int
    """What is there for work to come."""
    funded: int
    """All that was ever put in, less what was taken out."""
    prices: list[Price]


class Funded(World):
    """A movement that an admin made. ``created`` is false when the same key had made it before."""

    transaction: int
    created: bool
    pay: Pay


class Earnings(Balances):
    """What one person has earned in one dataset."""

    user_id: str
    email: str
    name: str
    dataset_id: str
    dataset: str | None
    """Its name; None when it was deleted."""
    currency: str


class Hold(World):
    """One piece of work and what is set aside for it."""

    id: str
    number: int
    item_id: str
    user_id: str
    level: int
    amount: int
    seconds: int | None
    """That are paid, by the minute."""
    state: HoldState
    decided: Literal["release", "refund"] | None
    """What an admin decided, whatever becomes of the item."""
    payout_id: str | None
    created_at: datetime
    updated_at: datetime


class StatementLine(World):
    """One movement of what somebody is owed, and the balance after it."""

    id: int
    transaction: int
    created_at: datetime
    kind: Literal["release", "reopen", "refund", "adjust", "payout", "payout_failed"]
    amount: int
    balance: int
    currency: str
    item_id: str | None
    level: int | None
    seconds: int | None
    payout_id: str | None
    note: str


class LedgerEntry(World):
    """One side of a transaction."""

    account: Literal["funding", "escrow", "held", "payable", "paying", "paid"]
    user_id: str | None
    amount: int
    balance: int
    """Of the account, after this entry."""


class LedgerTransaction(World):
    """A movement; its entries sum to zero."""

    id: int
    kind: str
    hold_id: str | None
    payout_id: str | None
    actor_id: str | None
    note: str
    created_at: datetime
    entries: list[LedgerEntry]


class PayoutError(World):
    code: str
    detail: str


class Payout(World):
    """Money on its way to one person."""

    id: str
    batch_id: str
    user_id: str
    email: str
    name: str
    account: str | None
    amount: int
    state: Literal["pending", "paid", "failed"]
    reference: str | None
    """The provider's own name for it."""
    error: PayoutError | None
    updated_at: datetime


class Skipped(World):
    """Somebody who is owed money and was left out, and why."""

    user_id: str
    amount: int
    code: str


class PayoutBatch(World):
    """Payouts that were made together."""

    id: str
    dataset_id: str
    key: str
    provider: Provider
    currency: str
    skipped: list[Skipped]
    created_by: str
    created_at: datetime
    total: int
    payouts: list[Payout]


class PayoutAccount(World):
    """Where somebody is paid."""

    provider: Provider
    account: str | None
