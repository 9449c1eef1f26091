"""The guidance crew in conversation: one agent, a set of tools, and a gate before everything that it would propose.

The recipe: stream an answer; run the tools it called, under the rights of who asks, and hand the results back as data;
again, until it has said what it has to say. It never acts: a proposal becomes a button in front of the user. What texts
of items make it propose is stopped by rules that no text can change (:class:`Gate`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from agents.client import ModelClient
from agents.completion import total
from agents.data import quoted
from agents.orders import gives_orders
from agents.streaming import Chat, ToolCall, Turn, stream_turn
from schemas.errors import LabelCrewError, error_of
from schemas.guidance import Proposal
from schemas.spending import Spend
from schemas.world import Usage

ROUNDS = 6
TOOL_SECONDS = 20.0
RESULT_CHARACTERS = 12_000
MOST_PROPOSALS = 4

Event = tuple[str, dict[str, Any]]
"""``token`` {text}, ``tool`` {name, summary}, ``proposal`` {…}, ``notice`` {text}."""


@dataclass
class Found:
    """What a tool found. ``texts`` are texts of items in it, by number; ``lines`` the guideline lines that it showed."""

    value: Any
    texts: dict[int, str] = field(default_factory=dict)
    items: dict[int, str] = field(default_factory=dict)
    lines: Sequence[int] = ()
    proposal: Proposal | None = None
    supported: bool = False
    """Of a proposed label: the statistics suggest the same."""
    summary: str = ""


@dataclass(frozen=True)
class Tool:
    """Something the assistant may call. ``parameters`` is a strict JSON schema of an object."""

    name: str
    description: str
    parameters: dict[str, Any]
    run: Callable[[dict[str, Any]], Awaitable[Found]]

    @property
    def declared(self) -> dict[str, Any]:
        """As OpenAI's protocol declares it."""
        return {
            "type": "function",
            "function": {
                "name": self.name, "description": self.description, "strict": True, "parameters": self.parameters,
            },
        }  # fmt: skip


class Gate:
    """Which proposals a user gets to see.

    A label: for the item that is open, or one that the user named. A job or a guideline line: when the user's own words
    ask for such a thing. When a text that was read in this conversation gives orders, a label must besides be what the
    statistics suggest, or what the user named; for the item that gives them only the latter, because its text moves the
    statistics too. The user's words are what the user typed, and nothing else.
    """

    JOB = re.compile(
        r"\b(job|run|start|pre-?label\w*|draft\w*|train\w*|export\w*|embed\w*|rank\w*|scan\w*|accept\w*|consensus"
        r"|order\w*|label (all|them|everything|the rest))\b",
        re.IGNORECASE,
    )
    LINE = re.compile(r"\b(guidelines?|rules?|lines?|instructions?|written|write|document\w*|note)\b", re.IGNORECASE)
    ADDRESS = re.compile(r"https?:|www\.|\S@\S+\.\w|]\(|<\s*/?\s*[a-z!]", re.IGNORECASE)

    def __init__(self, asked: Sequence[str], open_item: str | None) -> None:
        """``asked`` are the user's own messages, newest last; ``open_item`` is the id of the item on the screen."""
        self._words = "\n".join(asked[-3:])
        self._open = open_item
        self._seen: set[str] = set()
        self.hostile: set[int] = set()
        """Numbers of items whose texts give orders."""

    def read(self, texts: dict[int, str]) -> list[int]:
        """Texts that the model is about to read; those, newly, that give orders."""
        found = [number for number, text in texts.items() if number not in self.hostile and gives_orders(text)]
        self.hostile.update(found)
        return found

    def objection(self, found: Found, names: Sequence[str] = ()) -> str:
        """Why the user should not see this proposal; empty when they may. ``names`` are the proposed labels' names, and
        how the item is called."""
        proposal = found.proposal
        assert proposal is not None
        fingerprint = proposal.model_dump_json(exclude={"id", "why"})
        if fingerprint in self._seen:
            return "it was proposed before"
        if len(self._seen) >= MOST_PROPOSALS:
            return "there are enough proposals for one answer"
        reason = {"set_label": self._label, "start_job": self._job, "add_guideline": self._line}[proposal.kind](
            found, proposal, names
        )
        if not reason and (self.ADDRESS.search(proposal.why) or gives_orders(proposal.why)):
            proposal.why = ""
        if not reason:
            self._seen.add(fingerprint)
        return reason

    def _label(self, found: Found, proposal: Proposal, names: Sequence[str]) -> str:
        called = [name for name in names if name.startswith("#") or name == proposal.item_id]
        if proposal.item_id != self._open and not any(self._said(name) for name in called):
            return "it is for an item that the user neither has open nor named"
        labels = [name for name in names if name not in called]
        named = bool(labels) and all(self._said(name) for name in labels)
        if self.hostile.intersection(found.texts) and not named:
            return "the text of the item gives orders, and the user did not name this label"
        if self.hostile and not found.supported and not named:
            return "a text that was read gives orders, and the statistics do not suggest this label"
        return ""

    def _job(self, _found: Found, _proposal: Proposal, _names: Sequence[str]) -> str:
        return "" if self.JOB.search(self._words) else "the user's own words do not ask for a job"

    def _line(self, _found: Found, proposal: Proposal, _names: Sequence[str]) -> str:
        line = proposal.line or ""
        if not self.LINE.search(self._words):
            return "the user's own words do not ask for a guideline"
        if self.ADDRESS.search(line) and line not in self._words:
            return "it holds an address"
        if gives_orders(line) and self.hostile:
            return "a text that was read gives orders, and this line gives some too"
        return ""

    def _said(self, name: str) -> bool:
        return bool(re.search(rf"(?<![\w#]){re.escape(name)}(?!\w)", self._words, re.IGNORECASE))


@dataclass
class Answer:
    """What came of a question; whole when the events have ended."""

    text: str = ""
    tools: list[str] = field(default_factory=list)
    proposals: list[Proposal] = field(default_factory=list)
    items: dict[int, str] = field(default_factory=dict)
    """Items that were shown, by number: what may be cited."""
    lines: set[int] = field(default_factory=set)
    usages: list[Usage] = field(default_factory=list)

    @property
    def usage(self) -> Usage:
        """Of all calls together."""
        return total(self.usages)

    def cited(self) -> tuple[list[str], list[int], list[str]]:
        """Ids of items and numbers of lines that the text cites and that were shown; and what it cites that was not."""
        numbers = {int(n) for n in re.findall(r"(?<![\w&])#(\d{1,12})\b", self.text)}
        lines = {int(n) for n in re.findall(r"\bline (\d{1,6})\b", self.text, re.IGNORECASE)}
        unknown = [f"#{n}" for n in sorted(numbers - set(self.items))] + [
            f"line {n}" for n in sorted(lines - self.lines)
        ]
        return [self.items[n] for n in sorted(numbers & set(self.items))], sorted(lines & self.lines), unknown


class Assistant:
    """Answers one question after the other with one model and one person's tools."""

    def __init__(self, client: ModelClient, tools: Sequence[Tool], gate: Gate, *, spend: Spend | None = None) -> None:
        self._client = client
        self._tools = {tool.name: tool for tool in tools}
        self._gate = gate
        self._spend = spend

    async def answer(self, messages: list[Chat], answer: Answer) -> AsyncGenerator[Event, None]:
        """The events of an answer to the last of ``messages``, which grow by what is said and found. Close the iterator
        to stop; ``answer`` holds what was said and spent until then. Raises what the model's client raises."""
        declared = [tool.declared for tool in self._tools.values()]
        for round_ in range(ROUNDS):
            turn = Turn()
            pieces = stream_turn(
                self._client, messages, turn, tools=declared if round_ < ROUNDS - 1 else (), spend=self._spend
            )
            try:
                async with aclosing(pieces):
                    async for piece in pieces:
                        answer.text += piece
                        yield "token", {"text": piece}
            finally:
                answer.usages.append(turn.usage)
            if not turn.calls:
                break
            if answer.text and not answer.text.endswith("\n"):
                answer.text += "\n\n"
                yield "token", {"text": "\n\n"}
            messages.append(turn.as_message())
            for call in turn.calls:
                async for event in self._use(call, messages, answer):
                    yield event
        unknown = answer.cited()[2]
        if unknown:
            yield "notice", {"text": f"The answer names {', '.join(unknown)}, which was not looked up."}

    async def _use(self, call: ToolCall, messages: list[Chat], answer: Answer) -> AsyncGenerator[Event, None]:
        """Runs a tool, hands its result to the model as data, and tells the user."""
        answer.tools.append(call.name)
        found = await self._run(call)
        hostile = self._gate.read(found.texts)
        answer.items.update(found.items)
        answer.lines.update(found.lines)
        yield "tool", {"name": call.name, "summary": found.summary}
        if hostile:
            named = ", ".join(f"#{number}" for number in hostile)
            yield "notice", {"text": f"The text of {named} reads like orders to the assistant. They are not followed."}
        value = found.value
        if found.proposal is not None:
            objection = self._gate.objection(found, _names_in(found))
            value = (
                {"shown": False, "because": objection} if objection else {"shown": True, "note": "The user decides."}
            )
            if objection:
                yield "notice", {"text": f"A proposal was held back: {objection}."}
            else:
                answer.proposals.append(found.proposal)
                yield "proposal", found.proposal.model_dump(mode="json")
        data = quoted(value)
        if len(data) > RESULT_CHARACTERS:
            data = f"{data[:RESULT_CHARACTERS]}… (cut)"
        messages.append({"role": "tool", "tool_call_id": call.id, "content": f"<data>\n{data}\n</data>"})

    async def _run(self, call: ToolCall) -> Found:
        tool = self._tools.get(call.name)
        try:
            if tool is None:
                raise error_of("invalid", "there is no such tool")
            values = call.values
            if values is None or set(values) != set(tool.parameters["properties"]):
                raise error_of("invalid", "the arguments are not what the tool takes")
            return await asyncio.wait_for(tool.run(values), TOOL_SECONDS)
        except TimeoutError:
            return Found({"error": "unavailable", "detail": "this took too long"}, summary="took too long")
        except LabelCrewError as error:
            return Found({"error": error.code, "detail": error.detail}, summary=error.detail)


def _names_in(found: Found) -> list[str]:
    """How a proposed label and its item are called, for the gate."""
    value = found.value if isinstance(found.value, dict) else {}
    return [str(name) for name in value.get("names", ())]
