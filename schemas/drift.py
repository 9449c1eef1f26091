"""Drift: what is compared with what, and what was found."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from schemas.world import World


class DriftReference(BaseModel):
    """What later items are compared with: the first so many, or those that came in a span of time."""

    model_config = ConfigDict(extra="forbid")

    first: int | None = Field(default=None, ge=20, le=1_000_000)
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> DriftReference:
        if (self.first is None) == (self.since is None and self.until is None):
            raise ValueError("a reference is either the first items (first) or a span of time (since, until)")
        return self


class DriftWindows(BaseModel):
    """The windows to look at."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reference": {"first": 1000}, "newest": 1000}]}
    )

    reference: DriftReference
    newest: int = Field(default=1000, ge=75, le=20_000)
    """Of the items that came after the reference, so many of the newest are compared."""
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    """The chance of a false alarm, over all looks there will ever be."""


class DriftPart(World):
    """One test of a look."""

    name: Literal["texts", "labels"]
    statistic: float
    p_value: float
    adjusted_p: float
    """With the price of looking often in it; at most alpha is an alarm."""
    score: float
    reference: int
    current: int


class DriftShift(World):
    """A class whose share of the items changed."""

    label: str
    before: float
    now: float


class DriftLook(World):
    """One look: ``score`` 1 is the threshold."""

    look: int
    at: datetime
    seen: int
    """Items that had come since the reference."""
    score: float
    alarm: bool
    reason: str
    parts: list[DriftPart]
    psi: float | None
    """Population stability index of the label mix."""
    js: float | None
    """Jensen–Shannon divergence of the label mix, in bits."""
    labels_by: Literal["draft", "answer"] | None
    """Whose labels were compared; the same on both sides."""
    shifts: list[DriftShift]
    drivers: list[str]
    """Ids of the items least like the reference, the strangest first."""


class DriftPoint(World):
    """A stretch of a model's drafts, oldest first."""

    size: int
    agreement: float
    probability: float | None
    ece: float | None


class DriftWatch(World):
    """Somebody's or some model's outcomes, watched one by one."""

    about: Literal["annotator", "agreement", "calibration"]
    who: str
    """A user's id, or a model's name."""
    by: Literal["others", "draft", "answer"]
    """What the outcomes are held against."""
    score: float
    alarm: bool
    before: float
    now: float
    n: int
    reason: str
    over_time: list[DriftPoint] = Field(default_factory=list)


class DriftReport(World):
    """Where a dataset stands with drift."""

    watching: bool
    windows: DriftWindows | None
    reference_items: int
    threshold: float
    """A score of so much is an alarm."""
    score: float | None
    """Of the last look; None before the first."""
    alarm: bool
    """Whether any look since the windows were chosen raised one."""
    alarmed_at: datetime | None
    seen: int
    next_look: int | None
    """The next look is made when so many items have come since the reference."""
    latest: DriftLook | None
    history: list[DriftLook]
    people: list[DriftWatch]
    """Annotators; told to reviewers only."""
    models: list[DriftWatch]
    note: str
