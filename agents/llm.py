"""Our client as CrewAI sees a language model. Importing this module imports CrewAI: load it with agents.engine first.

CrewAI calls a model from a worker thread; the client lives in an event loop. ``Llm.call`` hands the call over to that
loop and waits, so crews and direct calls share one client with its limits, retries, cache and prices. One ``Llm`` is
made for each kickoff, and so its ``usages`` are that kickoff's cost.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from crewai.llms.base_llm import BaseLLM
from pydantic import BaseModel, PrivateAttr

from agents.client import ModelClient
from agents.completion import Completion
from agents.data import quoted
from agents.strict import strict_schema
from prompts import Message
from schemas.errors import LabelCrewError, error_of
from schemas.spending import Spend
from schemas.world import Usage

OUTPUT_TOKENS = 8_000
TRIES = 2
LOOK_S = 1.0
"""A waiting thread looks this often whether the event loop is still there, so that no process hangs on its way out."""


class Structured(BaseModel):
    """A task's answer. A subclass names the strict schema that the model is asked for; rows are read one by one later,
    because one bad row must not cost the others."""

    wire_schema: ClassVar[dict[str, Any]] = {}
    value: dict[str, Any]

    def model_dump_json(self, **_: Any) -> str:
        """What the next agent reads: the answer as data, in which no text can close a block or fill in a template."""
        return quoted(self.value)


def structured(schema: dict[str, Any]) -> type[Structured]:
    """The response model of a task whose answer has this schema."""
    return type("Structured", (Structured,), {"wire_schema": schema, "__module__": __name__})


class Llm(BaseLLM):
    """One model, for one kickoff. ``failure`` is the error that ended it, whatever CrewAI made of it."""

    _client: ModelClient = PrivateAttr()
    _loop: asyncio.AbstractEventLoop = PrivateAttr()
    _spend: Spend | None = PrivateAttr()
    _usages: list[Usage] = PrivateAttr(default_factory=list)
    _said: dict[type[BaseModel], Any] = PrivateAttr(default_factory=dict)
    _failure: LabelCrewError | None = PrivateAttr(default=None)

    def __init__(self, client: ModelClient, loop: asyncio.AbstractEventLoop, spend: Spend | None = None) -> None:
        super().__init__(model=client.model, provider="openai")
        self._client = client
        self._loop = loop
        self._spend = spend

    @property
    def usages(self) -> list[Usage]:
        """What each call of the kickoff used."""
        return self._usages

    @property
    def said(self) -> dict[type[BaseModel], Any]:
        """The JSON that was answered to each task, by the task's response model."""
        return self._said

    @property
    def failure(self) -> LabelCrewError | None:
        """Why the last call gave no answer, if it gave none."""
        return self._failure

    def call(self, messages: Any, tools: Any = None, *_: Any, response_model: Any = None, **__: Any) -> Any:
        """One answer, for a thread. Raises LabelCrewError."""
        asked = asyncio.run_coroutine_threadsafe(self._ask(messages, response_model), self._loop)
        while True:
            try:
                return asked.result(timeout=LOOK_S)
            except TimeoutError:
                if not asked.done() and self._loop.is_closed():
                    raise error_of("unavailable", "The process is ending.") from None

    async def acall(self, messages: Any, tools: Any = None, *_: Any, response_model: Any = None, **__: Any) -> Any:
        """One answer, for the client's own event loop. Raises LabelCrewError."""
        return await self._ask(messages, response_model)

    def supports_stop_words(self) -> bool:
        """Structured answers need none."""
        return False

    async def _ask(self, messages: str | list[Message], response_model: type[BaseModel] | None) -> Any:
        self._failure = None
        schema = _schema_of(response_model)
        asked: list[Message] = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
        plain: list[Message] = [{"role": m["role"], "content": m["content"]} for m in asked]
        try:
            completion = await self._complete(plain, schema)
            if response_model is None:
                return completion.text
            if issubclass(response_model, Structured):
                self._said[response_model] = completion.value
                return response_model(value=completion.value)
            return response_model.model_validate(completion.value)
        except LabelCrewError as error:
            self._failure = error
            raise
        except ValueError as error:
            self._failure = error_of("model-malformed", "The model's answer did not fit the task.")
            raise self._failure from error

    async def _complete(self, messages: list[Message], schema: dict[str, Any] | None) -> Completion:
        for attempt in range(TRIES):
            completion = await self._client.complete(
                messages, schema=schema, max_output_tokens=OUTPUT_TOKENS, spend=self._spend, attempt=attempt
            )
            self._usages.append(completion.usage)
            if completion.problem is None:
                return completion
        assert completion.problem is not None
        raise completion.problem


def _schema_of(response_model: type[BaseModel] | None) -> dict[str, Any] | None:
    if response_model is None:
        return None
    if issubclass(response_model, Structured):
        return response_model.wire_schema
    return strict_schema(response_model)
