"""Bulk pre-labelling: every item once, whatever is killed, paused or used up on the way."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from pathlib import Path

from pydantic import SecretStr

from schemas.settings import Settings
from tests.jobs.conftest import Bench, Working, eventually, texts
from tests.support.openai_server import KEY, StandIn


def _with_model(settings: Settings, server: StandIn, key: str = KEY, **more: object) -> Settings:
    return settings.model_copy(
        update={"openai_api_key": SecretStr(key), "openai_base_url": server.base_url, "model": "gpt-4.1-mini", **more}
    )


async def test_embedded_model_drafts_every_item_once(bench: Bench, settings: Settings, working: Working) -> None:
    await bench.add(texts(30))
    job = await bench.order("prelabel")
    async with working(settings):
        done = await bench.until(job)
    assert (done["state"], done["done"], done["total"]) == ("done", 30, 30), done["error"]
    drafts = await bench.drafts_of(job)
    assert len(drafts) == len({d["item_id"] for d in drafts}) == 30
    assert {d["model"] for d in drafts} == {"local/minilm-l6"}
    assert all(d["probability"] and d["rationale"] and d["route_reason"] for d in drafts)
    assert {i["state"] for i in await bench.items()} == {"drafted"}


async def test_language_model_is_paid_for_what_its_drafts_say(
    bench: Bench, settings: Settings, working: Working
) -> None:
    await bench.add(texts(40))
    async with StandIn() as server, working(_with_model(settings, server)):
        done = await bench.until(await bench.order("prelabel"))
    drafts = await bench.drafts_of(done["id"])
    assert done["done"] == 40
    assert done["cost_usd"] > 0
    assert abs(sum(d["usage"]["cost_usd"] for d in drafts) - done["cost_usd"]) < 1e-9


async def test_used_up_budget_pauses_the_job_and_a_larger_one_finishes_it(
    bench: Bench, settings: Settings, working: Working
) -> None:
    await bench.add(texts(400))
    async with StandIn() as server, working(_with_model(settings, server, llm_concurrency=2)):
        job = await bench.order("prelabel", budget_usd=0.012)
        paused = await bench.until(job, "paused", "done", "failed")
        assert paused["state"] == "paused", paused
        assert "budget" in paused["note"]
        assert 0 < paused["done"] < 400
        assert paused["cost_usd"] + paused["reserved_usd"] <= 0.012
        await bench.rpc.call("set_job_budget", actor=bench.admin, job=job, usd=1.0)
        await bench.rpc.call("control_job", actor=bench.admin, job=job, action="resume")
        done = await bench.until(job)
    assert (done["state"], done["done"]) == ("done", 400)
    assert Counter(d["item_id"] for d in await bench.drafts_of(job)).most_common(1)[0][1] == 1


async def test_refused_key_fails_the_job_at_once_and_says_so(
    bench: Bench, settings: Settings, working: Working
) -> None:
    await bench.add(texts(200))
    async with StandIn() as server, working(_with_model(settings, server, key="sk-wrong", llm_concurrency=2)):
        failed = await bench.until(await bench.order("prelabel"))
        calls = len(server.chats)
    assert (failed["state"], failed["error"]["code"]) == ("failed", "model-auth")
    assert "sk-wrong" not in str(failed)
    assert calls <= 4


async def test_paused_job_stops_and_resumes_where_it_was(bench: Bench, settings: Settings, working: Working) -> None:
    await bench.add(texts(120))
    async with StandIn(latency=0.15) as server, working(_with_model(settings, server, llm_concurrency=2)):
        job = await bench.order("prelabel")

        async def begun() -> bool:
            return bool((await bench.rpc.call("find_job", job=job))["done"])

        await eventually(begun)
        await bench.rpc.call("control_job", actor=bench.admin, job=job, action="pause")
        # What was under way is finished and written; how long that takes depends on the machine, not on the pause.
        asked = -1

        async def at_rest() -> bool:
            nonlocal asked
            before, asked = asked, len(server.chats)
            await asyncio.sleep(1)
            return before == asked == len(server.chats)

        await eventually(at_rest)
        stopped_at = (await bench.rpc.call("find_job", job=job))["done"]
        await asyncio.sleep(0.5)
        assert (await bench.rpc.call("find_job", job=job))["done"] == stopped_at < 120
        await bench.rpc.call("control_job", actor=bench.admin, job=job, action="resume")
        done = await bench.until(job)
    assert done["done"] == 120
    assert len(await bench.drafts_of(job)) == 120


async def test_killed_worker_loses_nothing_and_writes_nothing_twice(
    bench: Bench, settings: Settings, clean_dsn: str, tmp_path: Path
) -> None:
    await bench.add(texts(300))
    async with StandIn(latency=0.2) as server:
        job = await bench.order("prelabel")
        first = await _start_worker(clean_dsn, tmp_path, server)
        try:

            async def underway() -> bool:
                return (await bench.rpc.call("find_job", job=job))["done"] >= 60

            await eventually(underway, seconds=60)
            first.send_signal(signal.SIGKILL)
            await first.wait()
            answered = len(server.chats)
            second = await _start_worker(clean_dsn, tmp_path, server)
            try:
                done = await bench.until(job, seconds=90)
            finally:
                second.terminate()
                await second.wait()
        finally:
            if first.returncode is None:
                first.kill()
        calls = len(server.chats)
    assert (done["state"], done["done"], done["failed"]) == ("done", 300, 0), done
    drafts = await bench.drafts_of(job)
    assert Counter(d["item_id"] for d in drafts).most_common(1)[0][1] == 1
    assert len(drafts) == 300
    # 30 calls of ten items are the least; only those that were under way, or not yet written, are asked again.
    assert calls <= 30 + 4 + 2, (answered, calls)


async def test_two_workers_share_one_job(bench: Bench, settings: Settings, clean_dsn: str, tmp_path: Path) -> None:
    await bench.add(texts(40))
    workers = [await _start_worker(clean_dsn, tmp_path, None) for _ in range(2)]
    try:

        async def both() -> bool:
            return len(await bench.rpc.call("list_workers")) == 2

        await eventually(both, seconds=60)
        done = await bench.until(await bench.order("prelabel"), seconds=60)
    finally:
        for worker in workers:
            worker.terminate()
            await worker.wait()
    assert (done["state"], done["done"]) == ("done", 40)


async def test_saved_answers_make_a_new_student_within_seconds(
    bench: Bench, settings: Settings, working: Working
) -> None:
    ids = await bench.add(texts(60))
    async with working(settings):
        await bench.until(await bench.order("prelabel"))
        for index, item in enumerate(ids[:12]):
            await bench.rpc.call(
                "submit_annotation",
                actor=bench.admin, item=item, payload={"labels": [("refund", "delivery", "size")[index % 3]]},
                labelset_version=1,
            )  # fmt: skip

        async def taught() -> bool:
            student = await bench.rpc.call("get_student", dataset=bench.dataset)
            return student is not None and student["trained_on"] == 12

        await eventually(taught, seconds=20)

        async def follows() -> bool:
            upcoming = await bench.items(states=["drafted"], sort="priority")
            return any(item["draft"]["route"] == "student" for item in upcoming)

        await eventually(follows, seconds=20)


async def test_embedding_job_makes_similar_items_findable(bench: Bench, settings: Settings, working: Working) -> None:
    ids = await bench.add(["where is my refund", "my refund has not come", "which size fits a tall man"])
    async with working(settings):
        done = await bench.until(await bench.order("embed"))
    assert done["done"] == 3
    similar = await bench.rpc.call("similar_items", actor=bench.admin, item=ids[0])
    assert similar[0]["item"]["id"] == ids[1]


async def test_export_job_writes_the_whole_file(bench: Bench, settings: Settings, working: Working) -> None:
    await bench.add(texts(5))
    async with working(settings):
        done = await bench.until(await bench.order("export", {"format": "csv"}))
    assert done["state"] == "done", done["error"]
    written = (settings.data_path / "exports" / done["result"]["file"]).read_text()
    assert written.count("\n") == 6


async def _start_worker(dsn: str, home: Path, server: StandIn | None) -> asyncio.subprocess.Process:
    environment = {**os.environ, "DATABASE_URL": dsn, "LABELCREW_DATA_DIR": str(home), "LABELCREW_LLM_CONCURRENCY": "4"}
    if server is not None:
        environment |= {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.base_url, "LABELCREW_MODEL": "gpt-4.1-mini"}
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "cli.main", "worker", env=environment)
