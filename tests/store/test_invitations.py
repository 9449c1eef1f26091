"""Invitations: one link, one person, for a while, and never a way into somebody else's account."""

from __future__ import annotations

import asyncio

import pytest

from schemas.people import Invitation, InvitationPreview, Joined
from store.rpc import Rpc
from tests.support.catalogue import rows
from tests.support.database import Clock
from tests.support.people import new_user
from tests.support.teams import Team, refusal

HASH, OTHER = "a" * 64, "b" * 64
GUEST = {"email": "Guest@example.org", "role": "reviewer"}


async def team_with_link(rpc: Rpc, **params: object) -> Team:
    team = await Team.of(rpc, labelset=False)
    await team.call("create_invitation", **{**GUEST, "token_hash": HASH, **params})
    return team


class TestInviting:
    async def test_invitation_has_its_shape_and_never_its_hash(self, rpc: Rpc) -> None:
        team = await Team.of(rpc, labelset=False)
        made = await team.call("create_invitation", **GUEST, token_hash=HASH, skills=["de", "law"])
        invitation = Invitation.model_validate(made)
        assert (invitation.state, invitation.skills, invitation.invited_by) == ("open", ["de", "law"], team.admin)
        assert HASH not in str(made)
        assert await team.call("list_invitations") == [made]

    async def test_inviting_again_ends_the_link_before(self, rpc: Rpc) -> None:
        team = await team_with_link(rpc)
        await team.call("create_invitation", email="guest@EXAMPLE.org", role="annotator", token_hash=OTHER)
        await refusal(rpc.call("find_invitation", token_hash=HASH), "invitation-over")
        assert (await rpc.call("find_invitation", token_hash=OTHER))["role"] == "annotator"

    async def test_two_admins_who_invite_the_same_person_at_once_leave_one_link(self, rpc: Rpc) -> None:
        team = await Team.of(rpc, labelset=False)
        second = await team.member("admin")
        await asyncio.gather(
            *(
                team.call("create_invitation", who, **GUEST, token_hash=f"{n}" * 64)
                for n, who in enumerate([team.admin, second] * 4)
            )
        )
        assert [i["state"] for i in await team.call("list_invitations")].count("open") == 1

    async def test_member_is_not_invited_but_refused_with_conflict(self, rpc: Rpc) -> None:
        team = await Team.of(rpc, labelset=False)
        email = (await rpc.call("get_user", actor=await team.member()))["email"]
        await refusal(team.call("create_invitation", email=email.upper(), role="admin", token_hash=HASH), "conflict")

    @pytest.mark.parametrize(
        "wrong", [{"email": "nobody"}, {"role": "king"}, {"ttl_seconds": 5}, {"ttl_seconds": 10**8}, {"skills": [""]}]
    )
    async def test_wrong_wishes_are_invalid(self, rpc: Rpc, wrong: dict[str, object]) -> None:
        team = await Team.of(rpc, labelset=False)
        await refusal(team.call("create_invitation", **{**GUEST, "token_hash": HASH, **wrong}), "invalid")

    @pytest.mark.parametrize("role", ["annotator", "reviewer", "super_reviewer"])
    async def test_only_admins_invite_list_and_withdraw(self, rpc: Rpc, role: str) -> None:
        team = await team_with_link(rpc)
        member = await team.member(role)
        invitation = (await team.call("list_invitations"))[0]["id"]
        await refusal(team.call("create_invitation", member, **GUEST, token_hash=OTHER), "forbidden")
        await refusal(team.call("list_invitations", member), "forbidden")
        await refusal(team.call("delete_invitation", member, invitation=invitation), "forbidden")


class TestLink:
    async def test_preview_tells_what_it_is_to_and_whether_to_sign_in(self, rpc: Rpc) -> None:
        await team_with_link(rpc)
        preview = InvitationPreview.model_validate(await rpc.call("find_invitation", token_hash=HASH))
        assert (preview.email, preview.role, preview.account) == ("Guest@example.org", "reviewer", False)
        await rpc.call("create_user", email="guest@example.org", name="Guest")
        assert (await rpc.call("find_invitation", token_hash=HASH))["account"]

    async def test_accepting_makes_the_account_and_the_member(self, rpc: Rpc) -> None:
        team = await team_with_link(rpc, skills=["de"])
        joined = Joined.model_validate(
            await rpc.call("submit_invitation", token_hash=HASH, name="Guest", password_hash="hash")
        )
        assert joined.created
        assert (joined.user.email, joined.user.name, joined.user.is_owner) == ("Guest@example.org", "Guest", False)
        assert (joined.member.role, joined.member.skills, joined.dataset_id) == ("reviewer", ["de"], team.dataset)
        assert (await rpc.call("get_credentials", email="guest@example.org"))["password_hash"] == "hash"
        (invitation,) = await team.call("list_invitations")
        assert (invitation["state"], invitation["accepted_by"]) == ("accepted", joined.user.id)

    async def test_whoever_is_signed_in_joins_whatever_their_email(self, rpc: Rpc) -> None:
        team = await team_with_link(rpc)
        somebody = await new_user(rpc)
        joined = await rpc.call("submit_invitation", token_hash=HASH, user=somebody)
        assert not joined["created"]
        assert joined["member"]["role"] == "reviewer"
        assert len(await team.call("list_members", somebody)) == 2

    async def test_link_is_no_way_into_an_account_that_is_there(self, rpc: Rpc) -> None:
        await team_with_link(rpc)
        await rpc.call("create_user", email="guest@example.org", name="Guest")
        await refusal(rpc.call("submit_invitation", token_hash=HASH, name="Me", password_hash="x"), "account-exists")
        assert (await rpc.call("get_credentials", email="guest@example.org"))["password_hash"] is None
        assert (await rpc.call("find_invitation", token_hash=HASH))["account"]

    async def test_link_works_once_even_when_ten_open_it_at_once(self, rpc: Rpc) -> None:
        team = await team_with_link(rpc)
        people = [await new_user(rpc) for _ in range(10)]
        answers = await asyncio.gather(
            *(rpc.call("submit_invitation", token_hash=HASH, user=person) for person in people),
            return_exceptions=True,
        )
        assert sum(isinstance(answer, dict) for answer in answers) == 1
        assert {getattr(a, "code", None) for a in answers if not isinstance(a, dict)} == {"invitation-over"}
        assert len(await team.call("list_members")) == 2

    async def test_nobodys_role_gets_lower_by_joining(self, rpc: Rpc) -> None:
        team = await team_with_link(rpc)
        admin = await team.member("admin")
        joined = await rpc.call("submit_invitation", token_hash=HASH, user=admin)
        assert joined["member"]["role"] == "admin"

    async def test_expired_withdrawn_and_unknown_links_look_the_same(self, rpc: Rpc, clock: Clock) -> None:
        team = await team_with_link(rpc, ttl_seconds=60)
        unknown = await refusal(rpc.call("find_invitation", token_hash=OTHER), "invitation-over")
        clock.advance(seconds=61)
        expired = await refusal(rpc.call("submit_invitation", token_hash=HASH), "invitation-over")
        assert (await team.call("list_invitations"))[0]["state"] == "expired"
        made = await team.call("create_invitation", **GUEST, token_hash=OTHER)
        for _ in range(2):
            assert (await team.call("delete_invitation", invitation=made["id"]))["state"] == "revoked"
        withdrawn = await refusal(rpc.call("submit_invitation", token_hash=OTHER), "invitation-over")
        assert unknown.detail == expired.detail == withdrawn.detail

    async def test_accepted_invitation_cannot_be_withdrawn(self, rpc: Rpc) -> None:
        team = await team_with_link(rpc)
        await rpc.call("submit_invitation", token_hash=HASH, user=await new_user(rpc))
        (made,) = await team.call("list_invitations")
        await refusal(team.call("delete_invitation", invitation=made["id"]), "conflict")

    async def test_invitation_of_another_dataset_is_not_found(self, rpc: Rpc) -> None:
        team, other = await team_with_link(rpc), await Team.of(rpc, labelset=False)
        (made,) = await team.call("list_invitations")
        await refusal(other.call("delete_invitation", invitation=made["id"]), "not-found")

    async def test_what_happened_is_on_record_without_the_email(self, rpc: Rpc, clean_dsn: str) -> None:
        team = await team_with_link(rpc)
        await rpc.call("submit_invitation", token_hash=HASH)
        found = rows(clean_dsn, f"select kind, data from labelcrew.events where dataset_id = '{team.dataset}'")
        assert {"member_invited", "member_joined"} <= {row["kind"] for row in found}
        assert "guest" not in str(found).lower()
