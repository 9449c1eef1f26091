"""What clients may send: one model a request body.

What the gateway answers are the shapes of ``schemas/world.py``, as the SQL functions return them. What it accepts is
narrower than those, so it is spelled out here. Limits on sizes stand here too, because they are promises to clients.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    WithJsonSchema,
)

from schemas.labelsets import ClassName
from schemas.payloads import Boxes, Classification, Kind, Polygons, Segments, Spans
from schemas.people import Skills
from schemas.world import Claim, DatasetSettings, Modality, Role, User

MAX_ROWS = 5_000
MAX_CLAIM = 100

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Email = Annotated[
    str, StringConstraints(strip_whitespace=True, pattern=r"^[^@\s]+@[^@\s]+$", min_length=3, max_length=320)
]
Id = Annotated[
    str,
    BeforeValidator(lambda value: str(value if isinstance(value, UUID) else UUID(str(value)))),
    WithJsonSchema({"type": "string", "format": "uuid"}),
]
Key = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Guidelines = Annotated[str, StringConstraints(max_length=200_000)]
MAX_INTEGER = 2**53 - 1
"""Largest that JavaScript can hold."""


def _shape(value: Any) -> str | None:
    """Which payload a value means to be: the one key that names its shape."""
    shapes = ("labels", "spans", "boxes", "polygons", "segments")
    if isinstance(value, dict):
        return next((shape for shape in shapes if shape in value), None)
    return next((shape for shape in shapes if hasattr(value, shape)), None)


AnyPayload = Annotated[
    Annotated[Classification, Tag("labels")]
    | Annotated[Spans, Tag("spans")]
    | Annotated[Boxes, Tag("boxes")]
    | Annotated[Polygons, Tag("polygons")]
    | Annotated[Segments, Tag("segments")],
    Discriminator(
        _shape,
        custom_error_type="payload_shape",
        custom_error_message="an answer has one key: labels, spans, boxes, polygons or segments",
    ),
]
"""A payload of any kind; a wrong one is told what is wrong with *its* kind, not with all five."""


class Body(BaseModel):
    """Base of every request body: a field that is not known is refused, so that a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


# who asks ------------------------------------------------------------------------------------------------------------


class PasswordGrant(Body):
    """Sign in with email and password."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"grant": "password", "email": "ada@example.org", "password": "correct horse"}]}
    )

    grant: Literal["password"]
    email: Email
    password: str = Field(min_length=1, max_length=1024)


class LinkGrant(Body):
    """Sign in with the one-time token of a sign-in link."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"grant": "link", "token": "Zm9vYmFy-one-time-token"}]})

    grant: Literal["link"]
    token: str = Field(min_length=16, max_length=200)


Grant = Annotated[PasswordGrant | LinkGrant, Field(discriminator="grant")]


class Token(BaseModel):
    """A signed-in session; send it as ``Authorization: Bearer <access_token>``."""

    access_token: str
    token_type: Literal["bearer"]
    expires_in: int
    """Seconds."""
    user: User


class NewMember(Body):
    """Give somebody with an account a role, or another role than before."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"email": "bo@example.org", "role": "annotator"}]})

    email: Email
    role: Role
    skills: Skills | None = None
    """What kinds of items the person is good for; as they are when left out."""


# datasets ------------------------------------------------------------------------------------------------------------


class NewLabelClass(Body):
    """One class. Its ``key`` never changes, so a class that is renamed is sent with the key that it has."""

    name: ClassName
    key: Key | None = None
    """The old key of a class of the same name, else the name, when left out."""
    description: str = Field(default="", max_length=4000)
    color: str = Field(default="", pattern=r"^(#[0-9a-fA-F]{6})?$")
    """Like #2563eb; one of a readable palette when left out."""
    hotkey: str = Field(default="", max_length=1)
    examples: list[Annotated[str, StringConstraints(max_length=4000)]] = Field(default_factory=list, max_length=50)
    retired: bool = False


class NewLabelset(Body):
    """The classes and rules that answers must follow from now on. Every change is a new version."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"kind": "classification", "classes": [{"name": "positive"}, {"name": "negative"}]}]
        }
    )

    kind: Kind = "classification"
    classes: list[NewLabelClass] = Field(min_length=1, max_length=1000)
    multi: bool = False
    allow_overlap: bool = False


class NewDataset(Body):
    """A dataset; whoever makes it becomes its admin."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Reviews",
                    "guidelines": "Label the writer's overall mood.",
                    "labelset": {"classes": [{"name": "positive"}, {"name": "negative"}]},
                }
            ]
        }
    )

    name: Name
    modality: Modality = "text"
    guidelines: Guidelines = ""
    settings: DatasetSettings | None = None
    labelset: NewLabelset | None = None


class DatasetPatch(Body):
    """Only what is given changes, within `settings` too."""

    name: Name | None = None
    guidelines: Guidelines | None = None
    settings: DatasetSettings | None = None


# items ---------------------------------------------------------------------------------------------------------------


class ImportedPrediction(Body):
    """A draft that some other model made."""

    payload: AnyPayload
    confidence: float | None = Field(default=None, ge=0, le=1)
    probability: float | None = Field(default=None, ge=0, le=1)
    model: Name
    rationale: str = Field(default="", max_length=10_000)


class NewItem(Body):
    """One item. An ``external_id`` (or else the text itself) says which item it is, so sending it twice is harmless."""

    external_id: str | None = Field(default=None, min_length=1, max_length=500)
    text: str = Field(min_length=1, max_length=1_000_000)
    metadata: dict[str, Any] = Field(default_factory=dict)
    annotation: AnyPayload | None = None
    """An answer that somebody already gave: it counts as verified."""
    prediction: ImportedPrediction | None = None


class NewItems(Body):
    """Up to 5,000 items."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "rows": [
                        {"external_id": "r-1", "text": "Arrived late and broken."},
                        {"text": "Would buy again.", "annotation": {"labels": ["positive"]}},
                    ]
                }
            ]
        }
    )

    rows: list[NewItem] = Field(min_length=1, max_length=MAX_ROWS)


class ItemResult(BaseModel):
    """What became of one row: the item's id, and whether the item is new."""

    index: int
    id: str
    created: bool


class ItemsCreated(BaseModel):
    """What became of the rows. ``results`` follow the order of the rows; None above 1,000 rows."""

    created: int
    existing: int
    updated: int = 0
    results: list[ItemResult] | None = None


# the queue -----------------------------------------------------------------------------------------------------------


class ClaimOrder(Body):
    """How many items to take; those already held are handed out again first."""

    count: int = Field(default=1, ge=1, le=MAX_CLAIM)


class Claims(BaseModel):
    """Items held for the one who asked; empty when there is nothing left to do."""

    claims: list[Claim]


class LeaseToken(Body):
    """The fencing token that came with the lease."""

    token: int = Field(ge=0, le=MAX_INTEGER)


class LeaseRelease(LeaseToken):
    """Give an item back; with a reason, as one that cannot be answered."""

    skip_reason: str | None = Field(default=None, min_length=1, max_length=2000)


class Answer(Body):
    """An answer for an item. With `lease_id` and `token` it ends the lease; without, it revises an earlier answer."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"payload": {"labels": ["positive"]}, "labelset_version": 1}]}
    )

    payload: AnyPayload
    labelset_version: int = Field(ge=1, le=2**31 - 1)
    lease_id: Id | None = None
    token: int | None = Field(default=None, ge=0, le=MAX_INTEGER)
    lead_time_ms: int | None = Field(default=None, ge=0, le=2**31 - 1)
    """Milliseconds that the person spent on the item."""
    key: Key | None = None
    """Sending the same key again gives the first answer's result and stores nothing."""


# models and jobs -----------------------------------------------------------------------------------------------------


class PrelabelOrder(Body):
    """Which model should draft; the dataset's own model, or the server's default, when none is named."""

    model: str | None = Field(default=None, min_length=1, max_length=200)


class ModelPrice(BaseModel):
    """USD per million tokens."""

    input: float
    cached: float
    output: float


class Model(BaseModel):
    """A model that can draft here. ``price`` is None where it is not known, and zero for the embedded model."""

    name: str
    default: bool
    price: ModelPrice | None


OrderedKind = Literal["prelabel", "embed", "train", "rank", "quality_scan", "auto_accept", "export", "consensus"]
"""The jobs that can be ordered by name. Imports begin with their file."""


class JobPlan(Body):
    """What a job is to do."""

    kind: OrderedKind
    params: dict[str, Any] = Field(default_factory=dict, max_length=50)
    budget_usd: float | None = Field(default=None, ge=0, le=1_000_000)


class NewJob(JobPlan):
    """A job to run in the background. The same ``key`` again gives the same job."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "prelabel", "params": {"model": "local/minilm-l6"}}]}
    )

    key: Key | None = None


class ResumeJob(BaseModel):
    """How to go on with a job: with a new budget for the whole of it, where the old one is used up."""

    budget_usd: float | None = Field(default=None, ge=0, le=1_000_000)


class LicenceRevocation(Body):
    """Why the licences are taken back; it is kept with them."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "The guidelines have changed."}]})

    reason: str = Field(min_length=1, max_length=2000)


# operations ----------------------------------------------------------------------------------------------------------


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"]
    version: str


class Readiness(BaseModel):
    """Whether work can be done, and which part hinders it. ``workers`` of zero means that jobs wait."""

    ready: bool
    parts: dict[str, str]
    """A part's name and "ok", or what is wrong with it."""
    workers: int
    """Worker processes that gave a sign of life in the last minute."""


class Problem(BaseModel):
    """Every error, as ``application/problem+json`` (RFC 9457). ``code`` is stable; see docs/errors.md."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str
    detail: str
    hint: str = ""
    request_id: str | None = None
