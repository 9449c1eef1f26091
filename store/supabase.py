"""The transport through Supabase: the same functions, called over PostgREST with the service role's key.

``labelcrew_api`` must be among the schemas that the project exposes (Supabase: Project Settings, Data API). The tables
are not exposed and need not be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import httpx
import orjson
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from schemas.errors import ConfigurationError, Invalid, LabelCrewError, Unavailable
from store.errors import TRANSIENT, translated, unknown_function
from store.rpc import request_id

if TYPE_CHECKING:
    from postgrest import AsyncPostgrestClient

CALL_SECONDS = 35.0
NOT_RUN = {"PGRST000", "PGRST001", "PGRST002", "PGRST003"}
"""PostgREST got no database connection, so nothing was run."""


class SupabaseRpc:
    """:class:`store.rpc.Rpc` over supabase-py. Make one with :meth:`open`."""

    def __init__(self, api: AsyncPostgrestClient, http: httpx.AsyncClient) -> None:
        self._api = api
        self._http = http

    @classmethod
    async def open(cls, url: str, service_role_key: str) -> SupabaseRpc:
        """Make the client; ``url`` is the project's, without ``/rest/v1``. Nothing is sent yet."""
        from supabase import AsyncClientOptions, acreate_client

        http = httpx.AsyncClient(
            http2=True, follow_redirects=True, timeout=httpx.Timeout(None, connect=10.0),
            limits=httpx.Limits(max_connections=100, max_keepalive_connections=20),
        )  # fmt: skip
        options = AsyncClientOptions(httpx_client=http, auto_refresh_token=False, persist_session=False)
        client = await acreate_client(url, service_role_key, options)
        return cls(client.schema("labelcrew_api"), http)

    async def call(self, function: str, *, timeout: float | None = None, **params: Any) -> Any:  # noqa: ASYNC109
        """See :meth:`store.rpc.Rpc.call`."""
        try:
            # One JSON encoder for both transports: the same dates, the same refusal of broken Unicode.
            body = orjson.loads(orjson.dumps({f"p_{name}": value for name, value in params.items()}))
        except orjson.JSONEncodeError as failure:
            raise Invalid(f"a value cannot be stored: {failure}") from None
        retrying = AsyncRetrying(
            retry=retry_if_exception(_may_retry),
            wait=wait_random_exponential(multiplier=0.02, max=1.0),
            stop=stop_after_attempt(6),
            reraise=True,
        )
        try:
            async with asyncio.timeout(timeout or CALL_SECONDS):
                return await retrying(self._send, function, body)
        except TimeoutError:
            raise Unavailable("the database took too long and was given up") from None
        except httpx.HTTPError as failure:
            raise Unavailable(f"Supabase does not answer ({type(failure).__name__})") from None

    async def close(self) -> None:
        """See :meth:`store.rpc.Rpc.close`."""
        await self._http.aclose()

    async def _send(self, function: str, body: dict[str, Any]) -> Any:
        from postgrest import APIError

        try:
            calling = self._api.rpc(function, body)
            if (named := request_id.get()) is not None:
                calling.request.headers["X-LabelCrew-Request-ID"] = named
            return (await calling.execute()).data
        except APIError as failure:
            raise _error_of(failure.code, failure.message, failure.details, failure.hint, function, body) from None


def _error_of(
    code: object, message: str | None, details: str | None, hint: str | None, function: str, params: Iterable[str]
) -> LabelCrewError:
    state = str(code or "")
    if state.startswith("PGRST3") or state == "401":
        return ConfigurationError("Supabase refused the service role's key", hint="Check SUPABASE_SERVICE_ROLE_KEY.")
    if state == "PGRST106":
        return ConfigurationError(
            "Supabase does not expose the schema labelcrew_api",
            hint="Add it under Project Settings, Data API, Exposed schemas.",
        )
    if state.isdigit() and len(state) == 3:
        return Unavailable(f"Supabase does not answer (HTTP {state})")
    if state == "PGRST202":
        return unknown_function(function, (name.removeprefix("p_") for name in params))
    return translated(state, message or "", detail=details, hint=hint, function=function)


def _may_retry(failure: BaseException) -> bool:
    """Whether running it again cannot do it twice: it never arrived, or was rolled back."""
    if isinstance(failure, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        return True
    return isinstance(failure, LabelCrewError) and failure.data.get("sqlstate") in TRANSIENT | NOT_RUN
