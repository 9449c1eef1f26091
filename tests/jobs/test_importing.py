"""Imports: streamed, whole or not at all, the same when done twice, with every refused row on record."""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from formats.rows import ReadOptions
from jobs.importing import chunks, inspect
from jobs.places import place_of
from schemas.labelsets import Labelset
from schemas.settings import Settings
from tests.jobs.conftest import Bench, Working


async def test_file_becomes_items_in_its_order(bench: Bench, settings: Settings, working: Working) -> None:
    job = await bench.upload(settings, "a.csv", b"id,text\nx1,first\nx2,second\nx3,third\n")
    async with working(settings):
        done = await bench.until(job)
    assert done["state"] == "done"
    assert done["result"]["created"] == 3
    assert [(i["external_id"], i["text"]) for i in await bench.items()] == [
        ("x1", "first"), ("x2", "second"), ("x3", "third"),
    ]  # fmt: skip


async def test_second_import_of_the_same_file_creates_nothing(
    bench: Bench, settings: Settings, working: Working
) -> None:
    content = b"text\nwhere is my refund\nwhich size\n"
    async with working(settings):
        await bench.until(await bench.upload(settings, "a.csv", content))
        again = await bench.until(await bench.upload(settings, "b.csv", content))
    assert (again["result"]["created"], again["result"]["existing"]) == (0, 2)
    assert len(await bench.items()) == 2


async def test_refused_rows_are_listed_with_their_line_and_reason(
    bench: Bench, settings: Settings, working: Working
) -> None:
    content = b"text,label\nwhere is my refund,refund\nno idea,unheard_of\n,size\nwhich size,size\n"
    job = await bench.upload(settings, "a.csv", content, label_column="label")
    async with working(settings):
        done = await bench.until(job)
    assert (done["result"]["created"], done["result"]["rejected"]) == (2, 2)
    listed = (await bench.rpc.call("list_rejections", actor=bench.admin, job=job))["rejections"]
    assert [(row["line"], row["code"]) for row in listed] == [(3, "invalid-payload"), (4, "empty-text")]
    assert "unheard_of" in listed[0]["reason"]
    assert {i["state"] for i in await bench.items()} == {"verified"}


async def test_labels_may_come_as_predictions(bench: Bench, settings: Settings, working: Working) -> None:
    content = b"text,label\nwhere is my refund,refund\n"
    job = await bench.upload(settings, "a.csv", content, label_column="label", labels_as="prediction")
    async with working(settings):
        await bench.until(job)
    (item,) = await bench.items()
    assert (item["state"], item["draft"]["route"], item["draft"]["payload"]) == (
        "drafted", "import", {"labels": ["refund"]},
    )  # fmt: skip


async def test_label_column_makes_the_labelset_of_a_dataset_without_one(
    bench: Bench, settings: Settings, working: Working
) -> None:
    dataset = await bench.rpc.call("create_dataset", actor=bench.admin, name="bare")
    bench.dataset = dataset["id"]
    job = await bench.upload(settings, "a.csv", b"text,mood\nyes,good\nno,bad\n", label_column="mood")
    async with working(settings):
        await bench.until(job)
    made = (await bench.rpc.call("get_dataset", actor=bench.admin, dataset=bench.dataset))["labelset"]
    assert [c["name"] for c in made["classes"]] == ["bad", "good"]


async def test_file_that_breaks_off_leaves_nothing_behind(bench: Bench, settings: Settings, working: Working) -> None:
    whole = gzip.compress(b"text\n" + b"".join(b"row number %d of many\n" % i for i in range(20_000)))
    job = await bench.upload(settings, "a.csv.gz", whole[: len(whole) - 40])
    async with working(settings):
        failed = await bench.until(job)
    assert (failed["state"], failed["error"]["code"]) == ("failed", "unreadable-file")
    assert await bench.items() == []
    assert not (settings.data_path / "uploads" / "a.csv.gz").exists()


async def test_cancelled_import_leaves_nothing_behind(bench: Bench, settings: Settings, working: Working) -> None:
    content = b"text\n" + b"".join(b"row number %d of very many\n" % i for i in range(60_000))
    job = await bench.upload(settings, "a.csv", content)
    async with working(settings):

        async def started() -> bool:
            return bool((await bench.rpc.call("find_job", job=job))["done"])

        from tests.jobs.conftest import eventually

        await eventually(started)
        await bench.rpc.call("control_job", actor=bench.admin, job=job, action="cancel")

        async def gone() -> bool:
            return not (settings.data_path / "uploads" / "a.csv").exists()

        await eventually(gone)
    assert await bench.items() == []


async def test_conll_brings_spans_and_classes_though_a_sentence_has_none(
    bench: Bench, settings: Settings, working: Working
) -> None:
    dataset = await bench.rpc.call("create_dataset", actor=bench.admin, name="names")
    bench.dataset = dataset["id"]
    content = b"It O\nrains O\n\nAnna B-person\nlives O\nin O\nNew B-place\nYork I-place\n"
    job = await bench.upload(settings, "a.conll", content)
    async with working(settings):
        done = await bench.until(job)
    assert done["state"] == "done", done["error"]
    bare, item = await bench.items()
    assert bare["annotation"]["payload"]["spans"] == []
    assert item["annotation"]["payload"]["spans"] == [
        {"start": 0, "end": 4, "label": "person"},
        {"start": 14, "end": 22, "label": "place"},
    ]


def test_first_pass_counts_and_writes_nothing(home) -> None:  # type: ignore[no-untyped-def]
    path = home / "a.csv"
    path.write_text("text,label\na,x\nb,y\n,x\n")
    found = inspect(path, ReadOptions(label_column="label"), "a.csv", has_labelset=False)
    assert (found.rows, found.rejected, found.classes) == (2, 1, ["x", "y"])


@pytest.mark.parametrize(("labels_as", "field"), [("annotation", "annotation"), ("prediction", "prediction")])
def test_chunks_carry_labels_as_they_were_asked_for(home, labels_as: str, field: str) -> None:  # type: ignore[no-untyped-def]
    path = home / "a.csv"
    path.write_text("text,label\na,x\n")
    (chunk,) = chunks(path, ReadOptions(label_column="label"), "a.csv", Labelset.of(["x"]), labels_as)
    assert field in chunk.items[0]


async def test_import_is_left_to_a_worker_that_sees_the_file(
    bench: Bench, settings: Settings, working: Working, tmp_path: Path
) -> None:
    job = await bench.upload(settings, "a.csv", b"text\nwhere is my refund\n", place=place_of(settings))
    elsewhere = settings.model_copy(update={"data_dir": tmp_path / "elsewhere"})
    async with working(elsewhere):
        other = await bench.order("embed")
        await bench.until(other)
        assert (await bench.rpc.call("find_job", job=job))["state"] == "queued"
    async with working(settings):
        done = await bench.until(job)
    assert (done["state"], done["done"]) == ("done", 1), done["error"]


def test_place_is_named_once_for_a_data_folder(settings: Settings, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        names = set(threads.map(lambda _: place_of(settings), range(32)))
    assert len(names) == 1
    assert place_of(settings.model_copy(update={"data_dir": tmp_path / "elsewhere"})) not in names
