"""Coming in over HTTP: invitations, service tokens, accounts that are switched off, and scorecards."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

import pytest

from api.auth import TRUST_SECONDS
from schemas.people import Scorecard, Scorecards
from tests.support.gateway import House, Person

PASSWORD = "correct horse battery staple"


async def invite(house: House, dataset: str, **changes: Any) -> str:
    """A fresh link's token."""
    body = {"email": "guest@example.org", "role": "reviewer", **changes}
    made = (await house.post("admin", f"/v1/datasets/{dataset}/invitations", body)).json()
    url = urlsplit(made["url"])
    assert (url.path, url.query) == ("/join/", "")
    return url.fragment.removeprefix("token=")


async def make_token(house: House, dataset: str, *scopes: str, role: str = "admin") -> dict[str, Any]:
    """A service token, whose account asks as ``script`` from then on."""
    body = {"name": "script", "role": role, "scopes": list(scopes)}
    made: dict[str, Any] = (await house.post("admin", f"/v1/datasets/{dataset}/tokens", body)).json()
    house.people["script"] = Person(made["user_id"], made["email"], made["token"])
    return made


class TestInvitations:
    async def test_link_makes_an_account_that_is_signed_in(self, house: House) -> None:
        dataset = await house.dataset()
        token = await invite(house, dataset)
        preview = (await house.post(None, "/v1/invitations/preview", {"token": token})).json()
        assert (preview["dataset"], preview["email"], preview["account"]) == ("Reviews", "guest@example.org", False)
        body = {"token": token, "name": "Guest", "password": PASSWORD}
        joined = (await house.post(None, "/v1/invitations/accept", body)).json()
        assert joined["member"]["role"] == "reviewer"
        house.people["guest"] = Person(joined["user"]["id"], "guest@example.org", joined["access_token"])
        assert (await house.get("guest", f"/v1/datasets/{dataset}")).json()["role"] == "reviewer"
        grant = {"grant": "password", "email": "guest@example.org", "password": PASSWORD}
        assert (await house.post(None, "/v1/auth/token", grant)).status_code == 200
        again = await house.post(None, "/v1/invitations/accept", body)
        assert (again.status_code, again.json()["code"]) == (409, "invitation-over")

    async def test_whoever_is_signed_in_joins_as_themselves(self, house: House) -> None:
        dataset = await house.dataset()
        joined = await house.post("stranger", "/v1/invitations/accept", {"token": await invite(house, dataset)})
        assert (joined.json()["user"]["id"], joined.json()["access_token"]) == (house.people["stranger"].id, None)
        assert (await house.get("stranger", f"/v1/datasets/{dataset}")).status_code == 200

    async def test_link_for_an_account_that_is_there_is_refused_with_account_exists(self, house: House) -> None:
        token = await invite(house, await house.dataset(), email=house.people["stranger"].email)
        answer = await house.post(None, "/v1/invitations/accept", {"token": token, "password": PASSWORD})
        assert (answer.status_code, answer.json()["code"]) == (409, "account-exists")

    async def test_token_that_is_no_good_is_refused_and_not_taken_for_nobody(self, house: House) -> None:
        token = await invite(house, await house.dataset())
        headers = {"Authorization": "Bearer nonsense"}
        answer = await house.post(None, "/v1/invitations/accept", {"token": token}, headers=headers)
        assert answer.status_code == 401
        assert (await house.post(None, "/v1/invitations/preview", {"token": token})).status_code == 200

    async def test_where_supabase_keeps_the_accounts_one_signs_in_first(self, house: House) -> None:
        token = await invite(house, await house.dataset())
        house.gateway.local_tokens = None
        answer = await house.post(None, "/v1/invitations/accept", {"token": token})
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
        assert (await house.post("stranger", "/v1/invitations/accept", {"token": token})).status_code == 200

    async def test_no_list_shows_a_link(self, house: House) -> None:
        dataset = await house.dataset()
        token = await invite(house, dataset)
        listed = await house.get("admin", f"/v1/datasets/{dataset}/invitations")
        assert listed.json()[0]["state"] == "open"
        assert token not in listed.text

    async def test_withdrawn_link_is_over(self, house: House) -> None:
        dataset = await house.dataset()
        token = await invite(house, dataset)
        (made,) = (await house.get("admin", f"/v1/datasets/{dataset}/invitations")).json()
        withdrawn = await house.delete("admin", f"/v1/datasets/{dataset}/invitations/{made['id']}")
        assert withdrawn.json()["state"] == "revoked"
        answer = await house.post(None, "/v1/invitations/preview", {"token": token})
        assert answer.json()["code"] == "invitation-over"

    @pytest.mark.parametrize(
        "wrong", [{"email": "nobody"}, {"role": "owner"}, {"days": 0}, {"days": 91}, {"skills": [" "]}, {"admin": True}]
    )
    async def test_wrong_wishes_are_refused_with_invalid(self, house: House, wrong: dict[str, Any]) -> None:
        body = {"email": "guest@example.org", "role": "reviewer", **wrong}
        answer = await house.post("admin", f"/v1/datasets/{await house.dataset()}/invitations", body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid")

    async def test_short_password_is_refused_without_being_repeated(self, house: House) -> None:
        body = {"token": await invite(house, await house.dataset()), "password": "hunter2"}
        answer = await house.post(None, "/v1/invitations/accept", body)
        assert answer.status_code == 422
        assert "hunter2" not in answer.text


class TestServiceTokens:
    async def test_token_works_as_a_bearer_until_it_is_revoked(self, house: House) -> None:
        dataset = await house.dataset()
        made = await make_token(house, dataset, "read")
        assert made["token"].startswith("lc_")
        assert made["token"].endswith(made["ending"])
        assert (await house.get("script", f"/v1/datasets/{dataset}/items")).status_code == 200
        assert (await house.delete("admin", f"/v1/datasets/{dataset}/tokens/{made['id']}")).status_code == 200
        answer = await house.get("script", f"/v1/datasets/{dataset}/items")
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")

    async def test_scope_and_role_are_both_needed(self, house: House) -> None:
        dataset = await house.dataset()
        await make_token(house, dataset, "read", "manage", role="annotator")
        rows = {"rows": [{"text": "a new text"}]}
        answer = await house.post("script", f"/v1/datasets/{dataset}/items", rows)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        answer = await house.post("script", f"/v1/datasets/{dataset}/claim", {"count": 1})
        assert (answer.status_code, answer.json()["code"]) == (403, "missing-scope")
        assert answer.json()["needed"] == "annotate"
        await make_token(house, dataset, "manage")
        assert (await house.post("script", f"/v1/datasets/{dataset}/items", rows)).status_code == 200

    async def test_other_datasets_do_not_exist_for_it(self, house: House) -> None:
        mine, other = await house.dataset("Mine"), await house.dataset("Other")
        await make_token(house, mine, "read")
        assert (await house.get("script", f"/v1/datasets/{other}")).status_code == 404

    async def test_old_and_new_work_while_programs_change_over(self, house: House) -> None:
        dataset = await house.dataset()
        made = await make_token(house, dataset, "read")
        renewed = await house.post("admin", f"/v1/datasets/{dataset}/tokens/{made['id']}/renew", {"grace_hours": 1})
        assert renewed.status_code == 201
        for token in (made["token"], renewed.json()["token"]):
            headers = {"Authorization": f"Bearer {token}"}
            assert (await house.get(None, "/v1/auth/me", headers=headers)).json()["kind"] == "service"
        listed = await house.get("admin", f"/v1/datasets/{dataset}/tokens")
        assert [token["state"] for token in listed.json()] == ["replaced", "active"]
        assert made["token"] not in listed.text

    async def test_without_grace_the_old_one_is_refused_at_once(self, house: House) -> None:
        dataset = await house.dataset()
        made = await make_token(house, dataset, "read")
        await house.get("script", f"/v1/datasets/{dataset}")
        await house.post("admin", f"/v1/datasets/{dataset}/tokens/{made['id']}/renew", {"grace_hours": 0})
        assert (await house.get("script", f"/v1/datasets/{dataset}")).status_code == 401

    async def test_token_that_is_revoked_elsewhere_opens_no_dataset_while_it_is_remembered(self, house: House) -> None:
        dataset = await house.dataset()
        made = await make_token(house, dataset, "read")
        await house.get("script", f"/v1/datasets/{dataset}")
        admin = house.people["admin"].id
        await house.rpc.call("delete_service_token", actor=admin, dataset=dataset, token=made["id"])
        assert (await house.get("script", f"/v1/datasets/{dataset}")).status_code == 404

    @pytest.mark.parametrize("token", ["lc_", "lc_" + "x" * 43, "lc_" + "x" * 9000])
    async def test_made_up_token_is_refused_with_unauthenticated(self, house: House, token: str) -> None:
        answer = await house.get(None, "/v1/auth/me", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


class TestAccounts:
    async def test_account_that_is_switched_off_is_out_at_once(self, house: House) -> None:
        dataset = await house.dataset()
        reviewer = house.people["reviewer"]
        assert (await house.get("reviewer", f"/v1/datasets/{dataset}")).status_code == 200
        ended = await house.post(house.owner, f"/v1/users/{reviewer.id}/deactivate")
        assert ended.json()["user"]["active"] is False
        answer = await house.get("reviewer", "/v1/auth/me")
        assert (answer.status_code, answer.json()["code"]) == (401, "user-inactive")

    async def test_old_session_stays_ended_and_a_new_one_begins(self, house: House) -> None:
        reviewer = house.people["reviewer"]
        await house.post(house.owner, f"/v1/users/{reviewer.id}/deactivate")
        assert (await house.post(house.owner, f"/v1/users/{reviewer.id}/reactivate")).json()["active"] is True
        assert (await house.get("reviewer", "/v1/auth/me")).json()["code"] == "unauthenticated"
        assert house.gateway.local_tokens
        user = await house.rpc.call("get_user", actor=reviewer.id)
        reviewer.token = house.gateway.local_tokens.issue(user)["access_token"]
        assert (await house.get("reviewer", "/v1/auth/me")).status_code == 200

    async def test_remembered_session_ends_within_its_time_of_trust(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await house.get("reviewer", "/v1/auth/me")
        await house.rpc.call(
            "deactivate_user", actor=house.people[house.owner].id, user=house.people["reviewer"].id
        )  # by another process
        later = time.time() + TRUST_SECONDS + 1
        monkeypatch.setattr("api.auth.time.time", lambda: later)
        assert (await house.get("reviewer", "/v1/auth/me")).json()["code"] == "user-inactive"


class TestScorecards:
    async def test_own_and_everybodys_have_their_shape(self, house: House) -> None:
        dataset = await house.dataset(settings={"overlap": 2})
        for who, label in (("annotator", "positive"), ("reviewer", "negative")):
            claims = (await house.post(who, f"/v1/datasets/{dataset}/claim", {"count": 2})).json()["claims"]
            for claim in claims:
                body = {
                    "payload": {"labels": [label]}, "labelset_version": 1, "lease_id": claim["lease"]["id"],
                    "token": claim["lease"]["token"], "lead_time_ms": 1500,
                }  # fmt: skip
                await house.put(who, f"/v1/items/{claim['item']['id']}/annotation", body)
        own = Scorecard.model_validate((await house.get("annotator", f"/v1/datasets/{dataset}/scorecards/me")).json())
        assert (own.answers, own.consensus.right, own.consensus.of, own.median_ms) == (2, 0, 2, 1500)
        assert own.consensus.rate == 0
        assert 0 < own.consensus.high < 1
        assert (own.gold.rate, own.gold.low, own.gold.high) == (None, 0, 1)
        cards = Scorecards.model_validate((await house.get("admin", f"/v1/datasets/{dataset}/scorecards")).json())
        assert [card.name for card in cards.people] == ["annotator", "reviewer"]
        assert len(cards.distinguishable.consensus) == 1
        assert cards.distinguishable.gold == []
