"""Who goes, and what ends with it: holds, invitations, tokens, sessions; and that no dataset is left without an admin."""

from __future__ import annotations

import time

import psycopg

from schemas.people import Deactivation
from schemas.world import Member, User
from store.rpc import Rpc
from tests.support.catalogue import rows
from tests.support.database import Clock
from tests.support.people import new_dataset, new_member, new_user
from tests.support.teams import Team, refusal

HASH = "a" * 64


async def invite(team: Team, actor: str, token_hash: str = HASH) -> str:
    made = await team.call(
        "create_invitation", actor, email="guest@example.org", role="annotator", token_hash=token_hash
    )
    return str(made["id"])


async def make_token(team: Team, actor: str, token_hash: str = HASH) -> str:
    made = await team.call(
        "create_service_token", actor, name="script", role="annotator", scopes=["read"], token_hash=token_hash,
        ending="aaaa", ttl_seconds=3600,
    )  # fmt: skip
    return str(made["id"])


def open_leases(dsn: str, user: str) -> int:
    return len(rows(dsn, f"select id from labelcrew.leases where user_id = '{user}' and ended_at is null"))


class TestSkills:
    async def test_skills_are_kept_sorted_and_stay_when_only_the_role_changes(self, rpc: Rpc) -> None:
        admin = await new_user(rpc)
        dataset = await new_dataset(rpc, admin)
        user = await rpc.call("create_user", email="a@example.org", name="A")
        skilled = {"actor": admin, "dataset": dataset, "email": user["email"]}
        await rpc.call("add_member", **skilled, role="annotator", skills=["law", " de ", "law"])
        member = Member.model_validate(await rpc.call("add_member", **skilled, role="reviewer"))
        assert (member.role, member.skills) == ("reviewer", ["de", "law"])
        cleared = await rpc.call("add_member", **skilled, role="reviewer", skills=[])
        assert cleared["skills"] == []

    async def test_empty_and_endless_skills_are_invalid(self, rpc: Rpc) -> None:
        team = await Team.of(rpc, labelset=False)
        member = await rpc.call("get_user", actor=await team.member())
        for skills in ([""], ["x" * 51], [f"skill {n}" for n in range(51)]):
            await refusal(team.call("add_member", email=member["email"], role="annotator", skills=skills), "invalid")


class TestRemoval:
    async def test_what_a_removed_member_holds_is_free_at_once(self, rpc: Rpc, clean_dsn: str) -> None:
        team = await Team.of(rpc, items=3)
        leaving, staying = await team.member(), await team.member()
        held = await team.claim(leaving, 3)
        assert await team.claim(staying) == []
        await team.call("remove_member", user=leaving)
        assert open_leases(clean_dsn, leaving) == 0
        assert {c["item"]["id"] for c in await team.claim(staying, 3)} == {c["item"]["id"] for c in held}

    async def test_what_was_kept_for_them_is_kept_no_more(self, rpc: Rpc, clean_dsn: str) -> None:
        team = await Team.of(rpc, items=2)
        leaving, staying = await team.member(), await team.member()
        first, second = [item["id"] for item in await team.items()]
        with psycopg.connect(clean_dsn, autocommit=True) as connection:
            connection.execute(
                "update labelcrew.items set reserved_for = %s, reserved_until = now() + interval '1 day' where id = %s",
                [leaving, first],
            )
            connection.execute("update labelcrew.items set reviewer_id = %s where id = %s", [leaving, second])
        assert [c["item"]["id"] for c in await team.claim(staying, 2)] == [second]
        await team.call("remove_member", user=leaving)
        assert {c["item"]["id"] for c in await team.claim(staying, 2)} == {first, second}
        kept = rows(
            clean_dsn, "select id from labelcrew.items where reviewer_id is not null or reserved_for is not null"
        )
        assert kept == []

    async def test_lease_for_a_review_ends_too(self, rpc: Rpc, clean_dsn: str) -> None:
        team = await Team.of(rpc, items=1, review_levels=2)
        author, reviewer, other = await team.member(), await team.member("reviewer"), await team.member("reviewer")
        (claim,) = await team.claim(author)
        await team.submit(author, claim)
        assert len(await team.call("claim_reviews", reviewer)) == 1
        assert await team.call("claim_reviews", other) == []
        await team.call("remove_member", user=reviewer)
        assert open_leases(clean_dsn, reviewer) == 0
        assert len(await team.call("claim_reviews", other)) == 1

    async def test_what_they_hold_elsewhere_stays_theirs(self, rpc: Rpc, clean_dsn: str) -> None:
        here, elsewhere = await Team.of(rpc, items=1), await Team.of(rpc, items=1)
        person = await here.member()
        email = (await rpc.call("get_user", actor=person))["email"]
        await elsewhere.call("add_member", email=email, role="annotator")
        await here.claim(person)
        await elsewhere.claim(person)
        await here.call("remove_member", user=person)
        assert open_leases(clean_dsn, person) == 1

    async def test_links_and_tokens_of_a_removed_admin_end(self, rpc: Rpc) -> None:
        team = await Team.of(rpc)
        leaving = await team.member("admin")
        await invite(team, leaving)
        await make_token(team, leaving)
        await team.call("remove_member", user=leaving)
        assert [i["state"] for i in await team.call("list_invitations")] == ["revoked"]
        await refusal(rpc.call("find_invitation", token_hash=HASH), "invitation-over")
        await refusal(rpc.call("find_service_token", token_hash=HASH), "unauthenticated")

    async def test_links_and_tokens_of_an_admin_who_becomes_less_end(self, rpc: Rpc) -> None:
        team = await Team.of(rpc)
        falling = await team.member("admin")
        await make_token(team, falling)
        email = (await rpc.call("get_user", actor=falling))["email"]
        await team.call("add_member", email=email, role="reviewer")
        assert [t["state"] for t in await team.call("list_service_tokens")] == ["revoked"]

    async def test_service_account_does_not_count_as_the_admin_that_a_dataset_keeps(self, rpc: Rpc) -> None:
        team = await Team.of(rpc)
        await team.call(
            "create_service_token", name="script", role="admin", scopes=["manage"], token_hash=HASH, ending="aaaa",
            ttl_seconds=60,
        )  # fmt: skip
        await refusal(team.call("remove_member", user=team.admin), "last-admin")


class TestDeactivation:
    async def test_holds_sessions_links_and_tokens_end(self, rpc: Rpc, clean_dsn: str) -> None:
        owner = await new_user(rpc, "owner")
        team = await Team.of(rpc, items=2)
        leaving = await team.member("admin")
        await team.claim(leaving, 2)
        await invite(team, leaving, "b" * 64)
        await make_token(team, leaving)
        await rpc.call("create_login_link", user=leaving, token_hash="c" * 64, ttl_seconds=60)
        before = time.time()
        ended = Deactivation.model_validate(await rpc.call("deactivate_user", actor=owner, user=leaving))
        assert (ended.leases_released, ended.tokens_revoked, ended.invitations_revoked) == (2, 1, 1)
        assert not ended.user.active
        assert open_leases(clean_dsn, leaving) == 0
        await refusal(rpc.call("get_user", actor=leaving), "user-inactive")
        await refusal(rpc.call("redeem_login_link", token_hash="c" * 64), "link-used")
        await refusal(rpc.call("find_service_token", token_hash=HASH), "unauthenticated")
        await refusal(team.call("list_members", leaving), "not-found")

        back = User.model_validate(await rpc.call("reactivate_user", actor=owner, user=leaving))
        assert back.active
        await refusal(rpc.call("get_user", actor=leaving, issued_at=before), "unauthenticated")
        assert (await rpc.call("get_user", actor=leaving, issued_at=time.time() + 1))["active"]
        assert len(await team.call("list_members", leaving)) == 3
        await refusal(rpc.call("find_service_token", token_hash=HASH), "unauthenticated")

    async def test_dataset_that_loses_its_only_admin_gets_the_owner(self, rpc: Rpc) -> None:
        owner = await new_user(rpc, "owner")
        alone, shared = await Team.of(rpc), await Team.of(rpc)
        email = (await rpc.call("get_user", actor=alone.admin))["email"]
        await shared.call("add_member", email=email, role="admin")
        ended = await rpc.call("deactivate_user", actor=owner, user=alone.admin)
        assert ended["datasets_taken_over"] == [alone.dataset]
        roles = {m["user_id"]: (m["role"], m["active"]) for m in await alone.call("list_members", owner)}
        assert roles == {owner: ("admin", True), alone.admin: ("admin", False)}
        await refusal(shared.call("list_members", owner), "not-found")

    async def test_twice_is_fine(self, rpc: Rpc) -> None:
        owner, other = await new_user(rpc), await new_user(rpc)
        for _ in range(2):
            assert not (await rpc.call("deactivate_user", actor=owner, user=other))["user"]["active"]
        for _ in range(2):
            assert (await rpc.call("reactivate_user", actor=owner, user=other))["active"]

    async def test_only_the_owner_may_and_not_themselves(self, rpc: Rpc) -> None:
        owner, other = await new_user(rpc), await new_user(rpc)
        for function in ("deactivate_user", "reactivate_user"):
            await refusal(rpc.call(function, actor=other, user=owner), "forbidden")
        await refusal(rpc.call("deactivate_user", actor=owner, user=owner), "conflict")

    async def test_unknown_account_is_not_found(self, rpc: Rpc) -> None:
        owner = await new_user(rpc)
        for function in ("deactivate_user", "reactivate_user"):
            await refusal(rpc.call(function, actor=owner, user="00000000-0000-4000-8000-000000000000"), "not-found")

    async def test_lease_that_ran_out_is_closed_too(self, rpc: Rpc, clock: Clock, clean_dsn: str) -> None:
        owner = await new_user(rpc)
        team = await Team.of(rpc, items=1)
        member = await new_member(rpc, team.admin, team.dataset, "annotator")
        await team.claim(member)
        clock.advance(seconds=3600)
        await rpc.call("deactivate_user", actor=owner, user=member)
        assert open_leases(clean_dsn, member) == 0
