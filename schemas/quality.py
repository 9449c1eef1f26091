"""What the QA agent's instruments find, and what becomes of it: conflicts, verdicts, and the order of a scan."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from schemas.payloads import Payload
from schemas.world import Item, World

ConflictKind = Literal[
    "schema_violation", "near_duplicates", "neighbour_disagreement", "label_error", "annotators_disagree",
    "model_disagrees", "span_boundary", "confused_classes", "annotator_drift", "implausibly_fast",
]  # fmt: skip
KINDS: tuple[str, ...] = get_args(ConflictKind)

ConflictState = Literal["open", "resolved", "dismissed"]
Resolution = Literal["relabelled", "kept", "dismissed", "gone"]
ResolveAction = Literal["relabel", "keep", "dismiss"]


class Quote(World):
    """What a verdict rests on: words of the guidelines, or an example that was shown. Both were checked to exist."""

    source: Literal["guideline", "example"]
    text: str
    item_id: str | None = None
    """Of an example."""


class Ruling(World):
    """What the QA agent thinks of one conflict."""

    verdict: Literal["keep", "relabel", "unclear"]
    payload: Payload | None = None
    """The label that it should have, when that is another one."""
    confidence: float | None = None
    reason: str = ""
    quotes: list[Quote] = Field(default_factory=list)
    grounded: bool = False
    """Whether it quoted something that exists. What it quoted and does not exist was struck out."""
    by: str
    """The model."""
    prompt_hash: str | None = None
    cost_usd: float = 0.0


class Excerpt(World):
    """The item of a conflict in a list: the beginning of its text, and the label that counts, else its draft."""

    id: str
    seq: int
    state: str
    text: str | None
    payload: Payload | None


class Person(World):
    """Whom a conflict is about."""

    id: str
    name: str
    email: str


class Conflict(World):
    """Something doubtful about the labels.

    ``evidence`` has ``summary``, in words; ``items``, the other items by id; and the numbers of its instrument.
    """

    id: str
    dataset_id: str
    item_id: str | None
    """None when it is about a person or about two classes."""
    person: Person | None = None
    kind: str
    severity: float = Field(ge=0, le=1)
    evidence: dict[str, Any]
    proposal: dict[str, Any] | None = None
    """``action``, relabel with a ``payload``, or what else could be done, with the reason."""
    verdict: Ruling | None = None
    """None as long as no language model has judged it: its words then come from a template."""
    state: ConflictState
    resolution: Resolution | None = None
    """``gone``: a later scan no longer found it."""
    resolved_by: str | None = None
    comment: str = ""
    created_at: datetime
    updated_at: datetime


class ConflictRow(Conflict):
    """A conflict in a list."""

    item: Excerpt | None = None


class WholeConflict(Conflict):
    """A conflict with the item it is about and those that its evidence names."""

    item: Item | None = None
    others: list[Item] = Field(default_factory=list)


class ConflictPage(World):
    """The worst first. ``counts`` are of all open conflicts of the dataset, by kind."""

    conflicts: list[ConflictRow]
    next_cursor: str | None = None
    counts: dict[str, int] = Field(default_factory=dict)


class QualityScanOrder(BaseModel):
    """Look for conflicts in the whole dataset; then, where a language model is configured, let it judge the worst."""

    model_config = ConfigDict(extra="forbid")

    kinds: list[ConflictKind] | None = Field(default=None, min_length=1)
    """Only these; None means all."""
    adjudicate: int = Field(default=20, ge=0, le=1_000)
    """How many conflicts a language model judges at most; the job's budget may stop it before."""
    min_severity: float = Field(default=0.3, ge=0, le=1)
    """Milder ones are not judged."""
    model: str | None = Field(default=None, min_length=1, max_length=200)
    """Who judges; None means the dataset's model, else the server's."""
    ask: int = Field(default=0, ge=0, le=1_000)
    """How many items that it finds unclear go to one more person, the worst first; only such as people have answered."""
