"""Likely label errors where an item may have several classes: each class is a question of its own, yes or no.

A finding about an item gathers the classes that are probably wrong there: given and not fitting, or fitting and not
given. Cleanlab's multi-label scores do the same class by class (Thyagarajan, Snorrason, Northcutt & Mueller,
*Identifying incorrect annotations in multi-label classification data*, 2022); here each class goes through
:func:`learning.label_errors.rank_label_errors`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from learning.checks import Bools, Floats, Ints, check_vectors
from learning.conflicts.errors import LEAST_ITEMS, LIKELY
from learning.conflicts.finding import Finding, Labelled, Names, item_finding, keys_of
from learning.label_errors import out_of_sample_proba, rank_label_errors
from schemas.errors import Invalid

LEAST_OF_EACH = 8
"""A class with fewer items that have it, or that have not, is not looked at."""
MOST_CLASSES = 40
"""The most frequent ones."""
FOLDS = 3


def label_set_errors(
    items: Sequence[Labelled], classes: Sequence[str], vectors: ArrayLike, *, names: Names | None = None, seed: int = 0
) -> list[Finding]:
    """Findings about the ``items`` (n) that probably have a class too many or too few. ``classes`` are keys; ``vectors``
    (n, d) are L2-normalised."""
    names = names or Names()
    rows = check_vectors(vectors)
    if len(rows) != len(items):
        raise Invalid(f"{len(rows)} vectors for {len(items)} items")
    if len(items) < LEAST_ITEMS:
        return []
    given = [keys_of(item.payload) for item in items]
    has = {key: np.array([key in labels for labels in given], dtype=np.int64) for key in classes}
    often = sorted(classes, key=lambda key: -int(has[key].sum()))[:MOST_CLASSES]
    doubts: dict[int, list[tuple[float, str]]] = defaultdict(list)
    for key in often:
        yes = int(has[key].sum())
        if min(yes, len(items) - yes) < LEAST_OF_EACH:
            continue
        proba = out_of_sample_proba(rows, has[key], 2, np.random.default_rng(seed), folds=FOLDS)
        found = rank_label_errors(has[key], proba, rows)
        for place in np.flatnonzero((found.probability >= LIKELY) | _confidently_other(proba, has[key])):
            other = float(proba[place, 1 - has[key][place]])
            doubts[int(place)].append((max(float(found.probability[place]), other), key))
    findings = []
    for row, doubted in doubts.items():
        doubted.sort(reverse=True)
        item, labels = items[row], given[row]
        wrong = [key for _, key in doubted]
        better = [key for key in labels if key not in wrong] + [key for key in wrong if key not in labels]
        told = "; ".join(
            f"{names.of(key)} {'is given and does not fit' if key in labels else 'fits and is not given'} ({sure:.0%})"
            for sure, key in doubted[:4]
        )
        findings.append(
            item_finding(
                "label_error", item, doubted[0][0], f"By models trained without it: {told}.", stamp=sorted(wrong),
                numbers={"classes": [{"label": key, "probability": round(sure, 4)} for sure, key in doubted]},
                payload={"labels": better}, reason="so say models trained without it",
            )
        )  # fmt: skip
    return findings


def _confidently_other(proba: Floats, given: Ints) -> Bools:
    """The confident joint of Northcutt, Jiang & Chuang (2021) off its diagonal: items that look as much like the other
    answer as those which were given it do on average. Most items lack a class, so its rate of errors says little about
    those that have it; the thresholds are each answer's own."""
    usual = np.array([proba[given == answer, answer].mean() for answer in (0, 1)])
    rows = np.arange(len(given))
    return np.asarray((proba[rows, 1 - given] >= usual[1 - given]) & (proba[rows, 1 - given] > proba[rows, given]))
