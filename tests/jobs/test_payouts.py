"""Payouts through Stripe: each is sent once, whatever breaks on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from jobs.payouts import send_payouts
from schemas.settings import Settings
from store.rpc import Rpc
from tests.support import stripe_server
from tests.support.database import Clock
from tests.support.ledger_truth import contradictions
from tests.support.stripe_server import StripeServer
from tests.support.teams import Team

pytest.importorskip("stripe", reason="the extra labelcrew[stripe] is not installed")


@pytest.fixture
def stripe() -> Iterator[StripeServer]:
    with stripe_server.running() as server:
        yield server


@pytest.fixture
def configured(settings: Settings, stripe: StripeServer) -> Settings:
    return settings.model_copy(update={"stripe_api_key": SecretStr(stripe_server.KEY), "stripe_url": stripe.url})


async def owed(rpc: Rpc, stripe: StripeServer, *accounts: str) -> Team:
    """A dataset that owes 10 to a person for each account, in a batch."""
    team = await Team.of(rpc, items=len(accounts))
    await team.call("set_currency", currency="EUR")
    await team.call("set_prices", prices=[{"level": 1, "per": "item", "amount": 10}])
    await team.call("fund_escrow", amount=1000, key="k")
    for account in accounts:
        annotator = await team.member()
        [claim] = await team.claim(annotator)
        await team.submit(annotator, claim)
        await rpc.call("set_payout_account", actor=annotator, provider="stripe", account=account)
    stripe.accounts |= set(accounts) - {"acct_gone"}
    await team.call("create_payouts", key="may", provider="stripe")
    return team


async def payouts(team: Team) -> list[dict[str, Any]]:
    [batch] = await team.call("list_payouts")
    return list(batch["payouts"])


def check_books(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        assert contradictions(connection) == []


async def test_payouts_are_sent_and_settled(
    pg_rpc: Rpc, stripe: StripeServer, configured: Settings, clean_dsn: str
) -> None:
    team = await owed(pg_rpc, stripe, "acct_a", "acct_b")
    assert await send_payouts(pg_rpc, configured) == 2
    assert {(made["destination"], made["amount"], made["currency"]) for made in stripe.transfers} == {
        ("acct_a", 10, "eur"), ("acct_b", 10, "eur"),
    }  # fmt: skip
    assert {(p["state"], p["reference"]) for p in await payouts(team)} == {("paid", "tr_1"), ("paid", "tr_2")}
    assert (await team.call("get_pay"))["paid"] == 20
    assert await send_payouts(pg_rpc, configured) == 0
    check_books(clean_dsn)


async def test_account_that_stripe_does_not_know_fails_and_the_money_is_owed_again(
    pg_rpc: Rpc, stripe: StripeServer, configured: Settings, clean_dsn: str
) -> None:
    team = await owed(pg_rpc, stripe, "acct_gone")
    await send_payouts(pg_rpc, configured)
    [payout] = await payouts(team)
    assert (payout["state"], payout["error"]["code"]) == ("failed", "resource_missing")
    assert (await team.call("get_pay"))["payable"] == 10
    check_books(clean_dsn)


@pytest.mark.parametrize("fault", [500, 429, "after"])
@pytest.mark.parametrize("keys_forgotten", [False, True])
async def test_answer_that_is_lost_sends_no_second_transfer(
    pg_rpc: Rpc, stripe: StripeServer, configured: Settings, clock: Clock, fault: int | str, keys_forgotten: bool
) -> None:
    team = await owed(pg_rpc, stripe, "acct_a")
    stripe.faults = [fault]
    await send_payouts(pg_rpc, configured)
    assert (await payouts(team))[0]["state"] == "pending"
    assert await send_payouts(pg_rpc, configured) == 0, "it waits before it tries again"
    if keys_forgotten:
        stripe.forget_keys()
    clock.advance(minutes=2)
    await send_payouts(pg_rpc, configured)
    assert (await payouts(team))[0]["state"] == "paid"
    assert len(stripe.transfers) == 1


async def test_worker_that_dies_before_it_could_say_so_sends_no_second_transfer(
    pg_rpc: Rpc, stripe: StripeServer, configured: Settings, clock: Clock
) -> None:
    team = await owed(pg_rpc, stripe, "acct_a")
    [claimed] = await pg_rpc.call("claim_payouts")
    from integrations.payouts import Transfer
    from integrations.stripe import StripeTransfers

    provider = StripeTransfers(stripe_server.KEY, url=stripe.url)
    transfer = Transfer(claimed["id"], claimed["account"], claimed["amount"], claimed["currency"])
    assert (await provider.send(transfer, again=False)).state == "paid"
    await provider.close()
    clock.advance(minutes=10)
    await asyncio.gather(*(send_payouts(pg_rpc, configured) for _ in range(3)))
    assert (await payouts(team))[0]["state"] == "paid"
    assert len(stripe.transfers) == 1


async def test_platform_without_money_waits(
    pg_rpc: Rpc, stripe: StripeServer, configured: Settings, clock: Clock
) -> None:
    team = await owed(pg_rpc, stripe, "acct_a")
    stripe.balance = 0
    await send_payouts(pg_rpc, configured)
    [payout] = await payouts(team)
    assert (payout["state"], payout["error"]["code"]) == ("pending", "balance_insufficient")
    stripe.balance = 100
    stripe.forget_keys()
    clock.advance(hours=1)
    await send_payouts(pg_rpc, configured)
    assert (await payouts(team))[0]["state"] == "paid"


async def test_wrong_key_of_the_platform_fails_nobodys_payout(
    pg_rpc: Rpc, stripe: StripeServer, configured: Settings
) -> None:
    team = await owed(pg_rpc, stripe, "acct_a")
    wrong = configured.model_copy(update={"stripe_api_key": SecretStr("sk_wrong")})
    await send_payouts(pg_rpc, wrong)
    [payout] = await payouts(team)
    assert payout["state"] == "pending"
    assert "sk_wrong" not in str(payout)


async def test_without_a_key_payouts_wait(pg_rpc: Rpc, stripe: StripeServer, settings: Settings) -> None:
    team = await owed(pg_rpc, stripe, "acct_a")
    assert await send_payouts(pg_rpc, settings) == 0
    assert (await payouts(team))[0]["state"] == "pending"
    assert stripe.requests == 0
