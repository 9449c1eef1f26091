"""One action on many items, by a worker: done in chunks, and undone."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.workflows import bulk_acting
from jobs.workflows.bulk_acting import in_words
from schemas.settings import Settings
from tests.jobs.conftest import Bench, Working, texts


async def test_worker_does_the_whole_and_undoes_it(
    bench: Bench, settings: Settings, working: Working, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_acting, "CHUNK", 4)
    ids = await bench.add(texts(10))
    job = await bench.rpc.call(
        "order_bulk",
        actor=bench.admin, dataset=bench.dataset, action="set_class", ids=ids[:9],
        options={"payload": {"labels": ["refund"]}},
    )  # fmt: skip
    async with working(settings):
        done = await bench.until(job["id"])
        assert (done["state"], done["done"], done["total"]) == ("done", 9, 9), done["error"]
        assert done["note"] == "9 items were given the class."
        assert len(await bench.items(states=["verified"], label="refund")) == 9
        undone = await bench.until((await bench.rpc.call("undo_bulk", actor=bench.admin, job=job["id"]))["id"])
    assert (undone["done"], undone["note"]) == (9, "9 items were put back.")
    assert {item["state"] for item in await bench.items()} == {"new"}


async def test_job_of_somebody_who_is_no_reviewer_any_more_fails(
    bench: Bench, settings: Settings, working: Working
) -> None:
    await bench.add(texts(2))
    email = "leaving@example.org"
    user = await bench.rpc.call("create_user", email=email, name="x")
    for role in ("reviewer", "annotator"):
        await bench.rpc.call("add_member", actor=bench.admin, dataset=bench.dataset, email=email, role=role)
        if role == "reviewer":
            job = await bench.rpc.call(
                "order_bulk",
                actor=user["id"], dataset=bench.dataset, action="set_class", filter={},
                options={"payload": {"labels": ["refund"]}},
            )  # fmt: skip
    async with working(settings):
        failed = await bench.until(job["id"])
    assert (failed["state"], failed["error"]["code"]) == ("failed", "forbidden")


@pytest.mark.parametrize(
    ("action", "result", "words"),
    [
        ("approve", {"done": 0, "refused": {}}, "There was nothing to do: no item was chosen."),
        ("reject", {"done": 1, "refused": {"own-work": 2}}, "1 item was rejected; 2 refused, each with its reason."),
    ],
)
def test_outcome_is_told_in_words(action: str, result: dict[str, Any], words: str) -> None:
    assert in_words({"action": action}, result) == words
