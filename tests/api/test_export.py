"""Exports: streamed, filtered, named after the dataset, in every format."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

import orjson
import pyarrow.parquet
import pytest

from api.exporting import PAGE, disposition, export_stream
from schemas.errors import LabelCrewError, error_of
from tests.support.gateway import House


async def filled(house: House, items: int = 4) -> str:
    dataset = await house.dataset(items=0)
    rows: list[dict[str, Any]] = [{"external_id": f"e-{n}", "text": f"text {n}"} for n in range(items)]
    rows[0]["annotation"] = {"labels": ["positive"]}
    rows[1]["prediction"] = {"payload": {"labels": ["negative"]}, "model": "mine", "probability": 0.8}
    for start in range(0, items, 5000):
        await house.post("admin", f"/v1/datasets/{dataset}/items", {"rows": rows[start : start + 5000]})
    return dataset


async def export(house: House, dataset: str, **params: Any) -> Any:
    return await house.get("reviewer", f"/v1/datasets/{dataset}/export", params=params)


class TestExport:
    async def test_jsonl_holds_every_item_with_names_for_labels(self, house: House) -> None:
        dataset = await filled(house)
        renamed = {"classes": [{"name": "good", "key": "positive"}, {"name": "negative"}]}
        await house.post("admin", f"/v1/datasets/{dataset}/labelsets", renamed)
        response = await export(house, dataset, format="jsonl")
        rows = [orjson.loads(line) for line in response.text.splitlines()]
        assert [row["external_id"] for row in rows] == [f"e-{n}" for n in range(4)]
        assert rows[0]["labels"] == ["good"]
        assert (rows[1]["labels"], rows[1]["probability"]) == (["negative"], 0.8)
        assert rows[2]["labels"] is None
        assert response.headers["content-disposition"].startswith('attachment; filename="Reviews.jsonl"')
        assert "content-length" not in response.headers

    async def test_every_page_is_in_the_file_once(self, house: House) -> None:
        dataset = await filled(house, items=2 * PAGE + 1)
        response = await export(house, dataset, format="csv")
        rows = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))
        assert [row["external_id"] for row in rows] == [f"e-{n}" for n in range(2 * PAGE + 1)]

    async def test_parquet_reads_back(self, house: House) -> None:
        dataset = await filled(house)
        table = pyarrow.parquet.read_table(io.BytesIO((await export(house, dataset, format="parquet")).content))
        assert table.num_rows == 4

    async def test_filters_narrow_the_file(self, house: House) -> None:
        dataset = await filled(house)
        assert len((await export(house, dataset, state="verified")).text.splitlines()) == 1
        assert len((await export(house, dataset, label=["positive", "negative"])).text.splitlines()) == 2
        assert len((await export(house, dataset, min_probability=0.9)).text.splitlines()) == 0

    async def test_provenance_can_be_left_out(self, house: House) -> None:
        dataset = await filled(house)
        assert "route_reason" in orjson.loads((await export(house, dataset)).text.splitlines()[0])
        short = (await export(house, dataset, provenance=False)).text.splitlines()[0]
        assert "route_reason" not in orjson.loads(short)

    async def test_empty_dataset_gives_an_empty_file(self, house: House) -> None:
        response = await export(house, await house.dataset(items=0))
        assert (response.status_code, response.content) == (200, b"")

    async def test_format_that_cannot_hold_the_labels_is_refused_with_invalid(self, house: House) -> None:
        response = await export(house, await filled(house), format="conll")
        assert (response.status_code, response.json()["code"]) == (422, "invalid")

    async def test_without_a_labelset_it_is_refused_with_no_labelset(self, house: House) -> None:
        made = (await house.post("admin", "/v1/datasets", {"name": "bare"})).json()
        response = await house.get("admin", f"/v1/datasets/{made['id']}/export")
        assert (response.status_code, response.json()["code"]) == (409, "no-labelset")


async def test_database_that_fails_on_the_way_breaks_the_file_off(house: House) -> None:
    dataset = await filled(house, items=PAGE + 1)

    class FailsLater:
        async def call(self, function: str, **params: Any) -> Any:
            if function == "export_items" and params["after"]:
                raise error_of("unavailable")
            return await house.rpc.call(function, **params)

        async def close(self) -> None:
            pass

    parts = replace(house.gateway, rpc=FailsLater())
    response = await export_stream(parts, house.people["admin"].id, dataset, "csv", {}, provenance=False)
    with pytest.raises(LabelCrewError):
        async for _ in response.body_iterator:
            pass


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("Reviews", "Reviews.csv"),
        ('a"; filename="evil.exe', "a-filename-evil.exe.csv"),
        ("../../etc", "etc.csv"),
        ("日本語", "export.csv"),
        ("line\r\nSet-Cookie: x", "line-Set-Cookie-x.csv"),
    ],
)
def test_file_name_is_safe_in_a_header(name: str, plain: str) -> None:
    header = disposition(name, ".csv")
    assert header.startswith(f"attachment; filename=\"{plain}\"; filename*=UTF-8''")
    assert "\r" not in header
    assert "\n" not in header
    header.encode("latin-1")
