"""How a dataset does, in numbers: work, quality of drafts, cost, and what hints do to answers."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from schemas.insights import LearningMetrics
from schemas.world import World

Shown = Literal["blind", "plain", "hinted"]
"""What a person saw: neither draft nor hint, the draft where there was one, or a hint too."""


class MetricsSpan(World):
    """What is counted: from ``since`` to before ``until``, None for everything; series have a point a bucket."""

    since: datetime | None
    until: datetime | None
    bucket_seconds: int
    behind: bool
    """Whether the newest rows are not counted yet."""


class PersonWork(World):
    """What one person did. Medians are read off quarter-octave bins: within a tenth."""

    user_id: str
    name: str
    email: str
    answers: int
    timed: int
    """Answers that say how long they took."""
    mean_ms: float | None
    median_ms: float | None
    p90_ms: float | None


class WorkPoint(World):
    """What one person did in one bucket."""

    at: datetime
    user_id: str
    answers: int
    mean_ms: float | None


class Bucket(World):
    """Drafts with a probability in ``low``..``high`` that people have judged, and how many were kept as they were."""

    low: float
    high: float
    judged: int
    kept: int
    probability: float
    accepted: float


class ModelQuality(World):
    """A model's drafts beside the answers given to their items. An answer that differs is an edit."""

    model: str
    judged: int
    edit_rate: float | None
    ece: float | None
    """Of the probabilities, in twenty bins."""
    blind_ece: float | None
    """The same where people did not see the draft; None without any."""
    curve: list[Bucket]


class QualityPoint(World):
    """One model's drafts in one bucket of time."""

    at: datetime
    model: str
    judged: int
    edit_rate: float


class Histogram(World):
    """Twenty equal bins of 0..1."""

    measure: Literal["confidence", "probability"]
    model: str
    counts: list[int]
    mean: float


class ModelCost(World):
    """What a model's drafts have cost. Per verified label: all that they cost, by the items among them that are verified
    now; None where that is not known yet."""

    model: str
    drafts: int
    failures: int
    usd: float
    usd_per_item: float | None
    verified: int | None
    usd_per_verified: float | None


class CostPoint(World):
    """What a model drafted in one bucket."""

    at: datetime
    model: str
    drafts: int
    usd: float


class LabelPoint(World):
    """How often each class was given in one bucket, by its key: by people, by imports, or by drafts."""

    at: datetime
    source: Literal["human", "import", "draft"]
    labels: dict[str, int]


class StatePoint(World):
    """How many items were in those states that changed in a bucket, at its end."""

    at: datetime
    states: dict[str, int]


class ConflictCount(World):
    """Conflicts of one kind."""

    kind: str
    open: int = 0
    resolved: int = 0
    dismissed: int = 0


class Difference(World):
    """A difference of two shares, in points of 1, with its 95 % interval."""

    value: float
    low: float
    high: float


class Arm(World):
    """Answers given with the same things in sight."""

    shown: Shown
    answers: int
    mean_ms: float | None
    median_ms: float | None
    judged: int
    """Answers to items that had a draft, seen or not."""
    kept: float | None
    """The share of those that said the same as the draft."""
    decided: int
    """Answers whose item somebody else, or gold, has decided since."""
    right: float | None
    """The share of those that were right."""
    suggested: int
    """Hints that suggested a label."""
    followed: float | None
    """The share of those that the answer followed."""


class HintMetrics(World):
    """What drafts and hints do. ``pull``: by how much more often answers say what the draft says when it was in sight.
    ``help``: by how much more often they are right with a hint than without any sight of one."""

    arms: list[Arm]
    pull: Difference | None
    help: Difference | None
    note: str


class DriftNow(World):
    """The last look for drift; a score of 1 is the threshold."""

    score: float
    alarm: bool
    at: datetime


class DatasetMetrics(LearningMetrics):
    """Everything that is measured of a dataset."""

    span: MetricsSpan
    items: int
    states: dict[str, int]
    verified_rate: float | None
    """Verified items, by all items."""
    edit_rate: float | None
    """Answers that changed the draft, by answers to items with one."""
    people: list[PersonWork]
    work: list[WorkPoint]
    quality: list[ModelQuality]
    quality_over_time: list[QualityPoint]
    histograms: list[Histogram]
    costs: list[ModelCost]
    cost_over_time: list[CostPoint]
    usd_per_verified: float | None
    """All that models have cost, by verified items."""
    labels: dict[str, int] = Field(default_factory=dict)
    """Items that carry a class now, by its key."""
    labels_at: datetime | None = None
    labels_over_time: list[LabelPoint]
    states_over_time: list[StatePoint]
    conflicts: list[ConflictCount]
    hints: HintMetrics
    drift: DriftNow | None
