"""The gateway in tests: in this process over a real database, with people of every role who are signed in."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx
from fastapi import FastAPI
from jsonschema import Draft202012Validator

from api.app import create_app
from api.deps import Gateway
from schemas.settings import Settings
from store.rpc import Rpc

ROLES = ("annotator", "reviewer", "super_reviewer", "admin")


@dataclass
class Person:
    """Somebody with an account and a token."""

    id: str
    email: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@dataclass
class House:
    """An application over a database. ``people`` are by role; ``stranger`` has an account and no role."""

    app: FastAPI
    rpc: Rpc
    http: httpx.AsyncClient
    people: dict[str, Person] = field(default_factory=dict)

    @property
    def gateway(self) -> Gateway:
        found: Gateway = self.app.state.gateway
        return found

    @property
    def contract(self) -> Contract:
        return _contract()

    @property
    def owner(self) -> str:
        """The role of whoever came first, and so owns the installation."""
        return next(iter(self.people))

    async def person(self, name: str) -> Person:
        """Make an account and sign it in, without a password's cost."""
        user = await self.rpc.call("create_user", email=f"{name}@example.org", name=name)
        assert self.gateway.local_tokens
        person = Person(user["id"], user["email"], self.gateway.local_tokens.issue(user)["access_token"])
        self.people[name] = person
        return person

    async def ask(self, who: str | None, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request as somebody, and check the answer against the OpenAPI document."""
        headers = {**(self.people[who].headers if who else {}), **options.pop("headers", {})}
        response = await self.http.request(method, path, headers=headers, **options)
        self.contract.check(method, httpx.URL(path).path, response)
        return response

    async def get(self, who: str | None, path: str, **options: Any) -> httpx.Response:
        return await self.ask(who, "GET", path, **options)

    async def post(self, who: str | None, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return await self.ask(who, "POST", path, **({"json": body} if body is not None else {}), **options)

    async def put(self, who: str | None, path: str, body: Any) -> httpx.Response:
        return await self.ask(who, "PUT", path, json=body)

    async def patch(self, who: str | None, path: str, body: Any) -> httpx.Response:
        return await self.ask(who, "PATCH", path, json=body)

    async def delete(self, who: str | None, path: str) -> httpx.Response:
        return await self.ask(who, "DELETE", path)

    async def dataset(self, name: str = "Reviews", *, items: int = 3, **options: Any) -> str:
        """A dataset of two classes with one person of every role, and a few items; its id."""
        body = {
            "name": name,
            "labelset": {"classes": [{"name": "positive"}, {"name": "negative"}]},
            **options,
            "settings": {"blind_share": 0, **options.get("settings", {})},
        }
        made = (await self.post("admin", "/v1/datasets", body)).raise_for_status().json()
        for role in ROLES[:-1]:
            email = self.people[role].email
            (
                await self.put("admin", f"/v1/datasets/{made['id']}/members", {"email": email, "role": role})
            ).raise_for_status()
        if items:
            rows = [{"external_id": f"e-{n}", "text": f"text number {n}"} for n in range(items)]
            (await self.post("admin", f"/v1/datasets/{made['id']}/items", {"rows": rows})).raise_for_status()
        dataset: str = made["id"]
        return dataset


class Contract:
    """The OpenAPI document as a judge of answers."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._validators: dict[str, Draft202012Validator] = {}

    def check(self, method: str, path: str, response: httpx.Response) -> None:
        """Fail when an answer's status, media type or body is not what the document says."""
        operation = self._operation(method, path)
        if operation is None:
            return
        declared = operation["responses"]
        status = str(response.status_code)
        entry = declared.get(status) or declared.get(f"{status[0]}XX")
        assert entry is not None, f"{method} {path}: the status {status} is not documented"
        media = response.headers.get("content-type", "").partition(";")[0]
        if not entry.get("content"):
            return
        assert media in entry["content"], (
            f"{method} {path}: {status} answers with {media}, not {list(entry['content'])}"
        )
        schema = entry["content"][media].get("schema")
        if media in {"application/json", "application/problem+json"} and schema:
            error = next(iter(self._validator(schema).iter_errors(response.json())), None)
            assert error is None, f"{method} {path}: {error.json_path}: {error.message}" if error else ""

    def _operation(self, method: str, path: str) -> dict[str, Any] | None:
        parts = path.strip("/").split("/")
        for template, operations in self._document["paths"].items():
            wanted = template.strip("/").split("/")
            if len(wanted) == len(parts) and all(
                w.startswith("{") or w == p for w, p in zip(wanted, parts, strict=True)
            ):
                found: dict[str, Any] | None = operations.get(method.lower())
                if found is not None:
                    return found
        return None

    def _validator(self, schema: dict[str, Any]) -> Draft202012Validator:
        key = json.dumps(schema, sort_keys=True)
        if key not in self._validators:
            whole = {**schema, "components": self._document["components"]}
            self._validators[key] = Draft202012Validator(whole)
        return self._validators[key]


@cache
def _contract() -> Contract:
    return Contract(create_app(Settings()).openapi())


@asynccontextmanager
async def open_house(settings: Settings, rpc: Rpc) -> AsyncIterator[House]:
    """The application, started, with people of every role and a stranger."""
    app = create_app(settings, rpc)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://labelcrew.test") as http:
            house = House(app, rpc, http)
            for name in (*ROLES, "stranger"):
                await house.person(name)
            yield house
