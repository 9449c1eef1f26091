"""The OpenAPI document against the running server: whatever a client may think of sending, no answer is a 500, and
every answer is one that the document announces. Requests are made up by Schemathesis, a bounded number for each
operation and the same ones each time; ids of a real dataset are put in, so that requests get past the first check.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.app import create_app
from schemas.settings import Settings
from tests.api.test_server import serving

EXAMPLES = 30

# Without its coverage phase: that sends the largest body that every limit allows, tens of megabytes for one answer.
config = schemathesis.Config.from_dict({"phases": {"coverage": {"enabled": False}}, "generation": {"mode": "all"}})
schema = schemathesis.openapi.from_dict(create_app(Settings()).openapi(), config=config)


class Sandbox:
    """A server with a dataset whose ids are put into requests."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=url, headers=self.headers) as http:
            body = {"name": "sandbox", "labelset": {"classes": [{"name": "a"}, {"name": "b"}]}}
            dataset = http.post("/v1/datasets", json=body).json()["id"]
            rows = {"rows": [{"text": f"text {n}"} for n in range(50)]}
            item = http.post(f"/v1/datasets/{dataset}/items", json=rows).json()["results"][0]["id"]
            lease = http.post(f"/v1/datasets/{dataset}/claim", json={"count": 1}).json()["claims"][0]["lease"]["id"]
            job = http.post(f"/v1/datasets/{dataset}/jobs", json={"kind": "embed"}).json()["id"]
            http.post(f"/v1/jobs/{job}/cancel")
            guest = {"email": "guest@example.org", "role": "annotator"}
            invitation = http.post(f"/v1/datasets/{dataset}/invitations", json=guest).json()["id"]
            service = {"name": "script", "role": "annotator", "scopes": ["read"]}
            made = http.post(f"/v1/datasets/{dataset}/tokens", json=service).json()["id"]
        self.ids = {
            "dataset_id": dataset, "item_id": item, "lease_id": lease, "job_id": job, "invitation_id": invitation,
            "token_id": made,
        }  # fmt: skip


@pytest.fixture(scope="module")
def sandbox(database_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    from tests.support.database import clear

    clear(database_dsn)
    folder: Path = tmp_path_factory.mktemp("contract")
    with serving(database_dsn, folder) as (_, url):
        with psycopg.connect(database_dsn, autocommit=True) as connection:
            made = connection.execute("select labelcrew_api.create_user('ada@example.org', 'Ada')").fetchone()
            assert made
        from api.auth import LocalTokens, local_secret

        tokens = LocalTokens(local_secret(Settings(data_dir=folder)), rpc=None, hours=1)  # type: ignore[arg-type]
        yield Sandbox(url, tokens.issue(made[0])["access_token"])


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_every_request_gets_an_announced_answer(case: Any, sandbox: Sandbox) -> None:
    if case.method != "DELETE":
        for name, value in sandbox.ids.items():
            if name in (case.path_parameters or {}) and case.meta.generation.mode.is_positive:
                case.path_parameters[name] = value
    response = case.call(base_url=sandbox.url, headers=sandbox.headers)
    case.validate_response(
        response,
        checks=[
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_schema_conformance,
        ],
    )
