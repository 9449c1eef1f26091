"""Items over HTTP: bringing them in, pages of them, one of them, what became of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateway import House


class TestCreate:
    async def test_says_what_it_created_and_what_was_there(self, house: House) -> None:
        dataset = await house.dataset(items=0)
        rows = [{"external_id": "a", "text": "one"}, {"text": "two", "metadata": {"source": "mail"}}]
        path = f"/v1/datasets/{dataset}/items"
        first = (await house.post("admin", path, {"rows": rows})).json()
        assert (first["created"], first["existing"]) == (2, 0)
        again = (await house.post("admin", path, {"rows": rows})).json()
        assert (again["created"], again["existing"]) == (0, 2)
        assert [r["id"] for r in again["results"]] == [r["id"] for r in first["results"]]

    async def test_answers_and_drafts_come_with_the_items(self, house: House) -> None:
        dataset = await house.dataset(items=0)
        rows: list[dict[str, Any]] = [
            {"text": "answered", "annotation": {"labels": ["positive"]}},
            {
                "text": "drafted",
                "prediction": {"payload": {"labels": ["negative"]}, "model": "mine", "confidence": 0.7},
            },
        ]
        await house.post("admin", f"/v1/datasets/{dataset}/items", {"rows": rows})
        answered, drafted = (await house.get("admin", f"/v1/datasets/{dataset}/items")).json()["items"]
        assert (answered["state"], answered["annotation"]["payload"]) == ("verified", {"labels": ["positive"]})
        assert (drafted["state"], drafted["draft"]["confidence"], drafted["draft"]["model"]) == ("drafted", 0.7, "mine")

    async def test_answer_outside_the_labelset_is_refused_with_invalid_payload(self, house: House) -> None:
        dataset = await house.dataset(items=0)
        rows = [{"text": "x", "annotation": {"labels": ["unheard of"]}}]
        response = await house.post("admin", f"/v1/datasets/{dataset}/items", {"rows": rows})
        assert (response.status_code, response.json()["code"]) == (422, "invalid-payload")

    @pytest.mark.parametrize(
        ("row", "words"),
        [
            ({"text": ""}, "rows.0.text"),
            ({}, "rows.0.text"),
            ({"text": "x", "annotation": {"labels": ["a"], "spans": []}}, "rows.0.annotation"),
            (
                {"text": "x", "annotation": {"spans": [{"start": 3, "end": 1, "label": "a"}]}},
                "must end after it starts",
            ),
            ({"text": "x", "annotation": {"answer": "a"}}, "one key"),
            ({"text": "x", "prediction": {"payload": {"labels": []}, "model": "m", "confidence": 2}}, "confidence"),
        ],
    )
    async def test_malformed_row_is_named(self, house: House, row: dict[str, Any], words: str) -> None:
        dataset = await house.dataset(items=0)
        response = await house.post("admin", f"/v1/datasets/{dataset}/items", {"rows": [row]})
        assert response.status_code == 422
        assert words in response.json()["detail"]

    async def test_more_than_5000_rows_are_refused(self, house: House) -> None:
        dataset = await house.dataset(items=0)
        rows = [{"text": "x"}] * 5001
        response = await house.post("admin", f"/v1/datasets/{dataset}/items", {"rows": rows})
        assert (response.status_code, response.json()["code"]) == (422, "invalid")

    async def test_nul_is_refused_and_a_written_out_escape_is_kept(self, house: House) -> None:
        dataset = await house.dataset(items=0)
        path = f"/v1/datasets/{dataset}/items"
        for content in (
            b'{"rows": [{"text": "a\\u0000b"}]}',
            b'{"rows": [{"text": "a", "metadata": {"k\\u0000": 1}}]}',
        ):
            refused = await house.ask(
                "admin", "POST", path, content=content, headers={"Content-Type": "application/json"}
            )
            assert (refused.status_code, refused.json()["code"]) == (422, "invalid")
        kept = await house.post("admin", path, {"rows": [{"text": "a\\u0000b"}]})
        assert kept.status_code == 200

    @pytest.mark.parametrize(
        "text", ["  ", "\ufeffbom", "\u202eright to left", "😀" * 10, "a\r\nb", "'; drop table items; --"]
    )
    async def test_any_text_comes_back_as_it_was(self, house: House, text: str) -> None:
        dataset = await house.dataset(items=0)
        made = (await house.post("admin", f"/v1/datasets/{dataset}/items", {"rows": [{"text": text}]})).json()
        assert (await house.get("admin", f"/v1/items/{made['results'][0]['id']}")).json()["text"] == text


class TestList:
    async def test_pages_hold_every_item_once(self, house: House) -> None:
        dataset = await house.dataset(items=7)
        seen: list[str] = []
        cursor = None
        while True:
            params = {"limit": 3, "sort": "-seq", **({"cursor": cursor} if cursor else {})}
            page = (await house.get("annotator", f"/v1/datasets/{dataset}/items", params=params)).json()
            seen.extend(item["external_id"] for item in page["items"])
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert seen == [f"e-{n}" for n in range(6, -1, -1)]

    async def test_filters_narrow_the_page(self, house: House) -> None:
        dataset = await house.dataset(items=3)
        path = f"/v1/datasets/{dataset}/items"
        await house.post("admin", path, {"rows": [{"text": "delivery late", "annotation": {"labels": ["negative"]}}]})

        async def texts(**params: Any) -> list[str]:
            return [item["text"] for item in (await house.get("annotator", path, params=params)).json()["items"]]

        assert await texts(state="verified") == ["delivery late"]
        assert await texts(label="negative") == ["delivery late"]
        assert await texts(q="delivery") == ["delivery late"]
        assert len(await texts(state=["verified", "new"])) == 4
        assert await texts(label="positive") == []

    @pytest.mark.parametrize(
        "params",
        [
            {"state": "lost"},
            {"limit": 0},
            {"limit": 501},
            {"sort": "text"},
            {"cursor": "not a cursor"},
            {"min_probability": 2},
            {"q": "a\0b"},
            {"min_probability": "nan"},
        ],
    )
    async def test_malformed_query_is_refused_with_invalid(self, house: House, params: dict[str, Any]) -> None:
        dataset = await house.dataset()
        response = await house.get("annotator", f"/v1/datasets/{dataset}/items", params=params)
        assert (response.status_code, response.json()["code"]) == (422, "invalid")


class TestHistory:
    async def test_tells_answers_drafts_and_events(self, house: House) -> None:
        dataset = await house.dataset(items=1)
        claim = (await house.post("annotator", f"/v1/datasets/{dataset}/claim", {"count": 1})).json()["claims"][0]
        body = {
            "payload": {"labels": ["positive"]},
            "labelset_version": 1,
            "lease_id": claim["lease"]["id"],
            "token": claim["lease"]["token"],
        }
        await house.put("annotator", f"/v1/items/{claim['item']['id']}/annotation", body)
        history = (await house.get("reviewer", f"/v1/items/{claim['item']['id']}/history")).json()
        assert [a["payload"] for a in history["annotations"]] == [{"labels": ["positive"]}]
        assert history["predictions"] == []
        assert len(history["events"]) >= 1
