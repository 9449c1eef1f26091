"""The OpenAPI document: the contract with every client. ``python -m api.openapi > web/openapi.json`` writes it."""

from __future__ import annotations

import sys
from typing import Any

import orjson
from fastapi import FastAPI

from api.bodies import Problem

DESCRIPTION = """\
Ids are UUIDs, times are UTC. Send `Authorization: Bearer <token>` with every request but signing in and the
operations' own. Every error is `application/problem+json` with a stable `code`; docs/errors.md lists them. What you may
not see looks the same as what does not exist (404)."""

TAGS = [
    {"name": "auth", "description": "Signing in."},
    {"name": "datasets", "description": "Datasets, their labelsets, and what happened in them."},
    {"name": "members", "description": "Who works in a dataset, and as what; invitations and accounts."},
    {"name": "tokens", "description": "Service tokens, for programs."},
    {"name": "items", "description": "What is to be labelled."},
    {"name": "queue", "description": "Handing items out, and taking answers in."},
    {"name": "reviews", "description": "Looking at each other's work, and acting on many items at once."},
    {"name": "models", "description": "Drafts and similar items."},
    {"name": "guidance", "description": "Hints about one item, and the chat with the assistant."},
    {"name": "jobs", "description": "Work in the background."},
    {"name": "learning", "description": "How the learning goes, and which drafts may skip the human."},
    {"name": "quality", "description": "What is doubtful about the labels, and how it was settled."},
    {"name": "webhooks", "description": "Telling another program what happens."},
    {"name": "pay", "description": "Money for work. Amounts are integers in the currency's minor unit (cents)."},
    {"name": "audit", "description": "Whether the audit log is as it was written."},
    {"name": "export", "description": "The labels, as a file."},
    {"name": "operations", "description": "For those who run the server."},
]


def install(app: FastAPI) -> None:
    """Add the shape of errors, which no route names as its own answer, to the document of ``app``."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = plain()
            schemas = document["components"]["schemas"]
            schemas["Problem"] = Problem.model_json_schema()
            _require_what_is_always_sent(document)
        return app.openapi_schema or plain()

    app.openapi = openapi  # type: ignore[method-assign]


def _require_what_is_always_sent(document: dict[str, Any]) -> None:
    """Fields with a default may be left out of a request, but are never missing from an answer: say so, so that clients
    need not ask whether they are there. Shapes that requests use too are left alone."""
    schemas = document["components"]["schemas"]
    sent = _reachable([o.get("requestBody") for path in document["paths"].values() for o in path.values()], schemas)
    for name, schema in schemas.items():
        if name not in sent and "properties" in schema:
            schema["required"] = list(schema["properties"])


def _reachable(part: Any, schemas: dict[str, Any], seen: set[str] | None = None) -> set[str]:
    """The names of the schemas that ``part`` refers to, directly or through others."""
    seen = set() if seen is None else seen
    if isinstance(part, list):
        for inner in part:
            _reachable(inner, schemas, seen)
    elif isinstance(part, dict):
        name = str(part.get("$ref", "")).rpartition("/")[2]
        if name in schemas and name not in seen:
            seen.add(name)
            _reachable(schemas[name], schemas, seen)
        _reachable(list(part.values()), schemas, seen)
    return seen


def document() -> bytes:
    """The document as indented JSON."""
    from api.app import create_app
    from schemas.settings import Settings

    return orjson.dumps(create_app(Settings()).openapi(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


if __name__ == "__main__":
    sys.stdout.buffer.write(document())
