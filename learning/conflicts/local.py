"""Doubts that one item and its neighbours are enough for, so that they can be looked for right after an answer."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from learning.arrays import softmax
from learning.conflicts.finding import Finding, Labelled, Names, Near, Payload, item_finding, normalised, stamp_of

TWIN = 0.97
"""Cosine from which two texts that share most words are called near duplicates."""
SAME_TEXT = 0.85
"""Cosine that two texts of equal words have at least, whatever the order of their marks."""
SHARED_WORDS = 0.6
CLEAR = 3
"""Neighbours that speak for one of two copies rather than for the other."""
VOTERS = 10
LEAST_VOTERS = 4
CLOSE_ENOUGH = 0.45
"""Farther neighbours have no vote."""
TEMPERATURE = 0.05
TOP_SHARE, OWN_SHARE = 0.6, 0.15


def near_duplicates(item: Labelled, near: Sequence[Near], names: Names | None = None) -> Finding | None:
    """Nearly the same text with another label. Of two that stand alone against each other the one is named that the other
    neighbours speak against, else always the same one, whichever is looked at."""
    names = names or Names()
    twins = [other for other in near if _is_twin(item, other)]
    opposed = [twin for twin in twins if twin.item.answer != item.answer]
    if not opposed:
        return None
    votes = Counter(twin.item.answer for twin in twins)
    votes[item.answer] += 1
    closest = max(opposed, key=lambda twin: twin.similarity)
    rival = closest.item
    if votes[item.answer] > votes[rival.answer]:
        return None  # the other one is the odd one out, and is found when it is looked at
    subject, others = item, sorted(opposed, key=lambda twin: -twin.similarity)
    payload: Payload | None = rival.payload
    alone = votes[item.answer] == votes[rival.answer]
    if alone:
        # What else is near speaks for one of the two; else nobody knows, and the choice is only always the same.
        around = Counter(other.item.answer for other in near if other not in twins)
        lead = around[rival.answer] - around[item.answer]
        if lead <= -CLEAR or (lead < CLEAR and rival.id > item.id):
            subject, others, payload = rival, [Near(item, closest.similarity)], item.payload
        if abs(lead) < CLEAR:
            payload = None
    severity = 0.5 + 0.5 * (closest.similarity - SAME_TEXT) / (1 - SAME_TEXT) * (0.8 if alone else 1.0)
    same = "the same words" if normalised(subject.text) == normalised(others[0].item.text) else "nearly the same text"
    summary = (
        f"{len(others)} other item{'s' if len(others) > 1 else ''} with {same} "
        f"{'are' if len(others) > 1 else 'is'} labelled {names.say(others[0].item.payload)}; "
        f"this one {names.say(subject.payload)}."
    )
    return item_finding(
        "near_duplicates", subject, severity, summary,
        stamp=sorted(f"{other.item.id} {other.item.answer}" for other in others), others=others,
        numbers={"similarity": round(closest.similarity, 3), "alike": len(twins), "agreeing": votes[subject.answer]},
        payload=payload, reason="the items most like it have that label",
    )  # fmt: skip


def neighbour_disagreement(item: Labelled, near: Sequence[Near], names: Names | None = None) -> Finding | None:
    """The nearest verified items agree on another label. Votes weigh by closeness."""
    names = names or Names()
    voters = [other for other in near if other.similarity >= CLOSE_ENOUGH][:VOTERS]
    if len(voters) < LEAST_VOTERS:
        return None
    weights = softmax(np.array([[voter.similarity for voter in voters]]), TEMPERATURE)[0]
    shares: dict[str, float] = defaultdict(float)
    for voter, weight in zip(voters, weights, strict=True):
        shares[voter.item.answer] += float(weight)
    heads = Counter(voter.item.answer for voter in voters)
    top = max(shares, key=lambda answer: (shares[answer], answer))
    own = shares.get(item.answer, 0.0)
    if top == item.answer or shares[top] < TOP_SHARE or own > OWN_SHARE or heads[top] * 2 <= len(voters):
        return None
    backing = [voter for voter in voters if voter.item.answer == top]
    closeness = float(np.mean([voter.similarity for voter in backing]))
    severity = (shares[top] - own) * min(1.0, max(0.0, (closeness - 0.3) / 0.5))
    label = names.say(backing[0].item.payload)
    summary = (
        f"{heads[top]} of its {len(voters)} nearest verified items are labelled {label}, {heads[item.answer]} as this "
        f"one is: {names.say(item.payload)}."
    )
    return item_finding(
        "neighbour_disagreement", item, severity, summary, stamp=[top], others=backing,
        numbers={
            "voters": len(voters), "for_other": heads[top], "for_given": heads[item.answer],
            "share_other": round(shares[top], 3), "share_given": round(own, 3), "closeness": round(closeness, 3),
        },
        payload=backing[0].item.payload, reason=f"its neighbours say {label}",
    )  # fmt: skip


def schema_violation(item: Labelled, problem: str, version: int, newest: int) -> Finding:
    """An answer that the newest labelset does not allow; ``problem`` is why, in words."""
    summary = f"Given under version {version} of the labelset; version {newest} does not allow it: {problem}."
    return item_finding(
        "schema_violation", item, 0.9 if item.human else 0.5, summary, stamp=[stamp_of(problem)],
        numbers={"problem": problem, "labelset_version": version, "newest_version": newest},
    )  # fmt: skip


def _is_twin(item: Labelled, other: Near) -> bool:
    if "labels" not in item.payload:
        # Marks have places: only the very same text can be compared.
        return other.item.text == item.text and other.item.length == item.length
    one, two = normalised(item.text), normalised(other.item.text)
    if one == two and abs(item.length - other.item.length) <= 0.02 * max(item.length, other.item.length, 1) + 8:
        return other.similarity >= SAME_TEXT
    words, others = set(one.split()), set(two.split())
    return other.similarity >= TWIN and len(words & others) >= SHARED_WORDS * len(words | others)
