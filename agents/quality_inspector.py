"""The QA agent: judges drafts that another agent made, and says what it would have answered itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agents.answers import ItemAnswer, batch_schema, read_answer
from prompts import load_prompt
from schemas.labelsets import Labelset

INSPECT = {"classification": "inspect_classification", "spans": "inspect_spans"}


@dataclass(frozen=True)
class Verdict:
    """What the QA agent thinks of one item's draft: ``answer`` is its own, the same as the draft when it agrees."""

    agrees: bool
    answer: ItemAnswer


class QualityInspector:
    """Knows how to be asked for verdicts under one labelset, and how to read them."""

    def __init__(self, labelset: Labelset) -> None:
        self.labelset = labelset
        self.prompt = load_prompt(INSPECT[labelset.kind])
        self.schema = batch_schema(labelset, name="verdicts", before={"agrees": {"type": "boolean"}})

    def read(self, text: str, row: dict[str, Any]) -> Verdict:
        """One row of the answer. Raises model-malformed or invalid-payload."""
        return Verdict(bool(row.get("agrees")), read_answer(self.labelset, text, row, last_try=True))
