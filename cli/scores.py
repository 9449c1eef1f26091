"""How the drafts of a labelling run compare with the gold column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from schemas.payloads import Classification, Payload, Spans
from schemas.world import Draft


@dataclass(frozen=True)
class Scores:
    """Against the gold column. For spans, ``accuracy`` is the share of texts with exactly the right spans and
    ``macro_f1`` the strict span F1."""

    accuracy: float
    macro_f1: float
    ece: float | None
    auroc: float | None
    completion: float

    def cells(self) -> list[str]:
        """As a table's row."""
        return [
            f"{value:.3f}" if value is not None else "–"
            for value in (self.accuracy, self.macro_f1, self.ece, self.auroc, self.completion)
        ]

    def as_dict(self) -> dict[str, float | None]:
        """For the JSON summary."""
        return {
            "accuracy": round(self.accuracy, 4),
            "macro_f1": round(self.macro_f1, 4),
            "ece": None if self.ece is None else round(self.ece, 4),
            "auroc": None if self.auroc is None else round(self.auroc, 4),
            "completion": round(self.completion, 4),
        }


def score(gold: Sequence[Payload | None], drafts: Sequence[Draft]) -> Scores | None:
    """Scores of ``drafts`` against ``gold``, row by row; None where no gold is known."""
    known = [i for i, payload in enumerate(gold) if payload is not None]
    if not known:
        return None
    from learning import metrics

    answered = [i for i in known if drafts[i].payload is not None]
    completion = len(answered) / len(known)
    right = [_same(gold[i], drafts[i].payload) for i in known]
    probabilities = [drafts[i].probability for i in answered]
    hits = [_same(gold[i], drafts[i].payload) for i in answered]
    have = [p for p in probabilities if p is not None]
    ece = auroc = None
    if len(have) == len(answered) and answered:
        ece = metrics.ece(have, hits)
        auroc = metrics.auroc(have, hits) if 0 < sum(hits) < len(hits) else None
    return Scores(sum(right) / len(known), _f1(gold, known, drafts), ece, auroc, completion)


def _same(gold: Payload | None, drafted: Payload | None) -> bool:
    if isinstance(gold, Classification) and isinstance(drafted, Classification):
        return set(gold.labels) == set(drafted.labels)
    if isinstance(gold, Spans) and isinstance(drafted, Spans):
        return set(gold.spans) == set(drafted.spans)
    return False


def _f1(gold: Sequence[Payload | None], known: list[int], drafts: Sequence[Draft]) -> float:
    """Macro-averaged over the classes that the gold column has; for spans over all spans (micro)."""
    found: dict[str, list[int]] = {}
    for i in known:
        true, drafted = _parts(gold[i]), _parts(drafts[i].payload)
        for part in true | drafted:
            counts = found.setdefault(part[0] if len(part) == 1 else "", [0, 0, 0])
            counts[0 if part in true and part in drafted else 1 if part in drafted else 2] += 1
    scores = [2 * tp / (2 * tp + fp + fn) for tp, fp, fn in found.values() if tp + fn]
    return sum(scores) / len(scores) if scores else 0.0


def _parts(payload: Payload | None) -> set[tuple[Any, ...]]:
    if isinstance(payload, Classification):
        return {(label,) for label in payload.labels}
    if isinstance(payload, Spans):
        return {(span.start, span.end, span.label) for span in payload.spans}
    return set()
