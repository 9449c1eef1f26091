"""How to put a request to this server: OpenAI's full protocol first, and less of it where the server says no.

Servers that speak "OpenAI-compatible" differ in structured output, log probabilities, temperature and the name of the
output limit. What a server refused once is not sent to it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import orjson

from prompts import Message, load_prompt

Schema = Mapping[str, Any]
Format = Literal["schema", "object", "words"]
"""Strict JSON schema; any JSON object, with the schema in words; the words alone."""


class Dialect:
    """What one server understands, as far as it has told. ``format`` is how it is asked for JSON."""

    def __init__(self) -> None:
        self.format: Format = "schema"
        self._refused: set[str] = set()

    def body(
        self,
        model: str,
        messages: Sequence[Message],
        *,
        schema: Schema | None,
        max_output_tokens: int | None,
        logprobs: bool,
        temperature: float,
    ) -> dict[str, Any]:
        """The JSON body of a chat completion request."""
        body: dict[str, Any] = {"model": model, "messages": list(messages)}
        if schema is not None:
            if self.format == "schema":
                declared = {"name": "answer", "strict": True, "schema": schema}
                body["response_format"] = {"type": "json_schema", "json_schema": declared}
            else:
                body["messages"] = _with_schema(messages, schema)
                if self.format == "object":
                    body["response_format"] = {"type": "json_object"}
        if max_output_tokens is not None:
            for name in ("max_completion_tokens", "max_tokens"):
                if name not in self._refused:
                    body[name] = max_output_tokens
                    break
        if logprobs and "logprobs" not in self._refused:
            body["logprobs"] = True
        if "temperature" not in self._refused:
            body["temperature"] = temperature
        return body

    def streamed(
        self,
        model: str,
        messages: Sequence[Any],
        *,
        tools: Sequence[Schema],
        max_output_tokens: int,
        temperature: float,
    ) -> dict[str, Any]:
        """The JSON body of a request whose answer is streamed, and may be calls of tools."""
        body = self.body(
            model, messages, schema=None, max_output_tokens=max_output_tokens, logprobs=False, temperature=temperature
        )
        body["stream"] = True
        if "stream_options" not in self._refused:
            body["stream_options"] = {"include_usage": True}
        if tools and "tools" not in self._refused:
            body["tools"] = list(tools)
        return body

    def lift_limit(self, body: Mapping[str, Any]) -> bool:
        """The output limit left no room for an answer, as when a model thinks first. False when none was sent."""
        limits = {"max_completion_tokens", "max_tokens"}
        self._refused |= limits
        return bool(limits & set(body))

    def give_up(self, named: Sequence[str], body: Mapping[str, Any]) -> bool:
        """The server refused ``body`` and named these parameters. False when asking again would not help.

        Calls run side by side: only what this body really held is given up, and nothing twice.
        """
        for parameter in named:
            if parameter not in body:
                continue
            if parameter != "response_format":
                self._refused.add(parameter)
            elif body["response_format"]["type"] == "json_schema":
                self.format = "object" if self.format == "schema" else self.format
            else:
                self.format = "words"
            return True
        return False


def _with_schema(messages: Sequence[Message], schema: Schema) -> list[Message]:
    """The schema goes into the first system message: many chat templates take no second one."""
    note = load_prompt("answer_in_json").render(schema=orjson.dumps(schema).decode())[0]["content"]
    rest = list(messages)
    if rest and rest[0]["role"] == "system":
        first: Message = {"role": "system", "content": f"{rest[0]['content']}\n\n{note}"}
        return [first, *rest[1:]]
    return [{"role": "system", "content": note}, *rest]
