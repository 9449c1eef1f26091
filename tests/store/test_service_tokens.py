"""Service tokens: a member that comes with a secret, until it expires, is replaced or revoked."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.people import ServiceToken
from store.rpc import Rpc
from tests.support.catalogue import rows
from tests.support.database import Clock
from tests.support.teams import Team, refusal

HASH, NEXT = "a" * 64, "b" * 64
WISH: dict[str, Any] = {"name": "nightly import", "role": "reviewer", "scopes": ["read", "manage"], "ending": "wxyz"}


async def make(team: Team, actor: str | None = None, **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = await team.call(
        "create_service_token", actor, **{**WISH, "token_hash": HASH, "ttl_seconds": 3600, **changes}
    )
    return made


async def comes_in(rpc: Rpc, token_hash: str = HASH) -> dict[str, Any]:
    found: dict[str, Any] = await rpc.call("find_service_token", token_hash=token_hash)
    return found


class TestMaking:
    async def test_token_has_its_shape_and_never_its_hash(self, rpc: Rpc) -> None:
        team = await Team.of(rpc, labelset=False)
        made = await make(team)
        token = ServiceToken.model_validate(made)
        assert (token.role, token.scopes, token.state, token.last_used_at) == (
            "reviewer", ["manage", "read"], "active", None,
        )  # fmt: skip
        assert HASH not in str(made)
        assert await team.call("list_service_tokens") == [made]

    async def test_its_account_is_a_member_with_the_role(self, rpc: Rpc) -> None:
        team = await Team.of(rpc, labelset=False)
        made = await make(team)
        found = await comes_in(rpc)
        assert (found["user_id"], found["scopes"]) == (made["user_id"], ["manage", "read"])
        members = {m["user_id"]: m for m in await team.call("list_members", found["user_id"])}
        assert (members[found["user_id"]]["role"], members[found["user_id"]]["kind"]) == ("reviewer", "service")
        await refusal(team.call("add_member", found["user_id"], email="x@example.org", role="admin"), "forbidden")

    @pytest.mark.parametrize(
        "wrong",
        [{"name": " "}, {"role": "king"}, {"scopes": []}, {"scopes": ["read", "rule"]}, {"ttl_seconds": 1},
         {"ttl_seconds": 400 * 86400}],
    )  # fmt: skip
    async def test_wrong_wishes_are_invalid(self, rpc: Rpc, wrong: dict[str, Any]) -> None:
        await refusal(make(await Team.of(rpc, labelset=False), **wrong), "invalid")

    @pytest.mark.parametrize("role", ["annotator", "reviewer", "super_reviewer"])
    async def test_only_admins_make_list_replace_and_revoke(self, rpc: Rpc, role: str) -> None:
        team = await Team.of(rpc, labelset=False)
        token = (await make(team))["id"]
        member = await team.member(role)
        await refusal(make(team, member, token_hash=NEXT), "forbidden")
        await refusal(team.call("list_service_tokens", member), "forbidden")
        await refusal(
            team.call("renew_service_token", member, token=token, token_hash=NEXT, ending="abcd"), "forbidden"
        )
        await refusal(team.call("delete_service_token", member, token=token), "forbidden")

    async def test_service_account_gives_nobody_access_and_never_signs_in(self, rpc: Rpc) -> None:
        team = await Team.of(rpc, labelset=False)
        made = await make(team, role="admin")
        account = made["user_id"]
        await refusal(make(team, account, token_hash=NEXT), "forbidden")
        await refusal(
            team.call("create_invitation", account, email="x@example.org", role="admin", token_hash=NEXT), "forbidden"
        )
        await refusal(rpc.call("create_login_link", user=account, token_hash=NEXT, ttl_seconds=60), "forbidden")


class TestUse:
    async def test_last_use_is_noted_to_five_minutes(self, rpc: Rpc, clock: Clock) -> None:
        team = await Team.of(rpc, labelset=False)
        await make(team)

        async def used_at() -> str:
            await comes_in(rpc)
            (token,) = await team.call("list_service_tokens")
            return str(token["last_used_at"])

        first = await used_at()
        clock.advance(seconds=290)
        assert await used_at() == first
        clock.advance(seconds=20)
        assert await used_at() > first

    async def test_unknown_token_is_refused_with_unauthenticated(self, rpc: Rpc) -> None:
        await refusal(comes_in(rpc), "unauthenticated")

    async def test_expired_token_says_so(self, rpc: Rpc, clock: Clock) -> None:
        team = await Team.of(rpc, labelset=False)
        await make(team)
        clock.advance(seconds=3601)
        refused = await refusal(comes_in(rpc), "unauthenticated")
        assert refused.data["reason"] == "expired"
        assert (await team.call("list_service_tokens"))[0]["state"] == "expired"


class TestRotation:
    async def test_both_work_for_the_grace_time_and_then_only_the_new_one(self, rpc: Rpc, clock: Clock) -> None:
        team = await Team.of(rpc, labelset=False)
        made = await make(team, ttl_seconds=7200)
        fresh = await team.call(
            "renew_service_token", token=made["id"], token_hash=NEXT, ending="abcd", grace_seconds=600
        )
        assert (fresh["user_id"], fresh["scopes"]) == (made["user_id"], made["scopes"])
        assert [t["state"] for t in await team.call("list_service_tokens")] == ["replaced", "active"]
        assert (await comes_in(rpc))["user_id"] == (await comes_in(rpc, NEXT))["user_id"]
        clock.advance(seconds=601)
        await refusal(comes_in(rpc), "unauthenticated")
        assert (await comes_in(rpc, NEXT))["user_id"] == made["user_id"]
        clock.advance(seconds=6700)
        await refusal(comes_in(rpc, NEXT), "unauthenticated")

    async def test_grace_does_not_lengthen_a_life(self, rpc: Rpc, clock: Clock) -> None:
        team = await Team.of(rpc, labelset=False)
        made = await make(team, ttl_seconds=300)
        await team.call("renew_service_token", token=made["id"], token_hash=NEXT, ending="abcd")
        clock.advance(seconds=301)
        await refusal(comes_in(rpc), "unauthenticated")

    async def test_expired_token_can_be_replaced_though_its_account_went_off(self, rpc: Rpc, clock: Clock) -> None:
        team = await Team.of(rpc, labelset=False)
        first = await make(team, ttl_seconds=600)
        wish = {"token_hash": NEXT, "ending": "abcd", "ttl_seconds": 60}
        second = await team.call("renew_service_token", token=first["id"], **wish)
        clock.advance(seconds=61)
        await team.call("delete_service_token", token=first["id"])
        await refusal(team.call("list_members", first["user_id"]), "not-found")
        await team.call("renew_service_token", token=second["id"], **{**wish, "token_hash": "c" * 64})
        assert (await comes_in(rpc, "c" * 64))["user_id"] == first["user_id"]

    async def test_token_is_replaced_once(self, rpc: Rpc) -> None:
        team = await Team.of(rpc, labelset=False)
        made = await make(team)
        await team.call("renew_service_token", token=made["id"], token_hash=NEXT, ending="abcd")
        await refusal(
            team.call("renew_service_token", token=made["id"], token_hash="c" * 64, ending="abcd"), "conflict"
        )


class TestRevocation:
    async def test_revoked_token_is_refused_and_its_account_is_off(self, rpc: Rpc) -> None:
        team = await Team.of(rpc, labelset=False)
        made = await make(team)
        for _ in range(2):
            assert (await team.call("delete_service_token", token=made["id"]))["state"] == "revoked"
        await refusal(comes_in(rpc), "unauthenticated")
        # What a gateway elsewhere still remembers of it opens nothing.
        await refusal(team.call("list_members", made["user_id"]), "not-found")

    async def test_revoking_the_old_one_leaves_the_new_one(self, rpc: Rpc) -> None:
        team = await Team.of(rpc, labelset=False)
        made = await make(team)
        await team.call("renew_service_token", token=made["id"], token_hash=NEXT, ending="abcd")
        await team.call("delete_service_token", token=made["id"])
        await refusal(comes_in(rpc), "unauthenticated")
        assert (await comes_in(rpc, NEXT))["user_id"] == made["user_id"]

    async def test_token_of_another_dataset_is_not_found(self, rpc: Rpc) -> None:
        team, other = await Team.of(rpc, labelset=False), await Team.of(rpc, labelset=False)
        made = await make(team)
        await refusal(other.call("delete_service_token", token=made["id"]), "not-found")

    async def test_no_table_but_its_own_holds_the_hash(self, rpc: Rpc, clean_dsn: str) -> None:
        team = await Team.of(rpc, labelset=False)
        made = await make(team)
        await team.call("delete_service_token", token=made["id"])
        found = rows(clean_dsn, "select kind, data from labelcrew.events")
        assert {"service_token_created", "service_token_revoked"} <= {row["kind"] for row in found}
        assert HASH not in str(found)
