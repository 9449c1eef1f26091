"""What people say about each other's answers, what the last level is asked, and operations on many items at once."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from schemas.world import Annotation, Item, Lease, WaitingState, World

Decision = Literal["approved", "corrected", "rejected"]
BulkAction = Literal["approve", "reject", "set_class", "assign", "send_back"]


class Review(World):
    """A decision about one answer; kept for good."""

    id: str
    item_id: str
    reviewer_id: str
    author_id: str | None
    """Who gave the answer; None where it came with a file."""
    level: Literal[2, 3]
    decision: Decision
    annotation_id: str
    """The answer that was judged."""
    correction_id: str | None = None
    """The answer that the reviewer gave instead."""
    comment: str = ""
    withdrawn_at: datetime | None = None
    """When it was taken back; it counts no more from then on."""
    created_at: datetime


class Question(World):
    """What level 3 is asked: because levels 1 and 2 disagree, or because an author appeals."""

    id: str
    kind: Literal["disagreement", "appeal"]
    asked_by: str
    review_id: str | None = None
    """The review that is contested."""
    comment: str = ""
    created_at: datetime
    closed_at: datetime | None = None
    outcome_id: str | None = None
    """The review at level 3 that answered it."""


class ReviewClaim(World):
    """An item held to be reviewed, with everything that was said about it."""

    lease: Lease
    item: Item
    level: Literal[2, 3]
    answers: list[Annotation]
    """The answers that stand, oldest first; `item.annotation` is the one to judge."""
    reviews: list[Review]
    question: Question | None = None


class ReviewClaims(World):
    """Items held for the reviewer who asked; empty when nothing waits for them."""

    claims: list[ReviewClaim]


class Reviewed(World):
    """What became of a review."""

    review: Review
    item: Item
    created: bool
    """False when the same request had been stored before."""


class Reviews(World):
    """What was said about an item, oldest first."""

    reviews: list[Review]
    questions: list[Question]


class Overdue(World):
    """An item that has waited longer than the dataset allows."""

    item_id: str
    state: WaitingState
    since: datetime
    minutes: int
    """How long it may wait."""
    late_seconds: float
    waits_for: str | None = None
    """Who alone may take it now, if anybody."""


class BulkCount(World):
    """What an operation on many items would do."""

    items: int
    able: int
    refused: dict[str, int] = Field(default_factory=dict)
    """Items that are going to be refused, by the code of the reason, as far as it can be told without trying."""
    states: dict[str, int] = Field(default_factory=dict)


class Refusal(World):
    """An item that an operation on many did not change, and why."""

    item_id: str
    seq: int
    code: str
    detail: str


class Refusals(World):
    """A page of refusals. ``next`` is the ``seq`` to go on after; None at the end."""

    refusals: list[Refusal]
    next: int | None = None
