"""Help while somebody waits: hints with the embedded model, and the first word of the chat, over HTTP.

A real `labelcrew serve` with a worker, Banking77 with its 77 classes, part of it verified, a student trained on that, and
guidelines of a hundred lines. The language model is the tests' stand-in in a process of its own; what it takes to its
first piece is measured through the same client without the product around it, and taken off.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any

import psutil

from agents.client import ModelClient
from agents.streaming import Turn, stream_turn
from bench.learning_sets import labelled
from bench.tables import Table
from bench.world import ROOT, Server, Wire, data_folder, environment, machine, percentile, served, sign_in
from tests.support.openai_server import KEY

LATENCY_S = 0.05
"""How long the stand-in takes to its first piece."""
LIMITS = {"LABELCREW_HINTS_PER_MINUTE": "10000", "LABELCREW_CHATS_PER_MINUTE": "10000"}
HINT_MS = 60.0
FIRST_MS = 50.0
CHUNK = 5_000


def run(quick: bool) -> list[Table]:
    """One table: hints with and without a stored vector, and the chat's first word."""
    items, verified, hints, asks = (1_000, 300, 60, 20) if quick else (10_000, 2_000, 400, 120)
    table = Table("Guidance", ["", "p50 ms", "p95 ms", "target", ""], note=machine())
    with _model() as address, data_folder() as folder:
        more = {"OPENAI_BASE_URL": address, "OPENAI_API_KEY": KEY, **LIMITS}
        with served(folder, workers=1, **more) as server:
            sign_in(server)
            dataset, fresh = _fill(server, items, verified, hints)
            known = [row["id"] for row in _open_items(server, dataset, hints)]
            _hints(server, known[:5])  # the student and the guidelines are read once
            before = _cpu_ms(server)
            times = _hints(server, known[5:])
            cpu = (_cpu_ms(server) - before) / len(times)
            _row(table, f"hint, {items:,} items, 77 classes, stored vector", times, HINT_MS)
            _row(table, "hint, item without a vector yet", _hints(server, fresh), HINT_MS)
            asyncio.run(_first_words(server, dataset, known[0], 3))
            ours = asyncio.run(_first_words(server, dataset, known[0], asks))
        own = asyncio.run(_models_own(address, asks))
    _row(table, "chat, first word, the model's own time off", [took - median(own) for took in ours], FIRST_MS)
    table.add("the model's own first word", median(own), percentile(own, 0.95), "", "")
    table.add("processor time of a hint in the gateway", cpu, None, "", "")
    return [table]


def _cpu_ms(server: Server) -> float:
    """Processor time of the gateway so far, in milliseconds."""
    return sum(psutil.Process(server.process.pid).cpu_times()[:2]) * 1000


def _row(table: Table, name: str, times: Sequence[float], most: float) -> None:
    p95 = percentile(times, 0.95)
    table.add(name, median(times), p95, f"p95 ≤ {most:.0f}", "reached" if p95 <= most else "missed")


@contextmanager
def _model() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "tests.support.openai_server", "--port", str(port), "--latency", str(LATENCY_S)]
    with subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        try:
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()


def _fill(server: Server, items: int, verified: int, fresh: int) -> tuple[str, list[str]]:
    """A dataset with vectors and a student, and ids of items that came too late for either."""
    rows = [(text, label) for text, label in labelled("banking77")][: items + fresh]
    classes = sorted({label for _, label in rows})
    lines = [f"- Choose {name} when the customer writes about {name.replace('_', ' ')}." for name in classes]
    guidelines = (
        "# Classes\n"
        + "\n".join(lines)
        + "\n\n# In general\n"
        + "\n".join(f"- Rule {n}: what the customer asks for decides, not how it is said." for n in range(23))
    )
    body = {
        "name": "Banking", "guidelines": guidelines, "settings": {"blind_share": 0},
        "labelset": {"classes": [{"name": name} for name in classes]},
    }  # fmt: skip
    dataset = server.ask("POST", "/v1/datasets", body)["id"]
    made: list[dict[str, Any]] = [{"external_id": str(n), "text": text} for n, (text, _) in enumerate(rows)]
    for row, (_, label) in zip(made[:verified], rows, strict=False):
        row["annotation"] = {"labels": [label]}
    for start in range(0, items, CHUNK):
        server.ask("POST", f"/v1/datasets/{dataset}/items", {"rows": made[start : min(start + CHUNK, items)]})
    for kind in ("embed", "train"):
        job = server.ask("POST", f"/v1/datasets/{dataset}/jobs", {"kind": kind})
        while (state := server.ask("GET", f"/v1/jobs/{job['id']}")["state"]) not in {"done", "failed"}:
            time.sleep(0.2)
        if state != "done":
            raise RuntimeError(f"the job {kind} {state}")
    added = server.ask("POST", f"/v1/datasets/{dataset}/items", {"rows": made[items:][:200]})
    return str(dataset), [row["id"] for row in added["results"]]


def _open_items(server: Server, dataset: str, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.ask("GET", f"/v1/datasets/{dataset}/items?state=new&limit={count + 5}")[
        "items"
    ]
    return found


def _hints(server: Server, items: Sequence[str]) -> list[float]:
    """Milliseconds of a hint for each item, one after the other, in the template's words."""

    async def ask() -> list[float]:
        wire = await Wire(server.port, server.token).open()
        times = []
        for item in items:
            status, _, took = await wire.ask("GET", f"/v1/items/{item}/hints?words=false")
            if status != 200:
                raise RuntimeError(f"a hint was refused with {status}")
            times.append(took)
        wire.close()
        return times

    return asyncio.run(ask())


async def _first_words(server: Server, dataset: str, item: str, count: int) -> list[float]:
    """Milliseconds from the question to the first piece of the answer."""
    body = json.dumps({"message": "Which label is right, and why?", "item_id": item}).encode()
    head = (
        f"POST /v1/datasets/{dataset}/chat HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {server.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    times = []
    for _ in range(count):
        began = time.perf_counter()
        writer.write(head + body)
        await reader.readuntil(b"event: token")
        times.append((time.perf_counter() - began) * 1000)
        await reader.readuntil(b"event: done")
        await reader.readuntil(b"0\r\n\r\n")
    writer.close()
    return times


async def _models_own(address: str, count: int) -> list[float]:
    """The same through the client alone."""
    client = ModelClient("gpt-4.1-mini", api_key=KEY, base_url=address)
    times = []
    for _ in range(count):
        began = time.perf_counter()
        pieces = stream_turn(client, [{"role": "user", "content": "Which label is right, and why?"}], Turn())
        async for _piece in pieces:
            times.append((time.perf_counter() - began) * 1000)
            break
        await pieces.aclose()
    await client.close()
    return times
