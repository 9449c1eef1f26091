"""Tools and streams as OpenAI's chat endpoint has them: what it refuses, what a model calls, and the pieces it sends.

Refused are declarations outside strict mode's rules, results of calls that nobody made, and calls without a result
(https://platform.openai.com/docs/guides/function-calling).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.support.openai_brain import Messages, Schema
from tests.support.openai_rules import Refused, schema_problem

NAME = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")
MOST_TOOLS = 128
PIECE = 12
"""Characters of a piece of text."""

Calls = Sequence[tuple[str, dict[str, Any] | str]]
"""Names of tools with their arguments: JSON values, or a string to send as it is."""


def check_tools(body: dict[str, Any]) -> None:
    """Refuse tools and messages about tools that the endpoint would refuse. Raises :class:`Refused`."""
    if body.get("stream_options") is not None and not body.get("stream"):
        raise Refused(400, "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
    _check_declared(body.get("tools"))
    waiting: list[str] = []
    for index, message in enumerate(body["messages"]):
        where = f"messages[{index}]"
        if message["role"] == "tool":
            if message.get("tool_call_id") not in waiting:
                raise Refused(
                    400,
                    "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
                    param=f"{where}.role",
                )
            waiting.remove(message["tool_call_id"])
            continue
        if waiting:
            raise Refused(
                400,
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
                f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(waiting)}",
                param=where,
            )
        waiting = [_call_id(call, where) for call in message.get("tool_calls") or []]
    if waiting:
        raise Refused(400, f"tool_call_ids did not have response messages: {', '.join(waiting)}", param="messages")


def _check_declared(tools: Any) -> None:
    if tools is None:
        return
    if not isinstance(tools, list) or not 1 <= len(tools) <= MOST_TOOLS:
        raise Refused(400, "Invalid 'tools': expected an array with 1 to 128 elements.", param="tools")
    for index, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
        if not isinstance(function, dict) or not NAME.match(str(function.get("name"))):
            raise Refused(400, "Invalid 'tools': a function needs a name.", param=f"tools[{index}].function.name")
        if set(function) - {"name", "description", "parameters", "strict"}:
            raise Refused(400, "Unknown parameter in a tool.", param=f"tools[{index}].function")
        problem = schema_problem(function.get("parameters")) if function.get("strict") else None
        if problem:
            raise Refused(
                400, f"Invalid schema for function '{function['name']}': {problem}", param=f"tools[{index}].function"
            )


def _call_id(call: Any, where: str) -> str:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("arguments"), str) or not call.get("id"):
        raise Refused(400, "Invalid 'tool_calls'.", param=f"{where}.tool_calls")
    return str(call["id"])


def tool_calls(brain: Any, body: dict[str, Any]) -> list[dict[str, Any]] | None:
    """What a brain with hands (``use(messages, tools)``) calls now; None where it answers."""
    use = getattr(brain, "use", None)
    if use is None or not body.get("tools"):
        return None
    declared = {tool["function"]["name"]: tool["function"] for tool in body["tools"]}
    made = []
    for number, (name, arguments) in enumerate(use(body["messages"], declared) or []):
        written = arguments if isinstance(arguments, str) else json.dumps(arguments)
        made.append(
            {
                "id": f"call_{len(body['messages'])}_{number}",
                "type": "function",
                "function": {"name": name, "arguments": written},
            }
        )
    return made or None


def events_of(answer: dict[str, Any], request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The chunks of a streamed completion: text in pieces, each call of a tool by name first and then in pieces."""
    choice = answer["choices"][0]
    message = choice["message"]
    shared = {key: answer[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {**shared, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    yield chunk({"role": "assistant", "content": None if message.get("tool_calls") else ""})
    text = message["content"] or ""
    for start in range(0, len(text), PIECE):
        yield chunk({"content": text[start : start + PIECE]})
    for index, call in enumerate(message.get("tool_calls") or []):
        opening = {**call, "index": index, "function": {"name": call["function"]["name"], "arguments": ""}}
        yield chunk({"tool_calls": [opening]})
        written = call["function"]["arguments"]
        for start in range(0, len(written), PIECE):
            part = {"index": index, "function": {"arguments": written[start : start + PIECE]}}
            yield chunk({"tool_calls": [part]})
    if message["refusal"]:
        yield chunk({"refusal": message["refusal"]})
    yield chunk({}, choice["finish_reason"])
    if (request.get("stream_options") or {}).get("include_usage"):
        yield {**shared, "choices": [], "usage": answer["usage"]}


class HandyBrain:
    """Plays a script: each step is what it calls, or what it says, in answer to all that was said before.

    A step may be a function of the messages. After the last step it says so.
    """

    def __init__(self, *steps: Calls | str | Callable[[Messages], Calls | str]) -> None:
        self.steps = list(steps)
        self.seen: list[Messages] = []

    def use(self, messages: Messages, _declared: dict[str, Any]) -> Calls | None:
        """The calls of this step, if it is one of calls."""
        self.seen.append(messages)
        step = self._step(messages)
        return None if isinstance(step, str) else step

    def answer(self, messages: Messages, schema: Schema | None) -> dict[str, Any] | str:
        """The words of this step."""
        step = self._step(messages)
        return step if isinstance(step, str) else "I may call no tools."

    def _step(self, messages: Messages) -> Calls | str:
        last = max(index for index, message in enumerate(messages) if message["role"] == "user")
        done = sum(message["role"] == "assistant" for message in messages[last:])
        if done >= len(self.steps):
            return "That is all."
        step = self.steps[done]
        return step(messages) if callable(step) else step
