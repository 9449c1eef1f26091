"""Students: taught from what people verified, stored with how good they are."""

from __future__ import annotations

from pathlib import Path

from jobs.students import train
from schemas.settings import Settings
from tests.jobs.conftest import Bench, Working

SAMPLE = Path(__file__).resolve().parents[2] / "examples" / "people_places.conll"


async def test_tagger_is_stored_with_what_it_gets_right_of_sentences_it_has_not_read(
    bench: Bench, settings: Settings, working: Working
) -> None:
    dataset = await bench.rpc.call("create_dataset", actor=bench.admin, name="names")
    bench.dataset = dataset["id"]
    once = SAMPLE.read_text(encoding="utf-8").strip()
    # three times as many sentences, so that a quarter can be held out
    content = "\n\n".join([once, *(once.replace("\n\n", f"\n\n{word}\tO\n") for word in ("Indeed", "Well"))])
    job = await bench.upload(settings, SAMPLE.name, f"{content}\n".encode())
    async with working(settings):
        assert (await bench.until(job))["state"] == "done"
    made = await train(bench.rpc, bench.admin, bench.dataset)
    stored = await bench.rpc.call("get_student", dataset=bench.dataset)
    assert stored["metrics"] == made["metrics"]
    assert {"f1", "accuracy", "ece"} <= set(made["metrics"])
    assert made["metrics"]["f1"] > 0
    assert stored["trained_on"] == len(await bench.items())
