"""Reading the confidences of models: curves are fitted as people judge drafts, kept by version, used for new drafts.

A dataset has a curve for each model, route and version of its labelset, because a crew puts its confidence into words
and a bulk call may have it from log-probabilities. The embedded model needs none: its student is calibrated by itself.

Verdicts count alike, whether the item was chosen for being hard or drawn at random, so probabilities lean a little low
(docs/decisions/what-the-loop-assumes.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jobs.vectors import embed_texts
from schemas.errors import Invalid, LabelCrewError
from schemas.labeling import Labeler, PrelabelInput, finished_drafts, with_finished
from schemas.payloads import Classification
from schemas.world import Draft
from store.rpc import Rpc

if TYPE_CHECKING:
    from learning.student import Student
    from learning.sureness import Sureness

STUDENT = "student"
"""Name of the signal: the student's probability of what the draft says."""
MOST_JUDGED = 5_000
GROWN = 1.05
"""A curve is fitted anew when it has this many times the verdicts, or fewer than before."""
TAUGHT_ENOUGH = 30
"""A student with fewer answers has no opinion worth asking."""


async def refresh_calibrations(rpc: Rpc, dataset: str) -> int:
    """Fit anew the curves for which enough verdicts have come since; how many."""
    known = {
        (row["model"], row["route"], row["labelset_version"]): row["trained_on"]
        for row in await rpc.call("list_stale_calibrations", dataset=dataset)
        if _is_due(row["judged"], row["trained_on"])
    }
    for model, route, version in known:
        await fit_route(rpc, dataset, model, route, version)
    return len(known)


async def fit_route(rpc: Rpc, dataset: str, model: str, route: str, version: int) -> Sureness:
    """Fit and keep the next version of one curve."""
    judged = await rpc.call(
        "list_judged_drafts", dataset=dataset, model=model, route=route, labelset_version=version, limit=MOST_JUDGED
    )
    fitted = await asyncio.to_thread(_fit, judged, route)
    await rpc.call(
        "save_calibration",
        dataset=dataset, model=model, route=route, labelset_version=version, curve=fitted.curve.to_dict(),
        blend=fitted.blend.to_dict() if fitted.blend else None, metrics=fitted.metrics, trained_on=len(judged),
    )  # fmt: skip
    return fitted


async def surenesses(rpc: Rpc, dataset: str, model: str, labelset_version: int) -> dict[str, Sureness]:
    """What is in force for a model, by route; :func:`unjudged` reads a route that nobody has judged. A curve that a
    newer program has stored is left out."""
    from learning.sureness import Sureness

    found: dict[str, Sureness] = {}
    rows = await rpc.call("find_calibrations", dataset=dataset, model=model, labelset_version=labelset_version)
    for row in rows:
        try:
            found[row["route"]] = Sureness.from_dicts(row["curve"], row["blend"], row["metrics"])
        except Invalid:
            continue
    return found


def unjudged(route: str = "llm") -> Sureness:
    """How a confidence is read before anybody has judged a draft."""
    return _fit([], route)


class SureLabeler:
    """A language model's labeler whose drafts say how probable they are, how sure that is, and what else speaks for
    them. Everything else is the inner labeler's."""

    def __init__(self, labeler: Labeler, by_route: Mapping[str, Sureness], *, student: Student | None = None) -> None:
        self._labeler = labeler
        self._by_route = dict(by_route)
        self._student = student

    @property
    def name(self) -> str:
        """The inner model's name."""
        return self._labeler.name

    @property
    def batch_size(self) -> int:
        """The inner labeler's."""
        return self._labeler.batch_size

    async def draft(self, items: Sequence[PrelabelInput]) -> list[Draft]:
        """One draft for each item, in order; raises what the inner labeler raises, with what was finished."""
        opinions = None
        if self._student is not None:
            items = await with_vectors(items)
            vectors = np.array([item.vector for item in items], dtype=np.float32)
            opinions = await asyncio.to_thread(self._student.predict_proba, vectors)
        rows = {item.item_id: row for row, item in enumerate(items)}
        try:
            drafts = await self._labeler.draft(items)
        except LabelCrewError as error:
            raise with_finished(error, [self._sure(d, rows, opinions) for d in finished_drafts(error)]) from None
        return [self._sure(draft, rows, opinions) for draft in drafts]

    def _sure(self, draft: Draft, rows: Mapping[str, int], opinions: Any) -> Draft:
        if draft.payload is None or draft.confidence is None:
            return draft
        signals = dict(draft.signals)
        if opinions is not None and self._student is not None and isinstance(draft.payload, Classification):
            place = {key: number for number, key in enumerate(self._student.classes)}
            label = draft.payload.labels[0] if draft.payload.labels else None
            if label in place:
                signals[STUDENT] = round(float(opinions[rows[draft.item_id], place[label]]), 4)
        sureness = self._by_route.get(draft.route) or self._prior(draft.route)
        named = {name: [value] for name, value in signals.items()}
        low, high = sureness.interval([draft.confidence], named)[0]
        probability = float(sureness.apply([draft.confidence], named)[0])
        return draft.model_copy(
            update={
                "probability": round(probability, 4),
                "probability_interval": (round(float(low), 4), round(float(high), 4)),
                "signals": signals,
            }
        )

    def _prior(self, route: str) -> Sureness:
        return self._by_route.setdefault(route, unjudged(route))


async def with_vectors(items: Sequence[PrelabelInput]) -> list[PrelabelInput]:
    """The items, each with its vector; those that lack one are embedded now."""
    missing = [row for row, item in enumerate(items) if item.vector is None]
    whole = list(items)
    if missing:
        made = await embed_texts([items[row].text for row in missing])
        for row, vector in zip(missing, made, strict=True):
            whole[row] = items[row].model_copy(update={"vector": tuple(vector.tolist())})
    return whole


def _is_due(judged: int, trained_on: int | None) -> bool:
    return trained_on is None or judged < trained_on or judged >= GROWN * trained_on


def _fit(judged: Sequence[Mapping[str, Any]], route: str) -> Sureness:
    from learning.calibration import VERBAL, Prior
    from learning.sureness import fit_sureness

    confidence = [row["confidence"] for row in judged]
    student = [float((row.get("signals") or {}).get(STUDENT, np.nan)) for row in judged]
    return fit_sureness(
        confidence, [row["right"] for row in judged], {STUDENT: student},
        prior=Prior() if route == "import" else VERBAL,
    )  # fmt: skip
