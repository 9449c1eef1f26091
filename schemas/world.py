"""The things of the domain as they cross a border: datasets, items, predictions, annotations, leases, jobs, people.

The SQL functions return exactly these shapes as jsonb and the gateway sends them on, so a field has one name in the
database, in Python, over HTTP and in the web client. Times are UTC with a zone; ids are UUIDs as strings.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.labelsets import Labelset
from schemas.payloads import Payload

Modality = Literal["text", "image", "audio", "video"]
WaitingState = Literal["annotated", "reviewed", "returned", "skipped"]
"""States in which an item waits for a certain person's turn."""
Role = Literal["annotator", "reviewer", "super_reviewer", "admin"]
ItemState = Literal["new", "drafted", "annotated", "reviewed", "verified", "returned", "skipped", "auto_accepted"]
JobKind = Literal[
    "import", "export", "embed", "prelabel", "train", "rank", "quality_scan", "auto_accept", "bulk", "consensus"
]
JobState = Literal["queued", "running", "paused", "done", "failed", "cancelled"]
Route = Literal["local", "student", "llm", "crew", "import", "human"]
"""Who answered: the embedded model without training, the trained student, a language model alone, a crew that
deliberated, a file that was imported, a person."""


class World(BaseModel):
    """Base of every shape: unknown fields are dropped on reading, so that an older client reads a newer server."""

    model_config = ConfigDict(extra="ignore")


class User(World):
    id: str
    email: str
    name: str = ""
    active: bool = True
    is_owner: bool = False
    """The first account of an installation; may list all accounts, and switch them off and on."""
    kind: Literal["person", "service"] = "person"
    created_at: datetime


class Member(World):
    user_id: str
    email: str
    name: str = ""
    role: Role
    skills: list[str] = Field(default_factory=list)
    kind: Literal["person", "service"] = "person"
    active: bool = True
    """False when the account is switched off: the role sleeps."""
    created_at: datetime


class DatasetSettings(BaseModel):
    """How work flows in one dataset. Shares are fractions of 1."""

    model_config = ConfigDict(extra="forbid")

    review_levels: Literal[1, 2, 3] = 1
    overlap: int = Field(default=1, ge=1, le=50)
    lease_seconds: int = Field(default=600, ge=10, le=86_400)
    gold_share: float = Field(default=0.0, ge=0, le=0.5)
    blind_share: float = Field(default=0.05, ge=0, le=0.5)
    audit_share: float = Field(default=0.0, ge=0, le=0.5)
    review_share_new: float = Field(default=1.0, ge=0, le=1)
    """With two review levels or more: how many answers of people who are not trusted yet are reviewed."""
    review_share_trusted: float = Field(default=0.2, ge=0, le=1)
    """The same for trusted people, and where several people agreed."""
    review_trusted_after: int = Field(default=20, ge=1, le=1000)
    """Somebody is trusted when of as many of their last reviewed answers nine in ten were approved."""
    review_lease_seconds: int = Field(default=900, ge=10, le=86_400)
    return_seconds: int = Field(default=86_400, ge=0, le=2_592_000)
    """How long a rejected item waits for its author, and after that its new answer for its reviewer."""
    appeal_seconds: int = Field(default=604_800, ge=0, le=2_592_000)
    """How long an author may appeal against a review; 0 for never."""
    expiry_limit: int = Field(default=5, ge=1, le=1000)
    """After so many leases that ran out without an answer, only reviewers are handed the item."""
    max_open: int = Field(default=100, ge=1, le=100)
    """How many items one person may hold at once."""
    max_per_day: int | None = Field(default=None, ge=1, le=100_000)
    """How many items one person may answer in a day (UTC)."""
    sla_minutes: dict[
        Literal["annotated", "reviewed", "returned", "skipped"], Annotated[int, Field(ge=1, le=525_600)]
    ] = Field(default_factory=dict)
    """How long an item may wait in a state before it counts as overdue."""
    queue_order: Literal["adaptive", "arrival"] = "adaptive"
    """Whether the queue shows first what teaches the student most, or what came first."""
    consensus: Literal["majority", "weighted", "dawid_skene", "pooled", "glad", "mace", "crowdlab", "with_model"] = (
        "majority"
    )
    """How several people's answers to an item become one: see learning/consensus."""
    pseudo_labels: bool = False
    """Whether the student may also learn from labels that it gives itself where it is very sure."""
    crew_threshold: float = Field(default=0.5, ge=0, le=1)
    """Drafts of a language model below this probability go to the crew in bulk runs."""
    model: str | None = None
    """The model that drafts here; None means the server's default."""
    budget_usd: float | None = Field(default=None, ge=0)
    """What hints and chat may cost here in all; jobs have budgets of their own."""


class StateCounts(World):
    new: int = 0
    drafted: int = 0
    annotated: int = 0
    reviewed: int = 0
    verified: int = 0
    returned: int = 0
    skipped: int = 0
    auto_accepted: int = 0


class Dataset(World):
    id: str
    name: str
    modality: Modality
    guidelines: str = ""
    settings: DatasetSettings
    role: Role
    """The role of the one who asks."""
    items: int
    states: StateCounts
    labelset: Labelset | None
    """The newest version."""
    embedding_model: str | None = None
    created_at: datetime
    updated_at: datetime


class Alternative(World):
    """A class that was considered, with its probability."""

    label: str
    probability: float


class Usage(World):
    """What an answer cost. Tokens are the provider's count; ``cost_usd`` follows the price table."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    latency_ms: float = 0.0


class DraftError(World):
    code: str
    detail: str


class Draft(World):
    """A model's answer for one item, stored or not. ``payload`` is None exactly when ``error`` is set."""

    item_id: str
    payload: Payload | None
    confidence: float | None = None
    """What the model itself claimed or computed, 0..1, uncalibrated."""
    probability: float | None = None
    """The calibrated probability that the payload is right, 0..1."""
    probability_interval: tuple[float, float] | None = None
    """How sure that probability is: 90 % bounds, where they are known."""
    signals: dict[str, float] = Field(default_factory=dict)
    """What else speaks for the payload, 0..1 each, by name: ``student``, the student's probability of it."""
    alternatives: list[Alternative] = Field(default_factory=list)
    rationale: str = ""
    model: str
    prompt_hash: str | None = None
    labelset_version: int = 1
    route: Route
    route_reason: str = ""
    usage: Usage = Field(default_factory=Usage)
    error: DraftError | None = None


class Prediction(Draft):
    """A stored draft."""

    id: str
    job_id: str | None = None
    created_at: datetime


class Annotation(World):
    """A person's answer; every change is a new revision, the newest has ``current`` set."""

    id: str
    item_id: str
    user_id: str
    payload: Payload
    labelset_version: int
    level: int = 1
    revision: int
    current: bool = True
    source: Literal["human", "import"] = "human"
    lead_time_ms: int | None = None
    created_at: datetime


class Item(World):
    id: str
    dataset_id: str
    seq: int
    """Order of arrival in the dataset; the cursor of pages."""
    external_id: str | None = None
    text: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    state: ItemState
    priority: float = 0.0
    arm: Literal["control", "audit", "blind"] | None = None
    """Drawn at random: to compare with (control), to check drafts unseen (audit), to be answered without help (blind)."""
    licence_id: str | None = None
    """Of an auto-accepted item: the licence that allows to skip the human."""
    tags: list[str] = Field(default_factory=list)
    """Skills that whoever claims it must have: a language, a subject."""
    gold: bool = False
    """It has a known answer and shows how annotators answer; they are not told."""
    draft: Prediction | None = None
    """The newest prediction without an error."""
    annotation: Annotation | None = None
    """The answer that counts: the newest final one."""
    created_at: datetime
    updated_at: datetime


class ItemPage(World):
    items: list[Item]
    next_cursor: str | None = None
    total: int | None = None


class Lease(World):
    id: str
    item_id: str
    token: int
    """Fencing token: grows with every hand-out of the item; an older one is refused."""
    expires_at: datetime


class Claim(World):
    lease: Lease
    item: Item


class Submitted(World):
    annotation: Annotation
    item: Item
    created: bool
    """False when the same request had been stored before."""


class Event(World):
    """One line of the audit log."""

    id: int
    dataset_id: str | None
    actor_id: str | None
    kind: str
    subject_id: str | None = None
    data: dict[str, Any] = Field(default_factory=dict)
    before: dict[str, Any] | None = None
    """What changed of the subject: its fields as they were; None where that was not noted."""
    after: dict[str, Any] | None = None
    """The same fields as they became."""
    request_id: str | None = None
    """Of the request that did it; None when a worker did."""
    created_at: datetime


class Rejection(World):
    """A row of a file that was not taken, and why."""

    line: int
    reason: str
    code: str


class Rejections(World):
    """A page of the rows that an import did not take, by line. ``next`` is the line to go on after; None at the end."""

    rejections: list[Rejection]
    next: int | None = None


class JobEstimate(World):
    items: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    """None when the model's price is unknown."""
    minutes: float
    model: str
    human_minutes: float = 0.0
    """What people will spend on it, by how long answers have taken here."""
    split: dict[str, int] = Field(default_factory=dict)
    """Items by route, where the job decides it for each: student, llm, crew, human."""
    note: str = ""
    """What is expected, in words."""


class Job(World):
    id: str
    dataset_id: str
    run: int = 1
    """Counts how often it was started: a job that is resumed runs anew on what is left."""
    kind: JobKind
    state: JobState
    params: dict[str, Any] = Field(default_factory=dict)
    total: int | None = None
    done: int = 0
    failed: int = 0
    rate: float | None = None
    """Items a second, over the last half minute."""
    eta_seconds: float | None = None
    budget_usd: float | None = None
    reserved_usd: float = 0.0
    cost_usd: float = 0.0
    error: DraftError | None = None
    note: str = ""
    """Why it ended or waits, in words: "the budget is used up"."""
    result: dict[str, Any] = Field(default_factory=dict)
    created_by: str
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None


class SimilarItem(World):
    item: Item
    similarity: float
    """Cosine, -1..1."""
