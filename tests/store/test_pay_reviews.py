"""Pay where people look at each other's work: reviews, corrections, rejections, the last word, gold."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Iterator
from typing import Any

import psycopg
import pytest

from schemas.errors import LabelCrewError
from store.rpc import Rpc
from tests.support.ledger_truth import contradictions
from tests.support.paying import TEN, Paying, paying
from tests.support.teams import refusal

PRICES = (TEN, {"level": 2, "per": "item", "amount": 3}, {"level": 3, "per": "item", "amount": 5})


@pytest.fixture(autouse=True)
def _books_agree(request: pytest.FixtureRequest) -> Iterator[None]:
    """After every test here the ledger is asked whether it contradicts itself."""
    yield
    dsn = request.getfixturevalue("database_dsn")
    with psycopg.connect(dsn) as connection:
        assert contradictions(connection) == []


async def review(team: Paying, who: str, item: str, decision: str, **params: Any) -> None:
    await team.rpc.call("review_item", actor=who, item=item, decision=decision, **params)


async def earned(team: Paying, user: str) -> tuple[int, int]:
    """What is held for somebody, and what is payable."""
    for one in await team.call("list_earnings"):
        if one["user_id"] == user:
            return one["held"], one["payable"]
    return 0, 0


async def test_approved_answer_pays_its_author_and_its_reviewer(rpc: Rpc) -> None:
    team = await paying(rpc, *PRICES, review_levels=2)
    annotator, reviewer = await team.member(), await team.member("reviewer")
    item = await team.answer(annotator)
    await review(team, reviewer, item, "approved")
    assert (await earned(team, annotator), await earned(team, reviewer)) == ((0, 10), (0, 3))


async def test_corrected_answer_is_paid_to_both(pg_rpc: Rpc) -> None:
    team = await paying(pg_rpc, *PRICES, review_levels=2)
    annotator, reviewer = await team.member(), await team.member("reviewer")
    item = await team.answer(annotator)
    await review(team, reviewer, item, "corrected", payload={"labels": ["bad"]}, labelset_version=1)
    assert (await earned(team, annotator), await earned(team, reviewer)) == ((0, 10), (0, 3))


async def test_rejected_answer_is_refunded_and_done_again_for_one_wage(pg_rpc: Rpc) -> None:
    team = await paying(pg_rpc, *PRICES, review_levels=2, items=1)
    annotator, reviewer = await team.member(), await team.member("reviewer")
    item = await team.answer(annotator)
    await review(team, reviewer, item, "rejected", comment="look again")
    assert (await earned(team, annotator), await earned(team, reviewer)) == ((0, 0), (3, 0))
    await team.answer(annotator, "bad")
    await review(team, reviewer, item, "approved")
    assert (await earned(team, annotator), await earned(team, reviewer)) == ((0, 10), (0, 3))
    assert await team.money() == {"escrow": 987, "payable": 13}


async def test_last_word_is_paid_too(pg_rpc: Rpc) -> None:
    team = await paying(pg_rpc, *PRICES, review_levels=3)
    annotator, reviewer, judge = [await team.member(r) for r in ("annotator", "reviewer", "super_reviewer")]
    item = await team.answer(annotator)
    await review(team, reviewer, item, "corrected", payload={"labels": ["bad"]}, labelset_version=1)
    assert await earned(team, reviewer) == (3, 0)
    await review(team, judge, item, "approved")
    people = (annotator, reviewer, judge)
    assert [await earned(team, who) for who in people] == [(0, 10), (0, 3), (0, 5)]


async def test_reviewers_are_handed_nothing_that_could_not_be_paid(pg_rpc: Rpc) -> None:
    team = await paying(pg_rpc, *PRICES, review_levels=2, escrow=12)
    annotator, reviewer = await team.member(), await team.member("reviewer")
    await team.answer(annotator)
    await refusal(team.call("claim_reviews", reviewer), "escrow-empty")
    await team.fund(1)
    assert len(await team.call("claim_reviews", reviewer)) == 1


async def test_answer_to_a_gold_item_is_paid_like_others(pg_rpc: Rpc) -> None:
    team = await paying(pg_rpc, items=2, gold_share=0.5)
    gold = (await team.items())[0]["id"]
    await pg_rpc.call("set_gold", actor=team.admin, item=gold, payload={"labels": ["good"]}, labelset_version=1)
    annotator = await team.member()
    answered = 0
    for _ in range(2):
        for claim in await team.claim(annotator):
            await team.submit(annotator, claim)
            answered += 1
    assert (await team.money()).get("payable") == 10 * answered


async def test_books_agree_when_everybody_works_reviews_pays_and_sends_back_at_once(pg_rpc: Rpc) -> None:
    team = await paying(pg_rpc, *PRICES, review_levels=2, items=30, escrow=150, overlap=2)
    annotators = [await team.member() for _ in range(4)]
    reviewers = [await team.member("reviewer") for _ in range(2)]
    refusals: set[str] = set()

    async def attempt(call: Awaitable[Any]) -> Any:
        try:
            return await call
        except LabelCrewError as refused:
            refusals.add(refused.code)
            return None

    async def annotate(who: str) -> None:
        for _ in range(12):
            for claim in await attempt(team.claim(who)) or []:
                await attempt(team.submit(who, claim, random.choice(["good", "bad"])))
            if random.random() < 0.2:
                await attempt(team.call("undo_submit", who))

    async def look(who: str) -> None:
        for _ in range(12):
            for claim in await attempt(team.call("claim_reviews", who)) or []:
                decision = random.choice(["approved", "approved", "rejected"])
                await attempt(review(team, who, claim["item"]["id"], decision, comment="why"))
            for item in random.sample(await team.items(), 2):
                await attempt(pg_rpc.call("return_item", actor=who, item=item["id"]))

    async def pay(name: str) -> None:
        for n in range(12):
            await attempt(team.fund(20, f"{name} {n}"))
            batch = await attempt(team.call("create_payouts", key=f"{n}"))
            if batch:
                await attempt(team.call("settle_payouts", batch=batch["id"], state=random.choice(["paid", "failed"])))

    await asyncio.gather(
        *(annotate(who) for who in annotators), *(look(who) for who in reviewers), pay("one"), pay("two")
    )
    known = {
        "escrow-empty", "nothing-to-pay", "nothing-to-undo", "illegal-transition", "illegal-pay-state", "stale-token",
        "lease-expired", "already-submitted", "own-work", "forbidden", "conflict",
    }  # fmt: skip
    assert refusals <= known
    money = await team.call("get_pay")
    assert sum(money[account] for account in ("escrow", "held", "payable", "paying", "paid")) == money["funded"]
    assert money["funded"] == 150 + 2 * 12 * 20
