"""One question to the assistant: what it starts from, who answers, and what is kept of it.

The question is kept before anything is asked of a model, the answer when it ends, however it ends: said to the end, cut
off by the user, or failed. Both belong to the history of this person and this item; nobody else sees them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import structlog

from agents.client import ModelClient
from agents.data import quoted
from agents.prelabeler import show_classes
from agents.streaming import Chat
from crews.guidance import Answer, Assistant, Event, Gate
from crews.retrieval import answer_by_retrieval
from jobs.allowance import allowance_for
from jobs.chat_tools import OPEN_CHARACTERS, Desk, tools_of
from jobs.labelers import clients_of, is_local
from learning.passages import Passage, passages_of, rank_passages
from prompts import load_prompt
from schemas.errors import LabelCrewError
from schemas.guidance import ChatAsk
from schemas.settings import Settings
from store.rpc import Rpc

REMEMBERED = 12
"""Messages of the history that the model reads."""
HISTORY_CHARACTERS = 16_000
CLASSES_CHARACTERS = 12_000
LINES = 6
STORED_CHARACTERS = 100_000

log = structlog.get_logger("chat")


@dataclass
class Conversation:
    """A question that may be asked. Make it with :func:`open_chat`."""

    rpc: Rpc
    settings: Settings
    desk: Desk
    question: dict[str, Any]
    """As it is kept."""
    history: list[dict[str, Any]]
    client: ModelClient | None
    """None where no language model is configured."""

    @property
    def asked(self) -> str:
        """What the user typed."""
        return str(self.question["content"])

    async def events(self) -> AsyncGenerator[Event, None]:
        """The answer: ``start``, then ``token``, ``tool``, ``notice`` and ``proposal`` as they come, then ``done`` with
        the message that was kept; or ``error`` before it. Close it, or cancel its task, to stop the answer: the model's
        server is told at once, and what was said until then is kept."""
        desk, answer, ended = self.desk, Answer(), "cancelled"
        item = desk.item["id"] if desk.item else None
        model = self.client.model if self.client else ""
        try:
            yield "start", {"question": self.question, "model": model or None}
            try:
                events = self._answer(answer)
                async with aclosing(events):
                    async for event in events:
                        yield event
                ended = "done"
            except LabelCrewError as error:
                ended = "failed"
                yield "error", {"code": error.code, "detail": error.detail, "hint": error.hint}
        finally:
            kept = await _keep(desk, answer, item, model, ended)
        yield "done", kept

    def _answer(self, answer: Answer) -> AsyncGenerator[Event, None]:
        desk, tools = self.desk, tools_of(self.desk)
        own = [m["content"] for m in self.history if m["role"] == "user"]
        gate = Gate([*own, self.asked], desk.item["id"] if desk.item else None)
        if desk.item is not None:
            gate.read({desk.item["seq"]: desk.item["text"] or ""})
            answer.items[desk.item["seq"]] = desk.item["id"]
        if self.client is None:
            return answer_by_retrieval(self.asked, tools, gate, answer, item_open=desk.item is not None)
        budget = desk.dataset["settings"].get("budget_usd")
        spend = allowance_for(self.rpc, desk.actor, desk.id, budget, priced=self.client.price is not None)
        return Assistant(self.client, tools, gate, spend=spend).answer(self._messages(answer), answer)

    def _messages(self, answer: Answer) -> list[Chat]:
        """The prompt, the history that fits, the question. Costs no round trip: the first word should come soon."""
        desk = self.desk
        dataset, labelset = desk.dataset, desk.labelset
        passages = _passages(dataset["guidelines"])
        query = f"{self.asked}\n{(desk.item or {}).get('text') or ''}"
        ranked = rank_passages(passages, np.zeros((len(passages), 1), np.float32), query, None, (), LINES)
        answer.lines.update(passages[index].line for index in ranked)
        item = quoted(desk.shown(desk.item, characters=OPEN_CHARACTERS)) if desk.item else ""
        prompt = load_prompt("chat").render(
            dataset=f"Data set: {quoted(dataset['name'])}, {dataset['items']:,} items, by state: {_states(dataset)}",
            role=dataset["role"],
            classes=show_classes(labelset)[:CLASSES_CHARACTERS] if labelset else "(no labelset yet)",
            lines="\n".join(f"{passages[index].line}: {quoted(passages[index].whole)}" for index in ranked),
            item=item,
        )
        messages: list[Chat] = [dict(message) for message in prompt]
        room, kept = HISTORY_CHARACTERS, []
        for message in reversed(self.history):
            room -= len(message["content"])
            if room < 0:
                break
            if message["content"]:
                kept.append({"role": message["role"], "content": message["content"]})
        return [*messages, *reversed(kept), {"role": "user", "content": self.asked}]


@lru_cache(maxsize=32)
def _passages(guidelines: str) -> list[Passage]:
    return passages_of(guidelines)


async def open_chat(rpc: Rpc, settings: Settings, actor: str, dataset: str, ask: ChatAsk) -> Conversation:
    """Keeps the question, and opens a conversation about this dataset, or one item of it.

    Raises ``not-found``, ``blind-item``.
    """
    basis = await rpc.call(
        "begin_chat", actor=actor, dataset=dataset, question=ask.message, item=ask.item_id, limit=REMEMBERED
    )
    desk = Desk(rpc, settings, actor, basis["dataset"], basis["item"])
    name = basis["dataset"]["settings"].get("model") or settings.default_model
    client = None
    if not is_local(settings, name):
        try:
            client = clients_of(rpc, settings).get(name)
        except LabelCrewError as error:
            log.info("chat_without_model", model=name, code=error.code)
    return Conversation(rpc, settings, desk, basis["question"], basis["messages"], client)


async def _keep(desk: Desk, answer: Answer, item: str | None, model: str, ended: str) -> dict[str, Any]:
    """Stores the answer. Raises nothing: what was said has been read already."""
    items, lines, _ = answer.cited()
    data = {
        "proposals": [proposal.model_dump(mode="json") for proposal in answer.proposals],
        "items": items,
        "lines": lines,
        "tools": answer.tools,
        "model": model,
        "usage": answer.usage.model_dump(mode="json"),
        "ended": ended,
    }
    content = answer.text.strip()[:STORED_CHARACTERS].replace("\0", "")
    try:
        stored: dict[str, Any] = await asyncio.shield(
            desk.ask("add_chat_message", role="assistant", content=content, item=item, data=data)
        )
    except LabelCrewError as error:
        log.warning("chat_answer_not_kept", code=error.code)
        return {"id": "", "item_id": item, "role": "assistant", "content": content, "data": data, "created_at": None}
    return stored


def _states(dataset: dict[str, Any]) -> str:
    return ", ".join(f"{n:,} {state}" for state, n in dataset["states"].items() if n) or "none"
