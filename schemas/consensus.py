"""What several people's answers to an item amount to, as it is told to people."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from schemas.payloads import Payload
from schemas.world import ItemState, World

ConsensusMethod = Literal["majority", "weighted", "dawid_skene", "pooled", "glad", "mace", "crowdlab", "with_model"]


class AnnotatorQuality(World):
    """How far an annotator is to be trusted. ``quality`` is the estimated chance that an answer of theirs is right (of
    marks: the F1 beside what others agree on), with its 95 % interval."""

    user: str
    answers: int
    """Answers, or marks, that it was found on."""
    quality: float
    low: float
    high: float


class ConsensusRun(World):
    """One reading of all the answers that there were."""

    id: str
    job_id: str | None
    method: str
    labelset_version: int
    items: int
    answers: int
    changed: int
    """Items whose answer is another one than a plain count of votes had made it."""
    asked: int
    """Items that went back into the queue for one more person."""
    annotators: list[AnnotatorQuality]
    note: str
    created_at: datetime


class PersonsAnswer(World):
    """Who said what."""

    user: str
    payload: Payload


class DoubtfulItem(World):
    """An item on which people do not agree."""

    item_id: str
    seq: int
    external_id: str | None
    state: ItemState
    payload: Payload
    """What the answers together say; it may be that of nobody."""
    probability: float
    answers: int
    people: list[PersonsAnswer]
    counts: Payload | None
    """The answer that counts now; None while the item is open."""
    extra_overlap: int
    """People who shall answer it beyond the dataset's overlap."""


class ConsensusReport(World):
    """How people's answers were settled, and where they were not of one mind."""

    method: ConsensusMethod
    """The dataset's setting."""
    run: ConsensusRun | None
    """The newest; None before there was one."""
    agreed: int
    disagreed: int
    waiting: int
    """Items that wait for one more person."""
    items: list[DoubtfulItem] = Field(default_factory=list)
    """The most doubtful first."""
    note: str = ""
