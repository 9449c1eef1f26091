"""Datasets, labelsets, members and the audit log over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateway import House


class TestCreate:
    async def test_creator_becomes_admin_and_the_labelset_is_made_with_it(self, house: House) -> None:
        body = {
            "name": "  Reviews ",
            "guidelines": "# Mood",
            "settings": {"overlap": 2},
            "labelset": {"classes": [{"name": "positive", "hotkey": "p"}, {"name": "negative"}], "multi": True},
        }
        response = await house.post("stranger", "/v1/datasets", body)
        assert response.status_code == 201
        made = response.json()
        assert (made["name"], made["role"], made["items"]) == ("Reviews", "admin", 0)
        assert made["settings"]["overlap"] == 2
        assert made["labelset"]["version"] == 1
        assert [c["key"] for c in made["labelset"]["classes"]] == ["positive", "negative"]
        assert all(c["color"] for c in made["labelset"]["classes"])
        assert (await house.get("stranger", f"/v1/datasets/{made['id']}")).json() == made

    async def test_same_name_twice_is_refused_with_duplicate_name(self, house: House) -> None:
        await house.post("admin", "/v1/datasets", {"name": "Reviews"})
        response = await house.post("admin", "/v1/datasets", {"name": "Reviews"})
        assert (response.status_code, response.json()["code"]) == (409, "duplicate-name")

    @pytest.mark.parametrize(
        ("classes", "words"),
        [
            ([{"name": "a"}, {"name": "A"}], "share the name"),
            ([{"name": "straße"}, {"name": "STRASSE"}], "share the name"),
            ([{"name": "a", "hotkey": "x"}, {"name": "b", "hotkey": "x"}], "share the hotkey"),
            ([{"name": "a", "retired": True}], "retired"),
        ],
    )
    async def test_classes_that_clash_are_refused_and_nothing_is_made(
        self, house: House, classes: list[dict[str, Any]], words: str
    ) -> None:
        response = await house.post("admin", "/v1/datasets", {"name": "Reviews", "labelset": {"classes": classes}})
        assert (response.status_code, response.json()["code"]) == (422, "invalid-labelset")
        assert words in response.json()["detail"]
        assert (await house.get("admin", "/v1/datasets")).json() == []

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"name": "   "},
            {"name": "x" * 201},
            {"name": "x", "modality": "smell"},
            {"name": "x", "settings": {"review_levels": 4}},
            {"name": "x", "settings": {"unknown": 1}},
            {"name": "x", "labelset": {"classes": []}},
            {"name": "x", "owner_id": "me"},
            {"name": "nul \0 inside"},
            [],
            "text",
        ],
    )
    async def test_malformed_body_is_refused_with_invalid(self, house: House, body: Any) -> None:
        response = await house.post("admin", "/v1/datasets", body)
        assert (response.status_code, response.json()["code"]) == (422, "invalid")


class TestList:
    async def test_shows_only_ones_own(self, house: House) -> None:
        dataset = await house.dataset()
        assert [d["id"] for d in (await house.get("annotator", "/v1/datasets")).json()] == [dataset]
        assert (await house.get("stranger", "/v1/datasets")).json() == []


class TestUpdate:
    async def test_changes_what_is_given_and_keeps_the_rest(self, house: House) -> None:
        dataset = await house.dataset(settings={"overlap": 2, "model": "local/minilm-l6"}, guidelines="old")
        changes = {"guidelines": "new", "settings": {"lease_seconds": 60, "model": None}}
        changed = (await house.patch("admin", f"/v1/datasets/{dataset}", changes)).json()
        assert changed["guidelines"] == "new"
        assert changed["name"] == "Reviews"
        assert changed["settings"] == {"overlap": 2, "lease_seconds": 60, "model": None, "blind_share": 0}


class TestDelete:
    async def test_removes_it_for_everybody(self, house: House) -> None:
        dataset = await house.dataset()
        assert (await house.delete("admin", f"/v1/datasets/{dataset}")).status_code == 204
        assert (await house.get("admin", f"/v1/datasets/{dataset}")).status_code == 404


class TestLabelsets:
    async def test_renamed_class_keeps_its_key_and_a_missing_one_is_retired(self, house: House) -> None:
        dataset = await house.dataset()
        body = {"classes": [{"name": "good", "key": "positive"}, {"name": "mixed"}]}
        made = (await house.post("admin", f"/v1/datasets/{dataset}/labelsets", body)).json()
        assert made["version"] == 2
        assert [(c["name"], c["key"], c["retired"]) for c in made["classes"]] == [
            ("good", "positive", False),
            ("mixed", "mixed", False),
            ("negative", "negative", True),
        ]
        again = {"classes": [{"name": "good"}, {"name": "negative"}]}
        made = (await house.post("admin", f"/v1/datasets/{dataset}/labelsets", again)).json()
        assert made["classes"][0]["key"] == "positive"
        versions = (await house.get("annotator", f"/v1/datasets/{dataset}/labelsets")).json()
        assert [v["version"] for v in versions] == [3, 2, 1]


class TestMembers:
    async def test_admin_changes_a_role(self, house: House) -> None:
        dataset = await house.dataset()
        body = {"email": "Annotator@example.org", "role": "reviewer"}
        assert (await house.put("admin", f"/v1/datasets/{dataset}/members", body)).json()["role"] == "reviewer"
        roles = {
            m["email"]: m["role"] for m in (await house.get("annotator", f"/v1/datasets/{dataset}/members")).json()
        }
        assert roles["annotator@example.org"] == "reviewer"

    async def test_unknown_email_is_refused_with_not_found(self, house: House) -> None:
        dataset = await house.dataset()
        body = {"email": "nobody@example.org", "role": "annotator"}
        response = await house.put("admin", f"/v1/datasets/{dataset}/members", body)
        assert (response.status_code, response.json()["code"]) == (404, "not-found")

    async def test_last_admin_stays_with_last_admin(self, house: House) -> None:
        dataset = await house.dataset()
        response = await house.delete("admin", f"/v1/datasets/{dataset}/members/{house.people['admin'].id}")
        assert (response.status_code, response.json()["code"]) == (409, "last-admin")

    async def test_removed_member_is_a_stranger_at_once(self, house: House) -> None:
        dataset = await house.dataset()
        path = f"/v1/datasets/{dataset}/members/{house.people['annotator'].id}"
        assert (await house.delete("admin", path)).status_code == 204
        assert (await house.get("annotator", f"/v1/datasets/{dataset}")).status_code == 404


class TestActivity:
    async def test_tells_what_happened_without_texts(self, house: House) -> None:
        dataset = await house.dataset()
        response = await house.get("reviewer", f"/v1/datasets/{dataset}/activity")
        kinds = [event["kind"] for event in response.json()]
        assert {"dataset_created", "labelset_created", "member_added"} <= set(kinds)
        assert "text number" not in response.text

    async def test_pages_by_id_and_filters_by_kind(self, house: House) -> None:
        dataset = await house.dataset()
        path = f"/v1/datasets/{dataset}/activity"
        only = (await house.get("reviewer", path, params={"kind": ["dataset_created"]})).json()
        assert [event["kind"] for event in only] == ["dataset_created"]
        first = (await house.get("reviewer", path, params={"after": 0, "limit": 2})).json()
        second = (await house.get("reviewer", path, params={"after": max(e["id"] for e in first), "limit": 2})).json()
        assert not {e["id"] for e in first} & {e["id"] for e in second}
