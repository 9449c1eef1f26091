"""Metrics of 100,000 items with 200,000 events, and the audit log at 1,000,000 events: how long a look takes, and what
counting behind the work costs those who work.

Rows are made by SQL, a year of them, by twenty people. Times are of the whole report as the gateway makes it, learning
curve and all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psycopg

from bench.tables import Table
from bench.world import data_folder, machine, percentile, postgres_cpu_ms
from jobs.metrics import report_metrics
from store.embedded import EmbeddedPostgres
from store.migrate import migrate
from store.postgres import PostgresRpc
from store.rpc import Rpc

PEOPLE = 20
CLASSES = [f"c{k}" for k in range(20)]

ANSWERS = """
insert into labelcrew.annotations (
  item_id, dataset_id, user_id, payload, labelset_version, level, revision, current, lead_time_ms, state_before, created_at
)
select i.id, i.dataset_id, (%(people)s::uuid[])[1 + i.seq %% cardinality(%(people)s::uuid[])],
  jsonb_build_object('labels', jsonb_build_array('c' || (i.seq * 7 %% 20)::text)), 1, 1, 1, true,
  1000 + (i.seq * 7919 %% 60000)::int, 'drafted',
  now() - (i.seq %% 365) * interval '1 day' - (i.seq %% 28800) * interval '1 s'
from labelcrew.items i where i.dataset_id = %(dataset)s order by i.created_at
"""

EVENTS = """
insert into labelcrew.events (dataset_id, actor_id, kind, subject_id, created_at)
select %(dataset)s, (%(people)s::uuid[])[1 + n %% cardinality(%(people)s::uuid[])],
  case when n %% 50 = 0 then 'item_returned' when n %% 2 = 0 then 'item_submitted' else 'items_claimed' end,
  (%(items)s::uuid[])[1 + n %% cardinality(%(items)s::uuid[])], now() - (%(count)s - n) * interval '10 s'
from generate_series(1, %(count)s) n
"""


def run(quick: bool) -> list[Table]:
    """The times of a report and of a page of the audit log."""
    with data_folder() as folder:
        embedded = EmbeddedPostgres(folder)
        try:
            return asyncio.run(_measure(embedded.start(), embedded.pgdata, 10 if quick else 1))
        finally:
            embedded.stop()


async def _measure(dsn: str, pgdata: Path, part: int) -> list[Table]:
    await migrate(dsn)
    rpc = await PostgresRpc.open(dsn)
    items, events, log = 100_000 // part, 200_000 // part, 1_000_000 // part
    try:
        people = [(await rpc.call("create_user", email=f"p{k}@example.org", name=f"P{k}"))["id"] for k in range(PEOPLE)]
        dataset = (await rpc.call("create_dataset", actor=people[0], name="Large"))["id"]
        await rpc.call(
            "create_labelset", actor=people[0], dataset=dataset, kind="classification",
            classes=[{"name": name} for name in CLASSES],
        )  # fmt: skip
        await _fill(rpc, people[0], dataset, items)
        values: dict[str, Any] = {"dataset": dataset, "people": people}
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(ANSWERS, values)
            found = connection.execute("select id::text from labelcrew.items limit 5000").fetchall()
            values["items"] = [row[0] for row in found]
            connection.execute(EVENTS, {**values, "count": events})
            connection.execute("analyze")
            counting = await _count(rpc)
            report = await _reports(rpc, pgdata, people[0], dataset, items, events, counting)
            connection.execute(EVENTS, {**values, "count": log - events})
            connection.execute("vacuum analyze labelcrew.events")
        return [report, await _activity(rpc, pgdata, people, dataset, values["items"][0], log)]
    finally:
        await rpc.close()


async def _fill(rpc: Rpc, admin: str, dataset: str, count: int) -> None:
    for start in range(0, count, 5000):
        rows = [
            {
                "external_id": f"e{i}", "text": f"text number {i}",
                "prediction": {
                    "payload": {"labels": [CLASSES[i % 20]]}, "model": f"model-{i % 3}", "route": "llm",
                    "confidence": (i % 100) / 100, "probability": (i * 7 % 100) / 100,
                },
            }
            for i in range(start, min(start + 5000, count))
        ]  # fmt: skip
        await rpc.call("create_items", actor=admin, dataset=dataset, rows=rows, timeout=120)


async def _count(rpc: Rpc) -> tuple[int, float]:
    """Rows counted, and seconds."""
    rows, began = 0, time.perf_counter()
    while (done := await rpc.call("roll_up_metrics", timeout=120))["counted"]:
        rows += done["counted"]
    await rpc.call("take_snapshot", timeout=120)
    return rows, time.perf_counter() - began


async def _reports(
    rpc: Rpc, pgdata: Path, admin: str, dataset: str, items: int, events: int, counting: tuple[int, float]
) -> Table:
    table = Table(
        f"Metrics of {items:,} items, as many answers and drafts, {events:,} events", ["what", "p50 ms", "p95 ms", "CPU ms"],
        note=f"Counting all of it behind the work: {counting[0] / counting[1]:,.0f} rows/s. {machine()}",
    )  # fmt: skip
    for what, bucket in (("points of a day", 86_400), ("points of a week", 7 * 86_400), ("points of an hour", 3600)):

        async def report(bucket: int = bucket) -> Any:
            return await report_metrics(rpc, admin, dataset, bucket_seconds=bucket)

        table.add(what, *await _timed(pgdata, report, 40))
    return table


async def _activity(rpc: Rpc, pgdata: Path, people: list[str], dataset: str, item: str, count: int) -> Table:
    table = Table(f"A page of 100 of {count:,} events", ["narrowed by", "p50 ms", "p95 ms", "CPU ms"])
    newest = (await rpc.call("list_activity", actor=people[0], dataset=dataset, limit=1))[0]
    half = newest["id"] // 2
    middle = (await rpc.call("list_activity", actor=people[0], dataset=dataset, before=half, limit=1))[0]["created_at"]
    cases: dict[str, dict[str, Any]] = {
        "nothing": {},
        "nothing, half way down": {"before": half},
        "a rare kind": {"kinds": ["item_returned"]},
        "a kind that never was": {"kinds": ["item_painted"]},
        "a person": {"who": people[3]},
        "a person and a rare kind": {"who": people[9], "kinds": ["item_returned"]},
        "an item": {"subject": item},
        "a span of time": {"until": middle},
        "a span of time and a rare kind": {"until": middle, "kinds": ["item_returned"]},
    }
    for what, narrowed in cases.items():

        async def page(narrowed: dict[str, Any] = narrowed) -> Any:
            return await rpc.call("list_activity", actor=people[0], dataset=dataset, **narrowed)

        table.add(what, *await _timed(pgdata, page, 60))
    return table


async def _timed(pgdata: Path, ask: Callable[[], Awaitable[Any]], times: int) -> tuple[float, float, float]:
    """The median and the 95th percentile of milliseconds, after two to warm up; processor time of one, Postgres' and the
    report's own."""
    for _ in range(2):
        await ask()
    taken = []
    used = postgres_cpu_ms(pgdata) + time.process_time() * 1000
    for _ in range(times):
        began = time.perf_counter()
        await ask()
        taken.append((time.perf_counter() - began) * 1000)
    used = postgres_cpu_ms(pgdata) + time.process_time() * 1000 - used
    return percentile(taken, 0.5), percentile(taken, 0.95), used / times
