"""Drift over HTTP: choosing windows, reading the report, and orders that cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateway import House


class TestDrift:
    async def test_windows_that_were_chosen_are_told_with_what_is_awaited(self, house: House) -> None:
        dataset = await house.dataset(items=40)
        before = (await house.get("annotator", f"/v1/datasets/{dataset}/drift")).json()
        assert (before["watching"], before["score"]) == (False, None)
        body = {"reference": {"first": 30}, "newest": 500, "alpha": 0.01}
        made = await house.put("admin", f"/v1/datasets/{dataset}/drift", body)
        assert made.status_code == 200
        report = (await house.get("annotator", f"/v1/datasets/{dataset}/drift")).json()
        assert report["watching"]
        assert report["windows"]["newest"] == 500
        assert report["windows"]["reference"]["first"] == 30
        assert (report["threshold"], report["next_look"], report["alarm"]) == (1.0, 75, False)
        metrics = (await house.get("annotator", f"/v1/datasets/{dataset}/metrics")).json()
        assert metrics["drift"] is None

    async def test_score_of_the_last_look_stands_in_the_metrics(self, house: House) -> None:
        dataset = await house.dataset(items=120)
        await house.put("admin", f"/v1/datasets/{dataset}/drift", {"reference": {"first": 30}})
        metrics = (await house.get("annotator", f"/v1/datasets/{dataset}/metrics")).json()
        assert (metrics["drift"]["score"], metrics["drift"]["alarm"]) == (0.0, False)

    @pytest.mark.parametrize(
        "body",
        [
            {}, {"reference": {}}, {"reference": {"first": 30, "since": "2030-01-01T00:00:00Z"}},
            {"reference": {"first": 5}}, {"reference": {"first": 30}, "newest": 10},
            {"reference": {"first": 30}, "alpha": 0}, {"reference": {"first": 30}, "colour": "red"},
            {"reference": {"since": "2030-01-01T00:00:00Z"}},
        ],
    )  # fmt: skip
    async def test_windows_that_cannot_be_are_refused_with_invalid(self, house: House, body: dict[str, Any]) -> None:
        dataset = await house.dataset(items=40)
        response = await house.put("admin", f"/v1/datasets/{dataset}/drift", body)
        assert (response.status_code, response.json()["code"]) == (422, "invalid")
