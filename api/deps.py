"""What a handler may ask for: the database, who asks, and the parts of this process.

Handlers name these as parameters; FastAPI fills them in. The parts are opened once in the lifespan (``app.py``).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from fastapi import Depends, Path, Query, Request, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.responses import Response

from api.auth import Authenticator, LocalTokens, Principal
from api.bodies import Id
from api.errors import Refused
from api.scopes import check_scope
from schemas.caching import RateLimiter
from schemas.errors import Invalid, Unauthenticated
from schemas.settings import Settings
from store.rpc import Rpc

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

MAX_PAGE = 500


@dataclass(slots=True)
class Gateway:
    """The parts of this process that requests share."""

    settings: Settings
    rpc: Rpc
    authenticator: Authenticator
    local_tokens: LocalTokens | None
    """Signs the tokens of local accounts; None when Supabase does."""
    limiter: RateLimiter
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server is asked to stop: streams that would never end by themselves end then."""


def get_gateway(request: Request) -> Gateway:
    """The parts of this process."""
    gateway: Gateway = request.app.state.gateway
    return gateway


def get_rpc(request: Request) -> Rpc:
    """The database."""
    return get_gateway(request).rpc


_bearer = HTTPBearer(
    auto_error=False, description="An access token of POST /v1/auth/token or of Supabase Auth, or a service token."
)


async def get_principal(request: Request, _scheme: Annotated[Any, Security(_bearer)]) -> Principal:
    """Who asks. Raises :class:`Unauthenticated`, and ``missing-scope`` for a service token that is not for this."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated
    principal = await get_gateway(request).authenticator.authenticate(token.strip())
    request.state.user = principal.user_id
    check_scope(principal.scopes, request.scope["route"].name, request.method)
    return principal


async def get_actor(principal: Annotated[Principal, Depends(get_principal)]) -> str:
    """The id of the user who asks."""
    return principal.user_id


DatasetId = Annotated[Id, Path(description="The dataset's id.")]
ItemId = Annotated[Id, Path(description="The item's id.")]
LeaseId = Annotated[Id, Path(description="The lease's id.")]
JobId = Annotated[Id, Path(description="The job's id.")]
UserId = Annotated[Id, Path(description="The user's id.")]
InvitationId = Annotated[Id, Path(description="The invitation's id.")]
TokenId = Annotated[Id, Path(description="The service token's id.")]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="How many at most.")]

Parts = Annotated[Gateway, Depends(get_gateway)]
Db = Annotated[Rpc, Depends(get_rpc)]
Who = Annotated[Principal, Depends(get_principal)]
Actor = Annotated[str, Depends(get_actor)]


def answer(value: Any, status: int = 200) -> Response:
    """A JSON response of a value that the database has already put into shape: it is not validated a second time."""
    return Response(orjson.dumps(value, default=str), status, media_type="application/json")


class _JsonRequest(Request):
    """Reads JSON with orjson, and refuses the one character that Postgres cannot store."""

    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            body = await self.body()
            self._json = orjson.loads(body)
            if b"\\u0000" in body and _holds_nul(self._json):
                raise Refused(Invalid("a text holds the character U+0000, which cannot be stored", hint="Remove it."))
        return self._json


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in key or _holds_nul(part) for key, part in value.items())
    return isinstance(value, list) and any(_holds_nul(part) for part in value)


class Route(APIRoute):
    """Every route of ours: JSON is read as above."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_json(request: Request) -> Response:
            return await handle(_JsonRequest(request.scope, request.receive))

        return handle_json
