"""The server as a process: starting, taking its port, streaming over a socket, stopping without cutting anybody off."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from api.bootstrap import (
    ADDRESS_FILE,
    first_login_link,
    login_link_for,
    make_login_link,
    noted_address,
    public_address,
    running_address,
)
from api.server import bind
from schemas.errors import LabelCrewError
from schemas.settings import Settings
from store.rpc import Rpc

ROOT = Path(__file__).resolve().parents[2]

SERVE = """
import asyncio
from api.server import serve
from schemas.settings import settings

async def ready(rpc):
    print("ready", flush=True)

serve(settings(), on_ready=ready)
"""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def serving(dsn: str, data_dir: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server process over a database, and its address."""
    port = free_port()
    environment = {
        **os.environ,
        "DATABASE_URL": dsn,
        "LABELCREW_DATA_DIR": str(data_dir),
        "LABELCREW_PORT": str(port),
        "LABELCREW_LOG_FORMAT": "json",
    }
    with (data_dir / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE], cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=log
        )
    try:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


async def sign_in(rpc: Rpc, url: str) -> dict[str, str]:
    user = await rpc.call("create_user", email="ada@example.org", name="Ada")
    token = await make_login_link(rpc, user["id"])
    async with httpx.AsyncClient(base_url=url) as http:
        answer = await http.post("/v1/auth/token", json={"grant": "link", "token": token})
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_stopping_ends_streams_and_exits_in_order(
    pg_rpc: Rpc, clean_dsn: str, tmp_path: Path, number: signal.Signals
) -> None:
    with serving(clean_dsn, tmp_path) as (process, url):
        headers = await sign_in(pg_rpc, url)
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as http:
            dataset = (await http.post("/v1/datasets", json={"name": "x"})).json()["id"]
            actor = (await http.get("/v1/auth/me")).json()["id"]
            job = await pg_rpc.call("create_job", actor=actor, dataset=dataset, kind="embed")
            async with http.stream("GET", f"/v1/jobs/{job['id']}/events") as stream:
                chunks = stream.aiter_text()
                assert "event: job" in await anext(chunks)
                began = time.monotonic()
                process.send_signal(number)
                async for _ in chunks:
                    pass
                assert time.monotonic() - began < 5
        assert process.wait(15) in {0, -number, 130, 1}
        log = (tmp_path / "server.log").read_text()
        assert '"route":"/v1/datasets"' in log
        assert headers["Authorization"].split()[1] not in log


async def test_large_answers_and_keep_alive_work_over_a_socket(pg_rpc: Rpc, clean_dsn: str, tmp_path: Path) -> None:
    with serving(clean_dsn, tmp_path) as (_, url):
        headers = await sign_in(pg_rpc, url)
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as http:
            body = {"name": "x", "labelset": {"classes": [{"name": "a"}]}}
            dataset = (await http.post("/v1/datasets", json=body)).json()["id"]
            rows = [{"text": f"{n} " + "word " * 200} for n in range(1000)]
            made = await http.post(f"/v1/datasets/{dataset}/items", json={"rows": rows})
            assert made.json()["created"] == 1000
            exported = await http.get(f"/v1/datasets/{dataset}/export")
            assert len(exported.text.splitlines()) == 1000
            files = {"file": ("big.csv", b"text\n" + b"some words\n" * 500_000, "text/csv")}
            sent = await http.post(f"/v1/datasets/{dataset}/imports", files=files)
            assert sent.status_code == 202


async def test_upload_that_breaks_off_leaves_nothing_behind(pg_rpc: Rpc, clean_dsn: str, tmp_path: Path) -> None:
    with serving(clean_dsn, tmp_path) as (_, url):
        headers = await sign_in(pg_rpc, url)
        async with httpx.AsyncClient(base_url=url, headers=headers) as http:
            dataset = (await http.post("/v1/datasets", json={"name": "x"})).json()["id"]
        head = (
            f"POST /v1/datasets/{dataset}/imports HTTP/1.1\r\nHost: x\r\nAuthorization: {headers['Authorization']}\r\n"
            "Content-Type: multipart/form-data; boundary=edge\r\nContent-Length: 9000000\r\n\r\n"
            '--edge\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        )
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as connection:
            connection.sendall(head.encode() + b"x" * 3_000_000)
            await until(lambda: any((tmp_path / "uploads").rglob("file.csv")))
        await until(lambda: not any((tmp_path / "uploads").iterdir()))


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    for _ in range(200):
        if holds():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not come to that")


def test_taken_port_is_refused_with_port_in_use(tmp_path: Path) -> None:
    first = bind(Settings(data_dir=tmp_path, port=0))
    try:
        with pytest.raises(LabelCrewError) as refused:
            bind(Settings(data_dir=tmp_path, port=first.getsockname()[1]))
        assert refused.value.code == "port-in-use"
        assert str(first.getsockname()[1]) in refused.value.detail
    finally:
        first.close()


def test_address_that_is_not_ours_is_refused_with_configuration(tmp_path: Path) -> None:
    with pytest.raises(LabelCrewError) as refused:
        bind(Settings(data_dir=tmp_path, host="203.0.113.7", port=0))
    assert refused.value.code == "configuration"


@pytest.mark.parametrize(
    ("changes", "address"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"host": "0.0.0.0", "port": 80}, "http://127.0.0.1:80"),
        ({"host": "::1"}, "http://[::1]:8000"),
        ({"host": "labels.local"}, "http://labels.local:8000"),
        ({"public_url": "https://labels.example.org/"}, "https://labels.example.org"),
    ],
)
def test_public_address_is_one_that_a_browser_can_open(changes: dict[str, object], address: str) -> None:
    assert public_address(Settings().model_copy(update=changes)) == address


class TestAddressNote:
    def test_running_server_is_found_by_its_data_folder_and_gone_with_it(self, tmp_path: Path) -> None:
        settings = Settings(data_dir=tmp_path / "data")
        assert running_address(settings) is None
        with noted_address(settings.model_copy(update={"port": 8123})):
            assert running_address(settings) == "http://127.0.0.1:8123"
        assert running_address(settings) is None

    @pytest.mark.parametrize("note", ["", "nonsense", "7 8 9", f"{2**40}\nhttp://x\n", "-\nhttp://x\n"])
    def test_note_that_says_nothing_is_passed_over(self, tmp_path: Path, note: str) -> None:
        (tmp_path / ADDRESS_FILE).write_text(note)
        assert running_address(Settings(data_dir=tmp_path)) is None

    def test_note_of_a_server_that_was_killed_is_passed_over(self, tmp_path: Path) -> None:
        ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
        (tmp_path / ADDRESS_FILE).write_text(f"{ended.stdout.decode().strip()}\nhttp://127.0.0.1:8123\n")
        assert running_address(Settings(data_dir=tmp_path)) is None

    async def test_sign_in_link_leads_to_the_running_server(self, settings: Settings, pg_rpc: Rpc) -> None:
        await first_login_link(settings, pg_rpc)
        with noted_address(settings.model_copy(update={"port": 8123})):
            link = await login_link_for(settings, pg_rpc, "admin@localhost")
            assert link.startswith("http://127.0.0.1:8123/login/#token=")
            public = settings.model_copy(update={"public_url": "https://labels.example.org"})
            link = await login_link_for(public, pg_rpc, "admin@localhost")
            assert link.startswith("https://labels.example.org/login/#token=")
