"""The worker counts by itself, and looks for drift by itself."""

from __future__ import annotations

from schemas.settings import Settings
from store.rpc import Rpc
from tests.jobs.conftest import Bench, Working, eventually, texts


async def test_running_worker_counts_answers_and_looks_for_drift(
    bench: Bench, working: Working, settings: Settings, pg_rpc: Rpc
) -> None:
    items = await bench.add(texts(120))
    answer = {"payload": {"labels": ["refund"]}, "labelset_version": 1}
    await pg_rpc.call("submit_annotation", actor=bench.admin, item=items[0], **answer)
    await pg_rpc.call(
        "set_drift_windows", actor=bench.admin, dataset=bench.dataset, reference={"first": 30}, newest=100, alpha=0.05
    )

    async def counted() -> bool:
        raw = await pg_rpc.call("get_metrics", actor=bench.admin, dataset=bench.dataset)
        return raw["snapshot"] is not None and raw["drift"] is not None

    async with working(settings):
        await eventually(counted, seconds=60)
    raw = await pg_rpc.call("get_metrics", actor=bench.admin, dataset=bench.dataset)
    assert [(row[1], row[2]) for row in raw["people_series"]] == [(bench.admin, 1)]
    assert raw["drift"]["alarm"] is False
