"""What came back from a model: the answer with what it cost, or why there is none, with what it cost all the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from agents.prices import Price, usage_of
from agents.probabilities import label_probabilities
from schemas.caching import CachedCompletion
from schemas.errors import LabelCrewError, error_of
from schemas.world import Usage


@dataclass
class Completion:
    """One answer of a model.

    ``value`` is the parsed JSON when a schema was asked for. ``problem`` is set when the answer is of no use: refused,
    filtered, cut off, not JSON. ``label_probabilities`` holds, for each label in the text in order, how probable the
    model found it, where the server told.
    """

    text: str
    value: Any = None
    usage: Usage = field(default_factory=Usage)
    problem: LabelCrewError | None = None
    label_probabilities: list[float] | None = None
    cached: bool = False

    def to_cache(self) -> CachedCompletion:
        """What a cache keeps: the answer without what it cost, because it costs nothing the second time."""
        return {"text": self.text, "label_probabilities": self.label_probabilities}

    @classmethod
    def from_cache(cls, entry: CachedCompletion, *, as_json: bool) -> Completion | None:
        """The completion behind a cache entry; None when the entry is not one of ours."""
        text = entry.get("text")
        if not isinstance(text, str):
            return None
        completion = cls(text, label_probabilities=entry.get("label_probabilities"), cached=True)
        if as_json:
            completion.value, completion.problem = _parse(text)
        return completion if completion.problem is None else None


def read_completion(raw: bytes, price: Price | None, *, as_json: bool) -> Completion:
    """Read the body of a chat completion. What is wrong with it becomes its ``problem``."""
    try:
        body = orjson.loads(raw)
        choice = body["choices"][0]
        message = choice["message"]
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError):
        return Completion("", problem=error_of("model-malformed", "The model's server sent no completion."))
    completion = Completion(message.get("content") or "", usage=_usage(body.get("usage"), price))
    finish = choice.get("finish_reason")
    if message.get("refusal"):
        completion.problem = error_of("model-refused")
    elif finish == "content_filter":
        completion.problem = error_of("content-filtered")
    elif finish == "length":
        completion.problem = error_of("answer-cut")
    elif not completion.text:
        completion.problem = error_of("model-malformed", "The model's answer was empty.")
    elif as_json:
        completion.value, completion.problem = _parse(completion.text)
    logprobs = choice.get("logprobs")
    if logprobs and completion.problem is None:
        completion.label_probabilities = label_probabilities(completion.text, logprobs.get("content"))
    return completion


def _parse(text: str) -> tuple[Any, LabelCrewError | None]:
    """JSON, also when a server without structured output wraps it in thoughts or a code fence."""
    try:
        return orjson.loads(text), None
    except orjson.JSONDecodeError:
        answer = text.rpartition("</think>")[2]
        start, end = answer.find("{"), answer.rfind("}")
    try:
        return orjson.loads(answer[start : end + 1]), None
    except orjson.JSONDecodeError:
        return None, error_of("model-malformed", "The model's answer was not JSON.")


def _usage(raw: Any, price: Price | None) -> Usage:
    if not isinstance(raw, dict):
        return Usage()
    details = raw.get("prompt_tokens_details") or {}
    return usage_of(
        price,
        int(raw.get("prompt_tokens") or 0),
        int(details.get("cached_tokens") or 0),
        int(raw.get("completion_tokens") or 0),
    )


def shared(usage: Usage, parts: int) -> list[Usage]:
    """One call's usage split among the ``parts`` items it was for; tokens add up, every part waited the whole time."""

    def split(total: int) -> list[int]:
        each, rest = divmod(total, parts)
        return [each + (index < rest) for index in range(parts)]

    columns = zip(split(usage.input_tokens), split(usage.cached_tokens), split(usage.output_tokens), strict=True)
    return [
        Usage(
            input_tokens=given,
            cached_tokens=cached,
            output_tokens=written,
            cost_usd=usage.cost_usd / parts,
            latency_ms=usage.latency_ms,
        )
        for given, cached, written in columns
    ]


def total(usages: list[Usage]) -> Usage:
    """The sum of usages; latencies add up, as of calls made one after the other."""
    return Usage(
        input_tokens=sum(u.input_tokens for u in usages),
        cached_tokens=sum(u.cached_tokens for u in usages),
        output_tokens=sum(u.output_tokens for u in usages),
        cost_usd=sum(u.cost_usd for u in usages),
        latency_ms=sum(u.latency_ms for u in usages),
    )
