"""Errors as HTTP: one shape for all of them, and the page that lists them."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.app import create_app
from api.errors import STATUS, problem_of, status_of
from schemas.errors import REGISTRY, LabelCrewError, error_of
from schemas.settings import Settings
from store.rpc import Rpc
from tests.support.gateway import House

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("code", sorted(REGISTRY))
def test_every_code_has_a_status_and_the_one_shape(code: str) -> None:
    import orjson

    error = error_of(code, "what happened", retry_after=7, code_like="x")
    response = problem_of(error, "r-1")
    body = orjson.loads(response.body)
    assert response.status_code == body["status"] == status_of(type(error))
    assert response.media_type == "application/problem+json"
    assert body["code"] == (code if response.status_code != 500 else "internal")
    assert body["request_id"] == "r-1"
    assert body["type"].endswith(f"#{body['code']}")
    assert ("WWW-Authenticate" in response.headers) == (response.status_code == 401)
    if response.status_code in {429, 503}:
        assert response.headers["Retry-After"] == "7"


def test_every_family_is_in_the_table() -> None:
    families = {entry.family for entry in REGISTRY.values()}
    assert families <= set(STATUS)


def test_facts_never_replace_the_fixed_fields() -> None:
    import orjson

    body = orjson.loads(problem_of(error_of("conflict", "words", status=200, title="fine", item="i-1")).body)
    assert (body["status"], body["title"], body["item"]) == (409, "Conflict", "i-1")


class TestUnforeseen:
    async def test_bug_is_told_as_internal_without_its_words(self, house: House, capsys: Any) -> None:
        class Broken:
            async def call(self, function: str, **_: Any) -> Any:
                raise RuntimeError("the secret is swordfish")

            async def close(self) -> None:
                pass

        await house.get("annotator", "/v1/auth/me")  # known from here on
        house.gateway.rpc = Broken()
        response = await house.get("annotator", "/v1/datasets", headers={"X-Request-ID": "trace-7"})
        assert (response.status_code, response.json()["code"]) == (500, "internal")
        assert response.json()["request_id"] == response.headers["x-request-id"] == "trace-7"
        assert "swordfish" not in response.text
        assert "Traceback" not in response.text

    async def test_error_of_the_database_keeps_its_words_to_itself(self, house: House) -> None:
        class Broken:
            async def call(self, function: str, **_: Any) -> Any:
                raise LabelCrewError("the database refused: relation swordfish")

            async def close(self) -> None:
                pass

        await house.get("annotator", "/v1/auth/me")
        house.gateway.rpc = Broken()
        response = await house.get("annotator", "/v1/datasets")
        assert (response.status_code, response.json()["code"]) == (500, "internal")
        assert "swordfish" not in response.text

    async def test_database_that_is_away_gives_503_and_says_when_to_try_again(self, house: House) -> None:
        class Away:
            async def call(self, function: str, **_: Any) -> Any:
                raise error_of("unavailable")

            async def close(self) -> None:
                pass

        await house.get("annotator", "/v1/auth/me")
        house.gateway.rpc = Away()
        response = await house.get("annotator", "/v1/datasets")
        assert (response.status_code, response.json()["code"]) == (503, "unavailable")
        assert response.headers["retry-after"] == "1"


class TestFramework:
    @pytest.mark.parametrize(
        ("method", "path", "status", "code"),
        [
            ("GET", "/v1/nothing", 404, "not-found"),
            ("GET", "/v1", 404, "not-found"),
            ("DELETE", "/v1/datasets", 405, "method-not-allowed"),
            ("POST", "/health", 405, "method-not-allowed"),
            ("POST", "/somewhere", 405, "method-not-allowed"),
        ],
    )
    async def test_wrong_address_or_method_has_the_one_shape(
        self, house: House, method: str, path: str, status: int, code: str
    ) -> None:
        response = await house.http.request(method, path)
        assert (response.status_code, response.json()["code"]) == (status, code)
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["request_id"] == response.headers["x-request-id"]

    @pytest.mark.parametrize(
        "content", [b"{", b"", b"nul", b'{"name": NaN}', b"\xff\xfe", b'{"name": "\\ud800"}', b"[" * 10_000]
    )
    async def test_unreadable_json_is_refused(self, house: House, content: bytes) -> None:
        response = await house.ask(
            "admin", "POST", "/v1/datasets", content=content, headers={"Content-Type": "application/json"}
        )
        assert response.status_code in {400, 422}
        assert response.json()["code"] in {"malformed", "invalid"}

    async def test_json_without_its_content_type_is_refused(self, house: House) -> None:
        response = await house.ask("admin", "POST", "/v1/datasets", content=b'{"name": "x"}')
        assert response.status_code == 422


class TestDocument:
    def test_errors_page_is_current(self) -> None:
        made = runpy.run_path(str(DOCS / "generate.py"))["PAGES"]
        for name, page in made.items():
            assert (DOCS / name).read_text() == page(), f"run `python docs/generate.py`: {name} is stale"

    def test_every_code_in_the_code_is_registered(self) -> None:
        root = DOCS.parent
        rooms = ("api", "agents", "cli", "crews", "formats", "jobs", "learning", "schemas", "store")
        used = {
            code
            for room in rooms
            for file in (root / room).rglob("*.py")
            for code in re.findall(r'error_of\(\s*"([a-z-]+)"', file.read_text())
        }
        assert used <= set(REGISTRY)


async def test_application_whose_database_cannot_be_opened_does_not_start(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, database_url="postgresql://nobody@127.0.0.1:1/none")  # type: ignore[arg-type]
    app = create_app(settings)
    with pytest.raises(LabelCrewError) as refused:
        async with app.router.lifespan_context(app):
            pass
    assert refused.value.code == "unavailable"


async def test_rpc_that_was_handed_over_stays_open(settings: Settings, pg_rpc: Rpc) -> None:
    app = create_app(settings, pg_rpc)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http,
    ):
        assert (await http.get("/health")).status_code == 200
    assert await pg_rpc.call("count_users") == 0
