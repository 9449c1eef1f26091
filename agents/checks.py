"""What speaks against a draft that is legal: reasons, in words, to have it deliberated before a person sees it."""

from __future__ import annotations

import re

from agents.answers import ItemAnswer
from schemas.labelsets import Labelset
from schemas.payloads import Classification

_WORD = re.compile(r"\w+")

SURE = 0.9
SHORTEST_NAME = 3
"""A class name shorter than this occurs in reasons by chance."""


def find_doubts(labelset: Labelset, answer: ItemAnswer) -> list[str]:
    """Everything that speaks against ``answer``, in words; an empty list when nothing does."""
    doubts = list(answer.doubts)
    contradiction = _contradiction(labelset, answer)
    if contradiction:
        doubts.append(contradiction)
    if isinstance(answer.payload, Classification) and not answer.payload.labels and (answer.confidence or 0) < SURE:
        doubts.append("no label was given, without being sure")
    return doubts


def is_sure(confidence: float | None, threshold: float) -> bool:
    """Whether a confidence reaches the threshold; a missing one never does."""
    return confidence is not None and confidence >= threshold


def _contradiction(labelset: Labelset, answer: ItemAnswer) -> str | None:
    """The reason names another class and not the one that was chosen."""
    if not isinstance(answer.payload, Classification):
        return None
    chosen = set(answer.payload.labels)
    why = _plain(answer.why)
    named = [c for c in labelset.active if len(c.name) >= SHORTEST_NAME and f" {_plain(c.name).strip()} " in why]
    # A name that only occurs inside a longer one (card, lost card) is not meant by itself.
    meant = [c for c in named if not any(c is not d and _plain(c.name).strip() in _plain(d.name) for d in named)]
    if meant and not any(c.key in chosen for c in meant):
        return f"the reason speaks of {meant[0].name!r}, the label does not"
    return None


def _plain(text: str) -> str:
    """Lower case, words apart by single spaces, a space at both ends."""
    words = _WORD.findall(text.casefold().replace("_", " "))
    return f" {' '.join(words)} "
