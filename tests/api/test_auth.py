"""Signing in and being recognised: what opens the door, and everything that must not."""

from __future__ import annotations

import base64
import json
import os
import stat
import time
from typing import Any

import jwt
import pytest

from api.auth import ISSUER, hash_password, local_secret, make_login_link
from api.bootstrap import first_login_link, login_link_for
from schemas.errors import LabelCrewError
from schemas.settings import Settings
from store.rpc import Rpc
from tests.support.gateway import House

PASSWORD = "correct horse battery staple"


def claims_of(house: House, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    person = house.people["annotator"]
    made = {"iss": ISSUER, "sub": person.id, "email": person.email, "iat": now, "exp": now + 60, "jti": "x", **changes}
    return {name: value for name, value in made.items() if value is not None}


async def status_with(house: House, token: str, scheme: str = "Bearer") -> int:
    response = await house.get(None, "/v1/auth/me", headers={"Authorization": f"{scheme} {token}"})
    if response.status_code == 401:
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.json()["code"] == "unauthenticated"
    return response.status_code


class TestToken:
    async def test_password_signs_in(self, house: House) -> None:
        user = await house.rpc.call(
            "create_user", email="Ada@example.org", name="Ada", password_hash=hash_password(PASSWORD)
        )
        body = {"grant": "password", "email": "ada@example.org", "password": PASSWORD}
        response = await house.post(None, "/v1/auth/token", body)
        assert response.status_code == 200
        assert response.json()["user"]["id"] == user["id"]
        assert response.json()["expires_in"] == 12 * 3600
        assert await status_with(house, response.json()["access_token"]) == 200

    @pytest.mark.parametrize("email", ["ada@example.org", "nobody@example.org", "annotator@example.org"])
    async def test_wrong_password_unknown_email_and_no_password_say_the_same(self, house: House, email: str) -> None:
        await house.rpc.call("create_user", email="ada@example.org", name="Ada", password_hash=hash_password(PASSWORD))
        response = await house.post(None, "/v1/auth/token", {"grant": "password", "email": email, "password": "wrong"})
        assert response.status_code == 401
        assert response.json()["code"] == "wrong-password"
        assert response.json()["detail"] == "Email or password is wrong."

    async def test_eleventh_try_in_a_minute_is_refused_with_rate_limited(self, house: House) -> None:
        body = {"grant": "password", "email": "Nobody@example.org", "password": "wrong"}
        for left in range(9, -1, -1):
            response = await house.post(None, "/v1/auth/token", body)
            assert response.status_code == 401
            assert response.headers["ratelimit-remaining"] == str(left)
        response = await house.post(None, "/v1/auth/token", {**body, "email": "nobody@example.org"})
        assert response.status_code == 429
        assert response.json()["code"] == "rate-limited"
        assert 1 <= int(response.headers["retry-after"]) <= 61

    async def test_link_signs_in_once(self, house: House) -> None:
        token = await make_login_link(house.rpc, house.people["annotator"].id)
        first = await house.post(None, "/v1/auth/token", {"grant": "link", "token": token})
        assert first.status_code == 200
        assert first.json()["user"]["email"] == "annotator@example.org"
        second = await house.post(None, "/v1/auth/token", {"grant": "link", "token": token})
        assert second.status_code == 401
        assert second.json()["code"] == "link-used"

    async def test_unknown_link_is_refused_with_link_used(self, house: House) -> None:
        response = await house.post(None, "/v1/auth/token", {"grant": "link", "token": "x" * 43})
        assert response.status_code == 401
        assert response.json()["code"] == "link-used"

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"grant": "magic", "token": "x" * 43},
            {"grant": "password", "email": "a@b", "password": ""},
            {"grant": "password", "email": "not an address", "password": "x"},
            {"grant": "link", "token": "short"},
            {"grant": "link", "token": "x" * 43, "admin": True},
        ],
    )
    async def test_malformed_grant_is_refused_with_invalid(self, house: House, body: dict[str, Any]) -> None:
        response = await house.post(None, "/v1/auth/token", body)
        assert response.status_code == 422
        assert response.json()["code"] == "invalid"
        assert "x" * 43 not in response.text


class TestMe:
    async def test_anonymous_is_refused_with_unauthenticated(self, house: House) -> None:
        response = await house.get(None, "/v1/auth/me")
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"

    async def test_says_who_is_signed_in(self, house: House) -> None:
        response = await house.get("reviewer", "/v1/auth/me")
        assert response.json()["email"] == "reviewer@example.org"

    async def test_account_switched_off_is_refused_with_user_inactive(self, house: House, clean_dsn: str) -> None:
        import psycopg

        with psycopg.connect(clean_dsn, autocommit=True) as connection:
            connection.execute("update labelcrew.users set active = false where email = 'annotator@example.org'")
        response = await house.get("annotator", "/v1/auth/me")
        assert response.status_code == 401
        assert response.json()["code"] == "user-inactive"


class TestForgery:
    async def test_genuine_token_is_taken(self, house: House, settings: Settings) -> None:
        assert await status_with(house, jwt.encode(claims_of(house), local_secret(settings), "HS256")) == 200

    async def test_other_secret_is_refused(self, house: House) -> None:
        assert await status_with(house, jwt.encode(claims_of(house), "another secret" * 4, "HS256")) == 401

    async def test_no_signature_is_refused(self, house: House) -> None:
        def part(value: dict[str, Any]) -> str:
            return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

        for algorithm in ("none", "None", "NONE", "nOnE"):
            unsigned = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims_of(house))}."
            assert await status_with(house, unsigned) == 401

    async def test_other_algorithm_with_the_right_secret_is_refused(self, house: House, settings: Settings) -> None:
        token = jwt.encode(claims_of(house), local_secret(settings), "HS512")
        assert await status_with(house, token) == 401

    @pytest.mark.parametrize(
        "changes",
        [
            {"exp": int(time.time()) - 60},
            {"exp": None},
            {"iss": "somebody else"},
            {"iss": None},
            {"sub": None},
            {"sub": "not-a-uuid"},
            {"sub": "00000000-0000-4000-8000-000000000000"},
            {"nbf": int(time.time()) + 3600},
        ],
    )
    async def test_wrong_claims_are_refused(self, house: House, settings: Settings, changes: dict[str, Any]) -> None:
        token = jwt.encode(claims_of(house, **changes), local_secret(settings), "HS256")
        assert await status_with(house, token) == 401

    async def test_changed_claims_are_refused(self, house: House) -> None:
        head, _, signature = house.people["annotator"].token.split(".")
        body = base64.urlsafe_b64encode(json.dumps(claims_of(house, sub=house.people["admin"].id)).encode())
        assert await status_with(house, f"{head}.{body.rstrip(b'=').decode()}.{signature}") == 401

    @pytest.mark.parametrize("token", ["", "x", "a.b.c", "é", "x" * 10_000])
    async def test_nonsense_is_refused(self, house: House, token: str) -> None:
        response = await house.http.get("/v1/auth/me", headers={"Authorization": f"Bearer {token}".encode()})
        assert response.status_code == 401

    async def test_other_scheme_is_refused(self, house: House) -> None:
        assert await status_with(house, house.people["annotator"].token, scheme="Basic") == 401

    async def test_token_in_the_address_is_not_taken(self, house: House) -> None:
        token = house.people["annotator"].token
        response = await house.get(None, "/v1/auth/me", params={"token": token, "access_token": token})
        assert response.status_code == 401


class TestSecret:
    def test_is_made_once_and_for_its_owner_alone(self, settings: Settings) -> None:
        secret = local_secret(settings)
        path = settings.data_path / "jwt.secret"
        assert len(secret) >= 64
        assert local_secret(settings) == secret
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600

    def test_damaged_file_is_refused_with_configuration(self, settings: Settings) -> None:
        (settings.data_path / "jwt.secret").write_bytes(b"short")
        with pytest.raises(LabelCrewError, match="damaged"):
            local_secret(settings)


class TestFirstStart:
    async def test_makes_an_admin_and_a_link_that_signs_them_in(self, settings: Settings, pg_rpc: Rpc) -> None:
        address = await first_login_link(settings, pg_rpc)
        assert address is not None
        assert address.startswith("http://127.0.0.1:8000/login/#token=")
        assert await first_login_link(settings, pg_rpc) is None
        again = await login_link_for(settings, pg_rpc, "admin@localhost")
        assert again != address

    async def test_link_is_not_stored(self, settings: Settings, pg_rpc: Rpc, clean_dsn: str) -> None:
        import psycopg

        address = await first_login_link(settings, pg_rpc)
        assert address is not None
        with psycopg.connect(clean_dsn) as connection:
            rows = connection.execute("select token_hash from labelcrew.login_links").fetchall()
        assert address.rpartition("=")[2] not in str(rows)

    async def test_public_address_is_used_behind_a_proxy(self, settings: Settings, pg_rpc: Rpc) -> None:
        behind = settings.model_copy(update={"public_url": "https://labels.example.org/"})
        address = await first_login_link(behind, pg_rpc)
        assert address is not None
        assert address.startswith("https://labels.example.org/login/#token=")
