"""Members of a dataset, and accounts as a whole."""

from __future__ import annotations

from starlette.responses import Response

from api.bodies import NewMember
from api.deps import Actor, DatasetId, Db, Parts, UserId, answer
from api.routes import resource
from schemas.people import Deactivation
from schemas.world import Member, User

router = resource("members")


@router.get("/datasets/{dataset_id}/members", response_model=list[Member], summary="List members")
async def list_members(db: Db, actor: Actor, dataset_id: DatasetId) -> Response:
    """Who works in a dataset, and as what."""
    return answer(await db.call("list_members", actor=actor, dataset=dataset_id))


@router.put("/datasets/{dataset_id}/members", response_model=Member, summary="Add or change a member")
async def add_member(db: Db, actor: Actor, dataset_id: DatasetId, body: NewMember) -> Response:
    """Give somebody who has an account a role here. Skills stay as they are when left out. Needs the role admin."""
    return answer(await db.call("add_member", actor=actor, dataset=dataset_id, **body.model_dump()))


@router.delete("/datasets/{dataset_id}/members/{user_id}", status_code=204, summary="Remove a member")
async def remove_member(db: Db, actor: Actor, dataset_id: DatasetId, user_id: UserId) -> Response:
    """Take somebody's role away; their answers stay, what they hold is free at once, and the tokens and invitations that
    they made here end. Needs the role admin; everybody may remove themselves. The last admin stays."""
    await db.call("remove_member", actor=actor, dataset=dataset_id, user=user_id)
    return Response(status_code=204)


@router.get("/users", response_model=list[User], summary="List accounts")
async def list_users(db: Db, actor: Actor) -> Response:
    """All accounts, oldest first. For the owner of the installation."""
    return answer(await db.call("list_users", actor=actor))


@router.post("/users/{user_id}/deactivate", response_model=Deactivation, summary="Switch an account off")
async def deactivate_user(parts: Parts, actor: Actor, user_id: UserId) -> Response:
    """End an account's sessions, holds, tokens and invitations, and let it in no more. Its answers stay. For the owner
    of the installation, who becomes admin of datasets that had no other."""
    ended = await parts.rpc.call("deactivate_user", actor=actor, user=user_id)
    parts.authenticator.forget(user_id)
    return answer(ended)


@router.post("/users/{user_id}/reactivate", response_model=User, summary="Switch an account on again")
async def reactivate_user(db: Db, actor: Actor, user_id: UserId) -> Response:
    """Let an account in again, with the roles it had. Old sessions and tokens stay ended. For the owner of the
    installation."""
    return answer(await db.call("reactivate_user", actor=actor, user=user_id))
