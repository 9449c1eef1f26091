"""Scorecards of a crowd: how long they take, and how often people are ranked by chance."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psycopg

from bench.tables import Table
from bench.world import machine
from learning.scorecards import places, wilson
from store.embedded import EmbeddedPostgres
from store.migrate import migrate
from store.postgres import PostgresRpc

PEOPLE = 50
FILL = """
insert into labelcrew.annotations (
  item_id, dataset_id, user_id, payload, labelset_version, level, revision, lead_time_ms, state_before, created_at
)
select i.id, i.dataset_id, (%s::uuid[])[1 + (i.seq * 7 + k * 13) %% %s],
  jsonb_build_object('labels', jsonb_build_array(case when random() < 0.85 then 'good' else 'bad' end)),
  1, 1, 1, (random() * 9000)::int, 'new', now() - random() * interval '20 days'
from labelcrew.items i, generate_series(0, 2) k
where i.dataset_id = %s
"""


def run(*, quick: bool) -> list[Table]:
    """The tables."""
    return [asyncio.run(_times(items=3_000 if quick else 34_000)), _chance(draws=200 if quick else 2_000)]


async def _times(*, items: int) -> Table:
    table = Table(
        f"Scorecards: {PEOPLE} people, {3 * items:,} answers, three an item",
        ["what", "p50 ms", "max ms"],
        note="One function call over a local socket. " + machine(),
    )
    with tempfile.TemporaryDirectory(prefix="labelcrew-bench-") as folder:
        postgres = EmbeddedPostgres(Path(folder) / "pg")
        dsn = postgres.start()
        try:
            await migrate(dsn)
            rpc = await PostgresRpc.open(dsn)
            admin, dataset, people = await _crowd(rpc, items)
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute(FILL, [people, PEOPLE, dataset])
                connection.execute("analyze")
            for what, function, actor in (
                ("one's own", "get_scorecard", people[0]),
                ("everybody's, for an admin", "list_scorecards", admin),
            ):
                took = []
                for _ in range(15):
                    began = time.perf_counter()
                    await rpc.call(function, actor=actor, dataset=dataset)
                    took.append((time.perf_counter() - began) * 1000)
                table.add(what, statistics.median(took), max(took))
            await rpc.close()
        finally:
            postgres.stop()
    return table


async def _crowd(rpc: PostgresRpc, items: int) -> tuple[str, str, list[str]]:
    admin = (await rpc.call("create_user", email="admin@example.org", name="Admin"))["id"]
    dataset = (await rpc.call("create_dataset", actor=admin, name="Crowd", settings={"overlap": 3}))["id"]
    classes: list[dict[str, Any]] = [{"name": "good"}, {"name": "bad"}]
    await rpc.call("create_labelset", actor=admin, dataset=dataset, kind="classification", classes=classes)
    people = []
    for n in range(PEOPLE):
        user = await rpc.call("create_user", email=f"p{n}@example.org", name=f"Person {n}")
        await rpc.call("add_member", actor=admin, dataset=dataset, email=user["email"], role="annotator")
        people.append(user["id"])
    rows = [{"text": f"text {n}"} for n in range(items)]
    await rpc.call("create_items", actor=admin, dataset=dataset, rows=rows, timeout=120)
    return admin, dataset, people


def _chance(*, draws: int) -> Table:
    table = Table(
        f"{PEOPLE} people who are all equally good: datasets in which somebody is put before somebody else",
        ["rate", "answers each", "by the rate itself", "where two 95 % intervals part", "by places"],
        note=f"Of {draws:,} drawn datasets. The last is what the scorecards show.",
    )
    rng = np.random.default_rng(11)
    for rate, of in ((0.8, 50), (0.9, 200), (0.97, 100)):
        plain, pairs, joint = 0, 0, 0
        for row in rng.binomial(of, rate, size=(draws, PEOPLE)):
            bounds = [wilson(int(right), of) for right in row]
            plain += len(set(row)) > 1
            pairs += max(low for low, _ in bounds) > min(high for _, high in bounds)
            found = places({str(n): (int(right), of) for n, right in enumerate(row)})
            joint += any(place != (1, PEOPLE) for place in found.values())
        table.add(rate, of, *(f"{100 * wrong / draws:.1f} %" for wrong in (plain, pairs, joint)))
    return table
