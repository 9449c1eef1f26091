"""What the assistant says: hints about one item, and the messages, events and proposals of the chat.

Everything that is cited carries the id of something that exists: verified items by their id, guideline lines by the
number of the line in the dataset's Markdown. A proposal is a request that the user may send; nothing here acts.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.payloads import Payload
from schemas.world import Alternative, Usage, World

TEMPLATE = "template"
"""Who worded a hint when no language model did."""


class GuidelineLine(World):
    """A passage of the dataset's guidelines; ``line`` counts from 1 in the Markdown source."""

    line: int
    text: str
    heading: str = ""


class HintExample(World):
    """A verified item that is like the one in question."""

    item_id: str
    seq: int
    external_id: str | None = None
    text: str
    payload: Payload
    similarity: float
    """Cosine, -1..1."""
    copies: int = 0
    """How many more near ones have the same text, or nearly, and the same answer."""


class Confusion(World):
    """The class that this one is most easily taken for, and what tells them apart."""

    label: str
    rival: str
    probability: float
    """Of the rival, for this item."""
    times: int = 0
    """How often, of late, drafts of one of the two were corrected to the other."""
    tell_apart: str
    example: HintExample | None = None
    """The nearest verified item that has the rival's label."""


class Hint(World):
    """Help with one item. ``suggestions`` are class keys, likeliest first; ``payload`` is the answer they amount to."""

    id: str
    item_id: str
    payload: Payload | None
    probability: float | None
    suggestions: list[Alternative]
    by: str
    """The model that the suggestion comes from."""
    why: str
    confusion: Confusion | None
    examples: list[HintExample]
    guideline_lines: list[GuidelineLine]
    worded_by: str
    """``template``, or the language model whose words ``why`` and ``tell_apart`` are."""
    note: str = ""
    """What the reader should know about this hint: that no language model is configured, that nothing is verified yet."""
    usage: Usage = Field(default_factory=Usage)


class HintArm(World):
    """First answers of people who saw a hint, a draft only, neither because there was none, or neither on purpose."""

    arm: Literal["blind", "hinted", "drafted", "bare"]
    answers: int
    median_ms: float | None = None
    suggested: int
    """Answers where there was something suggested (in the blind arm: that would have been)."""
    as_suggested: int
    judged: int
    """Answers where somebody else decided in the end."""
    as_final: int


class HintEffect(World):
    """Whether hints help and whether they pull labels."""

    arms: list[HintArm]
    hints: int
    cost_usd: float
    """What hints and chat have cost in this dataset."""


class ChatAsk(BaseModel):
    """A question to the assistant, about an item or about the dataset."""

    model_config = ConfigDict(extra="forbid")

    message: str = Field(min_length=1, max_length=8_000)
    item_id: str | None = Field(default=None, pattern=r"^[0-9a-fA-F-]{36}$")


ProposalKind = Literal["set_label", "start_job", "add_guideline"]


class ActionRequest(World):
    """The ordinary request that carries a proposal out, once the user wants it."""

    method: Literal["PUT", "POST", "PATCH"]
    path: str
    body: dict[str, Any]


class Proposal(World):
    """Something that the assistant would do; only the user can."""

    id: str
    kind: ProposalKind
    title: str
    why: str = ""
    item_id: str | None = None
    payload: Payload | None = None
    job: dict[str, Any] | None = None
    line: str | None = None
    request: ActionRequest


class ChatData(World):
    """What goes with an answer."""

    proposals: list[Proposal] = Field(default_factory=list)
    items: list[str] = Field(default_factory=list)
    """Items that the answer cites."""
    lines: list[int] = Field(default_factory=list)
    """Guideline lines that the answer cites."""
    tools: list[str] = Field(default_factory=list)
    model: str = ""
    usage: Usage = Field(default_factory=Usage)
    ended: Literal["done", "cancelled", "failed"] = "done"


class ChatMessage(World):
    id: str
    item_id: str | None = None
    role: Literal["user", "assistant"]
    content: str
    data: ChatData | None
    """Of an answer."""
    created_at: datetime


class ChatHistory(World):
    """Messages, oldest first; ``next`` asks for those before them."""

    messages: list[ChatMessage]
    next: int | None = None
