"""What the learning loop tells people: licences, learning curves, when to stop, calibration, agreement."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from schemas.world import World

LicenceState = Literal["auditing", "granted", "refused", "revoked"]


class AuditRegion(World):
    """Drafts with a probability of at least ``threshold``: ``size`` of them, wrong in ``predicted_error``."""

    threshold: float
    size: int
    predicted_error: float


class AuditProgress(World):
    """Items drawn at random, how many of them people have answered, and how many of those drafts were wrong."""

    drawn: int
    answered: int
    wrong: int


class WatchTest(World):
    """The sequential test of the audit that goes on after a grant; it revokes when ``evidence`` is at ``threshold``."""

    tested: int
    errors: int
    evidence: float
    threshold: float
    reason: str


class Licence(World):
    """Which drafts may skip the human: with confidence 1 − ``delta``, at most ``alpha`` of them are wrong."""

    id: str
    dataset_id: str
    job_id: str | None
    state: LicenceState
    model: str
    labelset_version: int
    student_version: int | None
    classes: list[str] | None
    """Keys of the classes it holds for; None means all."""
    alpha: float
    delta: float
    finite: bool
    """Whether only the drafts that it was planned on are promised."""
    audit_share: float
    candidates: int
    """Drafts that there were when it was planned."""
    expected_coverage: float
    regions: list[AuditRegion]
    threshold: float | None
    method: str | None
    coverage: float | None
    """Share of the candidates that was licensed, audited ones included."""
    bound: float | None
    """Upper confidence bound of the error."""
    audit_size: int
    audit_errors: int
    accepted: int
    """Items that skipped the human when it was granted."""
    audit: AuditProgress
    watch: AuditProgress
    watch_test: WatchTest | None
    reason: str
    created_by: str
    created_at: datetime
    granted_at: datetime | None
    ended_at: datetime | None


class LicenceReport(World):
    """Where a dataset stands: licences in force, audits under way, and every one there was, newest first."""

    in_force: list[Licence]
    auditing: list[Licence]
    history: list[Licence]
    accepted: int
    """Items that are auto-accepted now."""
    note: str
    """In words: what is promised, or what is missing."""


class CurvePoint(World):
    """One student: how good its answers to unseen items were, by cross-validation, and on how many it learnt.
    ``accuracy`` and ``ece`` are None as long as there was too little to cross-validate."""

    version: int
    trained_on: int
    labelset_version: int
    accuracy: float | None
    ece: float | None
    macro_f1: float | None
    pseudo_labels: int | None = None
    """Labels that it gave itself and learnt from, beside the verified ones; None where the dataset does not allow it."""
    created_at: datetime


class Expected(World):
    """A number with the 90 % interval that it lies in."""

    value: float
    low: float
    high: float


class StoppingReport(World):
    """What more labels are expected to buy. Expectations are None as long as no student could be cross-validated."""

    labels: int
    """How many more are looked ahead to."""
    points: Expected | None
    """What they add to the student's accuracy, in percentage points."""
    accuracy: Expected | None
    """The student's accuracy now, 0..1."""
    ceiling: Expected | None
    """The accuracy that no number of labels takes it past."""
    hours: float | None
    """What people would spend on them, by how long answers have taken here; None where nobody was timed."""
    usd: float | None
    """What models have cost here, for as many items; None where nothing was drafted."""
    stop: bool
    """Whether they are hardly worth it: even the upper end of ``points`` is 0.3 or less."""
    reason: str


class CalibrationRow(World):
    """How a model's confidences are read here. ``ece`` and ``auroc`` are cross-validated; ``raw_ece`` is of what the
    model claimed."""

    model: str
    route: str
    labelset_version: int
    version: int
    method: str
    blended: bool
    """Whether the student's opinion is part of it."""
    trained_on: int
    ece: float | None
    raw_ece: float | None
    auroc: float | None
    log_loss: float | None
    created_at: datetime


class ReliabilityRow(World):
    """Drafts whose probability lies in ``low``..``high``: how many people have judged, and how many were right."""

    low: float
    high: float
    size: int
    probability: float
    accuracy: float


class LearningMetrics(World):
    """How the learning goes."""

    curve: list[CurvePoint]
    stopping: StoppingReport
    calibrations: list[CalibrationRow]


class Measure(World):
    """A statistic with its 95 % bootstrap interval. ``value`` is None where it is not defined; ``note`` says why."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    observed: float | None = None
    """The plain share of agreement, where the measure has one."""
    items: int = 0
    note: str = ""


class PairAgreement(World):
    """Two people's answers to the same items."""

    one: str
    """A user's id, as the other."""
    other: str
    measure: Measure


class ModelAgreement(World):
    """A model's drafts beside the answers that people gave."""

    model: str
    route: str
    measure: Measure
    blind: Measure | None
    """The same over audit items, which people answered without sight of the draft; None without any."""
    reliability: list[ReliabilityRow] = Field(default_factory=list)


class AgreementReport(World):
    """How far people agree with each other, and models with people."""

    kind: str
    items: int
    """Items that at least two people have answered."""
    annotators: int
    overall: list[Measure]
    pairs: list[PairAgreement]
    models: list[ModelAgreement]
    replaceable: Measure | None = None
    """The alternative annotator test: the share of annotators whom the model with most drafts could replace; a half
    passes. None where it was not made."""
    note: str = ""
