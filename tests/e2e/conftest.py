"""The whole product, as a user meets it: the real server in its own process, and Chromium in front of it.

One server with a temporary data folder serves all of these tests. The browser opens the sign-in link that the server
printed; every page afterwards starts from what that left in the browser's storage.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, StorageState, async_playwright

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
WORKSPACE = Path(__file__).resolve().parents[2] / "web" / "out" / "index.html"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
START_SECONDS = 90


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what drives the browser, and say why it is skipped where it cannot run."""
    missing = None
    if CHROMIUM is None:
        missing = "no Chromium here"
    elif not WORKSPACE.is_file():
        missing = "the workspace is not built (make web)"
    for item in items:
        if Path(__file__).parent not in item.path.parents or "page" not in getattr(item, "fixturenames", ()):
            continue
        item.add_marker(pytest.mark.browser)
        if missing:
            item.add_marker(pytest.mark.skip(reason=missing))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What the server said stands below a test that failed; requests that went well aside."""
    report = yield
    served = getattr(item, "funcargs", {}).get("served")
    if report.failed and served is not None and served.log.is_file():
        said = [
            line for line in served.log.read_text().splitlines() if '"event":"request"' not in line or _refused(line)
        ]
        report.sections.append(("server", "\n".join(said[-40:])))
    return report


def _refused(line: str) -> bool:
    return re.search(r'"status":[45]\d\d', line) is not None


@dataclass
class Served:
    """A running server. ``link`` signs its first admin in, once."""

    address: str
    link: str
    log: Path


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    """`labelcrew serve` with an empty data folder, a worker beside it, and no way out to the network."""
    folder = Path(tempfile.mkdtemp(prefix="lc-web-", dir="/tmp"))
    folder.chmod(0o755)
    log = folder / "server.log"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    plain = {
        k: v for k, v in os.environ.items() if not k.startswith(("LABELCREW_", "OPENAI_", "SUPABASE_", "UPSTASH_"))
    }
    plain.pop("DATABASE_URL", None)
    command = ["-m", "cli.main", "serve", "--port", str(port), "--data-dir", str(folder / "data"), "--no-browser"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command],
            env={**plain, "LABELCREW_FORBID_NETWORK": "1", "LABELCREW_LOG_FORMAT": "json"},
            stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        yield _await_link(process, log, f"http://127.0.0.1:{port}")
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _await_link(process: subprocess.Popen[bytes], log: Path, address: str) -> Served:
    import time

    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if found := re.search(r"http://\S+/login/#token=\S+", log.read_text()):
            return Served(address, found.group(), log)
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise AssertionError(f"the server printed no sign-in link:\n{log.read_text()[-4000:]}")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Chromium, started once."""
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        await started.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def signed_in(served: Served, browser: Browser) -> StorageState:
    """What the printed link leaves in the browser: a session."""
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(served.link)
    await page.wait_for_url(f"{served.address}/")
    await page.get_by_role("heading", name="Datasets").or_(page.get_by_text("No datasets yet")).first.wait_for()
    assert "token" not in page.url
    state = await context.storage_state()
    await context.close()
    return state


class Api:
    """The HTTP interface as the signed-in admin, to arrange things and to see what was really stored."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def get(self, path: str, **query: Any) -> Any:
        response = await self._client.get(path, params=query)
        assert response.is_success, response.text
        return response.json()

    async def post(self, path: str, body: Any = None) -> Any:
        response = await self._client.post(path, json=body)
        assert response.is_success, response.text
        return response.json()

    async def put(self, path: str, body: Any) -> Any:
        response = await self._client.put(path, json=body)
        assert response.is_success, response.text
        return response.json()

    async def patch(self, path: str, body: Any) -> Any:
        response = await self._client.patch(path, json=body)
        assert response.is_success, response.text
        return response.json()

    async def items(self, dataset: str, **query: Any) -> list[dict[str, Any]]:
        page = await self.get(f"/v1/datasets/{dataset}/items", limit=200, **query)
        found: list[dict[str, Any]] = page["items"]
        return found

    async def dataset(
        self,
        name: str,
        classes: list[str],
        texts: list[str],
        *,
        drafts: list[dict[str, Any] | None] | None = None,
        **labelset: Any,
    ) -> str:
        """A dataset with these texts, and drafts for as many of them as are given; returns its id."""
        made = await self.post(
            "/v1/datasets",
            {
                "name": name,
                "labelset": {"classes": [{"name": c} for c in classes], **labelset},
                "settings": {"blind_share": 0},
            },
        )
        rows: list[dict[str, Any]] = [{"external_id": f"i{n}", "text": text} for n, text in enumerate(texts, 1)]
        for row, payload in zip(rows, drafts or [], strict=False):
            if payload is not None:
                row["prediction"] = {
                    "payload": payload, "probability": 0.87, "model": "teacher", "rationale": "The text says so."
                }  # fmt: skip
        await self.post(f"/v1/datasets/{made['id']}/items", {"rows": rows})
        return str(made["id"])


@pytest_asyncio.fixture(loop_scope="session")
async def api(served: Served, signed_in: StorageState) -> AsyncIterator[Api]:
    """See :class:`Api`."""
    import json

    kept = {entry["name"]: entry["value"] for entry in signed_in["origins"][0]["localStorage"]}
    token = json.loads(kept["labelcrew.session"])["token"]
    async with httpx.AsyncClient(
        base_url=served.address, headers={"Authorization": f"Bearer {token}"}, timeout=30
    ) as client:
        yield Api(client)


@dataclass
class Watch:
    """What went wrong in a page without anybody looking: errors in its console, calls to other hosts."""

    errors: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    forgiven: list[str] = field(default_factory=list)
    """Parts of console messages that a test expects: failed requests that it made fail."""

    def follow(self, page: Page, address: str) -> None:
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on(
            "console",
            lambda line: (
                self.errors.append(f"{line.text} {line.location['url']}") if line.type in {"error", "warning"} else None
            ),
        )
        page.on(
            "request",
            lambda r: self.strangers.append(r.url) if not r.url.startswith((address, "blob:", "data:")) else None,
        )

    def check(self) -> None:
        assert self.strangers == []
        assert [e for e in self.errors if not any(part in e for part in self.forgiven)] == []


@pytest.fixture
def watch() -> Watch:
    """See :class:`Watch`."""
    return Watch()


@pytest_asyncio.fixture(loop_scope="session")
async def context(served: Served, browser: Browser, signed_in: StorageState) -> AsyncIterator[BrowserContext]:
    """A browser profile of its own, signed in."""
    opened = await browser.new_context(
        base_url=served.address, storage_state=signed_in, viewport={"width": 1280, "height": 800}, accept_downloads=True
    )
    opened.set_default_timeout(15_000)
    yield opened
    await opened.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(context: BrowserContext, served: Served, watch: Watch) -> AsyncIterator[Page]:
    """A page that is signed in; afterwards nothing must have gone wrong in it unseen."""
    opened = await context.new_page()
    watch.follow(opened, served.address)
    yield opened
    await asyncio.sleep(0)
    watch.check()
