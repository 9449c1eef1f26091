"""Invitations: links that work once, by which people join a dataset."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

from fastapi import Request
from starlette.responses import Response

from api.auth import LocalTokens, digest, hash_password
from api.bootstrap import public_address
from api.deps import Actor, DatasetId, Db, Gateway, InvitationId, Parts, answer, get_principal
from api.routes import resource
from schemas.errors import error_of
from schemas.people import Acceptance, Invitation, InvitationPreview, InvitationToken, Joined, NewInvitation, NewLink

router = resource("members")


@router.post("/datasets/{dataset_id}/invitations", response_model=NewLink, status_code=201, summary="Invite somebody")
async def create_invitation(parts: Parts, actor: Actor, dataset_id: DatasetId, body: NewInvitation) -> Response:
    """Make a link by which somebody joins, once. It is in this answer and nowhere else: hand it over yourself. Needs the
    role admin."""
    token = secrets.token_urlsafe(32)
    made = await parts.rpc.call(
        "create_invitation",
        actor=actor,
        dataset=dataset_id,
        email=body.email,
        role=body.role,
        token_hash=digest(token),
        skills=body.skills,
        ttl_seconds=max(60, int(body.days * 86_400)),
    )
    # The token stands behind a #, which browsers keep to themselves: it reaches no log on the way.
    return answer({**made, "url": f"{public_address(parts.settings)}/join/#token={token}"}, 201)


@router.get("/datasets/{dataset_id}/invitations", response_model=list[Invitation], summary="List invitations")
async def list_invitations(db: Db, actor: Actor, dataset_id: DatasetId) -> Response:
    """The newest 1,000 invitations and what became of them. Needs the role admin."""
    return answer(await db.call("list_invitations", actor=actor, dataset=dataset_id))


@router.delete(
    "/datasets/{dataset_id}/invitations/{invitation_id}", response_model=Invitation, summary="Withdraw an invitation"
)
async def delete_invitation(db: Db, actor: Actor, dataset_id: DatasetId, invitation_id: InvitationId) -> Response:
    """Its link works no more. Needs the role admin."""
    return answer(await db.call("delete_invitation", actor=actor, dataset=dataset_id, invitation=invitation_id))


@router.post("/invitations/preview", response_model=InvitationPreview, summary="What an invitation is to")
async def preview_invitation(db: Db, body: InvitationToken) -> Response:
    """For whoever holds the link, before they join."""
    return answer(await db.call("find_invitation", token_hash=digest(body.token)))


@router.post("/invitations/accept", response_model=Joined, summary="Join by an invitation")
async def accept_invitation(request: Request, parts: Parts, body: Acceptance) -> Response:
    """With an access token, the one who is signed in joins. Without one an account with the invitation's email is made,
    and signed in; if there is one already, its owner has to sign in first."""
    token_hash = digest(body.token)
    if "authorization" in request.headers:
        principal = await get_principal(request, None)
        joined = await parts.rpc.call("submit_invitation", token_hash=token_hash, user=principal.user_id)
        return answer({**joined, "access_token": None, "expires_in": None})
    return answer(await _join_anew(parts, body, token_hash))


async def _join_anew(parts: Gateway, body: Acceptance, token_hash: str) -> dict[str, Any]:
    local: LocalTokens | None = parts.local_tokens
    if local is None:
        raise error_of(
            "unauthenticated", "accounts are kept by Supabase here", hint="Sign in, then open the link again."
        )
    if body.password is not None:  # a password costs 50 ms to hash: not for those who hold no invitation
        await parts.rpc.call("find_invitation", token_hash=token_hash)
    hashed = await asyncio.to_thread(hash_password, body.password) if body.password is not None else None
    joined: dict[str, Any] = await parts.rpc.call(
        "submit_invitation", token_hash=token_hash, name=body.name, password_hash=hashed
    )
    session = local.issue(joined["user"])
    return {**joined, "access_token": session["access_token"], "expires_in": session["expires_in"]}
