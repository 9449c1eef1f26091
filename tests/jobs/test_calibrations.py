"""Confidences become probabilities by what people verified: per model and route, by version, with an interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jobs.calibrations import SureLabeler, refresh_calibrations, surenesses, unjudged
from learning.sureness import Sureness, fit_sureness
from schemas.labeling import PrelabelInput
from schemas.payloads import Classification
from schemas.world import Draft
from tests.jobs.conftest import CLASSES, Bench

MODEL = "gpt-test"


async def _judged(bench: Bench, n: int, *, right: float, route: str = "llm", seed: int = 0) -> None:
    """``n`` drafts that claim .95, of which people confirm a share of ``right``."""
    rng = np.random.default_rng(seed)
    ids = await bench.add([f"{route} {seed} text {k}" for k in range(n)])
    rows = [
        {
            "item_id": item, "payload": {"labels": [CLASSES[0]]}, "confidence": 0.95, "probability": 0.9,
            "model": MODEL, "labelset_version": 1, "route": route,
        }
        for item in ids
    ]  # fmt: skip
    await bench.rpc.call("save_predictions", actor=bench.admin, dataset=bench.dataset, rows=rows)
    for item in ids:
        label = CLASSES[0] if rng.random() < right else CLASSES[1]
        await bench.rpc.call(
            "submit_annotation", actor=bench.admin, item=item, payload={"labels": [label]}, labelset_version=1
        )


async def test_each_route_of_a_model_gets_a_curve_of_its_own(bench: Bench) -> None:
    await _judged(bench, 60, right=0.6, route="llm")
    await _judged(bench, 60, right=0.95, route="crew", seed=1)
    assert await refresh_calibrations(bench.rpc, bench.dataset) == 2
    found = await surenesses(bench.rpc, bench.dataset, MODEL, 1)
    plain, crew = (float(found[route].apply([0.95])[0]) for route in ("llm", "crew"))
    assert abs(plain - 0.6) < 0.15 < crew - plain


async def test_curve_is_fitted_anew_only_when_enough_has_come_since(bench: Bench) -> None:
    await _judged(bench, 40, right=0.8)
    assert await refresh_calibrations(bench.rpc, bench.dataset) == 1
    assert await refresh_calibrations(bench.rpc, bench.dataset) == 0
    await _judged(bench, 1, right=1.0, seed=1)
    assert await refresh_calibrations(bench.rpc, bench.dataset) == 0
    await _judged(bench, 4, right=1.0, seed=2)
    assert await refresh_calibrations(bench.rpc, bench.dataset) == 1
    [row] = await bench.rpc.call("list_calibrations", actor=bench.admin, dataset=bench.dataset)
    assert (row["version"], row["trained_on"]) == (2, 45)


async def test_nothing_judged_is_read_by_a_careful_prior_with_a_wide_interval(bench: Bench) -> None:
    assert await refresh_calibrations(bench.rpc, bench.dataset) == 0
    assert await surenesses(bench.rpc, bench.dataset, MODEL, 1) == {}
    before, after = unjudged(), fit_sureness([0.95] * 400, [1] * 340 + [0] * 60)
    assert before.apply([0.95])[0] < 0.95
    wide, narrow = (float(np.ptp(sure.interval([0.95])[0])) for sure in (before, after))
    assert wide > 2 * narrow


def test_second_sign_is_blended_in_only_where_gold_says_so() -> None:
    rng = np.random.default_rng(0)
    right = rng.random(300) < 0.7
    confidence = np.clip(rng.normal(0.9, 0.03, 300), 0, 1)
    telling = np.where(right, 0.9, 0.2) + rng.normal(0, 0.05, 300)
    useful = fit_sureness(confidence, right, {"student": np.clip(telling, 0, 1)})
    assert useful.blend is not None
    low, high = useful.apply([0.9, 0.9], {"student": [0.2, 0.9]})
    assert low < 0.4 < 0.8 < high
    assert useful.apply([0.9], {"student": [np.nan]})[0] > low
    assert fit_sureness(confidence, right, {"student": rng.random(300)}).blend is None
    stored = Sureness.from_dicts(useful.curve.to_dict(), useful.blend.to_dict(), useful.metrics)
    assert np.allclose(stored.apply([0.9], {"student": [0.2]}), low)


async def test_drafts_come_out_with_probability_interval_and_the_students_opinion() -> None:
    class Student:
        classes = ("refund", "delivery")

        def predict_proba(self, vectors: Any) -> Any:
            return np.tile([0.25, 0.75], (len(vectors), 1))

    class Inner:
        name, batch_size = MODEL, 10

        async def draft(self, items: Sequence[PrelabelInput]) -> list[Draft]:
            return [
                Draft(
                    item_id=item.item_id, payload=Classification(labels=("refund",)), confidence=0.95, model=MODEL,
                    route="llm",
                )
                for item in items
            ]  # fmt: skip

    items = [PrelabelInput(item_id="a", text="where is my refund", vector=(1.0,) * 384)]
    labeler = SureLabeler(Inner(), {}, student=Student())  # type: ignore[arg-type]
    [draft] = await labeler.draft(items)
    assert draft.signals == {"student": 0.25}
    assert draft.probability is not None
    assert draft.probability_interval is not None
    assert draft.probability_interval[0] < draft.probability < draft.probability_interval[1]
