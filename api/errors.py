"""Errors as HTTP: one table from family to status, one shape (RFC 9457, ``application/problem+json``).

Whatever goes wrong, the body has the same fields: ``type``, ``title``, ``status``, ``code``, ``detail``, ``hint``,
``request_id``, and the facts of the error. The framework's own errors (404, 405, 422 …) take the same shape. What
nobody foresaw is told to the log with its traceback, and to the client only as ``internal`` with the request's id.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from schemas.errors import (
    ConfigurationError,
    Conflict,
    Forbidden,
    Invalid,
    InvalidPayload,
    LabelCrewError,
    ModelError,
    NotFound,
    PaymentRequired,
    RateLimited,
    TooLarge,
    Unauthenticated,
    Unavailable,
)

STATUS: dict[type[LabelCrewError], int] = {
    Invalid: 422,
    InvalidPayload: 422,
    Unauthenticated: 401,
    PaymentRequired: 402,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    TooLarge: 413,
    RateLimited: 429,
    ModelError: 502,
    Unavailable: 503,
    ConfigurationError: 503,
    LabelCrewError: 500,
}
"""The one table. A family that is not listed takes the status of the nearest one above it."""

ERRORS_PAGE = "https://github.com/labelcrew/labelcrew/blob/main/docs/errors.md"
MEDIA_TYPE = "application/problem+json"

FRAMEWORK: dict[int, str] = {
    400: "malformed", 401: "unauthenticated", 403: "forbidden", 404: "not-found", 405: "method-not-allowed",
    413: "too-large",
}  # fmt: skip
"""What the framework itself refuses, and the code that it gets here."""
_RESERVED = {"type", "title", "status", "code", "detail", "hint", "request_id"}


class Refused(HTTPException):
    """One of our errors, in the framework's own class: any other that is raised while a body is read, it would take for
    a body that cannot be parsed."""

    def __init__(self, error: LabelCrewError) -> None:
        super().__init__(status_of(type(error)), error.detail)
        self.error = error


def status_of(family: type[LabelCrewError]) -> int:
    """The HTTP status of an error's class."""
    return next(STATUS[cls] for cls in family.__mro__ if cls in STATUS)


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    hint: str = "",
    request_id: str | None = None,
    data: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The response for an error."""
    body = {
        "type": f"{ERRORS_PAGE}#{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "hint": hint,
        "request_id": request_id,
        **{key: value for key, value in (data or {}).items() if key not in _RESERVED},
    }
    content = orjson.dumps(body, default=str, option=orjson.OPT_NON_STR_KEYS)
    return Response(content, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def problem_of(error: LabelCrewError, request_id: str | None = None) -> Response:
    """The response for an error of ours. Errors of status 500 keep their words to themselves."""
    status = status_of(type(error))
    headers: dict[str, str] = {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        headers["Retry-After"] = str(max(1, math.ceil(float(error.data.get("retry_after", 1)))))
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        error = LabelCrewError()
    return problem(
        status, error.code, error.detail, hint=error.hint, request_id=request_id, data=error.data, headers=headers
    )


def install(app: FastAPI) -> None:
    """Give every error of ``app`` the one shape."""
    app.add_exception_handler(LabelCrewError, _ours)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _frameworks)


def _request_id(request: Request) -> str | None:
    return getattr(request.state, "request_id", None)


async def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, LabelCrewError)
    request.state.error = error
    return problem_of(error, _request_id(request))


async def _malformed(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    places = [_place(e) for e in error.errors()[:20]]
    first = places[0] if places else {"where": "body", "what": "malformed"}
    more = f" (and {len(error.errors()) - 1} more)" if len(error.errors()) > 1 else ""
    code = "invalid-payload" if "payload" in first["where"].split(".") else "invalid"
    return problem(
        422,
        code,
        f"{first['where']}: {first['what']}{more}",
        hint="Correct the places that `errors` names.",
        request_id=_request_id(request),
        data={"errors": places},
    )


def _place(error: Mapping[str, Any]) -> dict[str, str]:
    where: Sequence[Any] = error.get("loc", ())
    return {
        "where": ".".join(str(part) for part in where),
        "what": str(error.get("msg", "")).removeprefix("Value error, "),
    }


async def _frameworks(request: Request, error: Exception) -> Response:
    if isinstance(error, Refused):
        return await _ours(request, error.error)
    assert isinstance(error, HTTPException)
    code = FRAMEWORK.get(error.status_code, "invalid" if error.status_code < 500 else "internal")
    detail = error.detail if error.detail != HTTPStatus(error.status_code).phrase else ""
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = "there is no such address"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"this address does not take {request.method}"
    return problem(
        error.status_code,
        code,
        detail or HTTPStatus(error.status_code).phrase,
        request_id=_request_id(request),
        headers=error.headers,
    )
