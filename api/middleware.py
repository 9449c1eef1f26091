"""The one layer around every request, written against ASGI itself because it runs for each of thousands a second.

It gives the request an id, bounds its body while that streams in, adds the security headers, turns what nobody foresaw
into a plain 500, and leaves a log line and a measurement behind.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable
from typing import Any

import structlog
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import Refused, problem
from api.observability import Metrics
from schemas.errors import REGISTRY, TooLarge
from store.rpc import request_id as served_request

log = structlog.get_logger("access")

MAX_BODY_BYTES = 20 * 2**20
"""Largest body of any request but an upload, which has its own limit (api/uploads.py)."""

STREAMED = re.compile(r"^/v1/datasets/[^/]+/imports$")
REQUEST_ID = re.compile(rb"^[A-Za-z0-9._-]{1,64}$")
QUIET = frozenset({"/health", "/ready", "/metrics"})
"""Asked every few seconds by machines: not worth a log line unless they fail."""

SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=()"),
)
API_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
NO_STORE = (b"cache-control", b"no-store")


class Gate:
    """The layer. ``app`` is FastAPI's inner stack."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = _request_id(scope["headers"])
        state: dict[str, Any] = scope.setdefault("state", {})
        state["request_id"] = request_id
        # Each request runs in a task of its own, so this holds for its log lines alone, wherever they are written.
        structlog.contextvars.bind_contextvars(request_id=request_id)
        served = served_request.set(request_id)
        status = 500
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                started, status = True, message["status"]
                message = {**message, "headers": _headers(message.get("headers", ()), request_id, state)}
            await send(message)

        try:
            if b"%00" in scope.get("query_string", b""):
                refused = problem(422, "invalid", "the query holds the character U+0000", request_id=request_id)
                await refused(scope, receive, send_with_headers)
            else:
                await self._app(scope, _bounded(scope, receive), send_with_headers)
        except Exception as error:
            log.exception("request_failed", request_id=request_id, error=type(error).__name__)
            if started:
                raise
            entry = REGISTRY["internal"]
            failed = problem(500, entry.code, entry.meaning, hint=entry.hint, request_id=request_id)
            await failed(scope, receive, send_with_headers)
        finally:
            served_request.reset(served)
            self._record(scope, status, time.perf_counter() - began, request_id, state)

    def _record(self, scope: Scope, status: int, seconds: float, request_id: str, state: dict[str, Any]) -> None:
        route = getattr(scope.get("route"), "path", None) or ("web" if status < 400 else "none")
        self._metrics.requests.labels(scope["method"], route, str(status)).observe(seconds)
        error = state.get("error")
        if error is not None:
            self._metrics.failures.labels(error.code).inc()
        if route in QUIET and status < 400:
            return
        known = {"user": state.get("user"), "code": getattr(error, "code", None), **scope.get("path_params", {})}
        log.info(
            "request",
            method=scope["method"],
            route=route,
            status=status,
            ms=round(seconds * 1000, 2),
            request_id=request_id,
            **{key: value for key, value in known.items() if value is not None and key != "path"},
        )
        if status >= 500 and error is not None:
            log.error("request_error", request_id=request_id, code=error.code, detail=error.detail)


def _request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    for name, value in headers:
        if name == b"x-request-id" and REQUEST_ID.match(value):
            return value.decode()
    return secrets.token_hex(8)


def _headers(
    headers: Iterable[tuple[bytes, bytes]], request_id: str, state: dict[str, Any]
) -> list[tuple[bytes, bytes]]:
    found = list(headers)
    names = {name.lower() for name, _ in found}
    found.append((b"x-request-id", request_id.encode()))
    found.extend(SECURITY_HEADERS)
    found.extend(default for default in (API_POLICY, NO_STORE) if default[0] not in names)
    found.extend((name.lower().encode(), value.encode()) for name, value in state.get("headers", {}).items())
    return found


def _bounded(scope: Scope, receive: Receive) -> Receive:
    """``receive`` that raises 413 as soon as the body is over the limit, announced or counted."""
    if scope["method"] in {"GET", "HEAD", "OPTIONS"} or STREAMED.match(scope["path"]):
        return receive
    announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    too_large = announced.isdigit() and int(announced) > MAX_BODY_BYTES
    taken = 0

    async def receive_bounded() -> Message:
        nonlocal taken
        if too_large:
            raise Refused(TooLarge(f"the body is larger than {MAX_BODY_BYTES // 2**20} MB"))
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MAX_BODY_BYTES:
            raise Refused(TooLarge(f"the body is larger than {MAX_BODY_BYTES // 2**20} MB"))
        return message

    return receive_bounded


def install(app: FastAPI, metrics: Metrics) -> None:
    """Put the layer around ``app``."""
    app.add_middleware(Gate, metrics=metrics)
