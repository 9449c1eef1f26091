"""The application, put together: routes, errors, the layer around every request, and what is opened once a process.

Nothing here imports the models' libraries: the server answers within a second of its start, and they come when the
first draft is asked for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.routing import APIRoute

import store
from api import VERSION, errors, middleware, openapi, web
from api.auth import Authenticator, LocalTokens, ServiceTokens, TokenVerifier, local_secret
from api.deps import Gateway
from api.observability import MeasuredRpc, Metrics
from api.routes import (
    activity,
    audit,
    auth,
    bulk,
    chat,
    consensus,
    datasets,
    drift,
    export,
    hints,
    invitations,
    items,
    jobs,
    learning,
    members,
    models,
    ops,
    pay,
    quality,
    queue,
    reviews,
    scorecards,
    search,
    tokens,
    webhooks,
)
from schemas.settings import Settings
from store.cache import caches_of
from store.rpc import Rpc

ROUTERS = (
    auth,
    datasets,
    members,
    invitations,
    tokens,
    scorecards,
    items,
    queue,
    reviews,
    bulk,
    models,
    hints,
    chat,
    jobs,
    learning,
    consensus,
    quality,
    export,
    audit,
    ops,
    pay,
    search,
    activity,
    webhooks,
    drift,
)

EXPOSED_HEADERS = [
    "X-Request-ID", "Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Content-Disposition",
]  # fmt: skip


def create_app(settings: Settings, rpc: Rpc | None = None) -> FastAPI:
    """The application. ``rpc`` is a database that is open already, and stays open; without one, the settings' own is
    opened when the application starts and closed when it stops."""
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        opened = rpc or await store.open_rpc(settings)
        measured = MeasuredRpc(opened, metrics)
        app.state.gateway = open_gateway(settings, measured)
        try:
            yield
        finally:
            app.state.gateway.closing.set()
            if rpc is None:
                await opened.close()

    app = FastAPI(
        title="LabelCrew",
        version=VERSION,
        summary="Labels drafted by a crew of agents, verified by people, licensed by statistics.",
        description=openapi.DESCRIPTION,
        openapi_tags=openapi.TAGS,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=True,
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    app.state.metrics = metrics
    for module in ROUTERS:
        # Not include_router(): that keeps a router of its own to search through for every request.
        app.router.routes.extend(module.router.routes)
    openapi.install(app)
    errors.install(app)
    web.install(app, connect=(settings.supabase_url,) if settings.supabase_url else ())
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
            expose_headers=EXPOSED_HEADERS,
            max_age=600,
        )
    middleware.install(app, metrics)
    return app


def open_gateway(settings: Settings, rpc: Rpc) -> Gateway:
    """The parts that requests share, over an open database."""
    local = None if settings.supabase_url else LocalTokens(local_secret(settings), rpc, hours=settings.token_hours)
    verifier: TokenVerifier
    if local is None:
        from api.supabase_tokens import SupabaseTokens  # brings httpx

        verifier = SupabaseTokens(settings, rpc)
    else:
        verifier = local
    return Gateway(
        settings=settings,
        rpc=rpc,
        authenticator=Authenticator(verifier, ServiceTokens(rpc)),
        local_tokens=local,
        limiter=caches_of(settings, rpc)[1],
    )


def routes_of(app: FastAPI) -> list[dict[str, Any]]:
    """Every documented route: its method, its path, its operation id. For tests and tools."""
    return [
        {"method": method, "path": route.path, "operation": route.name}
        for route in app.routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods or ())
    ]
