"""The QA agent's instruments on Banking77's training part: of the labels they doubt, how many were flipped before?

A tenth of the labels is flipped, to any other class or to the most similar one; then each instrument looks as in a
quality scan. The labels that the set came with count as right, which some of them are not: precision is a lower bound.
"""

from __future__ import annotations

import time

import numpy as np

from bench.learning_label_errors import flip
from bench.learning_sets import load, texts_of
from bench.tables import Table
from jobs.quality import Snapshot, look
from learning.conflicts import Labelled, Names
from schemas.labelsets import Labelset

CHECKS = ("neighbours", "errors")


def run(quick: bool) -> list[Table]:
    """Findings, precision, share of the flips found and of their proposals right, and seconds, by kind of conflict."""
    data = load("banking77")
    texts = texts_of("banking77")
    some = np.random.default_rng(7).permutation(len(texts))[: 2_000 if quick else len(texts)]
    tables = []
    for kind in ("any class", "the most similar"):
        given, wrong = flip(data, kind, np.random.default_rng(0))
        items = [
            Labelled(str(row), texts[row], {"labels": [data.classes[given[row]]]}, len(texts[row])) for row in some
        ]
        snapshot = Snapshot(
            Labelset.of(data.classes), Names(), items, ["verified"] * len(items), {}, np.arange(len(items)),
            data.train[some],
        )  # fmt: skip
        flips = int(wrong[some].sum())
        table = Table(
            f"What the instruments doubt, {len(items):,} items of {data.name}, 10 % flipped to {kind}",
            ["kind", "findings", "precision", "precision of the worst 100", "flips found", "proposal right", "s"],
        )
        everything: set[int] = set()
        for check in CHECKS:
            started = time.perf_counter()
            found = look(snapshot, check).findings
            seconds = time.perf_counter() - started
            for name, findings in found.items():
                rows = [int(f.item_id) for f in findings if f.item_id is not None]
                if not rows:
                    table.add(name, len(findings), None, None, None, None, seconds)
                    continue
                everything |= set(rows)
                hit = wrong[rows]
                right = [
                    f.proposal["payload"]["labels"] == [data.classes[data.y[row]]]
                    for f, row in zip(findings, rows, strict=True)
                    if f.proposal is not None and wrong[row]
                ]
                table.add(
                    name, len(findings), float(hit.mean()), float(hit[:100].mean()), float(hit.sum() / flips),
                    float(np.mean(right)) if right else None, seconds,
                )  # fmt: skip
        both = sorted(everything)
        table.add(
            "any of them", len(both), float(wrong[both].mean()), None, float(wrong[both].sum() / flips), None, None
        )
        tables.append(table)
    return tables
