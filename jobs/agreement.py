"""How far people agree with each other, and models with people, on one dataset: what learning/agreement makes of it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.errors import LabelCrewError, error_of
from schemas.insights import AgreementReport, Measure, ModelAgreement, PairAgreement, ReliabilityRow
from schemas.labelsets import Labelset
from store.rpc import Rpc

if TYPE_CHECKING:
    from learning.agreement import Agreement

Rows = Sequence[Mapping[str, Any]]
MODEL, PEOPLE = "model", "people"
MOST_PAIRS = 100
LEAST_SHARED = 5
"""Items that two people must share before they are shown as a pair."""


async def report_agreement(rpc: Rpc, actor: str, dataset: str) -> AgreementReport:
    """The report. Raises ``no-labelset``; needs the role reviewer. What cannot be measured yet says so in words."""
    read = await rpc.call("list_answers", actor=actor, dataset=dataset, timeout=60)
    found = await rpc.call("get_dataset", actor=actor, dataset=dataset)
    if found["labelset"] is None:
        raise error_of("no-labelset")
    labelset = Labelset.model_validate(found["labelset"])
    return await asyncio.to_thread(_report, read["answers"], read["drafts"], labelset)


def _report(answers: Rows, drafts: Rows, labelset: Labelset) -> AgreementReport:
    by_item: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in answers:
        by_item[row["item"]][row["user"]] = row["payload"]
    items = [people for people in by_item.values() if len(people) > 1]
    users = sorted({user for people in items for user in people})
    overall, pairs, note = [], [], ""
    if items:
        overall = _overall(items, users, labelset)
        pairs = _pairs(items, users, labelset)
    else:
        note = "No item has answers of two people yet: set the dataset's overlap to 2 or more."
    return AgreementReport(
        kind=labelset.kind,
        items=len(items),
        annotators=len(users),
        overall=overall,
        pairs=pairs,
        models=_models(drafts, labelset),
        replaceable=_replaceable(by_item, users, drafts, labelset),
        note=note,
    )


def _overall(items: Sequence[Mapping[str, Any]], users: Sequence[str], labelset: Labelset) -> list[Measure]:
    if labelset.kind != "classification":
        return [_measured(lambda: _matched(items, labelset))]
    from learning.agreement import answer_counts, fleiss_kappa, krippendorff_alpha

    matrix, classes = _matrix(items, users, labelset)
    counts = answer_counts(matrix, classes)
    return [_measured(lambda: krippendorff_alpha(counts)), _measured(lambda: fleiss_kappa(counts))]


def _pairs(items: Sequence[Mapping[str, Any]], users: Sequence[str], labelset: Labelset) -> list[PairAgreement]:
    found: list[PairAgreement] = []
    for first, one in enumerate(users):
        for other in users[first + 1 :]:
            shared = [{one: p[one], other: p[other]} for p in items if one in p and other in p]
            if len(shared) >= LEAST_SHARED and len(found) < MOST_PAIRS:
                found.append(PairAgreement(one=one, other=other, measure=_two(shared, (one, other), labelset)))
    return found


def _models(drafts: Rows, labelset: Labelset) -> list[ModelAgreement]:
    grouped: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in drafts:
        grouped[row["model"], row["route"]].append(row)
    found = []
    for (model, route), rows in sorted(grouped.items(), key=lambda entry: -len(entry[1])):
        blind = [row for row in rows if row["arm"] == "audit"]
        found.append(
            ModelAgreement(
                model=model, route=route, measure=_beside(rows, labelset),
                blind=_beside(blind, labelset) if blind else None, reliability=_reliability(rows, labelset),
            )
        )  # fmt: skip
    return found


def _beside(rows: Rows, labelset: Labelset) -> Measure:
    pairs = [{MODEL: row["payload"], PEOPLE: row["answer"]} for row in rows]
    return _two(pairs, (MODEL, PEOPLE), labelset)


def _two(pairs: Sequence[Mapping[str, Any]], names: tuple[str, str], labelset: Labelset) -> Measure:
    """Cohen's kappa where classes are given, the F1 of matches where things are marked."""
    if labelset.kind != "classification":
        return _measured(lambda: _matched(pairs, labelset))
    from learning.agreement import cohen_kappa

    matrix, classes = _matrix(pairs, names, labelset)
    return _measured(lambda: cohen_kappa(matrix[:, 0], matrix[:, 1], classes))


def _matrix(items: Sequence[Mapping[str, Any]], users: Sequence[str], labelset: Labelset) -> tuple[Any, int]:
    """Class indices (n, people), −1 for no answer. Where several labels may be given every class of every item is a
    question of its own, answered with yes or no."""
    place: dict[str, int] = {c.key: number for number, c in enumerate(labelset.classes)}
    column = {user: number for number, user in enumerate(users)}
    if not labelset.multi:
        matrix = np.full((len(items), len(users)), -1)
        for row, people in enumerate(items):
            for user, payload in people.items():
                matrix[row, column[user]] = place.get((payload.get("labels") or [""])[0], -1)
        return matrix, len(place)
    asked = np.full((len(items), len(place), len(users)), -1)
    for row, people in enumerate(items):
        for user, payload in people.items():
            asked[row, :, column[user]] = 0
            for label in payload.get("labels", []):
                if label in place:
                    asked[row, place[label], column[user]] = 1
    return asked.reshape(-1, len(users)), 2


def _matched(items: Sequence[Mapping[str, Any]], labelset: Labelset) -> Agreement:
    """Agreement on marks; exact for spans, half overlapping for boxes and segments."""
    from learning.agreement import Rectangle, box_f1, segment_f1, span_f1

    def marks(key: str, read: Any) -> list[dict[str, Any]]:
        return [{user: [read(m) for m in payload.get(key, [])] for user, payload in row.items()} for row in items]

    if labelset.kind == "spans":
        return span_f1(marks("spans", lambda m: (m["start"], m["end"], m["label"])))
    if labelset.kind == "segments":
        return segment_f1(marks("segments", lambda m: (m["start_s"], m["end_s"], m["label"])))
    if labelset.kind == "boxes":
        return box_f1(
            marks(
                "boxes", lambda m: Rectangle(m["x"], m["y"], m["width"], m["height"], m["label"], m.get("rotation", 0))
            )
        )
    raise error_of("invalid", f"agreement on {labelset.kind} is not measured")


def _measured(make: Any) -> Measure:
    """The measure, or the reason why there is none."""
    try:
        found: Agreement = make()
    except LabelCrewError as error:
        return Measure(name="none", value=None, note=error.detail)
    return Measure(
        name=found.measure, value=found.value, low=found.low, high=found.high, observed=found.observed,
        items=found.items, note=found.reason,
    )  # fmt: skip


def _reliability(rows: Rows, labelset: Labelset) -> list[ReliabilityRow]:
    known = [row for row in rows if row["probability"] is not None]
    if not known:
        return []
    from learning.metrics import reliability

    right = [_same(row["payload"], row["answer"]) for row in known]
    return [
        ReliabilityRow(low=b.low, high=b.high, size=b.size, probability=b.confidence, accuracy=b.accuracy)
        for b in reliability([row["probability"] for row in known], right, bins=10)
    ]


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    if "labels" in one and "labels" in other:
        return set(one["labels"]) == set(other["labels"])
    return one == other


def _replaceable(
    by_item: Mapping[str, Mapping[str, Any]], users: Sequence[str], drafts: Rows, labelset: Labelset
) -> Measure | None:
    if labelset.kind != "classification" or labelset.multi or len(users) < 3:
        return None
    from learning.alt_test import alt_test

    models = [row["model"] for row in drafts if len(by_item.get(row["item"], ())) > 1]
    if not models:
        return None
    model = max(sorted(set(models)), key=models.count)
    place = {c.key: number for number, c in enumerate(labelset.classes)}
    rows = [row for row in drafts if row["model"] == model and len(by_item.get(row["item"], ())) > 1]
    rows = [row for row in rows if (row["payload"].get("labels") or [""])[0] in place]
    matrix, _ = _matrix([by_item[row["item"]] for row in rows], users, labelset)
    guess = [place[row["payload"]["labels"][0]] for row in rows]
    try:
        found = alt_test(np.where(matrix < 0, np.nan, matrix), np.array(guess, dtype=float))
    except LabelCrewError as error:
        return Measure(name="alt-test", value=None, items=len(rows), note=error.detail)
    return Measure(name="alt-test", value=found.winning_rate, items=len(rows), note=f"{model}: {found.reason}")
