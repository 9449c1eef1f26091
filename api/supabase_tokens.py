"""Tokens of Supabase Auth (https://supabase.com/docs/guides/auth/jwts): checked by the project's secret, or its keys.

The keys are fetched from the project's own address, which comes from the settings and never from a token, kept for some
minutes, and fetched again at most once in a while when a token names a key that is not known. A user who signs in for
the first time gets an account here.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import jwt

from api.auth import Principal, decode
from schemas.errors import Conflict, Invalid, Unauthenticated, Unavailable, error_of
from schemas.settings import Settings
from store.rpc import Rpc

AUDIENCE = "authenticated"
ASYMMETRIC = ["ES256", "RS256", "EdDSA"]
KEEP_SECONDS = 600.0
LEAST_SECONDS_BETWEEN_FETCHES = 10.0
MAX_KEYS_BYTES = 256 * 1024


class PublishedKeys:
    """The project's public keys (RFC 7517) by key id."""

    def __init__(self, url: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._url = url
        self._transport = transport
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = -KEEP_SECONDS
        self._lock = asyncio.Lock()

    async def key(self, key_id: str) -> jwt.PyJWK:
        """The key with this id. Raises :class:`Unauthenticated` when the project publishes no such key, and
        :class:`Unavailable` when it does not answer and the key is not known from before."""
        if not self._is_fresh(KEEP_SECONDS) or key_id not in self._keys:
            async with self._lock:
                known = key_id in self._keys
                if not self._is_fresh(KEEP_SECONDS if known else LEAST_SECONDS_BETWEEN_FETCHES):
                    await self._fetch(known=known)
        if key_id not in self._keys:
            raise Unauthenticated("the token is not valid", reason="invalid")
        return self._keys[key_id]

    def _is_fresh(self, seconds: float) -> bool:
        return time.monotonic() - self._fetched_at < seconds

    async def _fetch(self, *, known: bool) -> None:
        try:
            async with httpx.AsyncClient(transport=self._transport, timeout=5, follow_redirects=False) as client:
                response = await client.get(self._url)
            response.raise_for_status()
            if len(response.content) > MAX_KEYS_BYTES:
                raise ValueError("too large")
            published = jwt.PyJWKSet.from_dict(response.json()).keys
        except (httpx.HTTPError, ValueError, jwt.PyJWTError) as error:
            if known:
                return
            raise Unavailable("the sign-in server's keys cannot be fetched", reason=type(error).__name__) from error
        self._keys = {key.key_id: key for key in published if key.key_id and key.algorithm_name in ASYMMETRIC}
        self._fetched_at = time.monotonic()


class SupabaseTokens:
    """Checks Supabase's tokens and gives new users an account."""

    def __init__(self, settings: Settings, rpc: Rpc, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        assert settings.supabase_url
        base = settings.supabase_url.rstrip("/")
        secret = settings.supabase_jwt_secret
        self._issuer = f"{base}/auth/v1"
        self._secret = secret.get_secret_value().encode() if secret else None
        self._keys = PublishedKeys(f"{base}/auth/v1/.well-known/jwks.json", transport=transport)
        self._rpc = rpc

    async def verify(self, token: str) -> Principal:
        """See :class:`api.auth.TokenVerifier`."""
        claims = await self._claims(token)
        email = claims.get("email")
        if claims.get("is_anonymous") or not isinstance(email, str) or not email:
            raise Unauthenticated("an account with an email address is needed")
        name = (claims.get("user_metadata") or {}).get("full_name") or ""
        try:
            user = await self._rpc.call("ensure_user", id=claims["sub"], email=email, name=str(name)[:200])
        except (Conflict, Invalid) as error:
            raise Unauthenticated(f"no account can be made for you here: {error.detail}") from error
        if not user.get("active", True):
            raise error_of("user-inactive")
        return Principal(user["id"], user["email"], float(claims["exp"]))

    async def _claims(self, token: str) -> dict[str, Any]:
        if self._secret is not None:
            return decode(token, self._secret, ["HS256"], audience=AUDIENCE, issuer=self._issuer)
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError as error:
            raise Unauthenticated("the token is not valid", reason="invalid") from error
        if header.get("alg") not in ASYMMETRIC or not isinstance(header.get("kid"), str):
            raise Unauthenticated("the token is not valid", reason="invalid")
        key = await self._keys.key(header["kid"])
        return decode(token, key.key, [key.algorithm_name], audience=AUDIENCE, issuer=self._issuer)
