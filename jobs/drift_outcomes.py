"""What the outcomes of people and models say: each is watched against their own beginning.

Of each person and model the first hundred outcomes are what they were, and all later ones are held against that. The
chance of a false alarm is shared out in the order in which they appear, so that however many come, all together keep it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from learning.drift import Watch, over_time, spent, watch_calibration, watch_rate

BEGINNING = 100
"""Outcomes that say how somebody was."""
ENOUGH_DECIDED = 150
"""From so many decisions of others on, a person is held against these, not against the drafts."""


def watch_all(rows: Iterable[Sequence[Any]], alpha: float) -> list[dict[str, Any]]:
    """Watches of every annotator and model in ``rows``: [user, model, probability, like draft, like others], oldest first.

    As ``schemas.drift.DriftWatch``. Who has fewer than 100 outcomes and some more is left out.
    """
    by_others: dict[str, list[bool]] = defaultdict(list)
    by_draft: dict[str, list[bool]] = defaultdict(list)
    models: dict[str, list[tuple[bool, float | None]]] = defaultdict(list)
    for user, model, probability, like_draft, like_others in rows:
        people = by_draft[user]  # whoever appears, so that the order of appearance is known
        if like_others is not None:
            by_others[user].append(not like_others)
        if like_draft is not None:
            people.append(not like_draft)
            models[model].append((like_draft, probability))
    found: list[dict[str, Any]] = []
    number = 0
    for user, against_draft in by_draft.items():
        against_others = by_others.get(user, [])
        by = "others" if len(against_others) >= ENOUGH_DECIDED else "draft"
        wrong = against_others if by == "others" else against_draft
        number += 1
        if len(wrong) > BEGINNING:
            watch = watch_rate(wrong[:BEGINNING], wrong[BEGINNING:], delta=spent(number, alpha))
            found.append(_told("annotator", user, by, watch))
    for model, outcomes in models.items():
        number += 2
        right = [float(good) for good, _ in outcomes]
        if len(right) > BEGINNING:
            wrong_rate = [1 - good for good in right]
            watch = watch_rate(wrong_rate[:BEGINNING], wrong_rate[BEGINNING:], delta=spent(number - 1, alpha))
            known = all(probability is not None for _, probability in outcomes)
            claimed = [probability or 0.0 for _, probability in outcomes] if known else None
            points = [vars(point) for point in over_time(right, claimed)]
            found.append({**_told("agreement", model, "answer", watch), "over_time": points})
        claims = [(probability, good) for good, probability in outcomes if probability is not None]
        if len(claims) > BEGINNING:
            surplus = watch_calibration(
                [probability for probability, _ in claims], [float(good) for _, good in claims],
                delta=spent(number, alpha),
            )  # fmt: skip
            found.append(_told("calibration", model, "answer", surplus))
    return found


def _told(about: str, who: str, by: str, watch: Watch) -> dict[str, Any]:
    return {
        "about": about, "who": who, "by": by, "score": watch.score, "alarm": watch.alarm, "before": watch.before,
        "now": watch.now, "n": watch.n, "reason": watch.reason,
    }  # fmt: skip
