"""The queue's order: chosen by the job and after every training, with a marked random arm and no batch of copies."""

from __future__ import annotations

from typing import Any

import numpy as np

from jobs.ranking import forget_vectors, order_queue
from schemas.settings import Settings
from tests.jobs.conftest import Bench, Working, eventually, texts

WORDS = ("refund", "delivery", "size")


async def _ranked(bench: Bench) -> list[dict[str, Any]]:
    return [item for item in await bench.items(sort="priority") if item["priority"] > 0]


async def test_rank_job_puts_items_in_order_before_anything_is_labelled(
    bench: Bench, settings: Settings, working: Working
) -> None:
    await bench.add(texts(60))
    async with working(settings):
        done = await bench.until(await bench.order("rank", {"count": 20}))
    assert done["state"] == "done", done["error"]
    assert (done["result"]["ranked"], done["result"]["embedded"], done["result"]["student"]) == (20, 60, None)
    assert "20 of 60 open items" in done["note"]
    ranked = await _ranked(bench)
    assert len(ranked) == 20
    assert len({item["text"].split(",")[0] for item in ranked}) > 1


async def test_near_duplicates_do_not_fill_the_head_of_the_queue(
    bench: Bench, settings: Settings, working: Working
) -> None:
    copies = [f"where is my refund please {'!' * n}" for n in range(60)]
    others = ["when does the parcel come", "which size fits a tall man", "is this shirt made of cotton", "call me back"]
    await bench.add(copies + others)
    async with working(settings):
        await bench.until(await bench.order("rank", {"count": 8}))
    assert set(others) <= {item["text"] for item in await _ranked(bench)}


async def test_control_arm_is_marked_on_the_item_and_in_the_audit_log(
    bench: Bench, settings: Settings, working: Working
) -> None:
    await bench.add(texts(300))
    async with working(settings):
        done = await bench.until(await bench.order("rank", {"count": 250}))
    marked = {item["id"] for item in await bench.items() if item["arm"] == "control"}
    assert 0 < len(marked) == done["result"]["control"] < 40
    [event] = await bench.rpc.call("list_events", actor=bench.admin, dataset=bench.dataset, kinds=["queue_ranked"])
    assert set(event["data"]["control"]) == marked


async def test_queue_is_renewed_by_itself_when_answers_arrive(
    bench: Bench, settings: Settings, working: Working
) -> None:
    ids = await bench.add(texts(90))
    async with working(settings):
        await bench.until(await bench.order("embed"))
        for index, item in enumerate(ids[:12]):
            await _answer(bench, item, WORDS[index % 3])

        async def renewed() -> bool:
            events = await bench.rpc.call(
                "list_events", actor=bench.admin, dataset=bench.dataset, kinds=["queue_ranked"]
            )
            return any(event["data"]["student"] for event in events)

        await eventually(renewed, seconds=30)
    assert ids[0] not in {item["id"] for item in await _ranked(bench)}


async def test_queue_by_arrival_is_left_alone(bench: Bench, settings: Settings, working: Working) -> None:
    ids = await bench.add(texts(30))
    await bench.rpc.call(
        "update_dataset", actor=bench.admin, dataset=bench.dataset, patch={"settings": {"queue_order": "arrival"}}
    )
    async with working(settings):
        await bench.until(await bench.order("embed"))
        for index, item in enumerate(ids[:6]):
            await _answer(bench, item, WORDS[index % 3])

        async def taught() -> bool:
            student = await bench.rpc.call("get_student", dataset=bench.dataset)
            return student is not None and student["trained_on"] == 6

        await eventually(taught)
    assert await _ranked(bench) == []


async def test_empty_dataset_and_one_without_vectors_rank_nothing(bench: Bench) -> None:
    assert (await order_queue(bench.rpc, bench.admin, bench.dataset))["ranked"] == 0
    await bench.add(texts(5))
    found = await order_queue(bench.rpc, bench.admin, bench.dataset)
    assert (found["ranked"], found["open"], found["without_vector"]) == (0, 5, 5)


async def test_one_class_and_several_labels_an_item_can_be_ranked(bench: Bench) -> None:
    rng = np.random.default_rng(0)
    for classes, multi in ((("only",), False), (("a", "b", "c"), True)):
        dataset = (await bench.rpc.call("create_dataset", actor=bench.admin, name=f"set {multi}"))["id"]
        await bench.rpc.call(
            "create_labelset", actor=bench.admin, dataset=dataset, kind="classification", multi=multi,
            classes=[{"name": name} for name in classes],
        )  # fmt: skip
        other = Bench(bench.rpc, bench.admin, dataset)
        ids = await other.add(texts(30))
        rows = [{"id": item, "vector": _vector(rng)} for item in ids]
        await bench.rpc.call("save_embeddings", actor=bench.admin, dataset=dataset, model="all-MiniLM-L6-v2", rows=rows)
        for item in ids[:10]:
            await _answer(other, item, classes[0])
        from jobs.students import train

        await train(bench.rpc, bench.admin, dataset)
        assert (await order_queue(bench.rpc, bench.admin, dataset, count=10))["ranked"] == 10


async def test_vectors_that_came_late_are_found(bench: Bench) -> None:
    ids = await bench.add(texts(40))

    async def give(some: list[str]) -> None:
        rows = [{"id": item, "vector": _vector(np.random.default_rng(1))} for item in some]
        await bench.rpc.call("save_embeddings", actor=bench.admin, dataset=bench.dataset, model="m", rows=rows)

    forget_vectors()
    await give(ids[10:30])
    assert (await order_queue(bench.rpc, bench.admin, bench.dataset))["without_vector"] == 20
    await give(ids[30:])
    assert (await order_queue(bench.rpc, bench.admin, bench.dataset))["without_vector"] == 10
    await give(ids[:10])
    assert (await order_queue(bench.rpc, bench.admin, bench.dataset))["without_vector"] == 0


def _vector(rng: np.random.Generator) -> list[float]:
    drawn = rng.normal(size=384)
    return [round(float(x), 5) for x in drawn / np.linalg.norm(drawn)]


async def _answer(bench: Bench, item: str, label: str) -> None:
    await bench.rpc.call(
        "submit_annotation", actor=bench.admin, item=item, payload={"labels": [label]}, labelset_version=1
    )
