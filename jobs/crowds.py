"""From stored answers to learning/consensus and back: classes, several classes at once, marks, and whatever else."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from jobs.vectors import unpack_vector
from schemas.labelsets import Labelset
from schemas.payloads import Payload, parse_payload

if TYPE_CHECKING:
    from learning.consensus import Consensus
    from learning.frames import Answers

Crowd = Mapping[str, Any]
"""{item, seq, decided, answers: [{user, payload}], vector}, as the database gives it."""

METHODS = {
    "majority": "majority", "weighted": "weighted-vote", "dawid_skene": "dawid-skene", "pooled": "pooled-dawid-skene",
    "glad": "glad", "mace": "mace",
}  # fmt: skip
MERGED = {"spans", "segments", "boxes"}
LEAST_FOR_MODEL = 10
"""Items with a vector that a model needs to say anything."""


@dataclass
class Outcome:
    """``rows`` are what the database keeps of items, ``annotators`` of people."""

    method: str
    rows: list[dict[str, Any]]
    annotators: list[dict[str, Any]]
    answers: int
    note: str = ""
    decided: set[str] = field(default_factory=set)

    def asking(self, count: int, *, most: int, sure: float) -> list[str]:
        """Items that deserve one more person, the most telling first."""
        from learning.consensus import deserving

        rows = [row for row in self.rows if row["probability"] < sure and row["item"] not in self.decided]
        chosen = deserving([row["gain"] for row in rows], [row["answers"] for row in rows], count, most=most)
        return [rows[place]["item"] for place in chosen]


def settle(crowd: Sequence[Crowd], labelset: Labelset, method: str) -> Outcome:
    """The consensus of every item. Heavy: runs in a thread."""
    total = sum(len(row["answers"]) for row in crowd)
    if not crowd:
        return Outcome(method, [], [], 0)
    if labelset.kind != "classification":
        outcome = _of_marks(crowd, method) if labelset.kind in MERGED else _of_wholes(crowd)
    elif labelset.multi:
        outcome = _of_several(crowd, labelset, method)
    else:
        outcome = _of_one(crowd, method)
    outcome.answers = total
    outcome.decided = {row["item"] for row in crowd if row["decided"]}
    return outcome


def _of_one(crowd: Sequence[Crowd], method: str) -> Outcome:
    """Exactly one class applies to an item."""
    from learning.consensus import information_gain
    from learning.frames import from_long

    told = [
        (row["item"], answer["user"], answer["payload"]["labels"][0])
        for row in crowd
        for answer in row["answers"]
        if answer["payload"].get("labels")
    ]
    if not told:
        return Outcome(method, [], [], 0)
    items, users, labels = zip(*told, strict=True)
    answers = from_long({"task": items, "worker": users, "label": labels})
    found, note = _decide(answers, crowd, method)
    gain = information_gain(found)
    counts = answers.counts()
    best = found.labels
    rows = [
        _row(
            str(item), {"labels": [answers.classes[best[place]]]}, float(found.proba[place, best[place]]),
            int(counts[place].sum()), int(counts[place].max()) == int(counts[place].sum()), float(gain[place]),
        )
        for place, item in enumerate(answers.tasks)
    ]  # fmt: skip
    return Outcome(found.method, rows, _annotators(answers, found), 0, note)


def _decide(answers: Answers, crowd: Sequence[Crowd], method: str) -> tuple[Consensus, str]:
    from learning.consensus import consensus, consensus_with_model, crowdlab

    if method in METHODS:
        found = consensus(answers, METHODS[method])
        short = found.method != METHODS[method]
        return found, "There are too many annotators and classes for Dawid–Skene; votes were weighed." if short else ""
    vectors, missing = _vectors(answers, crowd)
    if vectors is None or len(answers.classes) < 2:
        return consensus(answers), "Too few items have a vector for a model: only people's answers were used."
    note = f"{missing:,} items without a vector were settled as if they said nothing." if missing else ""
    rng = np.random.default_rng(0)
    if method == "with_model":
        return consensus_with_model(answers, vectors, rng), note
    from learning.heads import default_strength
    from learning.label_errors import out_of_sample_proba

    k = len(answers.classes)
    voted = consensus(answers, "majority").labels
    return crowdlab(answers, out_of_sample_proba(vectors, voted, k, rng, strength=default_strength(k))), note


def _vectors(answers: Answers, crowd: Sequence[Crowd]) -> tuple[NDArray[np.float32] | None, int]:
    """Vectors in the order of the answers' items, the mean where there is none; None when too few have one."""
    known: dict[str, NDArray[np.float32]] = {
        row["item"]: unpack_vector(row["vector"]) for row in crowd if row["vector"]
    }
    held = [vector for item in answers.tasks if (vector := known.get(str(item))) is not None]
    if len(held) < LEAST_FOR_MODEL:
        return None, 0
    mean = np.stack(held).mean(axis=0)
    vectors = np.stack([known.get(str(item), mean) for item in answers.tasks]).astype(np.float32)
    return vectors, len(answers.tasks) - len(held)


def _of_several(crowd: Sequence[Crowd], labelset: Labelset, method: str) -> Outcome:
    """Any number of classes applies: each class that anybody gave is asked of each item, with yes or no."""
    from learning.consensus import consensus, information_gain
    from learning.frames import Answers

    given = {label for row in crowd for answer in row["answers"] for label in answer["payload"].get("labels", [])}
    classes = [c.key for c in labelset.classes if c.key in given]
    users = sorted({answer["user"] for row in crowd for answer in row["answers"]})
    place = {user: number for number, user in enumerate(users)}
    k = max(len(classes), 1)
    said = [
        (n, place[a["user"]], set(a["payload"].get("labels", [])))
        for n, row in enumerate(crowd)
        for a in row["answers"]
    ]
    answers = Answers(
        tuple(range(len(crowd) * k)), tuple(users), (0, 1),
        np.array([n * k + c for n, _, _ in said for c in range(k)], dtype=np.int64),
        np.repeat(np.array([user for _, user, _ in said], dtype=np.int64), k),
        np.array([int(key in labels) for _, _, labels in said for key in classes or [""]], dtype=np.int64),
    )  # fmt: skip
    found = consensus(answers, METHODS.get(method, METHODS["pooled"]))
    yes = found.proba[:, 1].reshape(len(crowd), k)
    gain = information_gain(found).reshape(len(crowd), k).sum(axis=1)
    rows = [
        _row(
            row["item"], {"labels": [key for key, likely in zip(classes, yes[n], strict=False) if likely > 0.5]},
            float(np.maximum(yes[n], 1 - yes[n]).prod()), len(row["answers"]),
            len({frozenset(a["payload"].get("labels", [])) for a in row["answers"]}) == 1, float(gain[n]),
        )
        for n, row in enumerate(crowd)
    ]  # fmt: skip
    note = "" if method in METHODS else "Where several classes apply only people's answers are used."
    return Outcome(found.method, rows, _annotators(answers, found), 0, note)


def _of_marks(crowd: Sequence[Crowd], method: str) -> Outcome:
    """Spans, segments, boxes: clusters of matching marks."""
    from learning.consensus import Consensus, consensus_of_marks, information_gain
    from learning.consensus.quality import share_interval

    items: list[dict[str, Payload]] = [
        {answer["user"]: parse_payload(answer["payload"]) for answer in row["answers"]} for row in crowd
    ]
    found = consensus_of_marks(items, weighted=method != "majority")
    users = sorted(found.quality)
    skill = np.array([found.quality[user] for user in users])
    rows = []
    for row, merged, agreed in zip(crowd, found.merged, found.agreed, strict=True):
        shares = np.array(merged.shares, dtype=np.float64)
        doubts = Consensus(np.stack([shares, 1 - shares], axis=1), skill, "marks")
        rows.append(
            _row(
                row["item"], merged.payload.model_dump(mode="json"), merged.certainty, len(row["answers"]), agreed,
                float(information_gain(doubts).sum()),
            )
        )  # fmt: skip
    ends = share_interval(skill, [found.marks[user] for user in users])
    annotators = [_annotator(user, found.marks[user], skill[n], ends[n]) for n, user in enumerate(users)]
    note = "" if method in ("majority", "weighted") else "Marks are merged by weighted votes, whatever the method."
    return Outcome("majority" if method == "majority" else "weighted-vote", rows, annotators, 0, note)


def _of_wholes(crowd: Sequence[Crowd]) -> Outcome:
    """Polygons: nothing merges their outlines, so whole answers are counted, the newest of equals."""
    rows = []
    for row in crowd:
        texts = [json.dumps(answer["payload"], sort_keys=True) for answer in row["answers"]]
        votes = Counter(texts)
        best = max(range(len(texts)), key=lambda n: (votes[texts[n]], n))
        share = votes[texts[best]] / len(texts)
        gain = float(-share * np.log(share))
        rows.append(_row(row["item"], row["answers"][best]["payload"], share, len(texts), len(votes) == 1, gain))
    return Outcome("majority", rows, [], 0, "Outlines are not merged: whole answers were counted.")


def _annotators(answers: Answers, found: Consensus) -> list[dict[str, Any]]:
    from learning.consensus import quality_interval

    given = np.bincount(answers.worker, minlength=len(answers.workers))
    ends = quality_interval(answers, found)
    return [_annotator(str(user), int(given[n]), found.quality[n], ends[n]) for n, user in enumerate(answers.workers)]


def _annotator(user: str, answers: int, quality: float, ends: NDArray[np.floating[Any]]) -> dict[str, Any]:
    return {
        "user": user, "answers": answers, "quality": round(float(quality), 4), "low": round(float(ends[0]), 4),
        "high": round(float(ends[1]), 4),
    }  # fmt: skip


def _row(
    item: str, payload: dict[str, Any], probability: float, answers: int, agreed: bool, gain: float
) -> dict[str, Any]:
    return {
        "item": item, "payload": payload, "probability": min(max(probability, 0.0), 1.0), "answers": answers,
        "agreed": agreed, "gain": max(gain, 0.0),
    }  # fmt: skip
