"""Money for work: a dataset's wallet and prices, what people have earned, and paying it out."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from api.bodies import MAX_INTEGER, Body, Id, Key
from api.deps import Actor, DatasetId, Db, Limit, answer
from api.routes import resource
from schemas.pay import (
    Earnings,
    Funded,
    Hold,
    HoldState,
    LedgerTransaction,
    Pay,
    PayoutAccount,
    PayoutBatch,
    PriceRule,
    Provider,
    StatementLine,
)

router = resource("pay")

Amount = Annotated[int, Field(ge=-(10**12), le=10**12)]
After = Annotated[int, Query(ge=0, le=MAX_INTEGER, description="Only what follows this number.")]
Note = Annotated[str, Field(max_length=1000)]
Params = dict[str, Any]
PER_MINUTE_AT_MOST_S = 600


class Currency(Body):
    """The dataset's currency: three capital letters (ISO 4217)."""

    currency: str = Field(pattern=r"^[A-Z]{3}$", examples=["EUR"])


class PriceList(Body):
    """All prices from now on; what is not in it is not paid any more."""

    prices: list[PriceRule] = Field(max_length=100)


class Funding(Body):
    """Money for the escrow, in the minor unit; a negative amount takes it out. The same key again is the same funding."""

    amount: Amount
    key: Key
    note: Note = ""


class Adjustment(Body):
    """Money for a person beside their work; a negative amount takes back what adjustments gave."""

    user_id: Id
    amount: Amount
    key: Key
    reason: Note


class HoldDecision(Body):
    """Pay for a piece of work although its item is not verified, or do not pay for it; for good."""

    hold_id: Id
    decision: Literal["release", "refund"]
    reason: Note = ""


class NewPayouts(Body):
    """Pay what is owed to everybody, or to some. The same key again gives the same batch."""

    key: Key
    provider: Provider = "manual"
    users: list[Id] | None = Field(default=None, min_length=1, max_length=10_000)


class PayoutResult(Body):
    """How the payouts of a manual batch went: all that are pending, or some."""

    batch_id: Id
    state: Literal["paid", "failed"]
    payouts: list[Id] | None = Field(default=None, min_length=1, max_length=10_000)
    reference: str | None = Field(default=None, max_length=200)


class NewPayoutAccount(Body):
    """Where to be paid; null forgets it."""

    provider: Provider
    account: str | None = Field(min_length=1, max_length=200)


@router.get("/pay/earnings", response_model=list[Earnings], summary="Your earnings")
async def list_own_earnings(db: Db, actor: Actor) -> Response:
    """What you have earned, dataset by dataset, also where you are no member any more."""
    return answer(await db.call("list_own_earnings", actor=actor))


@router.put("/pay/account", response_model=PayoutAccount, summary="Name where you are paid")
async def set_payout_account(db: Db, actor: Actor, body: NewPayoutAccount) -> Response:
    """Your account at a provider of payouts: for `stripe` the id of a connected account, for `manual` whatever the
    person who pays needs to know."""
    return answer(await db.call("set_payout_account", actor=actor, provider=body.provider, account=body.account))


@router.get("/datasets/{dataset_id}/pay", response_model=Pay, summary="Get the wallet")
async def get_pay(db: Db, actor: Actor, dataset_id: DatasetId) -> Response:
    """Currency, prices, and where the money is. Needs the role admin."""
    return answer(await db.call("get_pay", actor=actor, dataset=dataset_id))


@router.put("/datasets/{dataset_id}/pay", response_model=Pay, summary="Choose the currency")
async def set_currency(db: Db, actor: Actor, dataset_id: DatasetId, body: Currency) -> Response:
    """Give the dataset a wallet. The currency may change until money has moved. Needs the role admin."""
    return answer(await db.call("set_currency", actor=actor, dataset=dataset_id, currency=body.currency))


@router.put("/datasets/{dataset_id}/pay/prices", response_model=Pay, summary="Set the prices")
async def set_prices(db: Db, actor: Actor, dataset_id: DatasetId, body: PriceList) -> Response:
    """The price list from now on. Whoever holds an item already is paid the price of the moment when it was handed out.
    Needs the role admin."""
    rules = [rule.model_dump() for rule in body.prices]
    for rule in rules:
        if rule["per"] == "minute":
            rule["max_seconds"] = rule["max_seconds"] or PER_MINUTE_AT_MOST_S
        else:
            rule["max_seconds"] = None
    return answer(await db.call("set_prices", actor=actor, dataset=dataset_id, prices=rules))


@router.post("/datasets/{dataset_id}/pay/funds", response_model=Funded, summary="Fund the escrow")
async def fund_escrow(db: Db, actor: Actor, dataset_id: DatasetId, body: Funding) -> Response:
    """Record money that was put aside for this dataset's work. Work that waited for money is funded at once, oldest
    first. Needs the role admin."""
    params: Params = {"amount": body.amount, "key": body.key, "note": body.note}
    return answer(await db.call("fund_escrow", actor=actor, dataset=dataset_id, **params))


@router.post("/datasets/{dataset_id}/pay/adjustments", response_model=Funded, summary="Adjust what is owed")
async def adjust_pay(db: Db, actor: Actor, dataset_id: DatasetId, body: Adjustment) -> Response:
    """A bonus, or taking one back. Needs the role admin."""
    params: Params = {"user": body.user_id, "amount": body.amount, "key": body.key, "reason": body.reason}
    return answer(await db.call("adjust_pay", actor=actor, dataset=dataset_id, **params))


@router.get("/datasets/{dataset_id}/pay/holds", response_model=list[Hold], summary="List work that is paid for")
async def list_holds(
    db: Db,
    actor: Actor,
    dataset_id: DatasetId,
    state: Annotated[list[HoldState] | None, Query(description="Only those in these states.")] = None,
    user: Annotated[Id | None, Query(description="Only this person's; your own need no role.")] = None,
    after: After = 0,
    limit: Limit = 100,
) -> Response:
    """Each piece of work with what is set aside for it, in the order it was handed in. Needs the role admin, but
    for your own."""
    filters: Params = {"states": state, "user": user, "after": after, "limit": limit}
    return answer(await db.call("list_holds", actor=actor, dataset=dataset_id, **filters))


@router.post("/datasets/{dataset_id}/pay/holds", response_model=Hold, summary="Decide about one piece of work")
async def decide_hold(db: Db, actor: Actor, dataset_id: DatasetId, body: HoldDecision) -> Response:
    """Pay, or do not pay, whatever becomes of the item. What was paid out is final. Needs the role admin."""
    params: Params = {"hold": body.hold_id, "decision": body.decision, "reason": body.reason}
    return answer(await db.call("decide_hold", actor=actor, dataset=dataset_id, **params))


@router.get("/datasets/{dataset_id}/pay/earnings", response_model=list[Earnings], summary="Everybody's earnings")
async def list_earnings(db: Db, actor: Actor, dataset_id: DatasetId) -> Response:
    """What each person has earned here, those who left too. Needs the role admin."""
    return answer(await db.call("list_earnings", actor=actor, dataset=dataset_id))


@router.get(
    "/datasets/{dataset_id}/pay/statement",
    response_model=list[StatementLine],
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
    summary="A person's statement",
)
async def list_statement(
    db: Db,
    actor: Actor,
    dataset_id: DatasetId,
    user: Annotated[Id | None, Query(description="Whose; your own when left out.")] = None,
    format: Annotated[Literal["json", "csv"], Query(description="CSV has all lines, JSON a page.")] = "json",
    after: After = 0,
    limit: Limit = 500,
) -> Response:
    """Every movement of what somebody is owed, with the balance after each. Others' need the role admin."""
    if format == "csv":
        from api.statements import statement_csv

        return await statement_csv(db, actor, dataset_id, user)
    params: Params = {"user": user, "after": after, "limit": limit}
    return answer(await db.call("list_statement", actor=actor, dataset=dataset_id, **params))


@router.get("/datasets/{dataset_id}/pay/ledger", response_model=list[LedgerTransaction], summary="Read the ledger")
async def list_ledger(db: Db, actor: Actor, dataset_id: DatasetId, after: After = 0, limit: Limit = 200) -> Response:
    """Every transaction with its entries, oldest first. Needs the role admin."""
    return answer(await db.call("list_ledger", actor=actor, dataset=dataset_id, after=after, limit=limit))


@router.post("/datasets/{dataset_id}/pay/payouts", response_model=PayoutBatch, status_code=201, summary="Pay out")
async def create_payouts(db: Db, actor: Actor, dataset_id: DatasetId, body: NewPayouts) -> Response:
    """Take all that is owed into a batch of payouts. `manual` ones are for you to make; `stripe` ones are sent by a worker
    as Connect transfers. Needs the role admin."""
    params: Params = {"key": body.key, "provider": body.provider, "users": body.users}
    return answer(await db.call("create_payouts", actor=actor, dataset=dataset_id, **params), 201)


@router.get(
    "/datasets/{dataset_id}/pay/payouts",
    response_model=list[PayoutBatch],
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
    summary="List payouts",
)
async def list_payouts(
    db: Db,
    actor: Actor,
    dataset_id: DatasetId,
    format: Annotated[Literal["json", "csv"], Query(description="CSV has a line a payout, for a bank.")] = "json",
    limit: Annotated[int, Query(ge=1, le=200, description="How many batches.")] = 50,
) -> Response:
    """Batches with their payouts, newest first. Needs the role admin."""
    batches = await db.call("list_payouts", actor=actor, dataset=dataset_id, limit=limit)
    if format == "csv":
        from api.statements import payouts_csv

        return payouts_csv(batches, dataset_id)
    return answer(batches)


@router.patch("/datasets/{dataset_id}/pay/payouts", response_model=PayoutBatch, summary="Say how payouts went")
async def settle_payouts(db: Db, actor: Actor, dataset_id: DatasetId, body: PayoutResult) -> Response:
    """Mark payouts of a manual batch as paid, or as failed, which makes the money owed again. Needs the role admin."""
    params: Params = {"batch": body.batch_id, "state": body.state, "payouts": body.payouts, "reference": body.reference}
    return answer(await db.call("settle_payouts", actor=actor, dataset=dataset_id, **params))
