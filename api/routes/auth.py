"""Signing in, and who is signed in."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from api.auth import digest, redeem_login_link, sign_in_with_password
from api.bodies import Grant, PasswordGrant, Token
from api.deps import Actor, Db, Parts, answer
from api.limits import SIGN_INS_PER_MINUTE, take
from api.routes import resource
from schemas.errors import error_of
from schemas.world import User

router = resource("auth", "/v1/auth")


@router.post("/token", response_model=Token, summary="Sign in")
async def create_token(request: Request, parts: Parts, grant: Grant) -> Response:
    """Exchange email and password, or the one-time token of a sign-in link, for an access token."""
    if parts.local_tokens is None:
        raise error_of("invalid", "this server takes the tokens of Supabase Auth", hint="Sign in with Supabase Auth.")
    if isinstance(grant, PasswordGrant):
        await take(parts.limiter, request, "sign-in", digest(grant.email.casefold()), SIGN_INS_PER_MINUTE)
        user = await sign_in_with_password(parts.rpc, grant.email, grant.password)
    else:
        user = await redeem_login_link(parts.rpc, grant.token)
    return answer(parts.local_tokens.issue(user))


@router.get("/me", response_model=User, summary="Who is signed in")
async def get_me(db: Db, actor: Actor) -> Response:
    """The account behind the token."""
    return answer(await db.call("get_user", actor=actor))
