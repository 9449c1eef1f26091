"""Tokens of Supabase Auth: by secret and by published keys, and every confusion of the two refused."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import SecretStr

from api.auth import Authenticator
from api.supabase_tokens import SupabaseTokens
from schemas.errors import LabelCrewError
from schemas.settings import Settings
from store.rpc import Rpc

URL = "https://project.supabase.co"
SECRET = "a secret of the project that is long enough"


@dataclass
class Project:
    """A sign-in server: its keys, and how often they were asked for."""

    keys: dict[str, Any] = field(default_factory=dict)
    fetches: int = 0
    status: int = 200

    def new_key(self, key_id: str) -> ec.EllipticCurvePrivateKey:
        key = ec.generate_private_key(ec.SECP256R1())
        self.keys[key_id] = {
            **json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key())),
            "kid": key_id,
            "alg": "ES256",
        }
        return key

    def answer(self, request: httpx.Request) -> httpx.Response:
        assert str(request.url) == f"{URL}/auth/v1/.well-known/jwks.json"
        self.fetches += 1
        return httpx.Response(self.status, json={"keys": list(self.keys.values())})


def settings_of(tmp_path: Path, *, secret: str | None = None) -> Settings:
    return Settings(
        data_dir=tmp_path, supabase_url=URL + "/", supabase_jwt_secret=SecretStr(secret) if secret else None
    )


def claims(**changes: Any) -> dict[str, Any]:
    made = {
        "sub": str(uuid.uuid4()),
        "email": "ada@example.org",
        "aud": "authenticated",
        "iss": f"{URL}/auth/v1",
        "role": "authenticated",
        "exp": int(time.time()) + 3600,
        "user_metadata": {"full_name": "Ada"},
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


@pytest.fixture
def project() -> Project:
    return Project()


@pytest.fixture
def by_keys(tmp_path: Path, pg_rpc: Rpc, project: Project) -> SupabaseTokens:
    return SupabaseTokens(settings_of(tmp_path), pg_rpc, transport=httpx.MockTransport(project.answer))


@pytest.fixture
def by_secret(tmp_path: Path, pg_rpc: Rpc) -> SupabaseTokens:
    return SupabaseTokens(settings_of(tmp_path, secret=SECRET), pg_rpc)


async def refusal(tokens: SupabaseTokens, token: str) -> str:
    with pytest.raises(LabelCrewError) as refused:
        await tokens.verify(token)
    return refused.value.code


class TestSecret:
    async def test_first_visit_makes_an_account_of_the_same_id(self, by_secret: SupabaseTokens, pg_rpc: Rpc) -> None:
        given = claims()
        token = jwt.encode(given, SECRET, "HS256")
        principal = await by_secret.verify(token)
        assert principal.user_id == given["sub"]
        assert (await pg_rpc.call("get_user", actor=given["sub"]))["name"] == "Ada"
        assert (await by_secret.verify(token)).user_id == given["sub"]
        assert await pg_rpc.call("count_users") == 1

    async def test_email_of_another_account_is_refused(self, by_secret: SupabaseTokens, pg_rpc: Rpc) -> None:
        await pg_rpc.call("create_user", email="Ada@example.org", name="first")
        assert await refusal(by_secret, jwt.encode(claims(), SECRET, "HS256")) == "unauthenticated"

    @pytest.mark.parametrize(
        "changes",
        [
            {"aud": "anon"},
            {"aud": None},
            {"iss": "https://other.supabase.co/auth/v1"},
            {"exp": int(time.time()) - 60},
            {"email": None},
            {"email": ""},
            {"is_anonymous": True},
            {"sub": None},
            {"sub": "not-a-uuid"},
        ],
    )
    async def test_wrong_claims_are_refused(self, by_secret: SupabaseTokens, changes: dict[str, Any]) -> None:
        assert await refusal(by_secret, jwt.encode(claims(**changes), SECRET, "HS256")) == "unauthenticated"

    async def test_other_secret_or_algorithm_is_refused(self, by_secret: SupabaseTokens) -> None:
        assert await refusal(by_secret, jwt.encode(claims(), SECRET + "x", "HS256")) == "unauthenticated"
        assert await refusal(by_secret, jwt.encode(claims(), SECRET, "HS384")) == "unauthenticated"


class TestKeys:
    async def test_token_of_a_published_key_is_taken_and_keys_are_fetched_once(
        self, by_keys: SupabaseTokens, project: Project
    ) -> None:
        key = project.new_key("k-1")
        for _ in range(3):
            await by_keys.verify(jwt.encode(claims(email=f"{uuid.uuid4()}@example.org"), key, "ES256", {"kid": "k-1"}))
        assert project.fetches == 1

    async def test_unknown_key_ids_do_not_make_the_server_fetch_again_and_again(
        self, by_keys: SupabaseTokens, project: Project
    ) -> None:
        project.new_key("k-1")
        stranger = ec.generate_private_key(ec.SECP256R1())
        for n in range(5):
            assert (
                await refusal(by_keys, jwt.encode(claims(), stranger, "ES256", {"kid": f"x{n}"})) == "unauthenticated"
            )
        assert project.fetches == 1

    async def test_public_key_taken_for_a_secret_is_refused(self, by_keys: SupabaseTokens, project: Project) -> None:
        import base64
        import hmac

        project.new_key("k-1")

        def part(value: Any) -> bytes:
            return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

        signed = part({"alg": "HS256", "kid": "k-1"}) + b"." + part(claims())
        for secret in (json.dumps(project.keys["k-1"]).encode(), project.keys["k-1"]["x"].encode()):
            mac = base64.urlsafe_b64encode(hmac.digest(secret, signed, "sha256")).rstrip(b"=")
            assert await refusal(by_keys, (signed + b"." + mac).decode()) == "unauthenticated"

    async def test_key_of_another_kind_than_announced_is_refused(
        self, by_keys: SupabaseTokens, project: Project
    ) -> None:
        project.new_key("k-1")
        other = rsa.generate_private_key(65537, 2048)
        assert await refusal(by_keys, jwt.encode(claims(), other, "RS256", {"kid": "k-1"})) == "unauthenticated"

    async def test_published_secret_key_is_not_used(self, by_keys: SupabaseTokens, project: Project) -> None:
        project.keys["s"] = {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0", "kid": "s", "alg": "HS256"}
        token = jwt.encode(claims(), b"secret-secret-secret-secret-secret", "HS256", {"kid": "s"})
        assert await refusal(by_keys, token) == "unauthenticated"

    @pytest.mark.parametrize("header", [{}, {"kid": "k-9"}, {"jku": "https://evil.example.org/keys", "kid": "k-9"}])
    async def test_token_cannot_name_where_its_key_is(
        self, by_keys: SupabaseTokens, project: Project, header: dict[str, Any]
    ) -> None:
        project.new_key("k-1")
        evil = ec.generate_private_key(ec.SECP256R1())
        assert await refusal(by_keys, jwt.encode(claims(), evil, "ES256", header)) == "unauthenticated"

    async def test_keys_that_cannot_be_fetched_are_told_as_unavailable(
        self, by_keys: SupabaseTokens, project: Project
    ) -> None:
        key = project.new_key("k-1")
        project.status = 500
        assert await refusal(by_keys, jwt.encode(claims(), key, "ES256", {"kid": "k-1"})) == "unavailable"


async def test_checked_token_is_trusted_for_a_while_but_not_past_its_end(by_secret: SupabaseTokens) -> None:
    calls = 0

    class Counting:
        async def verify(self, token: str) -> Any:
            nonlocal calls
            calls += 1
            return await by_secret.verify(token)

    authenticator = Authenticator(Counting())
    person = str(uuid.uuid4())
    token = jwt.encode(claims(sub=person), SECRET, "HS256")
    for _ in range(3):
        await authenticator.authenticate(token)
    assert calls == 1
    ended = jwt.encode(claims(sub=person, exp=int(time.time()) - 2), SECRET, "HS256")
    for _ in range(2):
        await authenticator.authenticate(ended)
    assert calls == 3, "a token within its leeway is checked each time"
