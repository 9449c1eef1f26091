"""A million events: sealing them, checking the chain, and what a writer notices of it."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

import psycopg

from bench.tables import Table
from bench.world import machine
from formats.audit import check_export
from jobs.sealing import seal
from store.embedded import EmbeddedPostgres
from store.migrate import migrate
from store.postgres import PostgresRpc

FILL = """
insert into labelcrew.events (dataset_id, actor_id, kind, subject_id, data, before, after)
select %s, %s, 'item_submitted', gen_random_uuid(),
  jsonb_build_object('annotation', gen_random_uuid(), 'revision', 1, 'level', 1, 'lease', gen_random_uuid()),
  '{"state": "drafted", "annotation_id": null}',
  jsonb_build_object('state', 'verified', 'annotation_id', gen_random_uuid())
from generate_series(1, %s)
"""


async def measure(events: int) -> Table:
    """Seconds, and events a second."""
    table = Table(
        f"Audit log of {events:,} events", ["what", "seconds", "events/s"], note="Embedded Postgres. " + machine()
    )
    with tempfile.TemporaryDirectory(prefix="labelcrew-bench-") as folder:
        postgres = EmbeddedPostgres(Path(folder) / "pg")
        dsn = postgres.start()
        try:
            await migrate(dsn)
            rpc = await PostgresRpc.open(dsn)
            actor = (await rpc.call("create_user", email="a@example.org", name="a"))["id"]
            dataset = (await rpc.call("create_dataset", actor=actor, name="d"))["id"]
            with psycopg.connect(dsn, autocommit=True) as connection:
                for _ in range(10):
                    connection.execute(FILL, [dataset, actor, events // 10])
            began = time.perf_counter()
            sealed = await seal(rpc)
            _add(table, "sealed (by workers, behind the writers)", time.perf_counter() - began, sealed)
            began = time.perf_counter()
            checked, after = 0, 0
            while after is not None:
                found = await rpc.call("verify_audit", actor=actor, dataset=dataset, after=after, timeout=120)
                assert found["broken"] is None
                checked, after = checked + found["events"], found["next"]
            _add(table, "`labelcrew audit verify`", time.perf_counter() - began, checked)
            file = Path(folder) / "log.ndjson"
            began = time.perf_counter()
            after = 0
            with file.open("w") as out:
                while after is not None:
                    page = await rpc.call("export_audit", actor=actor, dataset=dataset, after=after, timeout=120)
                    out.writelines(f"{line}\n" for line in page["lines"])
                    after = page["next"]
            _add(table, "`labelcrew audit export`", time.perf_counter() - began, checked)
            began = time.perf_counter()
            with file.open("rb") as lines:
                assert check_export(lines).broken is None
            _add(table, "`labelcrew audit verify --file`", time.perf_counter() - began, checked)
            await rpc.close()
        finally:
            postgres.stop()
    return table


def _add(table: Table, what: str, seconds: float, events: int) -> None:
    table.add(what, seconds, events / seconds)


def run(quick: bool) -> list[Table]:
    """The table."""
    return [asyncio.run(measure(50_000 if quick else 1_000_000))]
