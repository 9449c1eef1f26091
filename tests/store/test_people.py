"""Accounts, sign-in links and members: who is known, who may, and what keeps a dataset from losing its last admin."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from schemas.errors import Conflict, Forbidden, Invalid, LabelCrewError, NotFound, Unauthenticated
from schemas.world import Member, User
from store.rpc import Rpc
from tests.support.database import Clock
from tests.support.people import new_dataset, new_member, new_user, switch_off

TOKEN_HASH = "0" * 64


class TestAccounts:
    async def test_new_account_has_the_shape_of_a_user(self, rpc: Rpc) -> None:
        made = await rpc.call("create_user", email="  Ada@Example.org ", name=" Ada ")
        user = User.model_validate(made)
        assert (user.email, user.name, user.active) == ("Ada@Example.org", "Ada", True)
        assert await rpc.call("get_user", actor=user.id) == made

    async def test_first_account_is_the_owner_even_when_many_come_at_once(self, rpc: Rpc) -> None:
        made = await asyncio.gather(
            *(rpc.call("create_user", email=f"u{n}@example.org", name="") for n in range(12)),
        )
        assert sum(user["is_owner"] for user in made) == 1

    async def test_same_id_again_gives_the_account_that_is_there(self, rpc: Rpc) -> None:
        id_ = str(uuid.uuid4())
        first = await rpc.call("create_user", email="a@example.org", name="A", id=id_)
        assert await rpc.call("create_user", email="b@example.org", name="B", id=id_) == first
        assert await rpc.call("count_users") == 1

    async def test_email_that_differs_only_in_case_is_refused_with_duplicate_name(self, rpc: Rpc) -> None:
        await rpc.call("create_user", email="a@example.org", name="A")
        with pytest.raises(Conflict) as caught:
            await rpc.call("create_user", email="A@EXAMPLE.org", name="B")
        assert caught.value.code == "duplicate-name"

    @pytest.mark.parametrize(
        "email", ["", "nobody", "two words@example.org", "a@b@c", None, "x" * 330 + "@example.org"]
    )
    async def test_what_is_no_email_is_invalid(self, rpc: Rpc, email: str | None) -> None:
        with pytest.raises(Invalid):
            await rpc.call("create_user", email=email, name="A")

    async def test_unknown_account_is_not_found(self, rpc: Rpc) -> None:
        with pytest.raises(NotFound):
            await rpc.call("get_user", actor=str(uuid.uuid4()))

    async def test_account_that_is_switched_off_is_refused_with_user_inactive(self, rpc: Rpc, clean_dsn: str) -> None:
        user = await new_user(rpc)
        switch_off(clean_dsn, user)
        for function, params in (
            ("get_user", {"actor": user}),
            ("ensure_user", {"id": user, "email": "new@example.org"}),
            ("create_login_link", {"user": user, "token_hash": TOKEN_HASH, "ttl_seconds": 60}),
        ):
            with pytest.raises(Unauthenticated) as caught:
                await rpc.call(function, **params)
            assert caught.value.code == "user-inactive"

    async def test_only_the_owner_sees_all_accounts(self, rpc: Rpc) -> None:
        owner, other = await new_user(rpc), await new_user(rpc)
        assert [user["id"] for user in await rpc.call("list_users", actor=owner)] == [owner, other]
        with pytest.raises(Forbidden):
            await rpc.call("list_users", actor=other)

    async def test_credentials_are_found_by_email_in_any_case(self, rpc: Rpc) -> None:
        user = await rpc.call("create_user", email="a@example.org", name="A", password_hash="old")
        await rpc.call("set_password", actor=user["id"], password_hash="new")
        assert await rpc.call("get_credentials", email="A@example.ORG") == {
            "user_id": user["id"],
            "password_hash": "new",
            "active": True,
        }

    async def test_no_answer_but_the_credentials_holds_a_password_hash(self, rpc: Rpc) -> None:
        user = await rpc.call("create_user", email="a@example.org", name="A", password_hash="secret-hash")
        for answer in (
            user,
            await rpc.call("get_user", actor=user["id"]),
            await rpc.call("list_users", actor=user["id"]),
            await rpc.call("set_password", actor=user["id"], password_hash="secret-hash"),
        ):
            assert "secret-hash" not in str(answer)


class TestSignInElsewhere:
    async def test_first_visit_makes_the_account_and_later_ones_follow_the_token(self, rpc: Rpc) -> None:
        id_ = str(uuid.uuid4())
        first = await rpc.call("ensure_user", id=id_, email="a@example.org", name="A")
        assert await rpc.call("ensure_user", id=id_, email="a@example.org") == first
        changed = await rpc.call("ensure_user", id=id_, email="b@example.org", name="B")
        assert (changed["email"], changed["name"]) == ("b@example.org", "B")

    async def test_twenty_first_visits_at_once_make_one_account(self, rpc: Rpc) -> None:
        id_ = str(uuid.uuid4())
        made = await asyncio.gather(*(rpc.call("ensure_user", id=id_, email="a@example.org") for _ in range(20)))
        assert {user["id"] for user in made} == {id_}
        assert await rpc.call("count_users") == 1

    async def test_email_of_somebody_else_gives_no_way_into_their_account(self, rpc: Rpc) -> None:
        await rpc.call("create_user", email="admin@example.org", name="Admin")
        stranger = str(uuid.uuid4())
        with pytest.raises(Conflict) as caught:
            await rpc.call("ensure_user", id=stranger, email="Admin@example.org")
        assert caught.value.code == "duplicate-name"
        await rpc.call("ensure_user", id=stranger, email="stranger@example.org")
        with pytest.raises(Conflict):
            await rpc.call("ensure_user", id=stranger, email="admin@example.org")


class TestLoginLinks:
    async def test_link_signs_in_once(self, rpc: Rpc) -> None:
        user = await new_user(rpc)
        await rpc.call("create_login_link", user=user, token_hash=TOKEN_HASH, ttl_seconds=60)
        assert (await rpc.call("redeem_login_link", token_hash=TOKEN_HASH))["id"] == user
        with pytest.raises(Unauthenticated) as caught:
            await rpc.call("redeem_login_link", token_hash=TOKEN_HASH)
        assert caught.value.code == "link-used"

    async def test_link_that_ten_try_at_once_signs_one_in(self, rpc: Rpc) -> None:
        user = await new_user(rpc)
        await rpc.call("create_login_link", user=user, token_hash=TOKEN_HASH, ttl_seconds=60)
        tries = (rpc.call("redeem_login_link", token_hash=TOKEN_HASH) for _ in range(10))
        answers = await asyncio.gather(*tries, return_exceptions=True)
        assert sum(isinstance(answer, dict) for answer in answers) == 1

    async def test_expired_link_is_refused_with_link_used(self, rpc: Rpc, clock: Clock) -> None:
        user = await new_user(rpc)
        await rpc.call("create_login_link", user=user, token_hash=TOKEN_HASH, ttl_seconds=60)
        clock.advance(seconds=61)
        with pytest.raises(Unauthenticated) as caught:
            await rpc.call("redeem_login_link", token_hash=TOKEN_HASH)
        assert caught.value.code == "link-used"


class TestMembers:
    async def test_creator_is_admin_and_adds_others(self, rpc: Rpc) -> None:
        admin = await new_user(rpc)
        dataset = await new_dataset(rpc, admin)
        reviewer = await new_member(rpc, admin, dataset, "reviewer")
        members = [Member.model_validate(m) for m in await rpc.call("list_members", actor=reviewer, dataset=dataset)]
        assert [(member.user_id, member.role) for member in members] == [(admin, "admin"), (reviewer, "reviewer")]

    async def test_stranger_sees_not_found_as_for_a_dataset_that_is_not_there(self, rpc: Rpc) -> None:
        admin, stranger = await new_user(rpc), await new_user(rpc)
        dataset = await new_dataset(rpc, admin)
        failures = []
        for target in (dataset, str(uuid.uuid4())):
            with pytest.raises(NotFound) as caught:
                await rpc.call("list_members", actor=stranger, dataset=target)
            failures.append((caught.value.code, caught.value.detail, caught.value.hint))
        assert failures[0] == failures[1]

    @pytest.mark.parametrize("role", ["annotator", "reviewer", "super_reviewer"])
    async def test_only_admins_change_members(self, rpc: Rpc, role: str) -> None:
        admin = await new_user(rpc)
        dataset = await new_dataset(rpc, admin)
        member = await new_member(rpc, admin, dataset, role)
        with pytest.raises(Forbidden):
            await rpc.call("add_member", actor=member, dataset=dataset, email="x@example.org", role="admin")
        with pytest.raises(Forbidden):
            await rpc.call("remove_member", actor=member, dataset=dataset, user=admin)

    async def test_adding_again_changes_the_role(self, rpc: Rpc) -> None:
        admin = await new_user(rpc)
        dataset = await new_dataset(rpc, admin)
        user = await rpc.call("create_user", email="a@example.org", name="A")
        for role in ("annotator", "super_reviewer"):
            member = await rpc.call("add_member", actor=admin, dataset=dataset, email="A@example.org", role=role)
            assert (member["user_id"], member["role"]) == (user["id"], role)

    async def test_role_that_does_not_exist_is_invalid(self, rpc: Rpc) -> None:
        admin = await new_user(rpc)
        dataset = await new_dataset(rpc, admin)
        with pytest.raises(Invalid):
            await rpc.call("add_member", actor=admin, dataset=dataset, email="x@example.org", role="emperor")

    async def test_member_may_leave_and_is_then_a_stranger(self, rpc: Rpc) -> None:
        admin = await new_user(rpc)
        dataset = await new_dataset(rpc, admin)
        member = await new_member(rpc, admin, dataset, "annotator")
        await rpc.call("remove_member", actor=member, dataset=dataset, user=member)
        with pytest.raises(NotFound):
            await rpc.call("list_members", actor=member, dataset=dataset)

    async def test_last_admin_can_neither_leave_nor_step_down(self, rpc: Rpc) -> None:
        admin = await new_user(rpc)
        dataset = await new_dataset(rpc, admin)
        email = (await rpc.call("get_user", actor=admin))["email"]
        for call in (
            rpc.call("remove_member", actor=admin, dataset=dataset, user=admin),
            rpc.call("add_member", actor=admin, dataset=dataset, email=email, role="reviewer"),
        ):
            with pytest.raises(Conflict) as caught:
                await call
            assert caught.value.code == "last-admin"

    async def test_two_admins_who_leave_at_once_leave_one_behind(self, rpc: Rpc) -> None:
        first = await new_user(rpc)
        dataset = await new_dataset(rpc, first)
        second = await new_member(rpc, first, dataset, "admin")
        answers = await asyncio.gather(
            *(rpc.call("remove_member", actor=who, dataset=dataset, user=who) for who in (first, second)),
            return_exceptions=True,
        )
        refused = [answer for answer in answers if isinstance(answer, LabelCrewError)]
        assert [failure.code for failure in refused] == ["last-admin"]

    async def test_member_who_is_switched_off_has_no_role_left(self, rpc: Rpc, clean_dsn: str) -> None:
        admin = await new_user(rpc)
        dataset = await new_dataset(rpc, admin)
        member = await new_member(rpc, admin, dataset, "reviewer")
        switch_off(clean_dsn, member)
        with pytest.raises(NotFound):
            await rpc.call("list_members", actor=member, dataset=dataset)
