"""A quality scan: what the instruments of learning/conflicts/ need is read once, each looks, and what it found is kept.

Reading takes pages; looking is heavy and runs in a thread; findings of a kind are saved together, so that those which
no longer hold are closed in the same transaction. Nothing here needs a language model: the words are templates'.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from jobs.vectors import Vectors, unpack_vectors
from schemas.errors import error_of
from schemas.labelsets import Labelset
from schemas.quality import KINDS
from store.rpc import Rpc

if TYPE_CHECKING:
    from learning.conflicts import Finding, Given, Labelled, Names

PAGE = 5_000
MOST_ITEMS = 60_000
"""Items with a label that a scan looks at; of more, those that came first."""
MOST_FINDINGS = 1_000
"""Of a kind; the worst are kept. Nobody works through more before the next scan."""
OF_DRAFTS = 0.6
"""A doubt about a draft weighs less than one about an answer: a person will see it anyway."""

CHECKS: dict[str, tuple[str, ...]] = {
    "schema": ("schema_violation",),
    "neighbours": ("near_duplicates", "neighbour_disagreement"),
    "errors": ("label_error", "confused_classes"),
    "people": ("annotators_disagree", "annotator_drift", "implausibly_fast"),
    "models": ("model_disagrees",),
    "spans": ("span_boundary",),
}
"""The looks that a scan takes, and the kinds of conflict that each finds."""


@dataclass
class Snapshot:
    """What a dataset's labels were when the scan began. ``vectors`` belong to the items at ``rows``."""

    labelset: Labelset
    names: Names
    items: list[Labelled]
    states: list[str]
    drafts: dict[str, tuple[dict[str, Any], float | None, str]]
    """Of answered items, by id: the draft, its probability and its model."""
    rows: NDArray[np.int64]
    vectors: Vectors
    given: list[Given] = field(default_factory=list)
    decided: set[str] = field(default_factory=set)
    """Items that somebody above the annotators has decided."""
    violations: list[dict[str, Any]] = field(default_factory=list)
    partial: bool = False


@dataclass(frozen=True)
class Look:
    """What one check found, by kind. ``milder`` are items, by kind, about which there is a finding that is not kept
    because there are too many; ``complete`` is False when not every item was looked at."""

    findings: dict[str, list[Finding]]
    milder: dict[str, list[str]]
    complete: bool = True


async def read_snapshot(rpc: Rpc, actor: str, dataset: str) -> Snapshot:
    """Everything that the instruments look at. Raises ``no-labelset``."""
    from learning.conflicts import Labelled

    labelset = await labelset_of(rpc, actor, dataset)
    snapshot = Snapshot(labelset, names_of(labelset), [], [], {}, np.zeros(0, np.int64), np.zeros((0, 384), np.float32))
    rows: list[int] = []
    vectors: list[Vectors] = []
    after: int | None = 0
    while after is not None:
        if len(snapshot.items) >= MOST_ITEMS:
            snapshot.partial = True
            break
        page = await rpc.call("read_answers", dataset=dataset, after=after, limit=PAGE, timeout=60)
        count = sum(row["vector"] for row in page["rows"])
        found = await asyncio.to_thread(unpack_vectors, page["vectors"], count) if count else np.zeros((0, 384), "f4")
        kept = []
        place = -1
        for row in page["rows"]:
            place += row["vector"]
            payload = row["payload"] if row["payload"] is not None else row["draft"]
            if payload is None:
                continue
            if row["vector"]:
                rows.append(len(snapshot.items))
                kept.append(place)
            human = row["payload"] is not None
            snapshot.items.append(Labelled(row["id"], row["text"] or "", payload, row["length"], human))
            snapshot.states.append(row["state"])
            if human and row["draft"] is not None:
                snapshot.drafts[row["id"]] = (row["draft"], row["probability"], row["model"])
        vectors.append(found[kept])
        after = page["next"]
    snapshot.rows = np.array(rows, dtype=np.int64)
    snapshot.vectors = np.concatenate(vectors) if vectors else snapshot.vectors
    await _read_people(rpc, dataset, snapshot)
    snapshot.violations = await rpc.call("list_violations", dataset=dataset, timeout=150)
    return snapshot


def look(snapshot: Snapshot, check: str) -> Look:
    """What one of :data:`CHECKS` finds. Heavy: call it in a thread."""
    from learning.conflicts import worst

    found: dict[str, list[Finding]] = {kind: [] for kind in CHECKS[check]}
    for finding in _LOOKS[check](snapshot):
        found[finding.kind].append(finding)
    human = {item.id: item.human for item in snapshot.items}
    ranked = {
        kind: worst(
            f if human.get(f.item_id or "", True) else replace(f, severity=f.severity * OF_DRAFTS) for f in of_kind
        )
        for kind, of_kind in found.items()
    }
    kept = {kind: of_kind[:MOST_FINDINGS] for kind, of_kind in ranked.items()}
    milder = {kind: [f.item_id for f in of_kind[MOST_FINDINGS:] if f.item_id] for kind, of_kind in ranked.items()}
    return Look(kept, milder, not snapshot.partial)


async def keep(rpc: Rpc, dataset: str, found: Look, wanted: Sequence[str] | None = None) -> dict[str, int]:
    """Save what was found of the ``wanted`` kinds (None: all); how many stand now, by kind."""
    standing = {}
    for kind, findings in found.findings.items():
        if wanted is None or kind in wanted:
            rows = [finding.row() for finding in findings]
            await rpc.call(
                "save_findings", dataset=dataset, kinds=[kind], rows=rows, still=found.milder[kind], complete=found.complete,
                timeout=150,
            )  # fmt: skip
            standing[kind] = len(rows)
    return standing


def checks_for(kinds: Sequence[str] | None) -> list[str]:
    """The checks that find these kinds, in their order."""
    wanted = set(kinds or KINDS)
    return [check for check, finds in CHECKS.items() if wanted & set(finds)]


async def labelset_of(rpc: Rpc, actor: str, dataset: str) -> Labelset:
    """The newest labelset. Raises ``no-labelset``."""
    found = await rpc.call("get_dataset", actor=actor, dataset=dataset)
    if found["labelset"] is None:
        raise error_of("no-labelset")
    return Labelset.model_validate(found["labelset"])


def names_of(labelset: Labelset) -> Names:
    """How class keys are called today."""
    from learning.conflicts import Names

    return Names({label_class.key: label_class.name for label_class in labelset.classes})


def violations_of(rows: Iterable[dict[str, Any]], newest: int) -> list[Finding]:
    """Findings about answers and drafts that the newest labelset does not allow."""
    from learning.conflicts import Labelled, schema_violation

    return [
        schema_violation(
            Labelled(row["id"], "", row["payload"], human=row["source"] == "answer"),
            row["problem"],
            row["version"],
            newest,
        )
        for row in rows
    ]


async def _read_people(rpc: Rpc, dataset: str, snapshot: Snapshot) -> None:
    from learning.conflicts import Given

    for row in await rpc.call("list_paces", dataset=dataset, timeout=60):
        given = Given(
            row["user"],
            row["item"],
            row["payload"],
            row["lead_ms"],
            row["length"],
            row["final"],
            current=row["current"],
        )
        snapshot.given.append(given)
        if row["decided"]:
            snapshot.decided.add(row["item"])


# -- one function a check ------------------------------------------------------------------------------------------------


def _schema(snapshot: Snapshot) -> Iterable[Finding]:
    return violations_of(snapshot.violations, snapshot.labelset.version)


def _neighbours(snapshot: Snapshot) -> Iterable[Finding]:
    from learning.conflicts import near_duplicates, nearest_answers, neighbour_disagreement

    items = [snapshot.items[row] for row in snapshot.rows]
    answered = np.array([item.human for item in items], dtype=bool)
    verified = {snapshot.items[row].id for row in snapshot.rows if snapshot.states[row] == "verified"}
    among = answered if answered.any() else None
    single = "labels" in (items[0].payload if items else {})
    for item, near in nearest_answers(items, snapshot.vectors, among):
        twin = near_duplicates(item, near, snapshot.names)
        if twin is not None:
            yield twin
        if single:
            told = neighbour_disagreement(item, [n for n in near if n.item.id in verified], snapshot.names)
            if told is not None:
                yield told


def _errors(snapshot: Snapshot) -> Iterable[Finding]:
    """Answers by models that learnt from answers; drafts by models that learnt from both."""
    from learning.conflicts import confused_classes, label_errors, label_set_errors

    classes = snapshot.labelset.keys
    if snapshot.labelset.kind != "classification":
        return
    if snapshot.labelset.multi:
        places = [place for place, row in enumerate(snapshot.rows) if snapshot.items[row].human]
        answers = [snapshot.items[snapshot.rows[place]] for place in places]
        yield from label_set_errors(answers, classes, snapshot.vectors[places], names=snapshot.names)
        return
    index = {key: c for c, key in enumerate(classes)}
    usable = [place for place, row in enumerate(snapshot.rows) if _label(snapshot.items[row]) in index]
    answered = [place for place in usable if snapshot.items[snapshot.rows[place]].human]
    for places, of_answers in ((answered, True), (usable, False)):
        items = [snapshot.items[snapshot.rows[place]] for place in places]
        if not of_answers and len(places) == len(answered):
            return
        labels = np.array([index[_label(item)] for item in items], dtype=np.int64)
        findings, found = label_errors(items, labels, classes, snapshot.vectors[places], names=snapshot.names)
        human = {item.id: item.human for item in items}
        yield from (finding for finding in findings if human[finding.item_id or ""] == of_answers)
        if of_answers and found is not None:
            yield from confused_classes(items, labels, classes, found, snapshot.names)


def _people(snapshot: Snapshot) -> Iterable[Finding]:
    from learning.conflicts import Labelled, annotator_drift, annotators_disagree, implausibly_fast

    by_item: dict[str, list[Given]] = defaultdict(list)
    for given in snapshot.given:
        if given.current and given.item not in snapshot.decided:
            by_item[given.item].append(given)
    items = {item.id: item for item in snapshot.items}
    for item, answers in by_item.items():
        if len(answers) > 1:
            about = items.get(item) or Labelled(item, "", answers[0].payload, answers[0].length)
            told = annotators_disagree(about, answers, snapshot.names)
            if told is not None:
                yield told
    yield from annotator_drift(snapshot.given)
    yield from implausibly_fast(snapshot.given)


def _models(snapshot: Snapshot) -> Iterable[Finding]:
    from learning.conflicts import model_disagreement

    for item in snapshot.items:
        if item.id in snapshot.drafts:
            draft, probability, model = snapshot.drafts[item.id]
            told = model_disagreement(item, draft, probability, model, snapshot.names)
            if told is not None:
                yield told


def _spans(snapshot: Snapshot) -> Iterable[Finding]:
    from learning.conflicts import span_boundaries

    if snapshot.labelset.kind != "spans":
        return []
    drafts = {item: (draft, probability or 0.0) for item, (draft, probability, _) in snapshot.drafts.items()}
    return span_boundaries(snapshot.items, drafts, snapshot.names)


_LOOKS: dict[str, Callable[[Snapshot], Iterable[Finding]]] = {
    "schema": _schema, "neighbours": _neighbours, "errors": _errors, "people": _people, "models": _models, "spans": _spans,
}  # fmt: skip


def _label(item: Labelled) -> str:
    """The one class of an item; empty where there is not exactly one."""
    labels = item.payload.get("labels", ())
    return labels[0] if len(labels) == 1 else ""
