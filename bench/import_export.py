"""Files through the whole product: uploaded to a real server, imported by its worker, streamed out again.

Nothing is embedded here. The rates are end to end: the import's clock starts with the upload and stops when the job is
done, with both of its passes over the file; beside it is the part that the job itself took. Python's csv module, which
only parses the same file, is the yardstick.
"""

from __future__ import annotations

import csv
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from bench.tables import Table
from bench.world import MemoryWatch, Server, data_folder, machine, make_dataset, served, sign_in, write_csv

LIMIT_MB = 400
ELSEWHERE = "measured elsewhere, same kind of machine"


def run(quick: bool) -> list[Table]:
    """Rates of an import and an export, and what the processes held meanwhile."""
    small, large, rounds = (10_000, 40_000, 1) if quick else (100_000, 1_000_000, 3)
    speed = Table(
        f"Import and export of {small:,} rows, over HTTP",
        ["what", "rows/s", "target", "reached", f"Label Studio 1.23.2 ({ELSEWHERE})"],
    )
    memory = Table(
        f"Memory of the server's processes, {large:,} rows",
        ["what", "rows/s", "server MB before → peak", "worker MB before → peak", "target", "reached"],
    )
    with data_folder() as folder, served(folder, workers=1) as server:
        sign_in(server)
        _until_worker(server)
        warm = write_csv(folder / "warm.csv", 100)
        _import(server, make_dataset(server, "warm"), warm)
        file = write_csv(folder / "small.csv", small)
        bare = max(small / _parse(file) for _ in range(3))
        imported, exported = [], []
        for n in range(rounds):
            dataset = make_dataset(server, f"small {n}")
            imported.append(_import(server, dataset, file))
            exported.append(small / _export(server, dataset, small)[0])
        best_in, best_out = small / min(whole for whole, _ in imported), max(exported)
        job = small / min(job for _, job in imported)
        speed.add("CSV import, upload to done", best_in, "≥ 30,000", _word(best_in >= 30_000), "5,300")
        speed.add("… the job alone", job, None, None, None)
        speed.add("… csv.reader, parsing alone", bare, None, None, None)
        speed.add("JSONL export", best_out, "≥ 50,000", _word(best_out >= 50_000), "911")
        speed.note = f"Best of {rounds}. {machine()}"
    with data_folder() as folder, served(folder, workers=1) as server:
        sign_in(server)
        _until_worker(server)
        for row in _memory(server, write_csv(folder / "large.csv", large), large):
            memory.add(*row)
    memory.note = (
        "Resident memory without Postgres, sampled ten times a second. The server has just started: its worker has not "
        "loaded the embedded model, some 100 MB more. The worker remembers the ids of a file, 24 to 48 bytes each."
    )
    return [speed, memory]


def _memory(server: Server, file: Path, count: int) -> list[list[Any]]:
    dataset = make_dataset(server, "large")
    rows: list[list[Any]] = []
    for what in ("import", "export"):
        with MemoryWatch(server.processes()) as watch:
            took = _import(server, dataset, file)[0] if what == "import" else _export(server, dataset, count)[0]
        reached = all(watch.peak(name) < LIMIT_MB for name in watch.trail)
        rows.append([
            what, count / took, *(_span(watch, name) for name in ("server", "worker")), f"< {LIMIT_MB}", _word(reached)
        ])  # fmt: skip
    return rows


def _span(watch: MemoryWatch, name: str) -> str:
    trail = watch.trail[name]
    half = max(trail[: len(trail) // 2 + 1])
    return f"{trail[0]:.0f} → {watch.peak(name):.0f} (first half {half:.0f})"


def _until_worker(server: Server) -> None:
    deadline = time.monotonic() + 120
    while server.ask("GET", "/ready")["workers"] < 1:
        if time.monotonic() > deadline:
            raise RuntimeError("the worker did not come up")
        time.sleep(0.1)


def _import(server: Server, dataset: str, file: Path) -> tuple[float, float]:
    """Seconds from the upload to the job's end, and of the job itself."""
    boundary = "bench-boundary"
    fields = {"text_column": "text", "id_column": "id"}
    head = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    head += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{file.name}"\r\n\r\n'
    tail = f"\r\n--{boundary}--\r\n".encode()
    connection = HTTPConnection("127.0.0.1", server.port, timeout=600)
    began = time.perf_counter()
    connection.putrequest("POST", f"/v1/datasets/{dataset}/imports")
    connection.putheader("Authorization", f"Bearer {server.token}")
    connection.putheader("Content-Type", f"multipart/form-data; boundary={boundary}")
    connection.putheader("Content-Length", str(len(head.encode()) + file.stat().st_size + len(tail)))
    connection.endheaders(head.encode())
    with file.open("rb") as source:
        while piece := source.read(2**20):
            connection.send(piece)
    connection.send(tail)
    answer = connection.getresponse()
    if answer.status != 202:
        raise RuntimeError(f"the upload was refused: {answer.read()!r}")
    return _follow(server, answer, began)


def _follow(server: Server, answer: Any, began: float) -> tuple[float, float]:
    import json

    job = json.loads(answer.read())["id"]
    started = 0.0
    while True:
        found = server.ask("GET", f"/v1/jobs/{job}")
        now = time.perf_counter()
        if found["state"] != "queued" and not started:
            started = now
        if found["state"] in ("done", "failed", "cancelled"):
            if found["state"] != "done":
                raise RuntimeError(f"the import ended as {found['state']}: {found['error']}")
            _end_others(server, found["dataset_id"])
            return now - began, now - started
        time.sleep(0.05)


def _end_others(server: Server, dataset: str) -> None:
    """Cancel the embedding that an import orders: it is not what is measured here."""
    for job in server.ask("GET", f"/v1/datasets/{dataset}/jobs"):
        if job["state"] in ("queued", "running"):
            server.ask("POST", f"/v1/jobs/{job['id']}/cancel")


def _export(server: Server, dataset: str, count: int) -> tuple[float, int]:
    """Seconds of a JSONL export, and its bytes."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=600)
    began = time.perf_counter()
    connection.request(
        "GET", f"/v1/datasets/{dataset}/export?format=jsonl", headers={"Authorization": f"Bearer {server.token}"}
    )
    answer = connection.getresponse()
    lines = size = 0
    while piece := answer.read(2**18):
        lines += piece.count(b"\n")
        size += len(piece)
    took = time.perf_counter() - began
    if answer.status != 200 or lines != count:
        raise RuntimeError(f"the export answered {answer.status} with {lines} of {count} rows")
    return took, size


def _parse(file: Path) -> float:
    began = time.perf_counter()
    with file.open(encoding="utf-8", newline="") as source:
        sum(1 for _ in csv.reader(source))
    return time.perf_counter() - began


def _word(reached: bool) -> str:
    return "yes" if reached else "no"
