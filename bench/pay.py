"""What pay and the audit log cost an annotator: claim and submit with and without them, alone and twenty at once."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from bench.tables import Table
from bench.world import machine
from store.embedded import EmbeddedPostgres
from store.migrate import migrate
from store.postgres import PostgresRpc

TRIGGERS = {
    "annotations": ["annotations_pay"], "items": ["items_pay", "items_note_change"], "leases": ["leases_check_escrow"],
}  # fmt: skip


async def measure(pairs: int) -> Table:
    """Milliseconds a pair of claim and submit, and pairs a second."""
    table = Table(
        f"Claim and submit, {pairs:,} pairs",
        ["", "one annotator: p50 ms", "p95 ms", "twenty: pairs/s", "p95 ms"],
        note="Calls from one process to the embedded Postgres. " + machine(),
    )
    with tempfile.TemporaryDirectory(prefix="labelcrew-bench-") as folder:
        postgres = EmbeddedPostgres(Path(folder) / "pg")
        dsn = postgres.start()
        try:
            await migrate(dsn)
            rpc = await PostgresRpc.open(dsn, pool_size=20)
            admin = (await rpc.call("create_user", email="admin@example.org", name="a"))["id"]
            people = [(await rpc.call("create_user", email=f"p{n}@example.org", name=f"p{n}"))["id"] for n in range(20)]

            async def run(name: str, prepare: Callable[[str], Any] | None = None) -> None:
                dataset = (await rpc.call("create_dataset", actor=admin, name=name))["id"]
                for n in range(20):
                    email = f"p{n}@example.org"
                    await rpc.call("add_member", actor=admin, dataset=dataset, email=email, role="annotator")
                classes = [{"name": "a"}, {"name": "b"}]
                await rpc.call("create_labelset", actor=admin, dataset=dataset, kind="classification", classes=classes)
                rows = [{"text": f"text {n}"} for n in range(2 * pairs + 200)]
                await rpc.call("create_items", actor=admin, dataset=dataset, rows=rows, want_results=False)
                if prepare is not None:
                    await prepare(dataset)
                await _work(rpc, dataset, people[0], 100)
                alone = await _work(rpc, dataset, people[0], pairs)
                began = time.perf_counter()
                together = await asyncio.gather(*(_work(rpc, dataset, person, pairs // 20) for person in people))
                took = time.perf_counter() - began
                all_times = [one for times in together for one in times]
                table.add(name, _at(alone, 50), _at(alone, 95), len(all_times) / took, _at(all_times, 95))

            async def pay(dataset: str) -> None:
                await rpc.call("set_currency", actor=admin, dataset=dataset, currency="EUR")
                prices = [{"level": 1, "per": "item", "amount": 5}]
                await rpc.call("set_prices", actor=admin, dataset=dataset, prices=prices)
                await rpc.call("fund_escrow", actor=admin, dataset=dataset, amount=10**9, key="k")

            await run("warm-up")
            table.rows.clear()
            _switch(dsn, "disable")
            await run("without the triggers of pay and audit")
            _switch(dsn, "enable")
            await run("dataset without prices")
            await run("dataset that pays", pay)
            await rpc.close()
        finally:
            postgres.stop()
    return table


async def _work(rpc: PostgresRpc, dataset: str, person: str, pairs: int) -> list[float]:
    times = []
    for _ in range(pairs):
        began = time.perf_counter()
        [claim] = await rpc.call("claim_items", actor=person, dataset=dataset)
        await rpc.call(
            "submit_annotation", actor=person, item=claim["item"]["id"], payload={"labels": ["a"]}, labelset_version=1,
            lease=claim["lease"]["id"], token=claim["lease"]["token"],
        )  # fmt: skip
        times.append((time.perf_counter() - began) * 1000)
    return times


def _switch(dsn: str, how: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for table, names in TRIGGERS.items():
            for name in names:
                connection.execute(f"alter table labelcrew.{table} {how} trigger {name}".encode())


def _at(times: list[float], percent: int) -> float:
    return statistics.quantiles(times, n=100)[percent - 1]


def run(quick: bool) -> list[Table]:
    """The table."""
    return [asyncio.run(measure(200 if quick else 1_000))]
