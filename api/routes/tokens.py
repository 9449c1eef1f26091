"""Service tokens: how programs come in."""

from __future__ import annotations

from starlette.responses import Response

from api.auth import digest, new_service_token
from api.deps import Actor, DatasetId, Db, Parts, TokenId, answer
from api.routes import resource
from schemas.people import NewServiceToken, NewServiceTokenSecret, Rotation, ServiceToken

router = resource("tokens", "/v1/datasets/{dataset_id}/tokens")


@router.post("", response_model=NewServiceTokenSecret, status_code=201, summary="Create a service token")
async def create_service_token(db: Db, actor: Actor, dataset_id: DatasetId, body: NewServiceToken) -> Response:
    """Make a service account with a role here, and a token for it. The token is in this answer and nowhere else; send it
    as `Authorization: Bearer lc_…`. It may do what both its role and its scopes allow: `read` looks, `annotate` works on
    items, `manage` does the rest that is left to programs. Needs the role admin."""
    token = new_service_token()
    made = await db.call(
        "create_service_token",
        actor=actor,
        dataset=dataset_id,
        name=body.name,
        role=body.role,
        scopes=list(body.scopes),
        ttl_seconds=max(60, int(body.days * 86_400)),
        token_hash=digest(token),
        ending=token[-4:],
    )
    return answer({**made, "token": token}, 201)


@router.get("", response_model=list[ServiceToken], summary="List service tokens")
async def list_service_tokens(db: Db, actor: Actor, dataset_id: DatasetId) -> Response:
    """Every token there was, oldest first, and when it was last used. Needs the role admin."""
    return answer(await db.call("list_service_tokens", actor=actor, dataset=dataset_id))


@router.post(
    "/{token_id}/renew", response_model=NewServiceTokenSecret, status_code=201, summary="Replace a service token"
)
async def renew_service_token(
    parts: Parts, actor: Actor, dataset_id: DatasetId, token_id: TokenId, body: Rotation
) -> Response:
    """Make a new token of the same account and scopes. The old one works on for a while, so that programs can change
    over. Needs the role admin."""
    token = new_service_token()
    made = await parts.rpc.call(
        "renew_service_token",
        actor=actor,
        dataset=dataset_id,
        token=token_id,
        ttl_seconds=max(60, int(body.days * 86_400)) if body.days is not None else None,
        grace_seconds=int(body.grace_hours * 3600),
        token_hash=digest(token),
        ending=token[-4:],
    )
    parts.authenticator.forget(made["user_id"])  # how long the old one lasts has changed
    return answer({**made, "token": token}, 201)


@router.delete("/{token_id}", response_model=ServiceToken, summary="Revoke a service token")
async def delete_service_token(parts: Parts, actor: Actor, dataset_id: DatasetId, token_id: TokenId) -> Response:
    """It works no more; with its last token the account is switched off. Needs the role admin."""
    revoked = await parts.rpc.call("delete_service_token", actor=actor, dataset=dataset_id, token=token_id)
    parts.authenticator.forget(revoked["user_id"])
    return answer(revoked)
