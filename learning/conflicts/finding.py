"""What every instrument speaks of: labelled items, their neighbours, findings, and how findings are put into words."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MOST_OTHERS = 6
"""Other items that the evidence of a finding names."""

Payload = Mapping[str, Any]
"""As stored: ``{"labels": ["refund"]}``."""


@dataclass(frozen=True)
class Labelled:
    """An item with the answer that counts, or with a draft where nobody has answered. ``text`` may be its beginning;
    ``length`` is that of the whole."""

    id: str
    text: str
    payload: Payload
    length: int = 0
    human: bool = True

    @property
    def answer(self) -> str:
        """The payload in a form that is the same for the same answer, whatever the order of its parts."""
        return answer_of(self.payload)


@dataclass(frozen=True)
class Near:
    """A neighbour and the cosine of the two vectors."""

    item: Labelled
    similarity: float


@dataclass(frozen=True)
class Finding:
    """One doubt. ``item_id`` is None when it is about a person or a pair of classes."""

    kind: str
    severity: float
    fingerprint: str
    item_id: str | None
    evidence: dict[str, Any]
    proposal: dict[str, Any] | None = None

    def row(self) -> dict[str, Any]:
        """As the database takes it."""
        return {
            "kind": self.kind, "severity": round(min(max(self.severity, 0.0), 1.0), 4), "fingerprint": self.fingerprint,
            "item_id": self.item_id, "evidence": self.evidence, "proposal": self.proposal,
        }  # fmt: skip


@dataclass(frozen=True)
class Names:
    """What people read for class keys; a key that is not known stands for itself."""

    of_key: Mapping[str, str] = field(default_factory=dict)

    def of(self, key: str) -> str:
        return self.of_key.get(key, key)

    def say(self, payload: Payload) -> str:
        """An answer in a few words."""
        keys = keys_of(payload)
        if "labels" in payload:
            return ", ".join(self.of(key) for key in keys) or "no label"
        count = sum(len(part) for part in payload.values() if isinstance(part, Sequence))
        shown = ", ".join(dict.fromkeys(self.of(key) for key in keys))
        return f"{count} marks ({shown})" if count else "no marks"


def item_finding(
    kind: str, item: Labelled, severity: float, summary: str, *, stamp: Sequence[str], others: Iterable[Near] = (),
    numbers: Mapping[str, Any] | None = None, payload: Payload | None = None, reason: str = "",
) -> Finding:  # fmt: skip
    """A finding about one item. ``stamp`` is the substance of the evidence: a dismissed finding comes up again only
    with another one. ``payload`` is the label that is proposed instead."""
    evidence = {
        "stamp": stamp_of(item.answer, *stamp),
        "summary": summary,
        "source": "answer" if item.human else "draft",
        "given": dict(item.payload),
        "items": [
            {"id": near.item.id, "similarity": round(near.similarity, 3), "payload": dict(near.item.payload)}
            for near in list(others)[:MOST_OTHERS]
        ],
        **(numbers or {}),
    }
    proposal = None
    if payload is not None:
        proposal = {"action": "relabel", "payload": dict(payload), "reason": reason or summary}
    return Finding(kind, severity, f"{kind}:{item.id}", item.id, evidence, proposal)


def worst(findings: Iterable[Finding], most: int | None = None) -> list[Finding]:
    """The worst first, and only one about each thing."""
    kept: dict[str, Finding] = {}
    for finding in sorted(findings, key=lambda f: (-f.severity, f.fingerprint)):
        kept.setdefault(finding.fingerprint, finding)
    return list(kept.values())[:most]


def answer_of(payload: Payload) -> str:
    """The same text for the same answer."""
    return json.dumps(
        {key: sorted(value, key=repr) if isinstance(value, list | tuple) else value for key, value in payload.items()},
        sort_keys=True,
    )


def keys_of(payload: Payload) -> list[str]:
    """Class keys that a payload names, each once."""
    found: dict[str, None] = {}
    for part in payload.values():
        for entry in part if isinstance(part, list | tuple) else ():
            label = entry if isinstance(entry, str) else entry.get("label") if isinstance(entry, Mapping) else None
            if label is not None:
                found[label] = None
    return list(found)


def stamp_of(*parts: str) -> str:
    """Twelve hex digits that change when any part does."""
    return hashlib.sha256("\x00".join(parts).encode("utf-8", "replace")).hexdigest()[:12]


_MARKS = re.compile(r"[^\w]+", re.UNICODE)


def normalised(text: str) -> str:
    """A text without case, marks, compatibility forms and repeated white space: equal for what people call the same.
    A text of marks alone (emoji, say) stays as it is."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(_MARKS.sub(" ", folded).split()) or " ".join(folded.split())
