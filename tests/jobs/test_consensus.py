"""The consensus job, and the worker that settles by itself: from people's answers to the answer that counts."""

from __future__ import annotations

from typing import Any

import numpy as np

from jobs.consensus import report_consensus
from schemas.settings import Settings
from tests.jobs.conftest import CLASSES, Bench, Working, eventually, texts
from tests.support.people import new_member

SKILLS = (0.95, 0.95, 0.35, 0.3, 0.3)


async def _answered(
    bench: Bench, n: int, skills: tuple[float, ...] = SKILLS, **settings: Any
) -> tuple[list[str], list[str]]:
    """``n`` items answered by people of these skills; the truth and the people."""
    patch = {"settings": {"overlap": len(skills), "blind_share": 0, **settings}}
    await bench.rpc.call("update_dataset", actor=bench.admin, dataset=bench.dataset, patch=patch)
    ids = await bench.add(texts(n))
    rng = np.random.default_rng(0)
    truth = {item: CLASSES[number % 3] for number, item in enumerate(ids)}
    people = [await new_member(bench.rpc, bench.admin, bench.dataset, "annotator") for _ in skills]
    for person, skill in zip(people, skills, strict=True):
        while claims := await bench.rpc.call("claim_items", actor=person, dataset=bench.dataset, count=50):
            for claim in claims:
                right = truth[claim["item"]["id"]]
                label = right if rng.random() < skill else str(rng.choice([c for c in CLASSES if c != right]))
                await bench.rpc.call(
                    "submit_annotation",
                    actor=person, item=claim["item"]["id"], payload={"labels": [label]}, labelset_version=1,
                    lease=claim["lease"]["id"], token=claim["lease"]["token"],
                )  # fmt: skip
    return [truth[item] for item in ids], people


async def _right(bench: Bench, truth: list[str]) -> float:
    items = await bench.items()
    return float(np.mean([i["annotation"]["payload"]["labels"] == [t] for i, t in zip(items, truth, strict=True)]))


async def test_job_puts_right_what_counting_got_wrong_and_names_the_good_annotators(
    bench: Bench, settings: Settings, working: Working
) -> None:
    truth, people = await _answered(bench, 60)
    counted = await _right(bench, truth)
    async with working(settings):
        done = await bench.until(await bench.order("consensus", {"method": "pooled"}))
    assert done["state"] == "done", done["error"]
    assert done["result"]["changed"] > 0
    assert "60 items of 5 annotators" in done["note"]
    assert await _right(bench, truth) > counted + 0.1
    report = await report_consensus(bench.rpc, bench.admin, bench.dataset)
    assert report.run is not None
    quality = {person.user: person for person in report.run.annotators}
    assert min(quality[p].low for p in people[:2]) > max(quality[p].high for p in people[2:])
    assert report.items == sorted(report.items, key=lambda row: row.probability)


async def test_job_asks_one_more_person_about_the_most_doubtful_items_only(
    bench: Bench, settings: Settings, working: Working
) -> None:
    await _answered(bench, 30, (0.9, 0.5))
    async with working(settings):
        done = await bench.until(await bench.order("consensus", {"extra": 4}))
    assert done["result"]["asked"] == 4
    waiting = [item for item in await bench.items() if item["state"] == "new"]
    assert len(waiting) == 4
    report = await report_consensus(bench.rpc, bench.admin, bench.dataset)
    assert report.waiting == 4
    assert {item["id"] for item in waiting} <= {row.item_id for row in report.items}
    late = await new_member(bench.rpc, bench.admin, bench.dataset, "annotator")
    claims = await bench.rpc.call("claim_items", actor=late, dataset=bench.dataset, count=20)
    assert {claim["item"]["id"] for claim in claims} == {item["id"] for item in waiting}


async def test_worker_settles_by_itself_where_the_dataset_does_more_than_count(
    bench: Bench, settings: Settings, working: Working
) -> None:
    truth, _ = await _answered(bench, 30, consensus="weighted")
    counted = await _right(bench, truth)
    async with working(settings):

        async def settled() -> bool:
            return (await report_consensus(bench.rpc, bench.admin, bench.dataset)).run is not None

        await eventually(settled, seconds=40)
    assert await _right(bench, truth) > counted
    report = await report_consensus(bench.rpc, bench.admin, bench.dataset)
    assert (report.method, report.waiting, report.run and report.run.job_id) == ("weighted", 0, None)


async def test_dataset_without_two_answers_an_item_says_so(bench: Bench, settings: Settings, working: Working) -> None:
    await bench.add(texts(3))
    async with working(settings):
        done = await bench.until(await bench.order("consensus"))
    assert (done["state"], done["result"]["items"]) == ("done", 0)
    assert "two people" in (await report_consensus(bench.rpc, bench.admin, bench.dataset)).note
