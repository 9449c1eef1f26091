"""The server under annotators: 100,000 items over HTTP, one annotator alone, then twenty at once without a pause.

The server, its Postgres and the client share the machine, as they would on a laptop. The client speaks HTTP/1.1 over
plain sockets, so that little of what is measured is its own. Processor time is told beside the clock, because on a busy
machine the clock tells more about the neighbours.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import psutil

from bench.tables import Table

ANNOTATORS = 20
CLASSES = 77
ROOT = Path(__file__).resolve().parent.parent

SERVER = """
import json, sys
from api.auth import LocalTokens, local_secret
from api.server import bind, serve
from schemas.settings import settings

configured = settings()
async def ready(rpc):
    tokens = []
    for n in range({people}):
        user = await rpc.call("create_user", email=f"u{{n}}@example.org", name=f"u{{n}}")
        issued = LocalTokens(local_secret(configured), rpc, hours=1).issue(user)
        tokens.append([user["email"], issued["access_token"]])
    print(json.dumps(tokens), flush=True)
serve(configured, on_ready=ready)
"""


@dataclass
class Server:
    """A running server with people who are signed in; the first is the admin."""

    port: int
    people: list[tuple[str, str]]
    process: psutil.Process
    postgres: psutil.Process
    started_s: float

    def cpu_ms(self) -> tuple[float, float]:
        """Processor time so far of the gateway and of its Postgres, in milliseconds."""
        return _cpu_ms([self.process]), _cpu_ms([self.postgres, *self.postgres.children()])


def _cpu_ms(processes: list[psutil.Process]) -> float:
    times = [process.cpu_times() for process in processes]
    return sum(t.user + t.system + t.children_user + t.children_system for t in times) * 1000


@dataclass
class Times:
    """How long requests took, in milliseconds."""

    taken: list[float] = field(default_factory=list)

    def at(self, share: float) -> float:
        """The time that this share of the requests stayed under."""
        return statistics.quantiles(self.taken, n=1000, method="inclusive")[round(share * 1000) - 1]


class Connection:
    """One keep-alive connection, signed in."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The decoded answer. Raises on any status of 400 or more."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=2**26)
        reader, writer = self._streams
        content = b"" if body is None else orjson.dumps(body)
        head = f"{method} {path} HTTP/1.1\r\n{self._head}Content-Length: {len(content)}\r\n\r\n"
        writer.write(head.encode() + content)
        raw = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b"content-length: " in raw:
            answer = await reader.readexactly(int(raw.split(b"content-length: ")[1].split(b"\r\n")[0]))
        else:
            answer = await _chunks(reader)
        status = int(raw.split(b" ", 2)[1])
        if status >= 400:
            raise RuntimeError(f"{method} {path}: {status} {answer[:300]!r}")
        return orjson.loads(answer) if b"application/json" in raw else answer

    async def timed(self, times: Times, method: str, path: str, body: Any = None) -> Any:
        """:meth:`ask`, with its time noted."""
        began = time.perf_counter()
        answer = await self.ask(method, path, body)
        times.taken.append((time.perf_counter() - began) * 1000)
        return answer


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(parts)


def run(*, quick: bool) -> list[Table]:
    """Start, import, pages, one annotator, twenty annotators, export."""
    with serving() as server:
        return asyncio.run(_measure(server, items=5_000 if quick else 100_000, seconds=3 if quick else 15))


@contextmanager
def serving() -> Iterator[Server]:
    """A server with its own database in a temporary folder, as anybody would start it."""
    port = 18_000 + os.getpid() % 2_000
    with tempfile.TemporaryDirectory(prefix="lc-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        environment = {
            **os.environ,
            "LABELCREW_DATA_DIR": folder,
            "LABELCREW_PORT": str(port),
            "LABELCREW_LOG_LEVEL": "warning",
        }
        command = [sys.executable, "-c", SERVER.format(people=ANNOTATORS + 1)]
        began = time.perf_counter()
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            people = [(email, token) for email, token in json.loads(process.stdout.readline())]
            try:
                took = time.perf_counter() - began
                postmaster = int(next(Path(folder).rglob("postmaster.pid")).read_text().split()[0])
                yield Server(port, people, psutil.Process(process.pid), psutil.Process(postmaster), took)
            finally:
                process.terminate()
                process.wait(30)


async def _measure(server: Server, *, items: int, seconds: float) -> list[Table]:
    admin = Connection(server.port, server.people[0][1])
    memory = server.process.memory_info().rss
    labelset = {"classes": [{"name": f"reason {n:02d}"} for n in range(CLASSES)]}
    dataset = (await admin.ask("POST", "/v1/datasets", {"name": "bench", "labelset": labelset}))["id"]
    for email, _ in server.people[1:]:
        await admin.ask("PUT", f"/v1/datasets/{dataset}/members", {"email": email, "role": "annotator"})
    brought_in = await _import(admin, dataset, items)
    tables = [
        await _pages(admin, dataset, items),
        await _alone(server, dataset, 100 if items < 10_000 else 1_000),
        await _together(server, dataset, seconds),
    ]
    whole = Table(f"The server with {items:,} items", ["what", "figure", "unit"])
    whole.add("start until the first request", round(server.started_s, 2), "s")
    whole.add("memory at start", round(memory / 2**20), "MB")
    whole.add("memory after all this", round(server.process.memory_info().rss / 2**20), "MB")
    whole.add("import, 5,000 rows a request", round(brought_in), "rows/s")
    for name in ("jsonl", "csv", "parquet"):
        began = time.perf_counter()
        await admin.ask("GET", f"/v1/datasets/{dataset}/export?format={name}")
        whole.add(f"export as {name}", round(items / (time.perf_counter() - began)), "rows/s")
    return [whole, *tables]


async def _import(admin: Connection, dataset: str, items: int) -> float:
    began = time.perf_counter()
    for start in range(0, items, 5_000):
        rows = [
            {"external_id": f"r{n}", "text": f"I have a question about my payment number {n}, can you help me?"}
            for n in range(start, min(start + 5_000, items))
        ]
        await admin.ask("POST", f"/v1/datasets/{dataset}/items", {"rows": rows})
    return items / (time.perf_counter() - began)


async def _pages(admin: Connection, dataset: str, items: int) -> Table:
    path = f"/v1/datasets/{dataset}/items"
    cursor = None
    for _ in range(items * 9 // 10 // 500):
        found = await admin.ask("GET", f"{path}?{urlencode({'limit': 500, **({'cursor': cursor} if cursor else {})})}")
        cursor = found["next_cursor"]
    table = Table("Pages of 50 items, in milliseconds", ["page", "p50", "p95"])
    wanted = {
        "first": {},
        "after nine tenths": {"cursor": cursor},
        "with a word": {"q": "payment"},
        "with a rare word": {"q": str(items - 7)},
        "by priority": {"sort": "priority"},
        "in a state": {"state": "new"},
    }
    for name, params in wanted.items():
        times = Times()
        for _ in range(100):
            await admin.timed(times, "GET", f"{path}?{urlencode({'limit': 50, **params})}")
        table.add(name, round(times.at(0.5), 1), round(times.at(0.95), 1))
    return table


async def _alone(server: Server, dataset: str, count: int) -> Table:
    one = Connection(server.port, server.people[1][1])
    claims, submits = Times(), Times()
    before = server.cpu_ms()
    for n in range(count):
        await _answer_one(one, dataset, n, claims, submits)
    after = server.cpu_ms()
    table = Table(f"One annotator, {count:,} items, in milliseconds", ["request", "p50", "p95", "p99"])
    for name, times in (("claim", claims), ("submit", submits)):
        table.add(name, round(times.at(0.5), 1), round(times.at(0.95), 1), round(times.at(0.99), 1))
    table.note = _cpu_note(before, after, count)
    return table


async def _together(server: Server, dataset: str, seconds: float) -> Table:
    claims, submits = Times(), Times()
    answered: Counter[str] = Counter()
    until = time.perf_counter() + seconds

    async def work(token: str, seed: int) -> None:
        connection = Connection(server.port, token)
        n = seed
        while time.perf_counter() < until:
            n += 1
            answered[await _answer_one(connection, dataset, n, claims, submits)] += 1

    before = server.cpu_ms()
    began = time.perf_counter()
    await asyncio.gather(*(work(token, seed) for seed, (_, token) in enumerate(server.people[1:])))
    took = time.perf_counter() - began
    after = server.cpu_ms()
    table = Table(
        f"{ANNOTATORS} annotators without a pause, {took:.0f} s",
        ["items answered a second", "claim p50", "claim p95", "submit p50", "submit p95", "answered twice"],
    )
    table.add(
        round(len(submits.taken) / took, 1),
        *(round(times.at(share), 1) for times in (claims, submits) for share in (0.5, 0.95)),
        sum(1 for n in answered.values() if n > 1),
    )
    table.note = _cpu_note(before, after, len(submits.taken))
    return table


async def _answer_one(connection: Connection, dataset: str, n: int, claims: Times, submits: Times) -> str:
    found = await connection.timed(claims, "POST", f"/v1/datasets/{dataset}/claim", {"count": 1})
    held = found["claims"][0]
    body = {
        "payload": {"labels": [f"reason {n % CLASSES:02d}"]},
        "labelset_version": 1,
        "lease_id": held["lease"]["id"],
        "token": held["lease"]["token"],
    }
    await connection.timed(submits, "PUT", f"/v1/items/{held['item']['id']}/annotation", body)
    item: str = held["item"]["id"]
    return item


def _cpu_note(before: tuple[float, float], after: tuple[float, float], pairs: int) -> str:
    gateway, database = ((b - a) / pairs for a, b in zip(before, after, strict=True))
    return f"Processor time for a claim and a submit: gateway {gateway:.2f} ms, Postgres {database:.2f} ms."
