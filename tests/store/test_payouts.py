"""Paying out what is owed, once; and who may see and touch the money."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import psycopg
import pytest

from store.rpc import Rpc
from tests.support.ledger_truth import contradictions
from tests.support.paying import paying
from tests.support.people import new_user
from tests.support.teams import refusal


@pytest.fixture(autouse=True)
def _books_agree(request: pytest.FixtureRequest) -> Iterator[None]:
    """After every test here the ledger is asked whether it contradicts itself."""
    yield
    dsn = request.getfixturevalue("database_dsn")
    with psycopg.connect(dsn) as connection:
        assert contradictions(connection) == []


class TestPayouts:
    async def test_batch_pays_everybody_who_is_owed_once(self, rpc: Rpc) -> None:
        team = await paying(rpc)
        one, two = await team.member(), await team.member()
        for person in (one, one, two):
            await team.answer(person)
        batch = await team.call("create_payouts", key="may")
        assert (batch["total"], batch["created"], len(batch["payouts"])) == (30, True, 2)
        assert await team.money() == {"escrow": 970, "paying": 30}
        again = await team.call("create_payouts", key="may")
        assert (again["id"], again["created"]) == (batch["id"], False)
        await refusal(team.call("create_payouts", key="june"), "nothing-to-pay")
        done = await team.call("settle_payouts", batch=batch["id"], state="paid", reference="bank 7")
        assert {payout["state"] for payout in done["payouts"]} == {"paid"}
        assert await team.money() == {"escrow": 970, "paid": 30}
        await team.call("settle_payouts", batch=batch["id"], state="paid")
        ids = [done["payouts"][0]["id"]]
        await refusal(team.call("settle_payouts", batch=batch["id"], state="failed", payouts=ids), "illegal-pay-state")

    async def test_batches_at_once_pay_once(self, pg_rpc: Rpc) -> None:
        team = await paying(pg_rpc)
        await team.answer(await team.member())
        keys = ["a", "a", "b", "c"]
        done = await asyncio.gather(*(team.call("create_payouts", key=key) for key in keys), return_exceptions=True)
        assert sum(isinstance(one, dict) and one["created"] for one in done) == 1
        assert await team.money() == {"escrow": 990, "paying": 10}

    async def test_failed_payout_is_owed_again(self, pg_rpc: Rpc) -> None:
        team = await paying(pg_rpc)
        await team.answer(await team.member())
        first = await team.call("create_payouts", key="may")
        await team.call("settle_payouts", batch=first["id"], state="failed", reference="no such account")
        assert await team.money() == {"escrow": 990, "payable": 10}
        second = await team.call("create_payouts", key="may again")
        await team.call("settle_payouts", batch=second["id"], state="paid")
        assert await team.money() == {"escrow": 990, "paid": 10}

    async def test_failed_payout_for_work_that_was_sent_back_meanwhile_is_owed_to_nobody(self, pg_rpc: Rpc) -> None:
        team = await paying(pg_rpc)
        item = await team.answer(await team.member())
        batch = await team.call("create_payouts", key="may")
        await pg_rpc.call("return_item", actor=team.admin, item=item)
        await team.call("settle_payouts", batch=batch["id"], state="failed")
        assert await team.money() == {"escrow": 1000}

    async def test_person_without_an_account_is_skipped_or_refused_by_name(self, pg_rpc: Rpc) -> None:
        team = await paying(pg_rpc)
        without, having = await team.member(), await team.member()
        await team.answer(without)
        await team.answer(having)
        await pg_rpc.call("set_payout_account", actor=having, provider="stripe", account="acct_123")
        error = await refusal(
            team.call("create_payouts", key="k", provider="stripe", users=[without]), "no-payout-account"
        )
        assert error.data["user"] == without
        batch = await team.call("create_payouts", key="k", provider="stripe")
        assert [payout["user_id"] for payout in batch["payouts"]] == [having]
        assert [skipped["user_id"] for skipped in batch["skipped"]] == [without]
        await refusal(team.call("create_payouts", key="l", users=[await new_user(pg_rpc)]), "not-found")
        await refusal(team.call("settle_payouts", batch=batch["id"], state="paid"), "illegal-pay-state")

    async def test_account_must_be_one_of_the_provider(self, pg_rpc: Rpc) -> None:
        user = await new_user(pg_rpc)
        call = pg_rpc.call("set_payout_account", actor=user, provider="stripe", account="DE12 3456")
        await refusal(call, "invalid")

    async def test_removed_member_keeps_what_they_earned(self, rpc: Rpc) -> None:
        team = await paying(rpc, review_levels=2)
        annotator = await team.member()
        item = await team.answer(annotator)
        await team.call("remove_member", user=annotator)
        assert await team.money() == {"escrow": 990, "held": 10}
        await team.submit(await team.member("reviewer"), item)
        batch = await team.call("create_payouts", key="k")
        assert [payout["user_id"] for payout in batch["payouts"]] == [annotator]
        [mine] = await rpc.call("list_own_earnings", actor=annotator)
        assert (mine["paying"], mine["dataset_id"]) == (10, team.dataset)
        assert len(await team.call("list_statement", actor=annotator)) == 2


class TestWhoMay:
    async def test_annotators_see_their_own_money_only(self, rpc: Rpc) -> None:
        team = await paying(rpc)
        one, two = await team.member(), await team.member()
        await team.answer(one)
        await refusal(team.call("get_pay", one), "forbidden")
        await refusal(team.call("list_earnings", one), "forbidden")
        await refusal(team.call("list_statement", two, user=one), "forbidden")
        await refusal(team.call("list_holds", two), "forbidden")
        assert len(await team.call("list_holds", one, user=one)) == 1
        assert await team.call("list_statement", two) == []
        await refusal(team.call("list_statement", await new_user(rpc)), "not-found")
        [earning] = await team.call("list_earnings")
        assert (earning["user_id"], earning["payable"]) == (one, 10)

    @pytest.mark.parametrize(
        "statement",
        [
            "update labelcrew.ledger_entries set amount = 5",
            "delete from labelcrew.ledger_entries",
            "delete from labelcrew.ledger_transactions",
            "truncate labelcrew.ledger_entries",
        ],
    )
    async def test_even_the_databases_owner_cannot_change_the_ledger(
        self, pg_rpc: Rpc, clean_dsn: str, statement: str
    ) -> None:
        await paying(pg_rpc)
        with psycopg.connect(clean_dsn) as connection, pytest.raises(psycopg.Error, match="append-only"):
            connection.execute(statement.encode())

    async def test_one_sided_entry_is_refused_by_a_constraint(self, pg_rpc: Rpc, clean_dsn: str) -> None:
        team = await paying(pg_rpc)
        entry = (
            "insert into labelcrew.ledger_entries (transaction_id, dataset_id, account, amount) values (%s, %s, %s, 1)"
        )
        begin = "insert into labelcrew.ledger_transactions (dataset_id, kind) values (%s, 'fund') returning id"
        with psycopg.connect(clean_dsn) as connection:
            row = connection.execute(begin.encode(), [team.dataset]).fetchone()
            assert row is not None
            connection.execute(entry.encode(), [row[0], team.dataset, "escrow"])
            with pytest.raises(psycopg.errors.CheckViolation, match="sum to zero"):
                connection.commit()

    async def test_negative_escrow_is_refused_by_a_constraint(self, pg_rpc: Rpc, clean_dsn: str) -> None:
        team = await paying(pg_rpc, escrow=5)
        move = "select labelcrew.transfer(%s, 'withdraw', 'escrow', 'funding', 6)"
        with psycopg.connect(clean_dsn) as connection, pytest.raises(psycopg.errors.CheckViolation):
            connection.execute(move.encode(), [team.dataset])
