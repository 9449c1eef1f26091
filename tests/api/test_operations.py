"""What operators see: health, readiness, numbers, log lines, headers; and that a server start stays light."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from pydantic import SecretStr

from api import openapi
from api.app import create_app
from schemas.settings import Settings
from store.rpc import Rpc
from tests.support.gateway import House, open_house

ROOT = Path(__file__).resolve().parents[2]


class TestHealth:
    async def test_answers_without_a_token(self, house: House) -> None:
        assert (await house.get(None, "/health")).json()["status"] == "ok"


class TestReady:
    async def test_says_ok_for_every_part_but_the_missing_worker(self, house: House) -> None:
        found = (await house.get(None, "/ready")).json()
        assert found["ready"] is True
        assert found["parts"]["database"] == found["parts"]["migrations"] == found["parts"]["model"] == "ok"
        assert found["workers"] == 0
        assert "none is running" in found["parts"]["workers"]

    async def test_counts_living_workers(self, house: House) -> None:
        await house.rpc.call("beat_worker", executor="w-1", info={"pid": 1, "host": "elsewhere"})
        found = (await house.get(None, "/ready")).json()
        assert (found["workers"], found["parts"]["workers"]) == (1, "ok")

    async def test_database_that_is_away_gives_503_and_names_it(self, house: House) -> None:
        class Away:
            async def call(self, function: str, **_: Any) -> Any:
                from schemas.errors import error_of

                raise error_of("unavailable", "the database does not answer")

            async def close(self) -> None:
                pass

        house.gateway.rpc = Away()
        response = await house.get(None, "/ready")
        assert response.status_code == 503
        assert response.json()["parts"]["database"] == "the database does not answer"

    async def test_model_without_a_server_is_named(self, settings: Settings, pg_rpc: Rpc) -> None:
        async with open_house(settings.model_copy(update={"model": "gpt-4.1-mini"}), pg_rpc) as house:
            assert "OPENAI_API_KEY" in (await house.get(None, "/ready")).json()["parts"]["model"]


class TestMetrics:
    async def test_counts_requests_calls_and_jobs_without_ids(self, house: House) -> None:
        dataset = await house.dataset()
        job = await house.rpc.call("create_job", actor=house.people["admin"].id, dataset=dataset, kind="embed")
        await house.get("annotator", f"/v1/datasets/{dataset}")
        await house.get("stranger", f"/v1/datasets/{dataset}")
        text = (await house.get(None, "/metrics")).text
        counted = 'labelcrew_request_seconds_count{method="GET",route="/v1/datasets/{dataset_id}",status="200"} 1.0'
        assert counted in text
        assert 'labelcrew_rpc_seconds_count{function="get_dataset"}' in text
        assert 'labelcrew_open_jobs{kind="embed",state="queued"} 1.0' in text
        assert 'labelcrew_errors_total{code="not-found"} 1.0' in text
        assert dataset not in text
        assert job["id"] not in text

    async def test_unknown_addresses_do_not_make_new_numbers(self, house: House) -> None:
        for n in range(3):
            await house.http.get(f"/v1/{n}")
            await house.http.get(f"/nowhere/{n}")
        text = (await house.get(None, "/metrics")).text
        assert "nowhere" not in text
        assert text.count('status="404"') <= 2 * 17


class TestLog:
    async def test_line_holds_route_and_ids_but_no_texts_keys_or_queries(self, house: House) -> None:
        dataset = await house.dataset(items=0)
        with structlog.testing.capture_logs() as lines:
            await house.post("admin", f"/v1/datasets/{dataset}/items", {"rows": [{"text": "private words"}]})
            await house.get("admin", f"/v1/datasets/{dataset}/items", params={"q": "private words"})
        assert [line["route"] for line in lines] == ["/v1/datasets/{dataset_id}/items"] * 2
        assert lines[0]["user"] == house.people["admin"].id
        assert lines[0]["dataset_id"] == dataset
        assert lines[0]["status"] == 200
        written = str(lines)
        assert "private" not in written
        assert house.people["admin"].token not in written

    async def test_health_checks_are_not_logged(self, house: House) -> None:
        with structlog.testing.capture_logs() as lines:
            await house.get(None, "/health")
            await house.get(None, "/metrics")
        assert lines == []


class TestHeaders:
    async def test_request_id_is_taken_over_or_made(self, house: House) -> None:
        assert (await house.http.get("/health", headers={"X-Request-ID": "abc-1"})).headers["x-request-id"] == "abc-1"
        made = (await house.http.get("/health", headers={"X-Request-ID": "evil id\t<script>"})).headers["x-request-id"]
        assert len(made) == 16

    async def test_every_answer_has_the_security_headers(self, house: House) -> None:
        for path in ("/health", "/v1/auth/me", "/v1/nothing", "/"):
            headers = (await house.http.get(path)).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert headers["referrer-policy"] == "no-referrer"
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert len(headers.get_list("content-security-policy")) == 1

    async def test_answers_of_the_api_are_not_kept(self, house: House) -> None:
        assert (await house.get("annotator", "/v1/datasets")).headers["cache-control"] == "no-store"


class TestCors:
    async def test_configured_origin_may_call_and_others_may_not(self, settings: Settings, pg_rpc: Rpc) -> None:
        allowed = "https://app.example.org"
        async with open_house(settings.model_copy(update={"cors_origins": [allowed]}), pg_rpc) as house:
            ask = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization"}
            yes = await house.http.options("/v1/datasets", headers={"Origin": allowed, **ask})
            assert yes.headers["access-control-allow-origin"] == allowed
            no = await house.http.options("/v1/datasets", headers={"Origin": "https://evil.example.org", **ask})
            assert "access-control-allow-origin" not in no.headers
            refused = await house.http.get("/v1/datasets", headers={"Origin": allowed})
            assert refused.status_code == 401
            assert refused.headers["access-control-allow-origin"] == allowed
            assert "X-Request-ID" in refused.headers["access-control-expose-headers"]

    async def test_nobody_may_by_default(self, house: House) -> None:
        response = await house.http.get("/health", headers={"Origin": "https://app.example.org"})
        assert "access-control-allow-origin" not in response.headers


class TestModels:
    async def test_without_a_key_there_is_the_embedded_model(self, house: House) -> None:
        assert (await house.get("stranger", "/v1/models")).json() == [
            {"name": "local/minilm-l6", "default": True, "price": {"input": 0, "cached": 0, "output": 0}}
        ]

    async def test_with_a_key_the_default_comes_first_with_its_price(self, settings: Settings, pg_rpc: Rpc) -> None:
        keyed = settings.model_copy(update={"openai_api_key": SecretStr("sk-secret")})
        async with open_house(keyed, pg_rpc) as house:
            models = (await house.get("stranger", "/v1/models")).json()
        assert (models[0]["name"], models[0]["default"]) == ("gpt-4.1-mini", True)
        assert models[0]["price"]["input"] > 0
        assert "local/minilm-l6" in [model["name"] for model in models]

    async def test_unknown_price_is_told_as_none(self, settings: Settings, pg_rpc: Rpc) -> None:
        changes = {"openai_base_url": "https://models.example.org/v1", "model": "my-model"}
        async with open_house(settings.model_copy(update=changes), pg_rpc) as house:
            models = (await house.get("stranger", "/v1/models")).json()
        assert models[0] == {"name": "my-model", "default": True, "price": None}


class TestStart:
    def test_import_brings_no_heavy_library(self) -> None:
        heavy = (
            "crewai",
            "sklearn",
            "cleanlab",
            "onnxruntime",
            "pyarrow",
            "dbos",
            "openai",
            "scipy",
            "pandas",
            "torch",
        )
        code = f"import sys, api.app, api.server; print([m for m in {heavy!r} if m in sys.modules])"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
        assert done.stdout.strip() == "[]"


class TestOpenApi:
    def test_committed_document_is_current(self) -> None:
        committed = (ROOT / "web" / "openapi.json").read_bytes()
        assert committed == openapi.document(), "run `python -m api.openapi > web/openapi.json`"

    def test_every_operation_is_described(self) -> None:
        document = create_app(Settings()).openapi()
        operations = [o for path in document["paths"].values() for o in path.values()]
        assert len({o["operationId"] for o in operations}) == len(operations)
        for operation in operations:
            assert operation["summary"], operation["operationId"]
            assert operation["description"], operation["operationId"]
            assert operation["tags"], operation["operationId"]
            assert "4XX" in operation["responses"], operation["operationId"]

    async def test_is_served(self, house: House) -> None:
        served = await house.http.get("/openapi.json")
        assert served.json()["info"]["title"] == "LabelCrew"


class TestWorkspace:
    @pytest.fixture
    def pages(self, tmp_path: Path) -> Path:
        folder = tmp_path / "out"
        (folder / "_next" / "static").mkdir(parents=True)
        (folder / "datasets").mkdir()
        (folder / "index.html").write_text("<html><script>self.x=1</script><script src='/a.js'></script>home</html>")
        (folder / "login.html").write_text("<html>login</html>")
        (folder / "datasets" / "index.html").write_text("<html>datasets</html>")
        (folder / "404.html").write_text("<html>lost</html>")
        (folder / "icon.svg").write_text("<svg/>")
        (folder / "_next" / "static" / "app-1a2b.js").write_text("1")
        (tmp_path / "secret.txt").write_text("secret")
        (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
        return folder

    @pytest.fixture
    def http(self, pages: Path) -> httpx.AsyncClient:
        from fastapi import FastAPI

        from api import errors, middleware, web
        from api.observability import Metrics

        app = FastAPI(openapi_url=None)
        errors.install(app)
        web.install(app, folder=pages, connect=("https://x.supabase.co",))
        middleware.install(app, Metrics())
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x")

    @pytest.mark.parametrize(
        ("path", "words"), [("/", "home"), ("/login", "login"), ("/login/", "login"), ("/datasets/", "datasets")]
    )
    async def test_pages_are_found_as_next_writes_them(self, http: httpx.AsyncClient, path: str, words: str) -> None:
        response = await http.get(path)
        assert response.status_code == 200
        assert words in response.text
        assert response.headers["cache-control"] == "no-cache"

    async def test_icon_is_there_for_browsers_that_ask_before_they_have_read_the_page(
        self, http: httpx.AsyncClient
    ) -> None:
        response = await http.get("/favicon.ico")
        assert (response.status_code, response.headers["content-type"]) == (200, "image/svg+xml")

    async def test_only_a_pages_own_inline_scripts_may_run(self, http: httpx.AsyncClient) -> None:
        import base64
        import hashlib

        policy = (await http.get("/")).headers["content-security-policy"]
        digest = base64.b64encode(hashlib.sha256(b"self.x=1").digest()).decode()
        assert f"script-src 'self' 'sha256-{digest}';" in policy
        assert "connect-src 'self' https://x.supabase.co;" in policy
        assert "sha256" not in (await http.get("/login")).headers["content-security-policy"]

    async def test_hashed_files_may_be_kept_for_ever(self, http: httpx.AsyncClient) -> None:
        response = await http.get("/_next/static/app-1a2b.js")
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"

    async def test_missing_page_is_told_in_the_askers_language(self, http: httpx.AsyncClient) -> None:
        page = await http.get("/nowhere", headers={"Accept": "text/html"})
        assert (page.status_code, "lost" in page.text) == (404, True)
        data = await http.get("/nowhere")
        assert (data.status_code, data.json()["code"]) == (404, "not-found")

    @pytest.mark.parametrize(
        "path",
        ["/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/link.txt", "/%00", "/a%5c..%5csecret.txt"],
    )
    async def test_nothing_outside_the_folder_is_served(self, http: httpx.AsyncClient, path: str) -> None:
        response = await http.get(path)
        assert response.status_code == 404
        assert "secret" not in response.text

    async def test_without_a_build_the_start_page_says_so(self, tmp_path: Path) -> None:
        from fastapi import FastAPI

        from api import web

        app = FastAPI(openapi_url=None)
        web.install(app, folder=tmp_path / "none")
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
            page = await http.get("/", headers={"Accept": "text/html"})
            assert page.status_code == 200
            assert "has not been built" in page.text
            assert (await http.get("/")).json()["hint"].startswith("Run `make web`")
