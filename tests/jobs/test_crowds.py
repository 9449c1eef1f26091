"""From stored answers to a consensus and back, for every kind of labelset."""

from __future__ import annotations

import base64
from typing import Any, get_args

import numpy as np
import pytest

from jobs.crowds import settle
from schemas.consensus import ConsensusMethod
from schemas.labelsets import LabelClass, Labelset
from tests.learning.synthetic import blobs


def labelset(kind: str = "classification", **more: Any) -> Labelset:
    classes = [LabelClass(key=key, name=key) for key in ("a", "b", "c")]
    return Labelset(kind=kind, classes=classes, version=1, **more)


def crowd(
    *payloads: dict[str, Any], item: str = "i", vector: str | None = None, decided: bool = False
) -> dict[str, Any]:
    answers = [{"user": f"u{n}", "payload": payload} for n, payload in enumerate(payloads)]
    return {"item": item, "seq": 1, "answers": answers, "vector": vector, "decided": decided}


def one(label: str) -> dict[str, Any]:
    return {"labels": [label]}


ROWS = [
    crowd(one("a"), one("a"), one("a"), item="i1"),
    crowd(one("a"), one("b"), one("b"), item="i2"),
    crowd(one("c"), one("c"), one("c"), item="i3"),
]


@pytest.mark.parametrize("method", get_args(ConsensusMethod))
def test_every_setting_settles_classes_and_says_how_good_people_are(method: str) -> None:
    found = settle(ROWS, labelset(), method)
    assert [row["payload"]["labels"] for row in found.rows][::2] == [["a"], ["c"]]
    assert [row["agreed"] for row in found.rows] == [True, False, True]
    assert all(0 <= row["probability"] <= 1 and row["gain"] >= 0 for row in found.rows)
    assert [person["user"] for person in found.annotators] == ["u0", "u1", "u2"]
    assert all(person["low"] <= person["quality"] <= person["high"] for person in found.annotators)
    assert found.answers == 9


def test_without_vectors_a_model_is_left_out_and_that_is_said() -> None:
    found = settle(ROWS, labelset(), "with_model")
    assert found.method == "pooled-dawid-skene"
    assert "vector" in found.note


@pytest.mark.parametrize(("method", "name"), [("with_model", "dawid-skene-with-model"), ("crowdlab", "crowdlab")])
def test_vectors_of_the_items_break_ties(method: str, name: str) -> None:
    made = blobs([60, 60], d=384, noise=0.8)
    rng = np.random.default_rng(0)
    rows = []
    for n, (vector, y) in enumerate(zip(made.vectors, made.y, strict=True)):
        said = [one("ab"[y if rng.random() < 0.75 else 1 - y]) for _ in range(2)]
        packed = base64.b64encode(vector.astype(">f2").tobytes()).decode()
        rows.append(crowd(*said, item=str(n), vector=packed if n else None))

    def right(settled: Any) -> float:
        truth = ["ab"[y] for y in made.y]
        return float(
            np.mean([row["payload"]["labels"] == [label] for row, label in zip(settled.rows, truth, strict=True)])
        )

    found = settle(rows, labelset(), method)
    assert found.method == name
    assert right(found) > right(settle(rows, labelset(), "majority")) + 0.03
    assert "1 items without a vector" in found.note


def test_several_classes_are_settled_one_by_one() -> None:
    rows = [
        crowd({"labels": ["a", "b"]}, {"labels": ["a"]}, {"labels": ["a", "b"]}, item="i1"),
        crowd({"labels": []}, {"labels": []}, {"labels": []}, item="i2"),
        crowd({"labels": ["c"]}, {"labels": ["c"]}, {"labels": ["c"]}, item="i3"),
    ]
    found = settle(rows, labelset(multi=True), "majority")
    assert [row["payload"]["labels"] for row in found.rows] == [["a", "b"], [], ["c"]]
    assert [row["agreed"] for row in found.rows] == [False, True, True]
    nothing = settle([crowd({"labels": []}, {"labels": []})], labelset(multi=True), "pooled")
    assert nothing.rows[0]["payload"] == {"labels": []}


def test_marks_are_merged_and_doubt_is_where_people_differ() -> None:
    def marked(*spans: tuple[int, int]) -> dict[str, Any]:
        return {"spans": [{"start": s, "end": e, "label": "a"} for s, e in spans]}

    rows = [
        crowd(marked((0, 5)), marked((0, 5)), marked((0, 5)), item="sure"),
        crowd(marked((0, 5)), marked((0, 6)), marked(), item="doubtful"),
        crowd(marked(), marked(), marked(), item="nothing"),
    ]
    found = settle(rows, labelset("spans"), "weighted")
    by_item = {row["item"]: row for row in found.rows}
    assert by_item["sure"]["probability"] == by_item["nothing"]["probability"] == 1.0
    assert by_item["doubtful"]["payload"]["spans"] == [{"start": 0, "end": 5, "label": "a"}]
    assert by_item["doubtful"]["probability"] < 0.8
    assert by_item["doubtful"]["gain"] > by_item["sure"]["gain"] == 0.0
    assert found.asking(5, most=5, sure=0.9) == ["doubtful"]


def test_polygons_are_counted_whole() -> None:
    def shape(x: float) -> dict[str, Any]:
        return {"polygons": [{"points": [[x, 0], [5, 0], [5, 5]], "label": "a"}]}

    [row] = settle([crowd(shape(0), shape(1), shape(1))], labelset("polygons"), "pooled").rows
    assert (row["payload"], row["agreed"]) == (shape(1), False)


def test_nobody_is_asked_about_what_a_reviewer_decided_or_what_has_answers_enough() -> None:
    tie = (one("a"), one("b"))
    rows = [
        crowd(*tie, item="open"), crowd(*tie, item="decided", decided=True), crowd(*tie, *tie, one("c"), item="enough"),
    ]  # fmt: skip
    found = settle(rows, labelset(), "majority")
    assert found.asking(10, most=5, sure=0.9) == ["open"]
    assert found.asking(0, most=5, sure=0.9) == []


def test_no_crowd_is_an_empty_outcome() -> None:
    assert settle([], labelset(), "pooled").rows == []
