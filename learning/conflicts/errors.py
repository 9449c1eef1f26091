"""Likely label errors, and the pairs of classes that they run between."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from learning.arrays import one_thread
from learning.checks import Floats, Ints, check_labels, check_vectors
from learning.conflicts.finding import Finding, Labelled, Names, Near, item_finding, stamp_of
from learning.label_errors import LabelErrors, out_of_sample_proba, rank_label_errors
from schemas.errors import Invalid

LEAST_ITEMS = 20
LIKELY = 0.5
LEAST_CONFUSED = 3
LEAST_RATE = 0.03
EXAMPLES = 3
FOR, AGAINST = 3, 2
"""Items of the suggested and of the given class that a finding names."""


@dataclass(frozen=True)
class Assessment:
    """What models that were trained without them say about the labels of n items."""

    ranking: LabelErrors
    proba: Floats
    """(n, k)."""


def label_errors(
    items: Sequence[Labelled], labels: ArrayLike, classes: Sequence[str], vectors: ArrayLike, *,
    names: Names | None = None, seed: int = 0,
) -> tuple[list[Finding], Assessment | None]:  # fmt: skip
    """Findings about the ``items`` (n) whose label is more likely wrong than right, and what they rest on.

    ``labels`` (n,) are places in ``classes`` (keys); ``vectors`` (n, d) are L2-normalised. The probabilities come from
    models that were trained without the item. With fewer than :data:`LEAST_ITEMS` items, or one class, nobody is
    accused and there is no assessment.
    """
    names = names or Names()
    rows = check_vectors(vectors)
    given = check_labels(labels, len(classes), len(items))
    if len(rows) != len(items):
        raise Invalid(f"{len(rows)} vectors for {len(items)} items")
    if len(items) < LEAST_ITEMS or len(np.unique(given)) < 2:
        return [], None
    proba = out_of_sample_proba(rows, given, len(classes), np.random.default_rng(seed))
    found = rank_label_errors(given, proba, rows)
    likely = found.ranking[found.probability[found.ranking] >= LIKELY]
    rank_of = {int(row): rank for rank, row in enumerate(found.ranking, 1)}
    witnesses = _witnesses(items, rows, given, likely, found)
    findings = []
    for row, near in zip(likely, witnesses, strict=True):
        rank = rank_of[int(row)]
        item, instead = items[int(row)], classes[found.suggested[row]]
        sure = float(found.probability[row])
        summary = (
            f"Ranked {rank} of {len(items)} by how likely its label is wrong ({sure:.0%}): models trained without it give "
            f"{names.of(instead)} {proba[row, found.suggested[row]]:.0%} and {names.say(item.payload)} "
            f"{proba[row, given[row]]:.0%}."
        )
        findings.append(
            item_finding(
                "label_error", item, sure, summary, stamp=[instead], others=near,
                numbers={
                    "probability": round(sure, 4), "rank": rank, "of": len(items),
                    "model_given": round(float(proba[row, given[row]]), 4),
                    "model_other": round(float(proba[row, found.suggested[row]]), 4),
                    "noise_rate": round(found.noise_rate, 4),
                },
                payload={"labels": [instead]}, reason=f"models trained without it say {names.of(instead)}",
            )
        )  # fmt: skip
    return findings, Assessment(found, proba)


def _witnesses(
    items: Sequence[Labelled], vectors: Floats, given: Ints, accused: Ints, found: LabelErrors
) -> Iterator[list[Near]]:
    """For each of the ``accused`` (rows) the nearest items of the class that is suggested, and of the one that was given,
    whose own labels are not in doubt."""
    clear = found.probability < LIKELY
    for start in range(0, len(accused), 256):
        block = accused[start : start + 256]
        with one_thread():
            alike = np.asarray(vectors[block] @ vectors.T, dtype=np.float64)
        for row, similar in zip(block, alike, strict=True):
            near: list[Near] = []
            for label, most in ((found.suggested[row], FOR), (given[row], AGAINST)):
                known = np.flatnonzero(clear & (given == label))
                known = known[known != row]
                best = known[np.argsort(-similar[known], kind="stable")[:most]]
                near += [Near(items[int(other)], float(min(similar[other], 1.0))) for other in best]
            yield near


def confused_classes(
    items: Sequence[Labelled], labels: ArrayLike, classes: Sequence[str], found: Assessment, names: Names | None = None
) -> list[Finding]:
    """Pairs of classes between which labels go astray again and again, with examples: what the guidelines should tell
    apart.

    Counted are items of one class that look like the other to a model trained without them. A label that is wrong on
    principle teaches the model to expect it, so it is rarely a likely error by itself; together they show. A pair counts
    from :data:`LEAST_CONFUSED` items, three times its even share of all.
    """
    names = names or Names()
    given: Ints = check_labels(labels, len(classes), len(items))
    sizes = np.bincount(given, minlength=len(classes))
    looks = found.proba.argmax(axis=1)
    between: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row in found.ranking.ranking:
        if looks[row] != given[row]:
            one, two = sorted((int(given[row]), int(looks[row])))
            between[one, two].append(int(row))
    used = int((sizes > 0).sum())
    even = sum(map(len, between.values())) / max(used * (used - 1) / 2, 1)
    findings = []
    for (one, two), rows in between.items():
        of_both = int(sizes[one] + sizes[two])
        rate = len(rows) / max(of_both, 1)
        if len(rows) < LEAST_CONFUSED or rate < LEAST_RATE or (used > 2 and len(rows) < 3 * even):
            continue
        ways = [[row for row in rows if given[row] == side] for side in (one, two)]
        first, second = names.of(classes[one]), names.of(classes[two])
        summary = (
            f"{first} and {second} are confused: {len(ways[0])} items labelled {first} look like {second} and "
            f"{len(ways[1])} the other way round, of {of_both} items of the two."
        )
        evidence = {
            # It comes up again after it was dismissed when the confusion has doubled.
            "stamp": stamp_of(classes[one], classes[two], str(len(rows).bit_length())),
            "summary": summary,
            "classes": [classes[one], classes[two]],
            "count": len(rows), "forward": len(ways[0]), "backward": len(ways[1]), "rate": round(rate, 4),
            "items": [
                {
                    "id": items[row].id, "payload": dict(items[row].payload), "looks_like": classes[looks[row]],
                    "probability": round(float(found.proba[row, looks[row]]), 4),
                }
                for way in ways for row in way[:EXAMPLES]
            ],
        }  # fmt: skip
        proposal = {
            "action": "clarify", "classes": [classes[one], classes[two]],
            "reason": f"say in the guidelines how to tell {first} from {second}, with the examples of the evidence",
        }  # fmt: skip
        fingerprint = f"confused_classes:{stamp_of(classes[one], classes[two])}"
        severity = min(1.0, 0.3 + 3 * rate)
        findings.append(Finding("confused_classes", severity, fingerprint, None, evidence, proposal))
    return findings
