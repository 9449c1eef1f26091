"""What speaks against a draft that is legal: reasons, in words, to have it deliberated before a person sees it."""

from __future__ import annotations

import re

from agents.answers import ItemAnswer
from schemas.labelsets import Labelset
from schemas.payloads import Classification

SURE = 0.9
SHORTEST_NAME = 3
"""A class name shorter than this occurs in reasons by chance."""

_WORD = re.compile(r"\w+")


class Checker:
    """Checks the answers for one labelset."""

    def __init__(self, labelset: Labelset) -> None:
        self._named = [(c.key, c.name, _plain(c.name)) for c in labelset.active if len(c.name) >= SHORTEST_NAME]

    def doubts(self, answer: ItemAnswer) -> list[str]:
        """Everything that speaks against ``answer``, in words; an empty list when nothing does."""
        doubts = list(answer.doubts)
        if isinstance(answer.payload, Classification):
            contradiction = self._contradiction(answer.payload, answer.why)
            if contradiction:
                doubts.append(contradiction)
            if not answer.payload.labels and (answer.confidence or 0) < SURE:
                doubts.append("no label was given, without being sure")
        return doubts

    def _contradiction(self, payload: Classification, why: str) -> str | None:
        """The reason names another class and not the one that was chosen."""
        said = _plain(why)
        named = [entry for entry in self._named if entry[2] in said]
        # A name that only occurs inside a longer one (card, lost card) is not meant by itself.
        meant = [e for e in named if not any(e is not other and e[2] in other[2] for other in named)]
        if meant and not any(key in payload.labels for key, _, _ in meant):
            return f"the reason speaks of {meant[0][1]!r}, the label does not"
        return None


def is_sure(confidence: float | None, threshold: float) -> bool:
    """Whether a confidence reaches the threshold; a missing one never does."""
    return confidence is not None and confidence >= threshold


def _plain(text: str) -> str:
    """Lower case, words apart by single spaces, a space at both ends."""
    words = _WORD.findall(text.casefold().replace("_", " "))
    return f" {' '.join(words)} "
