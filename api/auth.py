"""Who asks: passwords, sign-in links, and the bearer tokens that prove it.

Without Supabase the gateway signs its own tokens (HS256, RFC 7519) with a secret that is made on first start and kept
in the data folder. With Supabase its tokens are taken: by the project's secret, or by its published keys. The algorithm
is fixed by the configuration, never by the token.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import jwt
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from schemas.errors import Unauthenticated, error_of
from schemas.settings import Settings
from store.rpc import Rpc

ISSUER = "labelcrew"
ALGORITHM = "HS256"
MAX_TOKEN_CHARACTERS = 8192
SERVICE_PREFIX = "lc_"
"""What the tokens of programs begin with, so that scanners for secrets that leaked know them."""
TRUST_SECONDS = 30.0
"""How long a token that was checked is taken without asking the database whether the account is still active."""

_hasher = PasswordHasher()
_hashing = ThreadPoolExecutor(max_workers=2, thread_name_prefix="password")
"""A check costs 50 ms and 64 MB on purpose: two at a time, so that strangers who guess cannot take the machine."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A user whose token was checked. ``expires_at`` is in seconds since 1970."""

    user_id: str
    email: str
    expires_at: float
    scopes: frozenset[str] | None = None
    """Of a service token, what it may be used for (``api/scopes.py``); None for people, who may do what their role
    allows."""


class TokenVerifier(Protocol):
    """Checks a token and says whose it is."""

    async def verify(self, token: str) -> Principal:
        """Raises :class:`Unauthenticated` unless the token is genuine and its user may come in."""
        ...


class Authenticator:
    """Verifiers with a short memory, so that a busy annotator costs one check every half minute.

    ``service`` checks the tokens of programs, which are known by how they begin; ``verifier`` all others. What the
    database refuses to accounts that are off it refuses at once, whatever is remembered here.
    """

    def __init__(
        self,
        verifier: TokenVerifier,
        service: TokenVerifier | None = None,
        *,
        trust_seconds: float = TRUST_SECONDS,
        size: int = 10_000,
    ) -> None:
        self._verifier = verifier
        self._service = service
        self._trust_seconds = trust_seconds
        self._size = size
        self._known: OrderedDict[str, tuple[float, Principal]] = OrderedDict()

    async def authenticate(self, token: str) -> Principal:
        """Whose token this is. Raises :class:`Unauthenticated`."""
        known = self._known.get(token)
        if known and time.time() < known[0]:
            return known[1]
        self._known.pop(token, None)
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise Unauthenticated("the token is too long")
        is_service = self._service is not None and token.startswith(SERVICE_PREFIX)
        principal = await (self._service if is_service and self._service else self._verifier).verify(token)
        self._known[token] = (min(principal.expires_at, time.time() + self._trust_seconds), principal)
        while len(self._known) > self._size:
            self._known.popitem(last=False)
        return principal

    def forget(self, user_id: str) -> None:
        """Check the tokens of this user anew from now on."""
        for token in [token for token, (_, principal) in self._known.items() if principal.user_id == user_id]:
            del self._known[token]


class LocalTokens:
    """Signs and checks the tokens of local accounts."""

    def __init__(self, secret: bytes, rpc: Rpc, *, hours: float) -> None:
        self._secret = secret
        self._rpc = rpc
        self.seconds = int(hours * 3600)

    def issue(self, user: dict[str, Any]) -> dict[str, Any]:
        """A new session for ``user``, in the shape of :class:`api.bodies.Token`."""
        now = round(time.time(), 3)  # to the millisecond: sessions that were ended are told from new ones by it
        claims = {
            "iss": ISSUER,
            "sub": user["id"],
            "email": user["email"],
            "iat": now,
            "exp": int(now) + self.seconds,
            "jti": secrets.token_hex(16),
        }
        token = jwt.encode(claims, self._secret, ALGORITHM)
        return {"access_token": token, "token_type": "bearer", "expires_in": self.seconds, "user": user}

    async def verify(self, token: str) -> Principal:
        """See :class:`TokenVerifier`."""
        claims = decode(token, self._secret, [ALGORITHM], issuer=ISSUER)
        user = await active_user(self._rpc, claims["sub"], issued_at=float(claims.get("iat", 0)))
        return Principal(user["id"], user["email"], float(claims["exp"]))


class ServiceTokens:
    """Checks the tokens of programs, ``lc_`` and 256 random bits, of which the database keeps the hash."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    async def verify(self, token: str) -> Principal:
        """See :class:`TokenVerifier`."""
        found = await self._rpc.call("find_service_token", token_hash=digest(token))
        return Principal(found["user_id"], found["email"], float(found["expires_at"]), frozenset(found["scopes"]))


def new_service_token() -> str:
    """A fresh one."""
    return SERVICE_PREFIX + secrets.token_urlsafe(32)


def decode(token: str, key: Any, algorithms: list[str], **checks: Any) -> dict[str, Any]:
    """The claims of a token that is genuine, of now, and whole. Raises :class:`Unauthenticated` in words for people."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms=algorithms, options={"require": ["exp", "sub"]}, leeway=5, **checks
        )
    except jwt.ExpiredSignatureError as error:
        raise Unauthenticated("your sign-in has expired", reason="expired") from error
    except jwt.PyJWTError as error:
        raise Unauthenticated("the token is not valid", reason="invalid") from error
    return claims


async def active_user(rpc: Rpc, user_id: str, *, issued_at: float | None = None) -> dict[str, Any]:
    """The user behind a genuine token. Raises :class:`Unauthenticated` if there is none, if the account is off, or if it
    was off since ``issued_at``, in seconds since 1970."""
    from schemas.errors import Invalid, NotFound

    try:
        user: dict[str, Any] = await rpc.call("get_user", actor=user_id, issued_at=issued_at)
    except (NotFound, Invalid) as error:
        raise Unauthenticated("this account no longer exists") from error
    if not user.get("active", True):
        raise error_of("user-inactive")
    return user


def local_secret(settings: Settings) -> bytes:
    """The secret that signs local tokens: the configured one, or one made on first use and kept for the owner alone."""
    if settings.jwt_secret:
        return settings.jwt_secret.get_secret_value().encode()
    path = settings.data_path / "jwt.secret"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return _kept_secret(path)
    with os.fdopen(handle, "wb") as file:
        secret = secrets.token_urlsafe(48).encode()
        file.write(secret)
    return secret


def _kept_secret(path: Path) -> bytes:
    secret = path.read_bytes().strip()
    if len(secret) < 32:
        raise error_of("configuration", f"{path.name} in the data folder is damaged", hint="Delete it and start again.")
    return secret


def hash_password(password: str) -> str:
    """An argon2id hash (RFC 9106) for ``create_user`` and ``set_password``. Takes some 50 ms: call it in a thread."""
    return _hasher.hash(password)


async def sign_in_with_password(rpc: Rpc, email: str, password: str) -> dict[str, Any]:
    """The user with this email and password. An unknown email takes as long as a wrong password, and says the same."""
    found = await rpc.call("get_credentials", email=email)
    stored = (found or {}).get("password_hash")
    right = await asyncio.get_running_loop().run_in_executor(_hashing, _matches, stored, password)
    if not (found and stored and right):
        raise error_of("wrong-password")
    if not found["active"]:
        raise error_of("user-inactive")
    return await active_user(rpc, found["user_id"])


def _matches(stored: str | None, password: str) -> bool:
    decoy = _decoy()  # made whether it is needed or not, so that the first answer's time tells nothing either
    try:
        return _hasher.verify(stored or decoy, password)
    except (Argon2Error, InvalidHashError):
        return False


@cache
def _decoy() -> str:
    """The hash of a password that nobody has. Not made on import: a tenth of a second of every start."""
    return _hasher.hash(secrets.token_urlsafe(16))


async def make_login_link(rpc: Rpc, user_id: str, *, ttl_seconds: int = 24 * 3600) -> str:
    """A one-time sign-in token for a user. Only its hash is stored, so a copy of the database opens no door."""
    token = secrets.token_urlsafe(32)
    await rpc.call("create_login_link", user=user_id, token_hash=digest(token), ttl_seconds=ttl_seconds)
    return token


async def redeem_login_link(rpc: Rpc, token: str) -> dict[str, Any]:
    """The user behind a sign-in token, which then is spent. Raises ``link-used``."""
    user: dict[str, Any] = await rpc.call("redeem_login_link", token_hash=digest(token))
    return user


def digest(text: str) -> str:
    """SHA-256 in hex. What is stored of a sign-in token: that is 256 random bits, so nothing slower is needed."""
    return hashlib.sha256(text.encode()).hexdigest()
