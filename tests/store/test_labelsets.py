"""Labelsets: versions, keys that never vanish, and the check of answers, which agrees with the one in Python."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb
from pydantic import ValidationError

from schemas.errors import InvalidPayload
from schemas.labelsets import LabelClass, Labelset, check_payload
from schemas.payloads import PAYLOAD_OF
from store.rpc import Rpc
from tests.support.teams import CLASSES, Team, draft, refusal

TEXT = "Anna lives in 東京 🙂 now"


async def test_versions_count_from_one_and_the_dataset_shows_the_newest(rpc: Rpc) -> None:
    team = await Team.of(rpc, labelset=False)
    await refusal(team.call("get_labelset"), "no-labelset")
    first = Labelset.model_validate(await team.labelset(classes=[{"name": " yes ", "hotkey": "y"}, {"name": "no"}]))
    second = Labelset.model_validate(await team.labelset(multi=True))
    assert (first.version, second.version) == (1, 2)
    assert [c.key for c in first.classes] == ["yes", "no"]
    assert (await team.call("get_dataset"))["labelset"]["version"] == 2
    assert [x["version"] for x in await team.call("list_labelsets")] == [2, 1]
    assert (await team.call("get_labelset", version=1))["classes"][0]["hotkey"] == "y"
    await refusal(team.call("get_labelset", version=9), "not-found")


async def test_renamed_class_keeps_its_key_and_missing_class_is_kept_retired(rpc: Rpc) -> None:
    team = await Team.of(rpc, labelset=False)
    await team.labelset(classes=[{"name": "refund"}, {"name": "card"}])
    second = await team.labelset(classes=[{"name": "Refunds", "key": "refund"}])
    assert [(c["key"], c["name"], c["retired"]) for c in second["classes"]] == [
        ("refund", "Refunds", False),
        ("card", "card", True),
    ]
    third = await team.labelset(classes=[{"name": "Refunds"}, {"name": "card"}])
    assert [(c["key"], c["retired"]) for c in third["classes"]] == [("refund", False), ("card", False)]


@pytest.mark.parametrize(
    "classes",
    [
        [],
        [{"name": ""}],
        [{"name": "a"}, {"name": "A"}],
        [{"name": "a", "key": "k"}, {"name": "b", "key": "k"}],
        [{"name": "a", "hotkey": "1"}, {"name": "b", "hotkey": "1"}],
        [{"name": "a", "retired": True}],
        [{"name": "a", "color": "red"}],
        [{"name": "a", "surprise": 1}],
        [{"name": "a", "description": 7}],
        ["a"],
        {"name": "a"},
    ],
)
async def test_inconsistent_classes_are_refused_with_invalid_labelset(pg_rpc: Rpc, classes: Any) -> None:
    team = await Team.of(pg_rpc, labelset=False)
    await refusal(team.labelset(classes=classes), "invalid-labelset")


async def test_kind_may_change_until_something_was_answered(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1)
    assert (await team.labelset("spans"))["kind"] == "spans"
    await team.labelset("classification")
    [item] = await team.items()
    await team.call("save_predictions", rows=[draft(item["id"])])
    await refusal(team.labelset("spans"), "invalid-labelset")
    await refusal(team.labelset("songs"), "invalid-labelset")


async def test_answer_is_checked_by_the_version_it_names(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1)
    await team.labelset(classes=[{"name": "fresh"}])
    [item] = await team.items()
    assert (await team.submit(team.admin, item["id"], "good"))["annotation"]["labelset_version"] == 1
    await refusal(team.submit(team.admin, item["id"], "good", labelset_version=2), "invalid-payload")
    await team.submit(team.admin, item["id"], "fresh", labelset_version=2)
    await refusal(team.submit(team.admin, item["id"], "fresh", labelset_version=3), "not-found")


def in_the_database(connection: psycopg.Connection, labelset: Labelset, payload: Any) -> str | None:
    """What SQL finds wrong with a payload."""
    row = connection.execute(
        "select labelcrew.payload_problem(row(null, 1, %s, %s, %s, %s, %s, null, null)::labelcrew.labelsets, %s, %s)",
        [labelset.kind, Jsonb([]), labelset.keys, labelset.multi, labelset.allow_overlap, Jsonb(payload), len(TEXT)],
    ).fetchone()
    assert row is not None
    return None if row[0] is None else str(row[0])


def in_python(labelset: Labelset, payload: Any, *, strict: bool) -> bool:
    """Whether the vocabulary takes a payload."""
    try:
        parsed = PAYLOAD_OF[labelset.kind].model_validate_json(json.dumps(payload), strict=strict)
        check_payload(labelset, parsed, length=len(TEXT))
    except (ValidationError, InvalidPayload):
        return False
    return True


numbers = st.one_of(
    st.integers(-1, 25), st.integers(0, 12), st.floats(-1, 25, allow_nan=False), st.just("3"), st.none()
)
names = st.sampled_from(["good", "bad", "ugly", "good", "bad", "unknown", "", 5, None])
SHAPES: dict[str, st.SearchStrategy[Any]] = {
    "labels": names,
    "spans": st.fixed_dictionaries({"start": numbers, "end": numbers, "label": names}, optional={"note": st.just(1)}),
    "segments": st.fixed_dictionaries({"start_s": numbers, "end_s": numbers, "label": names}),
    "boxes": st.fixed_dictionaries(
        {"x": numbers, "y": numbers, "width": numbers, "height": numbers, "label": names},
        optional={"rotation": numbers},
    ),
    "polygons": st.fixed_dictionaries(
        {"points": st.lists(st.lists(numbers, min_size=1, max_size=3), max_size=5), "label": names}
    ),
}
places = st.tuples(st.integers(0, 12), st.integers(1, 6), st.sampled_from(CLASSES))
legal_spans = st.lists(places.map(lambda p: {"start": p[0], "end": p[0] + p[1], "label": p[2]}), max_size=4)
payloads = st.one_of(
    legal_spans.map(lambda spans: {"spans": spans}),
    st.lists(st.sampled_from(CLASSES), max_size=3).map(lambda labels: {"labels": labels}),
    st.sampled_from(sorted(SHAPES)).flatmap(
        lambda shape: st.lists(SHAPES[shape], max_size=2).map(lambda v: {shape: v})
    ),
    st.sampled_from([{}, [], None, "labels", {"labels": "good"}, {"labels": ["good"], "extra": 1}, {"spans": {}}]),
)
labelsets = st.builds(
    lambda kind, multi, overlap: Labelset(
        kind=kind, multi=multi, allow_overlap=overlap, classes=[LabelClass(name=name) for name in CLASSES]
    ),
    st.sampled_from(sorted(PAYLOAD_OF)), st.booleans(), st.booleans(),
)  # fmt: skip


def test_database_and_vocabulary_agree_on_every_payload(database_dsn: str) -> None:
    """The database takes whatever the vocabulary takes strictly, and nothing that the vocabulary refuses."""
    with psycopg.connect(database_dsn, autocommit=True) as connection:

        @settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
        @given(labelsets, payloads)
        def agree(labelset: Labelset, payload: Any) -> None:
            problem = in_the_database(connection, labelset, payload)
            if problem is None:
                assert in_python(labelset, payload, strict=False)
            else:
                assert not in_python(labelset, payload, strict=True), problem

        agree()
