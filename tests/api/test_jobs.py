"""Jobs over HTTP: ordering, estimating, following, stopping."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from tests.support.gateway import House


async def order(house: House, dataset: str, **body: Any) -> Any:
    return await house.post("admin", f"/v1/datasets/{dataset}/jobs", {"kind": "prelabel", **body})


def events(text: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and not line.startswith(":"))
        if "event" in fields:
            found.append((fields["event"], orjson.loads(fields["data"])))
    return found


class TestCreate:
    async def test_job_waits_for_a_worker(self, house: House) -> None:
        dataset = await house.dataset()
        response = await order(house, dataset, params={"model": "local/minilm-l6"})
        assert response.status_code == 202
        assert response.json()["state"] == "queued"
        assert response.json()["params"]["model"] == "local/minilm-l6"
        assert response.json()["created_by"] == house.people["admin"].id

    async def test_same_key_gives_the_same_job(self, house: House) -> None:
        dataset = await house.dataset()
        first = (await order(house, dataset, key="nightly")).json()
        assert (await order(house, dataset, key="nightly")).json()["id"] == first["id"]

    @pytest.mark.parametrize(
        "body",
        [
            {"kind": "import", "params": {"upload": "../../etc/passwd"}},
            {"kind": "bulk"},
            {"kind": "prelabel", "params": {"model": "no-such-model"}},
            {"kind": "prelabel", "params": {"colour": "blue"}},
            {"kind": "prelabel", "budget_usd": -1},
            {"kind": "prelabel", "params": []},
            {},
        ],
    )
    async def test_order_that_makes_no_sense_is_refused(self, house: House, body: dict[str, Any]) -> None:
        dataset = await house.dataset()
        response = await house.post("admin", f"/v1/datasets/{dataset}/jobs", body)
        assert response.status_code == 422
        assert response.json()["code"] in {"invalid", "unknown-model"}


class TestEstimate:
    async def test_local_model_costs_nothing(self, house: House) -> None:
        dataset = await house.dataset(items=5)
        body = {"kind": "prelabel", "params": {"model": "local/minilm-l6"}}
        estimate = (await house.post("admin", f"/v1/datasets/{dataset}/jobs/estimate", body)).json()
        assert (estimate["items"], estimate["cost_usd"], estimate["model"]) == (5, 0, "local/minilm-l6")


class TestControl:
    async def test_cancelled_job_stays_so(self, house: House) -> None:
        dataset = await house.dataset()
        job = (await order(house, dataset)).json()
        cancelled = (await house.post("admin", f"/v1/jobs/{job['id']}/cancel")).json()
        assert cancelled["state"] == "cancelled"
        response = await house.post("admin", f"/v1/jobs/{job['id']}/resume")
        assert (response.status_code, response.json()["code"]) == (409, "illegal-job-state")

    async def test_paused_job_is_queued_again_by_resuming(self, house: House) -> None:
        dataset = await house.dataset()
        job = (await order(house, dataset)).json()
        assert (await house.post("admin", f"/v1/jobs/{job['id']}/pause")).json()["state"] == "paused"
        assert (await house.post("admin", f"/v1/jobs/{job['id']}/resume")).json()["state"] == "queued"

    async def test_list_is_newest_first(self, house: House) -> None:
        dataset = await house.dataset()
        ids = [(await order(house, dataset)).json()["id"] for _ in range(3)]
        listed = (await house.get("annotator", f"/v1/datasets/{dataset}/jobs")).json()
        assert [job["id"] for job in listed] == ids[::-1]


class TestEvents:
    async def test_tells_every_change_until_the_job_ends(self, house: House) -> None:
        dataset = await house.dataset()
        job = (await order(house, dataset)).json()["id"]

        async def work() -> None:
            await asyncio.sleep(0.3)
            await house.rpc.call("start_job", job=job, total=3)
            await asyncio.sleep(0.9)
            await house.rpc.call("progress_job", job=job, done=2)
            await asyncio.sleep(0.9)
            await house.rpc.call("finish_job", job=job, result={"drafted": 2})

        followed, _ = await asyncio.gather(house.get("annotator", f"/v1/jobs/{job}/events"), work())
        assert followed.headers["content-type"].startswith("text/event-stream")
        assert followed.headers["cache-control"] == "no-cache, no-transform"
        told = events(followed.text)
        assert {name for name, _ in told} == {"job"}
        states = [data["state"] for _, data in told]
        assert states[0] == "queued"
        assert states[-1] == "done"
        assert "running" in states
        assert told[-1][1]["done"] == 2

    async def test_ended_job_is_told_once(self, house: House) -> None:
        dataset = await house.dataset()
        job = (await order(house, dataset)).json()["id"]
        await house.post("admin", f"/v1/jobs/{job}/cancel")
        assert [d["state"] for _, d in events((await house.get("annotator", f"/v1/jobs/{job}/events")).text)] == [
            "cancelled"
        ]

    async def test_member_who_is_removed_hears_no_more(self, house: House) -> None:
        dataset = await house.dataset()
        job = (await order(house, dataset)).json()["id"]

        async def remove() -> None:
            await asyncio.sleep(0.3)
            await house.delete("admin", f"/v1/datasets/{dataset}/members/{house.people['annotator'].id}")

        followed, _ = await asyncio.gather(house.get("annotator", f"/v1/jobs/{job}/events"), remove())
        assert events(followed.text)[-1] == ("error", {"code": "not-found", "detail": "no such job"})

    async def test_server_that_stops_ends_the_stream(self, house: House) -> None:
        dataset = await house.dataset()
        job = (await order(house, dataset)).json()["id"]

        async def stop() -> None:
            await asyncio.sleep(0.2)
            house.gateway.closing.set()

        followed, _ = await asyncio.gather(house.get("annotator", f"/v1/jobs/{job}/events"), stop())
        assert [data["state"] for _, data in events(followed.text)] == ["queued"]
