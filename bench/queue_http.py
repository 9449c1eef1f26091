"""A team at work on 100,000 items over HTTP: claim, submit, page through the list, import drafts.

A real `labelcrew serve` in a process of its own; the annotators in another, each on one kept connection. What is
checked while it is measured: nobody is handed an item that somebody else holds or has answered.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from bench.tables import Table
from bench.world import (
    Server,
    Wire,
    apart,
    class_names,
    data_folder,
    machine,
    make_dataset,
    percentile,
    served,
    sign_in,
    texts,
)

ANNOTATORS = 20
DRAFTS = 1_000
CHUNK = 5_000
ELSEWHERE = "measured elsewhere, same kind of machine"
SORTS = ("", "&sort=-seq", "&sort=priority", "&sort=-probability", "&sort=-updated", "&state=drafted&sort=probability")
WORDS = ("&q=refund", "&q=transfer&sort=-seq")
"""Searches whose words stand in most texts: the longest lists there are."""


@dataclass
class Work:
    """What annotators saw: milliseconds of each call, what they were given, and what was answered with an error."""

    claims: list[float] = field(default_factory=list)
    submits: list[float] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def pairs_a_second(self) -> float:
        """Claims and their submits together."""
        return len(self.submits) / self.seconds


def run(quick: bool) -> list[Table]:
    """One table of latencies and rates against the targets, and what two peers reached."""
    items, alone, together, pages, rounds = (5_000, 100, 400, 60, 1) if quick else (100_000, 1_000, 4_000, 400, 3)
    table = Table(
        f"Queue over HTTP: {items:,} text items with drafts, 77 classes",
        ["what", "result", "target", "reached", f"Label Studio 1.23.2 ({ELSEWHERE})", f"Potato 2.12.1 ({ELSEWHERE})"],
    )
    with data_folder() as folder, served(folder) as server:
        sign_in(server)
        dataset = make_dataset(server, "queue")
        loaded = _load(server, dataset, items)
        sign_in(server, annotators=ANNOTATORS, dataset=dataset)
        cpu = _cpu(server)
        solo = [apart(_annotate, server.port, dataset, server.tokens[:1], alone) for _ in range(rounds)]
        cpu_call = (_cpu(server) - cpu) / sum(2 * len(work.submits) for work in solo) * 1000
        listed = [apart(_list, server.port, dataset, server.token, SORTS, pages, n) for n in range(rounds)]
        found = [apart(_list, server.port, dataset, server.token, WORDS, pages, n) for n in range(rounds)]
        crowd = [apart(_annotate, server.port, dataset, server.tokens, together) for _ in range(rounds)]
        drafts = min(_import_drafts(server, dataset, items, n) for n in range(3))
        drawn = [item for work in (*solo, *crowd) for item in work.given]
    claim, submit = ([(percentile(getattr(w, k), 0.95), getattr(w, k)) for w in solo] for k in ("claims", "submits"))
    for what, runs, label_studio, potato in (
        ("one annotator, claim p95 (p50) ms", claim, "132 (116)", "171 (125)"),
        ("one annotator, submit p95 (p50) ms", submit, "88 (76)", "22 (18)"),
    ):
        best, values = min(runs)
        table.add(what, _pair(best, values), "≤ 15", _word(best <= 15), label_studio, potato)
    for what, runs, peer in (
        ("list 50 at random depths, p95 (p50) ms", listed, "100–150"),
        ("… of those with a frequent word, p95 (p50) ms", found, None),
    ):
        best, values = min((percentile(w, 0.95), w) for w in runs)
        table.add(what, _pair(best, values), "≤ 20", _word(best <= 20), peer, None)
    rate = max(work.pairs_a_second for work in crowd)
    table.add(f"{ANNOTATORS} annotators, pairs/s", rate, "≥ 200", _word(rate >= 200), "4.4", "14–15")
    twice, failed = len(drawn) - len(set(drawn)), sum(len(w.failed) for w in crowd)
    table.add("items given to two people", twice, "0", _word(not twice), "141 of 600", "0")
    table.add("requests that failed", failed, "0", _word(not failed), None, "70 % of pages")
    table.add("1,000 drafts for items that are there, s", drafts, "< 0.2", _word(drafts < 0.2), "4.5", None)
    table.add("items with drafts over HTTP, rows/s", round(loaded), None, None, None, None)
    table.note = (
        f"Best of {rounds} rounds. The clients are raw asyncio streams in a process of their own. The server spent "
        f"{cpu_call:.2f} ms of processor time a claim or submit, without Postgres. {machine()}"
    )
    return [table]


def _load(server: Server, dataset: str, count: int) -> float:
    """Items, 5,000 a call, each with a draft but for the last few thousand; rows a second."""
    names, draw = class_names(), random.Random(3)
    bare = {key for key, _ in list(texts(count))[-3 * DRAFTS :]}
    began = time.perf_counter()
    source = texts(count)
    while rows := list(islice(source, CHUNK)):
        made = [
            {"external_id": key, "text": text}
            | ({} if key in bare else {"prediction": _draft(draw.choice(names), draw.random())})
            for key, text in rows
        ]
        server.ask("POST", f"/v1/datasets/{dataset}/items", {"rows": made})
    return count / (time.perf_counter() - began)


def _draft(label: str, probability: float) -> dict[str, Any]:
    return {
        "payload": {"labels": [label]},
        "confidence": round(probability, 3),
        "probability": round(probability, 3),
        "model": "elsewhere",
        "rationale": "It says so.",
    }


def _import_drafts(server: Server, dataset: str, items: int, attempt: int) -> float:
    """Seconds to import drafts for 1,000 items that have none."""
    known = list(texts(items))[-(attempt + 1) * DRAFTS :][:DRAFTS]
    rows = [{"external_id": key, "text": text, "prediction": _draft("reason_05", 0.5)} for key, text in known]
    content = json.dumps({"rows": rows}).encode()
    began = time.perf_counter()
    made = server.ask("POST", f"/v1/datasets/{dataset}/items", content=content)
    took = time.perf_counter() - began
    if made["created"] or made["updated"] != DRAFTS:
        raise RuntimeError(f"drafts did not arrive: {made['created']} created, {made['updated']} updated")
    return took


def _annotate(port: int, dataset: str, tokens: Sequence[str], count: int) -> Work:
    return asyncio.run(_annotators(port, dataset, tokens, count))


async def _annotators(port: int, dataset: str, tokens: Sequence[str], count: int) -> Work:
    """Everybody claims one item and answers it, without pause, until ``count`` are answered."""
    work = Work()
    names = class_names()
    left = iter(range(count))

    async def annotate(token: str) -> None:
        wire = await Wire(port, token).open()
        draw = random.Random(token)
        for _ in left:
            status, found, took = await wire.ask("POST", f"/v1/datasets/{dataset}/claim", {"count": 1})
            work.claims.append(took)
            if status != 200:
                work.failed.append(status)
                continue
            [claim] = found["claims"]
            work.given.append(claim["item"]["id"])
            body = {
                "payload": {"labels": [draw.choice(names)]},
                "labelset_version": 1,
                "lease_id": claim["lease"]["id"],
                "token": claim["lease"]["token"],
                "lead_time_ms": 1200,
            }
            status, _, took = await wire.ask("PUT", f"/v1/items/{claim['item']['id']}/annotation", body)
            work.submits.append(took)
            if status not in (200, 201):
                work.failed.append(status)
        wire.close()

    began = time.perf_counter()
    await asyncio.gather(*(annotate(token) for token in tokens))
    work.seconds = time.perf_counter() - began
    return work


def _list(port: int, dataset: str, token: str, orders: Sequence[str], count: int, seed: int) -> list[float]:
    return asyncio.run(_pages(port, dataset, token, orders, count, seed))


async def _pages(port: int, dataset: str, token: str, orders: Sequence[str], count: int, seed: int) -> list[float]:
    """Milliseconds of pages of 50, each somewhere in one of several orders and filters."""
    wire = await Wire(port, token).open()
    places: list[str] = []
    for sort in orders:
        cursor = ""
        while True:
            _, page, _ = await wire.ask("GET", f"/v1/datasets/{dataset}/items?limit=500{sort}{cursor}")
            places.append(f"/v1/datasets/{dataset}/items?limit=50{sort}{cursor}")
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
    taken = []
    for place in random.Random(seed).choices(places, k=count):
        _, page, took = await wire.ask("GET", place)
        taken.append(took)
    wire.close()
    return taken


def _cpu(server: Server) -> float:
    times = server.process.cpu_times()
    return float(times.user + times.system)


def _pair(p95: float, values: Sequence[float]) -> str:
    return f"{p95:.1f} ({percentile(values, 0.5):.1f})"


def _word(reached: bool) -> str:
    return "yes" if reached else "no"
