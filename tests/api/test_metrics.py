"""Metrics over HTTP: what is told of an empty dataset, of work with drafts, and of hints; and bad questions."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.metrics import percentile_ms, roll_up
from tests.support.gateway import House
from tests.support.teams import draft


async def measured(house: House, dataset: str, who: str = "admin", **params: Any) -> dict[str, Any]:
    response = await house.get(who, f"/v1/datasets/{dataset}/metrics", params=params)
    response.raise_for_status()
    found: dict[str, Any] = response.json()
    return found


async def worked(house: House) -> str:
    """Ten items drafted as positive at .9, of which eight are answered, two of those otherwise."""
    dataset = await house.dataset(items=10)
    page = (await house.get("admin", f"/v1/datasets/{dataset}/items")).json()
    items = [item["id"] for item in page["items"]]
    usage = {"cost_usd": 0.02}
    rows = [draft(item, "positive", probability=0.9, usage=usage) for item in items]
    await house.rpc.call("save_predictions", actor=house.people["admin"].id, dataset=dataset, rows=rows)
    for k, item in enumerate(items[:8]):
        body = {
            "payload": {"labels": ["positive" if k < 6 else "negative"]}, "labelset_version": 1, "lead_time_ms": 4000,
        }  # fmt: skip
        (await house.put("admin", f"/v1/items/{item}/annotation", body)).raise_for_status()
    await roll_up(house.rpc)
    return dataset


class TestMetrics:
    async def test_dataset_where_nothing_happened_has_a_plain_answer(self, house: House) -> None:
        dataset = await house.dataset(items=0)
        found = await measured(house, dataset, "annotator")
        assert (found["items"], found["verified_rate"], found["edit_rate"], found["drift"]) == (0, None, None, None)
        assert (found["people"], found["quality"], found["costs"], found["curve"]) == ([], [], [], [])
        assert "blind answers" in found["hints"]["note"]
        assert not found["span"]["behind"]

    async def test_rates_curves_costs_and_people_of_a_dataset_at_work(self, house: House) -> None:
        found = await measured(house, await worked(house))
        assert found["verified_rate"] == 0.8
        assert found["edit_rate"] == 0.25
        [model] = found["quality"]
        assert (model["judged"], model["edit_rate"], model["blind_ece"]) == (8, 0.25, None)
        assert model["ece"] == pytest.approx(0.15)
        [bucket] = model["curve"]
        assert (bucket["low"], bucket["judged"], bucket["kept"], bucket["accepted"]) == (0.9, 8, 6, 0.75)
        [cost] = found["costs"]
        assert (cost["drafts"], cost["verified"]) == (10, 8)
        assert cost["usd_per_item"] == pytest.approx(0.02)
        assert cost["usd_per_verified"] == pytest.approx(0.025)
        assert found["usd_per_verified"] == pytest.approx(0.025)
        [person] = found["people"]
        assert (person["answers"], person["mean_ms"]) == (8, 4000)
        assert 3900 <= person["median_ms"] <= 4800
        assert found["labels"] == {"positive": 8, "negative": 2}
        assert [point["answers"] for point in found["work"]] == [8]
        assert {h["measure"]: sum(h["counts"]) for h in found["histograms"]} == {"confidence": 10, "probability": 10}
        assert found["states_over_time"][-1]["states"] == {"new": 0, "verified": 8, "drafted": 2}
        assert {p["source"]: p["labels"] for p in found["labels_over_time"]} == {
            "human": {"positive": 6, "negative": 2}, "draft": {"positive": 10},
        }  # fmt: skip

    async def test_annotators_see_no_other_people(self, house: House) -> None:
        found = await measured(house, await worked(house), "annotator")
        assert found["people"] == found["work"] == []
        assert found["edit_rate"] == 0.25

    async def test_span_and_bucket_are_kept(self, house: House) -> None:
        dataset = await worked(house)
        found = await measured(house, dataset, since="2100-01-01T00:00:00Z", bucket=3600)
        assert (found["people"], found["edit_rate"], found["items"]) == ([], None, 10)
        assert found["span"]["bucket_seconds"] == 3600

    @pytest.mark.parametrize(
        "params",
        [
            {"bucket": 1000}, {"bucket": 60}, {"since": "yesterday"},
            {"since": "2030-01-02T00:00:00Z", "until": "2030-01-01T00:00:00Z"},
            {"since": "2000-01-01T00:00:00Z", "until": "2030-01-01T00:00:00Z", "bucket": 900},
        ],
    )  # fmt: skip
    async def test_span_or_bucket_that_cannot_be_is_refused_with_invalid(
        self, house: House, params: dict[str, Any]
    ) -> None:
        dataset = await house.dataset()
        response = await house.get("admin", f"/v1/datasets/{dataset}/metrics", params=params)
        assert (response.status_code, response.json()["code"]) == (422, "invalid")


def test_percentile_lies_within_the_bin_of_the_answer() -> None:
    assert percentile_ms({}, 0.5) is None
    found = percentile_ms({16: 10}, 0.5)
    assert found is not None
    assert 4000 <= found <= 4757
    assert percentile_ms({0: 1, 40: 9}, 0.9) or 0 > 250_000
