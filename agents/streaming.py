"""An answer of a model as it is written: text piece by piece, calls of tools, and what it cost.

Everything that the client promises holds here too: its places, its patience with a server that fails (until the first
piece has come; after that an answer that breaks off is an error), its dialects, its prices, a budget. Whoever stops
reading closes the connection, which ends the writing at the server; what was written until then is paid for, by the
server's count where it told, else by an estimate.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from agents.client import ModelClient
from agents.dialect import Schema
from agents.failures import Transient, Unsupported, sort_failure
from agents.prices import usage_of
from schemas.errors import LabelCrewError, error_of
from schemas.spending import Spend
from schemas.world import Usage

if TYPE_CHECKING:
    import openai

Chat = dict[str, Any]
"""A message as OpenAI's protocol takes it: also one with calls of tools, or with a tool's result."""

OUTPUT_TOKENS = 1_200
LONGEST_ARGUMENTS = 20_000
"""Characters of a call's arguments: a model that writes without end is stopped."""
MOST_CALLS = 16

log = structlog.get_logger("model")


@dataclass
class ToolCall:
    """A tool that the model wants to be called; ``arguments`` is what it wrote, JSON or not."""

    id: str = ""
    name: str = ""
    arguments: str = ""

    @property
    def values(self) -> dict[str, Any] | None:
        """The arguments; None when they are no JSON object."""
        try:
            found = orjson.loads(self.arguments or "{}")
        except orjson.JSONDecodeError:
            return None
        return found if isinstance(found, dict) else None


@dataclass
class Turn:
    """What came of one answer; whole when the stream has ended."""

    text: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    finish: str = ""
    begun: bool = False
    """The server has taken the request, so it is to be paid for."""

    def as_message(self) -> Chat:
        """The turn as a message of the next request."""
        message: Chat = {"role": "assistant", "content": self.text or None}
        if self.calls:
            message["tool_calls"] = [
                {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments or "{}"}}
                for c in self.calls
            ]
        return message


async def stream_turn(
    client: ModelClient,
    messages: Sequence[Chat],
    turn: Turn,
    *,
    tools: Sequence[Schema] = (),
    max_output_tokens: int = OUTPUT_TOKENS,
    temperature: float = 0.2,
    spend: Spend | None = None,
) -> AsyncGenerator[str, None]:
    """The pieces of the text as they come; ``turn`` is filled meanwhile.

    Close the iterator to end the answer at the server. Raises as :meth:`ModelClient.complete`, and ``model-error`` for
    an answer that breaks off.
    """
    plain = [{"role": m["role"], "content": _plain(m)} for m in messages]
    tools_size = client.estimate_tokens([{"role": "system", "content": orjson.dumps(list(tools)).decode()}])
    asked = client.estimate_tokens(plain) + (tools_size if tools else 0)  # type: ignore[arg-type]
    async with AsyncExitStack() as stack:
        bill = Usage()
        if spend is not None:
            most = client.most(plain, None, max_output_tokens)  # type: ignore[arg-type]
            if client.price is not None and tools:
                most += client.price.cost(tools_size, 0, 0)
            bill = await stack.enter_async_context(client.within(spend, most))
        try:
            pieces = _pieces(client, messages, turn, tools, max_output_tokens, temperature)
            async with aclosing(pieces):
                async for piece in pieces:
                    yield piece
        finally:
            if not turn.usage.input_tokens and turn.begun:
                written = len(turn.text) + sum(len(c.arguments) for c in turn.calls)
                turn.usage = usage_of(client.price, asked, 0, written // 4 + 1)
            bill.cost_usd = turn.usage.cost_usd


async def _pieces(
    client: ModelClient, messages: Sequence[Chat], turn: Turn, tools: Sequence[Schema], limit: int, temperature: float
) -> AsyncGenerator[str, None]:
    """Opens the stream, with less of the protocol or once more where that helps, and reads it."""
    started = asyncio.get_running_loop().time()
    attempt = 0
    waits = client.tries()
    while True:
        body = client.dialect.streamed(
            client.model, messages, tools=tools, max_output_tokens=limit, temperature=temperature
        )
        failure: Exception
        try:
            async with client.connection() as sdk:
                stream = _read(client, sdk, body, turn)
                async with aclosing(stream):
                    async for piece in stream:
                        yield piece
            turn.usage.latency_ms = (asyncio.get_running_loop().time() - started) * 1000
            return
        except (Unsupported, Transient) as error:
            failure = error
        if turn.text or turn.calls:
            raise error_of("model-error", "The model's answer broke off.") from None
        if isinstance(failure, Unsupported):
            log.info("model_dialect", model=client.model, refused=str(failure))
            if not client.dialect.give_up(failure.named, body):
                raise failure.error
            continue
        assert isinstance(failure, Transient)
        client.note(failure)
        attempt += 1
        pause = _pause(waits, attempt, failure)
        if pause is None:
            raise failure.error
        await asyncio.sleep(pause)


def _pause(waits: Any, attempt: int, failure: Transient) -> float | None:
    """Seconds until the next try, by the client's own rules; None when it is enough."""
    from tenacity import Future, RetryCallState

    state = RetryCallState(waits, None, (), {})
    state.attempt_number = attempt
    outcome: Future = Future(attempt)
    outcome.set_exception(failure)
    state.outcome = outcome
    if waits.stop(state):
        return None
    pause = float(waits.wait(state))
    log.info("model_retry", reason=str(failure), tried=attempt, wait_s=pause)
    return pause


async def _read(
    client: ModelClient, sdk: openai.AsyncOpenAI, body: dict[str, Any], turn: Turn
) -> AsyncGenerator[str, None]:
    import httpx
    import openai

    failure: Exception
    try:
        stream = await sdk.post(
            "/chat/completions",
            cast_to=object,
            content=orjson.dumps(body),
            options={"headers": {"content-type": "application/json", "accept": "text/event-stream"}},
            stream=True,
            stream_cls=openai.AsyncStream[object],
        )
        client.answered()
        turn.begun = True
        try:
            async for event in stream:
                piece = _take(client, event, turn)
                if piece:
                    yield piece
        finally:
            await stream.close()
        problem = _problem(turn)
        if problem is None:
            return
        failure = problem
    except openai.APIError as error:
        failure = sort_failure(error)
    except httpx.TimeoutException:
        failure = Transient(error_of("model-timeout"))
    except httpx.HTTPError:
        failure = Transient(error_of("model-unreachable"))
    # Raised out here so that no chain of causes carries the request, and with it the key, any further.
    raise failure


def _take(client: ModelClient, event: Any, turn: Turn) -> str:
    """Reads one event of the stream into ``turn``; the new piece of text."""
    if not isinstance(event, dict):
        return ""
    if isinstance(event.get("usage"), dict):
        used = event["usage"]
        cached = (used.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        turn.usage = usage_of(
            client.price, int(used.get("prompt_tokens") or 0), int(cached), int(used.get("completion_tokens") or 0)
        )
    choices = event.get("choices") or [{}]
    if turn.finish != "refusal":
        turn.finish = choices[0].get("finish_reason") or turn.finish
    delta = choices[0].get("delta") or {}
    for part in delta.get("tool_calls") or []:
        _take_call(part, turn)
    if delta.get("refusal"):
        turn.finish = "refusal"
    piece = delta.get("content") or ""
    turn.text += piece
    return str(piece)


def _take_call(part: dict[str, Any], turn: Turn) -> None:
    index = part.get("index")
    at = index if isinstance(index, int) else len(turn.calls)
    if not 0 <= at < MOST_CALLS:
        raise error_of("model-malformed", "The model called too many tools at once.")
    while len(turn.calls) <= at:
        turn.calls.append(ToolCall(id=f"call_{len(turn.calls)}"))
    call = turn.calls[at]
    function = part.get("function") or {}
    call.id = part.get("id") or call.id
    call.name = function.get("name") or call.name
    call.arguments += function.get("arguments") or ""
    if len(call.arguments) > LONGEST_ARGUMENTS:
        raise error_of("answer-cut", "The model wrote a tool's arguments without end.")


def _problem(turn: Turn) -> LabelCrewError | Transient | None:
    """What is wrong with an answer that ended."""
    if turn.finish == "refusal":
        return error_of("model-refused")
    if turn.finish == "content_filter":
        return error_of("content-filtered")
    if turn.finish == "" and not turn.text and not turn.calls:
        return Transient(error_of("model-malformed", "The model's answer was empty."))
    if not turn.text and not turn.calls:
        return error_of("model-malformed", "The model's answer was empty.")
    return None


def _plain(message: Chat) -> str:
    content = message.get("content") or ""
    calls = "".join(call["function"]["arguments"] for call in message.get("tool_calls", ()))
    return f"{content}{calls}"
