"""The routes, a file for each resource: signature, one call, return."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute

from api.deps import Route

_problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}

PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "The request was refused; `code` says why.", "content": _problem},
    "5XX": {"description": "Something on the server's side failed.", "content": _problem},
}
"""The error responses of every route, for the OpenAPI document."""


def resource(tag: str, prefix: str = "/v1") -> APIRouter:
    """A router whose operations are named after their handlers."""
    return APIRouter(
        prefix=prefix, tags=[tag], route_class=Route, responses=PROBLEMS, generate_unique_id_function=_operation_id
    )


def _operation_id(route: APIRoute) -> str:
    return route.name
