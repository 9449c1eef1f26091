"""Pay: what work earns, and when it is theirs, whoever asks at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import psycopg
import pytest

from store.rpc import Rpc
from tests.support.database import Clock
from tests.support.ledger_truth import contradictions
from tests.support.paying import TEN, Paying, paying
from tests.support.people import new_user
from tests.support.teams import Team, refusal


@pytest.fixture(autouse=True)
def _books_agree(request: pytest.FixtureRequest) -> Iterator[None]:
    """After every test here the ledger is asked whether it contradicts itself."""
    yield
    dsn = request.getfixturevalue("database_dsn")
    with psycopg.connect(dsn) as connection:
        assert contradictions(connection) == []


class TestWork:
    async def test_accepted_answer_is_paid_its_price(self, rpc: Rpc) -> None:
        team = await paying(rpc)
        annotator = await team.member()
        await team.answer(annotator)
        assert await team.money() == {"escrow": 990, "payable": 10}
        [line] = await team.call("list_statement", actor=annotator)
        assert (line["kind"], line["amount"], line["balance"], line["currency"]) == ("release", 10, 10, "EUR")

    async def test_answer_is_held_until_the_reviewer_accepts_it(self, rpc: Rpc) -> None:
        team = await paying(rpc, TEN, {"level": 2, "per": "item", "amount": 3}, review_levels=2)
        annotator, reviewer = await team.member(), await team.member("reviewer")
        item = await team.answer(annotator)
        assert await team.money() == {"escrow": 990, "held": 10}
        await team.submit(reviewer, item)
        assert await team.money() == {"escrow": 987, "payable": 13}

    async def test_dataset_without_prices_pays_nothing(self, rpc: Rpc) -> None:
        team = await Paying.of(rpc, items=1)
        assert isinstance(team, Paying)
        await team.answer(await team.member())
        await refusal(team.call("get_pay"), "no-wallet")

    async def test_imported_answers_earn_nothing(self, pg_rpc: Rpc) -> None:
        team = await paying(pg_rpc, items=0)
        await team.add("came with an answer", annotation={"labels": ["good"]})
        assert await team.money() == {"escrow": 1000}

    async def test_answer_that_is_taken_back_is_refunded_and_earns_again(self, rpc: Rpc) -> None:
        team = await paying(rpc, items=1)
        annotator = await team.member()
        await team.answer(annotator)
        await team.call("undo_submit", annotator)
        assert await team.money() == {"escrow": 1000}
        await team.answer(annotator)
        assert await team.money() == {"escrow": 990, "payable": 10}

    async def test_another_revision_earns_nothing_more(self, pg_rpc: Rpc) -> None:
        team = await paying(pg_rpc)
        annotator = await team.member()
        item = await team.answer(annotator)
        await team.submit(annotator, item, "bad")
        await team.submit(annotator, item, "ugly")
        assert await team.money() == {"escrow": 990, "payable": 10}

    async def test_same_submission_sent_twice_is_paid_once(self, pg_rpc: Rpc) -> None:
        team = await paying(pg_rpc)
        annotator = await team.member()
        [claim] = await team.claim(annotator)
        await asyncio.gather(*(team.submit(annotator, claim, key="once") for _ in range(4)))
        assert await team.money() == {"escrow": 990, "payable": 10}

    async def test_rejected_answer_is_refunded_and_the_next_one_earns(self, pg_rpc: Rpc) -> None:
        team = await paying(pg_rpc, items=1, review_levels=2)
        annotator, reviewer = await team.member(), await team.member("reviewer")
        item = await team.answer(annotator)
        await pg_rpc.call("return_item", actor=reviewer, item=item, note="no")
        assert await team.money() == {"escrow": 1000}
        await team.answer(annotator, "bad")
        assert await team.money() == {"escrow": 990, "held": 10}

    async def test_expired_lease_never_held_anything(self, pg_rpc: Rpc, clock: Clock) -> None:
        team = await paying(pg_rpc, items=1)
        await team.claim(await team.member())
        clock.advance(hours=2)
        assert await team.money() == {"escrow": 1000}
        await team.answer(await team.member())
        assert await team.money() == {"escrow": 990, "payable": 10}

    async def test_everybody_of_an_overlap_is_paid_when_the_item_is_decided(self, pg_rpc: Rpc) -> None:
        team = await paying(pg_rpc, items=1, overlap=3)
        for label, held in (("good", 10), ("good", 20), ("bad", 0)):
            await team.answer(await team.member(), label)
            if held:
                assert (await team.money())["held"] == held
        state = (await team.items())[0]["state"]
        key = "payable" if state == "verified" else "held"
        assert await team.money() == {"escrow": 970, key: 30}

    async def test_item_that_is_opened_again_is_held_again(self, pg_rpc: Rpc) -> None:
        team = await paying(pg_rpc, items=1)
        annotator = await team.member()
        item = await team.answer(annotator)
        await pg_rpc.call("return_item", actor=team.admin, item=item)
        assert await team.money() == {"escrow": 1000}
        await team.answer(annotator)
        assert await team.money() == {"escrow": 990, "payable": 10}

    async def test_what_was_paid_out_is_final_and_not_paid_again(self, pg_rpc: Rpc) -> None:
        team = await paying(pg_rpc, items=1)
        annotator = await team.member()
        item = await team.answer(annotator)
        batch = await team.call("create_payouts", key="may")
        await team.call("settle_payouts", batch=batch["id"], state="paid")
        await pg_rpc.call("return_item", actor=team.admin, item=item)
        await team.answer(annotator)
        assert await team.money() == {"escrow": 990, "paid": 10}


class TestPrices:
    async def test_task_of_its_own_price_comes_before_the_general_one(self, pg_rpc: Rpc) -> None:
        team = await paying(pg_rpc, TEN, {"task": "classification", "level": 1, "per": "item", "amount": 7})
        await team.answer(await team.member())
        assert (await team.money())["payable"] == 7

    async def test_minutes_are_paid_as_far_as_they_passed_and_are_allowed(self, pg_rpc: Rpc, clock: Clock) -> None:
        team = await paying(pg_rpc, {"level": 1, "per": "minute", "amount": 60, "max_seconds": 120}, items=3)
        annotator = await team.member()
        for lead_s, passed, wage in ((45, 50, 45), (3600, 30, 31), (3600, 500, 120)):
            [claim] = await team.claim(annotator)
            clock.advance(seconds=passed)
            before = (await team.money()).get("payable", 0)
            await team.submit(annotator, claim, lead_time_ms=lead_s * 1000)
            assert abs((await team.money())["payable"] - before - wage) <= 1

    async def test_old_holds_and_items_begun_keep_their_price(self, pg_rpc: Rpc) -> None:
        team = await paying(pg_rpc, review_levels=2)
        one, two, three = [await team.member() for _ in range(3)]
        await team.answer(one)
        [begun] = await team.claim(two)
        await team.prices({"level": 1, "per": "item", "amount": 4})
        await team.submit(two, begun)
        await team.answer(three)
        assert [hold["amount"] for hold in await team.holds()] == [10, 10, 4]
        for hold in await team.holds():
            await team.submit(await team.member("reviewer"), hold["item_id"])
        assert await team.money() == {"escrow": 976, "payable": 24}

    async def test_price_that_is_left_out_ends(self, pg_rpc: Rpc) -> None:
        team = await paying(pg_rpc)
        await team.prices({"level": 2, "per": "item", "amount": 1})
        await team.answer(await team.member())
        assert await team.money() == {"escrow": 1000}
        assert [price["level"] for price in (await team.call("get_pay"))["prices"]] == [2]

    async def test_two_prices_for_the_same_are_refused(self, pg_rpc: Rpc) -> None:
        team = await paying(pg_rpc)
        await refusal(team.prices(TEN, TEN), "invalid")
        await refusal(team.prices({"level": 2, "per": "minute", "amount": 1, "max_seconds": 60}), "invalid")
        await refusal(team.prices({"level": 1, "per": "item", "amount": -1}), "invalid")

    async def test_currency_is_fixed_by_the_first_entry(self, pg_rpc: Rpc) -> None:
        team = await Paying.of(pg_rpc)
        await team.call("set_currency", currency="EUR")
        assert (await team.call("set_currency", currency="JPY"))["currency"] == "JPY"
        await team.call("fund_escrow", amount=5, key="k")
        await refusal(team.call("set_currency", currency="EUR"), "currency-fixed")
        await refusal(team.call("set_currency", currency="euro"), "invalid")


class TestEscrow:
    async def test_nothing_is_handed_out_that_could_not_be_paid(self, rpc: Rpc) -> None:
        team = await paying(rpc, escrow=15)
        annotator = await team.member()
        await team.answer(annotator)
        error = await refusal(team.claim(annotator), "escrow-empty")
        assert error.data["needed"] == 10
        await team.fund(100)
        await team.answer(annotator)

    async def test_answer_is_never_lost_for_money_and_is_paid_when_there_is_some(self, pg_rpc: Rpc) -> None:
        team = await paying(pg_rpc, escrow=10, review_levels=2)
        annotators = [await team.member() for _ in range(3)]
        claims = [(await team.claim(annotator))[0] for annotator in annotators]
        for annotator, claim in zip(annotators, claims, strict=True):
            await team.submit(annotator, claim)
        assert await team.money() == {"held": 10, "waiting": 20}
        await team.submit(await team.member("reviewer"), claims[1]["item"]["id"])
        await team.fund(15)
        assert await team.money() == {"escrow": 5, "held": 10, "payable": 10, "waiting": 10}
        await team.fund(5)
        assert await team.money() == {"held": 20, "payable": 10}

    async def test_two_admins_who_fund_at_once_fund_twice_and_one_key_once(self, pg_rpc: Rpc) -> None:
        team = await paying(pg_rpc, escrow=0)
        other = await team.member("admin")
        results = await asyncio.gather(
            team.fund(100, "a"), team.call("fund_escrow", other, amount=100, key="b"),
            *(team.fund(100, "same") for _ in range(4)),
        )  # fmt: skip
        assert sum(result["created"] for result in results) == 3
        assert await team.money() == {"escrow": 300}
        await refusal(team.fund(99, "same"), "conflict")

    async def test_withdrawals_at_once_never_take_more_than_there_is(self, pg_rpc: Rpc) -> None:
        team = await paying(pg_rpc, escrow=100)
        done = await asyncio.gather(*(team.fund(-40) for _ in range(5)), return_exceptions=True)
        assert sum(not isinstance(one, Exception) for one in done) == 2
        assert await team.money() == {"escrow": 20}

    async def test_many_answers_at_once_never_overdraw_the_escrow(self, pg_rpc: Rpc) -> None:
        team = await paying(pg_rpc, escrow=50, items=8)
        people = [await team.member() for _ in range(8)]
        claims = [(await team.claim(person))[0] for person in people]
        await asyncio.gather(*(team.submit(p, c) for p, c in zip(people, claims, strict=True)))
        assert await team.money() == {"payable": 50, "waiting": 30}

    async def test_dataset_with_money_is_not_deleted(self, rpc: Rpc) -> None:
        team = await paying(rpc)
        await team.answer(await team.member())
        error = await refusal(team.call("delete_dataset"), "money-held")
        assert error.data["accounts"] == {"escrow": 990, "payable": 10}
        batch = await team.call("create_payouts", key="last")
        await refusal(team.call("delete_dataset"), "money-held")
        await team.call("settle_payouts", batch=batch["id"], state="paid")
        await team.fund(-990)
        await team.call("delete_dataset")


class TestAdjustments:
    async def test_bonus_is_owed_and_can_be_taken_back(self, rpc: Rpc) -> None:
        team = await paying(rpc)
        annotator = await team.member()
        await team.answer(annotator)
        await team.adjust(annotator, 50)
        assert await team.money() == {"escrow": 940, "payable": 60}
        await team.adjust(annotator, -20)
        error = await refusal(team.adjust(annotator, -31), "insufficient-balance")
        assert error.data["available"] == 30
        assert await team.money() == {"escrow": 960, "payable": 40}

    async def test_bonus_for_a_stranger_or_beyond_the_escrow_is_refused(self, pg_rpc: Rpc) -> None:
        team = await paying(pg_rpc)
        await refusal(team.adjust(await new_user(pg_rpc), 1), "not-found")
        await refusal(team.adjust(await team.member(), 1001), "escrow-empty")

    async def test_same_key_adjusts_once(self, pg_rpc: Rpc) -> None:
        team = await paying(pg_rpc)
        annotator = await team.member()
        await asyncio.gather(*(team.adjust(annotator, 5, "k") for _ in range(3)))
        assert await team.money() == {"escrow": 995, "payable": 5}
        await refusal(team.adjust(annotator, 6, "k"), "conflict")
        await refusal(team.adjust(await team.member(), 5, "k"), "conflict")


class TestDecisions:
    async def test_admin_pays_for_work_on_an_item_that_nobody_reviews(self, rpc: Rpc) -> None:
        team = await paying(rpc, review_levels=2)
        item = await team.answer(await team.member())
        [hold] = await team.holds(states=["held"])
        assert (await team.call("decide_hold", hold=hold["id"], decision="release"))["state"] == "released"
        await pg_return(team, item)
        assert await team.money() == {"escrow": 990, "payable": 10}

    async def test_admin_refuses_to_pay_for_good(self, pg_rpc: Rpc) -> None:
        team = await paying(pg_rpc)
        annotator = await team.member()
        item = await team.answer(annotator)
        [hold] = await team.holds()
        for _ in range(2):
            await team.call("decide_hold", hold=hold["id"], decision="refund", reason="copied")
        assert await team.money() == {"escrow": 1000}
        await team.submit(annotator, item, "bad")
        assert await team.money() == {"escrow": 1000}
        await refusal(team.call("decide_hold", hold=hold["id"], decision="release"), "illegal-pay-state")

    async def test_unknown_hold_is_not_found(self, pg_rpc: Rpc) -> None:
        team = await paying(pg_rpc)
        await refusal(team.call("decide_hold", hold=team.dataset, decision="refund"), "not-found")


async def pg_return(team: Team, item: str) -> None:
    await team.rpc.call("return_item", actor=team.admin, item=item)
