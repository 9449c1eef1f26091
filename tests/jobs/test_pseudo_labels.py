"""The setting that lets the student learn from its own labels: told in its metrics, and nowhere taken for answers."""

from __future__ import annotations

from jobs.insights import report_learning
from jobs.students import train
from tests.jobs.conftest import CLASSES, Bench, texts


async def _verify(bench: Bench, ids: list[str]) -> None:
    for number, item in enumerate(ids):
        await bench.rpc.call(
            "submit_annotation",
            actor=bench.admin, item=item, payload={"labels": [CLASSES[number % 3]]}, labelset_version=1,
        )  # fmt: skip


async def test_pseudo_labels_are_counted_in_metrics_and_never_become_answers(bench: Bench) -> None:
    from jobs.vectors import embed_missing

    ids = await bench.add(texts(120))
    await embed_missing(bench.rpc, bench.admin, bench.dataset)
    await _verify(bench, ids[:24])
    plain = await train(bench.rpc, bench.admin, bench.dataset)
    assert "pseudo_labels" not in plain["metrics"]
    await bench.rpc.call(
        "update_dataset", actor=bench.admin, dataset=bench.dataset, patch={"settings": {"pseudo_labels": True}}
    )
    taught = await train(bench.rpc, bench.admin, bench.dataset)
    assert taught["metrics"]["pseudo_labels"] >= 0
    assert taught["trained_on"] == plain["trained_on"] == 24
    assert taught["metrics"]["accuracy"] == plain["metrics"]["accuracy"]
    states = [item["state"] for item in await bench.items()]
    assert (states.count("verified"), states.count("new") + states.count("drafted")) == (24, 96)
    exported = await bench.rpc.call(
        "export_items", actor=bench.admin, dataset=bench.dataset, filters={"states": ["verified"]}
    )
    assert len(exported["rows"]) == 24
    curve = (await report_learning(bench.rpc, bench.admin, bench.dataset)).curve
    assert [point.pseudo_labels is None for point in curve] == [True, False]
