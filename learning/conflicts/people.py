"""Doubts about how people answer: they disagree, one drifts from the rest, one is too fast to have read."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from learning.conflicts.finding import Finding, Labelled, Names, Payload, answer_of, item_finding, stamp_of

RECENT = 50
LEAST_ANSWERS = 20
ALPHA = 0.001
"""Chance of accusing somebody wrongly, before it is divided among the people who are looked at."""
LEAST_DROP = 0.1
READING = 100.0
"""Characters a second: three times as fast as people read."""
LEAST_MS = 350.0
"""Nobody sees a text, decides and presses a key in less."""
FAST_SHARE = 0.3
FAST_RATIO = 0.25
TIMED = 200


@dataclass(frozen=True)
class Given:
    """One answer of one person, level 1, in order of arrival. ``final`` is what counts where others had a part in it."""

    user: str
    item: str
    payload: Payload
    lead_ms: int | None = None
    length: int = 0
    final: Payload | None = None
    current: bool = True
    """Whether it stands, or was changed since."""

    @property
    def right(self) -> bool | None:
        return None if self.final is None else answer_of(self.payload) == answer_of(self.final)


def annotators_disagree(item: Labelled, answers: Sequence[Given], names: Names | None = None) -> Finding | None:
    """Standing answers of several people to one item that nobody above them has decided."""
    names = names or Names()
    votes = Counter(answer_of(given.payload) for given in answers)
    if len(votes) < 2:
        return None
    ranked = votes.most_common()
    top, count = ranked[0]
    payloads = {answer_of(given.payload): given.payload for given in answers}
    said = "; ".join(f"{n} × {names.say(payloads[answer])}" for answer, n in ranked[:4])
    majority = count > ranked[1][1]
    return item_finding(
        "annotators_disagree", item, 1 - count / len(answers), f"{len(answers)} people gave {len(votes)} answers: {said}.",
        stamp=sorted(f"{given.user} {answer_of(given.payload)}" for given in answers),
        numbers={
            "people": [{"user": given.user, "payload": dict(given.payload)} for given in answers], "answers": len(votes),
        },
        payload=payloads[top] if majority else None, reason=f"{count} of {len(answers)} people say so",
    )  # fmt: skip


def annotator_drift(answers: Sequence[Given]) -> list[Finding]:
    """People whose last :data:`RECENT` answers agree with what came to count clearly less often than their own did
    before, or than those of the others do. ``answers`` are in order of arrival."""
    from scipy.stats import hypergeom

    judged: dict[str, list[Given]] = defaultdict(list)
    for given in answers:
        if given.right is not None:
            judged[given.user].append(given)
    findings = []
    limit = ALPHA / max(len(judged), 1)
    for user, own in judged.items():
        recent, before = own[-RECENT:], own[:-RECENT]
        if len(recent) < LEAST_ANSWERS:
            continue
        others = [given for other, theirs in judged.items() if other != user for given in theirs[-4 * RECENT :]]
        compared = (("their own before", before), ("the others", others))
        for against, rest in compared:
            if len(rest) < LEAST_ANSWERS:
                continue
            here, there = _rights(recent), _rights(rest)
            rate, usual = here / len(recent), there / len(rest)
            p = float(hypergeom.cdf(here, len(recent) + len(rest), here + there, len(recent)))
            if p > limit or usual - rate < LEAST_DROP:
                continue
            wrong = [given for given in reversed(recent) if not given.right][:5]
            summary = (
                f"{rate:.0%} of the last {len(recent)} answers agree with what came to count; "
                f"{usual:.0%} of {len(rest)} answers of {against} do."
            )
            evidence = {
                # A new window of answers is new evidence.
                "stamp": stamp_of(user, against, str(len(own) // RECENT)), "summary": summary, "person": user,
                "against": against, "agreement": round(rate, 4), "usual": round(usual, 4), "answers": len(recent),
                "p_value": float(f"{p:.3g}"),
                "items": [{"id": given.item, "payload": dict(given.payload)} for given in wrong],
            }  # fmt: skip
            proposal = {"action": "talk", "person": user, "reason": "look at these answers together"}
            findings.append(
                Finding("annotator_drift", 0.4 + (usual - rate), f"annotator_drift:{user}", None, evidence, proposal)
            )
            break
    return findings


def implausibly_fast(answers: Sequence[Given]) -> list[Finding]:
    """People who answer faster than the texts can be read, or in a quarter of the time that the others take."""
    timed: dict[str, list[Given]] = defaultdict(list)
    for given in answers:
        if given.lead_ms is not None:
            timed[given.user].append(given)
    findings = []
    medians = {user: _median(own) for user, own in timed.items() if len(own) >= LEAST_ANSWERS}
    for user, median in medians.items():
        own = timed[user][-TIMED:]
        fast = [given for given in own if (given.lead_ms or 0) < max(LEAST_MS, 1000 * given.length / READING)]
        share = len(fast) / len(own)
        others = _usual(medians, user)
        ratio = median / others if others else None
        if share < FAST_SHARE and (ratio is None or ratio > FAST_RATIO):
            continue
        told = f", {others / 1000:.1f} s of the others" if others else ""
        summary = (
            f"{len(fast)} of the last {len(own)} answers took less time than reading the text takes; the median is "
            f"{median / 1000:.1f} s{told}."
        )
        evidence = {
            "stamp": stamp_of(user, str(len(timed[user]) // TIMED)), "summary": summary, "person": user,
            "answers": len(own), "too_fast": len(fast), "share": round(share, 4), "median_ms": round(median),
            "others_median_ms": round(others) if others else None,
            "items": [{"id": given.item, "payload": dict(given.payload), "lead_ms": given.lead_ms} for given in fast[-5:]],
        }  # fmt: skip
        severity = max(share, 1 - ratio / FAST_RATIO / 2 if ratio is not None else 0.0)
        proposal = {
            "action": "talk",
            "person": user,
            "reason": "have some of these answers given again by somebody else",
        }
        findings.append(Finding("implausibly_fast", severity, f"implausibly_fast:{user}", None, evidence, proposal))
    return findings


def _rights(answers: Sequence[Given]) -> int:
    return sum(bool(given.right) for given in answers)


def _median(answers: Sequence[Given]) -> float:
    return float(np.median([given.lead_ms or 0 for given in answers[-TIMED:]]))


def _usual(medians: Mapping[str, float], user: str) -> float | None:
    """The middle of the other people's medians."""
    others = [median for other, median in medians.items() if other != user]
    return float(np.median(others)) if others else None
