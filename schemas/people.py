"""How people and programs come in, and how well they do: invitations, service tokens, scorecards."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from schemas.world import Member, Role, User, World

Scope = Literal["read", "annotate", "manage"]
"""What a service token may be used for: looking, answering items, and everything else that is left to programs."""
Skill = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50)]
Skills = Annotated[list[Skill], Field(max_length=50)]
_Email = Annotated[
    str, StringConstraints(strip_whitespace=True, pattern=r"^[^@\s]+@[^@\s]+$", min_length=3, max_length=320)
]
_Token = Annotated[str, StringConstraints(min_length=16, max_length=200)]
_Days = Annotated[float, Field(gt=0, le=366)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


# invitations ----------------------------------------------------------------------------------------------------------


class NewInvitation(_Body):
    """Invite somebody into a dataset. Inviting them again makes a new link and ends the old one."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"email": "bo@example.org", "role": "annotator"}]})

    email: _Email
    role: Role = "annotator"
    skills: Skills = Field(default_factory=list)
    days: float = Field(default=7, gt=0, le=90)
    """How long the link works."""


class Invitation(World):
    id: str
    dataset_id: str
    email: str
    role: Role
    skills: list[str] = Field(default_factory=list)
    state: Literal["open", "accepted", "revoked", "expired"]
    invited_by: str
    created_at: datetime
    expires_at: datetime
    accepted_at: datetime | None = None
    accepted_by: str | None = None


class NewLink(Invitation):
    """An invitation with its link, which is shown this once."""

    url: str


class InvitationToken(_Body):
    """What stands behind the # of an invitation's link."""

    token: _Token


class InvitationPreview(World):
    """What an invitation is to, for whoever holds its link."""

    dataset: str
    email: str
    role: Role
    invited_by: str
    expires_at: datetime
    account: bool
    """Whether there is an account with that email, who has to sign in to join."""


class Acceptance(_Body):
    """Join. With an access token as the one who is signed in, else by a new account with the invitation's email."""

    token: _Token
    name: str = Field(default="", max_length=200)
    password: str | None = Field(default=None, min_length=12, max_length=1024)
    """For the new account; without one it is entered by sign-in links alone."""


class Joined(World):
    dataset_id: str
    member: Member
    user: User
    created: bool
    """Whether an account was made."""
    access_token: str | None = None
    """Of the new account's first session."""
    expires_in: int | None = None


# accounts -------------------------------------------------------------------------------------------------------------


class Deactivation(World):
    """What ended with an account that was switched off."""

    user: User
    leases_released: int
    tokens_revoked: int
    invitations_revoked: int
    datasets_taken_over: list[str]
    """Those that had no other admin, of which the owner is one now."""


# service tokens -------------------------------------------------------------------------------------------------------


class NewServiceToken(_Body):
    """A service account with a role in the dataset, and a token for it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "nightly import", "role": "admin", "scopes": ["read", "manage"], "days": 90}]
        }
    )

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    role: Role
    scopes: list[Scope] = Field(min_length=1, max_length=3)
    days: _Days = 90


class Rotation(_Body):
    """Replace a token by a new one of the same account."""

    days: _Days | None = None
    """How long the new one lasts; as long as the old one did, when left out."""
    grace_hours: float = Field(default=24, ge=0, le=720)
    """How long the old one still works."""


class ServiceToken(World):
    id: str
    user_id: str
    """The service account, a member of the dataset."""
    name: str
    email: str
    """By which the account can be made a member of other datasets. No mail arrives there."""
    role: Role | None
    scopes: list[Scope]
    ending: str
    """The last four characters, to know it by."""
    state: Literal["active", "replaced", "expired", "revoked"]
    """``replaced`` still works until it expires."""
    created_by: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None = None
    """To five minutes."""


class NewServiceTokenSecret(ServiceToken):
    """A token with its secret, which is shown this once."""

    token: str


# scorecards -----------------------------------------------------------------------------------------------------------


class Rate(World):
    """``right`` of ``of``, and between which bounds the rate behind it lies: the Wilson interval at 95 %."""

    right: int
    of: int
    rate: float | None
    """None where nothing was counted."""
    low: float
    high: float
    best_place: int | None = None
    """Among everybody measured by it, where they stand at best and at worst, from 1: all these ranges hold together
    at 95 %. Only in the list of everybody."""
    worst_place: int | None = None


class Scorecard(World):
    """How somebody's answers in one dataset stand up."""

    user_id: str
    name: str
    email: str
    role: Role | None
    """None for those who were members once."""
    active: bool
    answers: int
    """Items answered; changing one's own answer is not another."""
    answers_week: int
    """In the last seven days."""
    last_at: datetime | None
    median_ms: float | None
    """What an answer takes, of the newest 500."""
    gold: Rate
    """Items with a known answer that were answered so."""
    consensus: Rate
    """Items answered as most of the others did, of those where the others have a majority."""
    acceptance: Rate
    """Answers that a reviewer approved as they were, of those that were reviewed."""
    corrected: int
    rejected: int
    earned: int | None = None
    """All that was earned here, paid out or not, in minor units of ``currency``; only on one's own, where work is paid."""
    currency: str | None = None


class Distinguishable(World):
    """Groups of user ids, best first, by each rate. Only between groups is there a difference that is not chance; one
    group says that nobody can be told from anybody."""

    gold: list[list[str]]
    consensus: list[list[str]]
    acceptance: list[list[str]]


class Scorecards(World):
    people: list[Scorecard]
    """By name."""
    distinguishable: Distinguishable
