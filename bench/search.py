"""Similar examples among 100,000 items through the store, under filters that leave almost nothing to almost everything.

Vectors are those of real texts (Banking77 and medical abstracts) and of copies moved a little, so that neighbours are
close but not equal. Recall is counted against the exact answer by numpy; times are of the whole call over a connection,
items with their drafts and answers included; the last column is Postgres' processor time of one. A search by words and
meaning follows.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psycopg

from bench.learning_sets import load
from bench.tables import Table
from bench.world import data_folder, machine, percentile, postgres_cpu_ms
from learning.checks import Bools, Floats
from store.embedded import EmbeddedPostgres
from store.migrate import migrate
from store.postgres import PostgresRpc
from store.rpc import Rpc

SHARES = {"rare": 0.005, "scarce": 0.02, "some": 0.04, "many": 0.1, "usual": 0.835}
ROUTES = {"llm": 0.3, "crew": 0.02, "local": 0.68}
VERIFIED = 0.03
PROBES = 200


@dataclass
class Filled:
    """A dataset with its vectors, as numpy knows it too."""

    rpc: Rpc
    admin: str
    dataset: str
    ids: list[str]
    vectors: Floats
    labels: list[str]
    routes: list[str]
    verified: Bools
    moments: list[str]
    """When each item was last changed."""


def run(quick: bool) -> list[Table]:
    """Recall and times under each filter."""
    with data_folder() as folder:
        embedded = EmbeddedPostgres(folder)
        try:
            return asyncio.run(_measure(embedded.start(), embedded.pgdata, 10_000 if quick else 100_000))
        finally:
            embedded.stop()


async def _measure(dsn: str, pgdata: Path, count: int) -> list[Table]:
    await migrate(dsn)
    rpc = await PostgresRpc.open(dsn)
    try:
        filled = await _fill(rpc, dsn, count)
        return [await _similar(filled, pgdata), await _search(filled, pgdata)]
    finally:
        await rpc.close()


async def _fill(rpc: Rpc, dsn: str, count: int) -> Filled:
    rng = np.random.default_rng(7)
    texts = np.concatenate([np.concatenate([s.train, s.test]) for s in (load("banking77"), load("medical"))])
    vectors = texts[rng.integers(len(texts), size=count)] + 0.3 * rng.normal(size=(count, 384)) / np.sqrt(384)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    labels = rng.choice(list(SHARES), size=count, p=list(SHARES.values())).tolist()
    routes = rng.choice(list(ROUTES), size=count, p=list(ROUTES.values())).tolist()
    verified = rng.random(count) < VERIFIED
    user = (await rpc.call("create_user", email="a@example.org", name="A"))["id"]
    dataset = (await rpc.call("create_dataset", actor=user, name="Large"))["id"]
    await rpc.call(
        "create_labelset", actor=user, dataset=dataset, kind="classification", classes=[{"name": n} for n in SHARES]
    )
    for start in range(0, count, 5000):
        rows: list[dict[str, Any]] = []
        for i in range(start, min(start + 5000, count)):
            draft = {"payload": {"labels": [labels[i]]}, "model": "m", "probability": 0.5, "confidence": 0.5}
            row = {"external_id": f"e{i}", "text": _text(i, labels[i]), "prediction": {**draft, "route": routes[i]}}
            rows.append({**row, "annotation": {"labels": [labels[i]]}} if verified[i] else row)
        await rpc.call("create_items", actor=user, dataset=dataset, rows=rows, timeout=120)
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        found = await connection.execute("select external_id, id::text, updated_at::text from labelcrew.items")
        known = {row[0]: row[1:] for row in await found.fetchall()}
        ids = [known[f"e{i}"][0] for i in range(count)]
        copy = "copy labelcrew.embeddings (item_id, dataset_id, model, vector) from stdin"
        async with connection.cursor().copy(copy) as out:
            for item, vector in zip(ids, np.round(vectors, 5).tolist(), strict=True):
                await out.write_row((item, dataset, "m", json.dumps(vector)))
        await connection.execute("vacuum analyze labelcrew.embeddings")
    await rpc.call("index_embeddings", actor=user, dataset=dataset, timeout=300)
    while await rpc.call("index_words", dataset=dataset, timeout=120):
        pass
    half = vectors.astype(np.float16).astype(np.float32)
    moments = [known[f"e{i}"][1] for i in range(count)]
    return Filled(rpc, user, dataset, ids, half, labels, routes, verified, moments)


def _text(i: int, label: str) -> str:
    return f"my card payment number {i % 997} is {label} and late, order {i}"


def _filters(filled: Filled) -> dict[str, tuple[dict[str, Any], Callable[[], Bools]]]:
    labels, routes = np.array(filled.labels), np.array(filled.routes)
    sources = np.where(filled.verified, "import", routes)
    moments = np.array(filled.moments)
    late = str(np.sort(moments)[int(0.95 * len(moments))])
    cases: dict[str, tuple[dict[str, Any], Callable[[], Bools]]] = {
        "none": ({}, lambda: np.ones(len(labels), bool)),
        "verified": ({"states": ["verified"]}, lambda: filled.verified),
        "annotator": ({"annotator": filled.admin}, lambda: filled.verified),
        "verified, scarce label": (
            {"states": ["verified"], "label": "scarce"}, lambda: filled.verified & (labels == "scarce"),
        ),
        "source crew": ({"sources": ["crew"]}, lambda: sources == "crew"),
        "source llm, label many": ({"sources": ["llm"], "label": "many"}, lambda: (sources == "llm") & (labels == "many")),
        "changed lately": ({"since": late}, lambda: moments >= late),
    }  # fmt: skip
    for name in SHARES:
        cases[f"label {name}"] = ({"label": name}, lambda name=name: labels == name)  # type: ignore[misc]
    return cases


async def _similar(filled: Filled, pgdata: Path) -> Table:
    table = Table(
        f"Ten similar examples among {len(filled.ids):,} items, {PROBES} probes a filter",
        ["filter", "items left", "recall@10", "fewest found", "p50 ms", "p95 ms", "CPU ms"],
        note=machine(),
    )
    probes = np.random.default_rng(1).integers(len(filled.ids), size=PROBES)
    for name, (narrowed, which) in _filters(filled).items():
        left = np.flatnonzero(which())
        found, fewest, times, answers = 0, 10, [], []
        used = postgres_cpu_ms(pgdata)
        for probe in probes:
            began = time.perf_counter()
            answers.append(
                await filled.rpc.call(
                    "similar_items", actor=filled.admin, item=filled.ids[probe], limit=10, filter=narrowed
                )
            )
            times.append((time.perf_counter() - began) * 1000)
        used = (postgres_cpu_ms(pgdata) - used) / PROBES
        for probe, similar in zip(probes, answers, strict=True):
            others = left[left != probe]
            near = filled.vectors[others] @ filled.vectors[probe]
            best = near[np.argpartition(-near, min(10, len(near) - 1))[:10]].min()
            place = {filled.ids[i] for i in others[near >= best - 1e-4]}
            found += min(10, sum(one["item"]["id"] in place for one in similar))
            fewest = min(fewest, len(similar))
        recall = found / (10 * PROBES)
        table.add(name, len(left), recall, fewest, percentile(times, 0.5), percentile(times, 0.95), used)
    return table


async def _search(filled: Filled, pgdata: Path) -> Table:
    table = Table(
        f"Search among {len(filled.ids):,} items: words and meaning, fused; the question is embedded before",
        ["question", "p50 ms", "p95 ms", "CPU ms"],
    )
    questions = {
        "a rare word": lambda k: f"order {k * 37}",
        "usual words": lambda _k: "card payment late",
        "words that nothing has together": lambda k: f"refund payment {k} tomorrow",
    }
    for name, question in questions.items():
        times = []
        used = postgres_cpu_ms(pgdata)
        for k in range(60):
            began = time.perf_counter()
            await filled.rpc.call(
                "search_items", actor=filled.admin, dataset=filled.dataset, q=question(k),
                vector=filled.vectors[k * 31].tolist(), limit=20,
            )  # fmt: skip
            times.append((time.perf_counter() - began) * 1000)
        used = (postgres_cpu_ms(pgdata) - used) / 60
        table.add(name, percentile(times, 0.5), percentile(times, 0.95), used)
    return table
