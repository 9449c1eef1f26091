"""What benchmarks of the whole product share: data folders, a real server in its own process, and a lean HTTP client.

The client speaks HTTP/1.1 over one kept connection with asyncio's streams and does nothing else: about 0.1 ms of
processor time a request, where httpx takes ten times that and would be what is measured.
"""

from __future__ import annotations

import asyncio
import csv
import json
import os
import platform
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil

CLASSES = 77
COMMAND = [sys.executable, "-m", "cli.main"]
ROOT = Path(__file__).resolve().parent.parent
_SENTENCE = "my card payment is late please refund the wrong transfer fee why has it not arrived again in this app"


def machine() -> str:
    """Cores and load, because the figures mean little without."""
    load = os.getloadavg()[0]
    return f"{psutil.cpu_count()} cores ({platform.machine()}), load {load:.1f} at the end of the run."


@contextmanager
def data_folder() -> Iterator[Path]:
    """An empty data folder, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="labelcrew-bench-", ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "data"


def cli(*arguments: str | Path, folder: Path | None = None) -> str:
    """Run a command to its end; what it printed. Raises when it failed."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], env=environment(folder), cwd=ROOT, text=True, capture_output=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"labelcrew {arguments[0]} ended with {done.returncode}: {done.stderr[-500:]}")
    return done.stdout


def environment(folder: Path | None = None, **more: str) -> dict[str, str]:
    """The environment without anybody's keys: the embedded database, the embedded model."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LABELCREW_", "OPENAI_", "SUPABASE_", "UPSTASH_"))}
    kept.pop("DATABASE_URL", None)
    return {**kept, **({"LABELCREW_DATA_DIR": str(folder)} if folder else {}), **more}


@dataclass
class Server:
    """A running `labelcrew serve`, and its administrator's token."""

    folder: Path
    port: int
    process: psutil.Popen
    ready_s: float
    token: str = ""
    tokens: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, body: Any = None, *, content: bytes = b"", kind: str = "") -> Any:
        """One request as the administrator, with the standard library; the decoded answer."""
        from http.client import HTTPConnection

        connection = HTTPConnection("127.0.0.1", self.port, timeout=600)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind or "application/json"}
        connection.request(method, path, content or (json.dumps(body) if body is not None else None), headers)
        response = connection.getresponse()
        found = response.read()
        connection.close()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {found[:300]!r}")
        return json.loads(found)

    def processes(self) -> dict[str, psutil.Process]:
        """The gateway, and its worker once there is one."""
        found = {"server": psutil.Process(self.process.pid)}
        for child in found["server"].children():
            if "worker" in child.cmdline():
                found["worker"] = child
        return found


@contextmanager
def served(folder: Path, *, workers: int = 0, **more: str) -> Iterator[Server]:
    """`labelcrew serve` on a free port as users start it; ``ready_s`` is the time until /ready said yes. ``more`` are
    variables of its environment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [*COMMAND, "serve", "--no-browser", "--port", str(port), "--data-dir", str(folder)]
    began = time.monotonic()
    with tempfile.TemporaryFile() as log:
        process = psutil.Popen(
            command, cwd=ROOT, env=environment(LABELCREW_WORKERS=str(workers), **more), stdout=log, stderr=log
        )
        try:
            ready_s = _until_ready(process, port, began)
            yield Server(folder, port, process, ready_s)
        except BaseException:
            log.seek(0)
            print(log.read()[-2000:].decode(errors="replace"), file=sys.stderr)
            raise
        finally:
            process.terminate()
            process.wait(60)


def _until_ready(process: psutil.Popen, port: int, began: float) -> float:
    from http.client import HTTPConnection, HTTPException

    while process.poll() is None and time.monotonic() - began < 120:
        try:
            connection = HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", "/ready")
            if connection.getresponse().status == 200:
                return time.monotonic() - began
        except (OSError, HTTPException):
            pass
        time.sleep(0.02)
    raise RuntimeError("the server did not become ready")


def sign_in(server: Server, *, annotators: int = 0, dataset: str | None = None) -> None:
    """Give ``server`` its administrator's token, and tokens of new annotators of ``dataset``."""

    async def people() -> None:
        from api.auth import LocalTokens, local_secret
        from cli.opening import operator, quiet_logs
        from schemas.settings import Settings
        from store.embedded import EmbeddedPostgres
        from store.postgres import PostgresRpc

        settings = Settings(data_dir=server.folder)
        quiet_logs(settings)
        embedded = EmbeddedPostgres.attach(server.folder)
        assert embedded is not None, "the server runs"
        store = await PostgresRpc.open(embedded.dsn)
        try:
            tokens = LocalTokens(local_secret(settings), store, hours=12)
            admin = await operator(store)
            server.token = tokens.issue(await store.call("get_user", actor=admin))["access_token"]
            for _ in range(annotators):
                email = f"annotator-{len(server.tokens)}@example.org"
                user = await store.call("create_user", email=email, name="Annotator")
                await store.call("add_member", actor=admin, dataset=dataset, email=email, role="annotator")
                server.tokens.append(tokens.issue(user)["access_token"])
        finally:
            await store.close()
            embedded.stop()

    asyncio.run(people())


class Wire:
    """One kept HTTP connection of one person."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._head = f"Host: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"

    async def open(self) -> Wire:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)
        return self

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any, float]:
        """Status, decoded answer, and milliseconds from the first byte sent to the last one read."""
        import orjson

        data = orjson.dumps(body) if body is not None else b""
        request = f"{method} {path} HTTP/1.1\r\n{self._head}Content-Length: {len(data)}\r\n\r\n".encode() + data
        began = time.perf_counter()
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        found = await self._reader.readexactly(length)
        took = (time.perf_counter() - began) * 1000
        return int(head.split(b" ", 2)[1]), orjson.loads(found), took

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


def apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """The result of ``work(*arguments)``, run in a fresh process so that it shares no interpreter with anything."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


class MemoryWatch:
    """Samples resident memory of processes until closed; ``peaks`` are in megabytes, ``trail`` one sample a step."""

    def __init__(self, processes: dict[str, psutil.Process], every_s: float = 0.1) -> None:
        self._processes = processes
        self.trail: dict[str, list[float]] = {name: [] for name in processes}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(every_s,), daemon=True)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self, every_s: float) -> None:
        while not self._stop.wait(every_s):
            for name, process in self._processes.items():
                self.trail[name].append(process.memory_info().rss / 2**20)

    def peak(self, name: str) -> float:
        """The most that one process held."""
        return max(self.trail[name], default=0.0)


def texts(count: int) -> Iterator[tuple[str, str]]:
    """Ids and texts of about a dozen words; all texts differ."""
    draw, words = random.Random(7), _SENTENCE.split()
    stock = [" ".join(draw.choices(words, k=11)) for _ in range(5000)]
    for i in range(count):
        yield f"r{i:07}", f"{stock[i % 5000]} {i}"


def write_csv(path: Path, count: int) -> Path:
    """A CSV file of id, text and a column of metadata."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text", "language"])
        writer.writerows((key, text, "en") for key, text in texts(count))
    return path


def class_names() -> list[str]:
    """77 made-up class names."""
    return [f"reason_{n:02d}" for n in range(CLASSES)]


def make_dataset(server: Server, name: str) -> str:
    """A dataset with 77 classes; its id."""
    labelset = {"classes": [{"name": name} for name in class_names()]}
    made = server.ask("POST", "/v1/datasets", {"name": name, "labelset": labelset})
    return str(made["id"])


def postgres_cpu_ms(pgdata: Path) -> float:
    """Processor time that the Postgres of a data folder has used so far, in milliseconds, that of connections that have
    ended too: on a busy machine the clock tells more about the neighbours."""
    server = psutil.Process(int((pgdata / "postmaster.pid").read_text().split()[0]))
    times = [process.cpu_times() for process in (server, *server.children())]
    return float(sum(t.user + t.system + t.children_user + t.children_system for t in times) * 1000)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
