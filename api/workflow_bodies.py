"""What clients may send about reviews and about many items at once: one model a request body (more in bodies.py)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from api.bodies import MAX_CLAIM, MAX_INTEGER, AnyPayload, Body, Id, Key
from schemas.reviews import BulkAction, Decision
from schemas.world import ItemState

MAX_IDS = 10_000
Comment = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000)]
Share = Annotated[float, Field(ge=0, le=1)]


class ReviewOrder(Body):
    """How many items to take for review, and at which level."""

    level: Literal[2, 3] = 2
    count: int = Field(default=1, ge=1, le=MAX_CLAIM)


class NewReview(Body):
    """A decision about the answer that counts. A rejection needs a comment, a correction a payload."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"decision": "approved"}]})

    decision: Decision
    payload: AnyPayload | None = None
    labelset_version: int | None = Field(default=None, ge=1, le=2**31 - 1)
    """The newest, when left out."""
    comment: Comment = ""
    lease_id: Id | None = None
    token: int | None = Field(default=None, ge=0, le=MAX_INTEGER)
    key: Key | None = None
    """Sending the same key again gives the first review's result and stores nothing."""


class Appeal(Body):
    """Why the review is wrong."""

    comment: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]


class Return(Body):
    """Why the item goes back into the queue."""

    note: Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000)] = ""


class Gold(Body):
    """The known answer; the one that counts, when left out."""

    payload: AnyPayload | None = None
    labelset_version: int | None = Field(default=None, ge=1, le=2**31 - 1)


class ItemFilter(Body):
    """Items to which all of it applies."""

    states: list[ItemState] | None = Field(default=None, min_length=1)
    label: str | None = Field(default=None, min_length=1, max_length=200)
    sources: list[Annotated[str, StringConstraints(max_length=50)]] | None = Field(
        default=None, min_length=1, max_length=20
    )
    q: str | None = Field(default=None, min_length=1, max_length=500)
    min_probability: Share | None = None
    max_probability: Share | None = None


class BulkOrder(Body):
    """One action on many items: those named by `ids`, or those that a `filter` finds now. With `dry_run` it is only
    counted what would happen."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"action": "approve", "filter": {"states": ["annotated"], "label": "positive"}, "dry_run": True}
            ]
        }
    )

    action: BulkAction
    ids: list[Id] | None = Field(default=None, min_length=1, max_length=MAX_IDS)
    filter: ItemFilter | None = None
    dry_run: bool = False
    payload: AnyPayload | None = None
    """The answer of `set_class`."""
    user: Id | None = None
    """To whom `assign` gives the items."""
    hours: int = Field(default=168, ge=1, le=8760)
    """How long `assign` keeps them for that person alone."""
    comment: Comment = ""
    """Why they are rejected or sent back; a rejection needs one."""
    key: Key | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> BulkOrder:
        if (self.ids is None) == (self.filter is None):
            raise ValueError("name the items by ids or by a filter, not both")
        for action, name in (("set_class", "payload"), ("assign", "user")):
            if (self.action == action) != (getattr(self, name) is not None):
                raise ValueError(f"{name} goes with {action}")
        return self

    def options(self) -> dict[str, Any]:
        """What the action is done with, as the database keeps it."""
        return self.model_dump(mode="json", include={"payload", "user", "hours", "comment"}, exclude_none=True)
