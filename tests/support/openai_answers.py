"""What the stand-in says: completions, embeddings and models, right or spoiled on purpose.

Tokens are counted as a quarter of the characters; cached tokens as OpenAI counts them, by prefixes seen before.
"""

from __future__ import annotations

import base64
import hashlib
import math
import random
import re
import struct
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.support.openai_brain import Brain, KeywordBrain, Stop
from tests.support.openai_rules import EMBEDDING_PARAMETERS, Refused, breaks_schema, check_chat, text_of
from tests.support.openai_tools import check_tools, tool_calls

KEY = "test-key"
TRANSPORT_FAULTS = ("rate-limit", "server-error", "cut", "cut-midway")
ANSWER_FAULTS = (
    "malformed", "wrong-schema", "refusal", "length", "content-filter", "empty",
    "missing-item", "extra-item", "duplicate-item",
)  # fmt: skip
ALL_FAULTS = TRANSPORT_FAULTS + ANSWER_FAULTS
"""Faults for a steady rate; ``quota``, ``hang`` and ``invented-class`` exist too, for scripts."""


def even_faults(share: float, kinds: Iterable[str] = ALL_FAULTS) -> dict[str, float]:
    """``share`` of all calls fail, each kind equally often."""
    kinds = list(kinds)
    return {kind: share / len(kinds) for kind in kinds}


@dataclass
class Answers:
    """The endpoint without its HTTP. What each field does is told at the field."""

    brain: Brain = field(default_factory=KeywordBrain)
    retry_after: float = 0.05
    """Seconds that a rate limit asks to wait."""
    context_tokens: int = 128_000
    models: frozenset[str] = frozenset({"gpt-4.1-mini", "gpt-4.1", "text-embedding-3-small", "my-model"})
    keys: frozenset[str] = frozenset({KEY})
    strict_support: bool = True
    """False: like a server that knows no json_schema."""
    refused_parameters: frozenset[str] = frozenset()
    """Parameters that this model does not take, as reasoning models refuse ``temperature``."""

    def __post_init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.tokens: Counter[str] = Counter()
        self._prefixes: set[bytes] = set()

    def check_key(self, authorization: str) -> None:
        """401 unless a known key was sent."""
        key = authorization.removeprefix("Bearer ")
        if key not in self.keys:
            shown = f"{key[:3]}***{key[-2:]}" if len(key) > 5 else "***"
            raise Refused(401, f"Incorrect API key provided: {shown}.", code="invalid_api_key")

    def check_model(self, model: Any) -> None:
        """404 unless the model is known."""
        if model not in self.models:
            raise Refused(
                404, f"The model `{model}` does not exist or you do not have access to it.", code="model_not_found"
            )

    def chat(self, body: dict[str, Any], fault: str | None) -> dict[str, Any]:
        """The completion object for a request. Raises :class:`Refused`."""
        check_chat(body)
        check_tools(body)
        self.check_model(body.get("model"))
        for name in self.refused_parameters & set(body):
            raise Refused(
                400,
                f"Unsupported parameter: '{name}' is not supported with this model.",
                code="unsupported_parameter",
                param=name,
            )
        wanted = body.get("response_format") or {}
        strict = wanted.get("type") == "json_schema"
        if strict and not self.strict_support:
            raise Refused(400, "response_format of type 'json_schema' is not supported by this server.")
        if fault == "rate-limit":
            raise Refused(
                429,
                "Rate limit reached for requests.",
                code="rate_limit_exceeded",
                kind="requests",
                headers={"retry-after": f"{self.retry_after:g}"},
            )
        if fault == "quota":
            raise Refused(429, "You exceeded your current quota.", code="insufficient_quota", kind="insufficient_quota")
        if fault == "server-error":
            raise Refused(500, "The server had an error while processing your request.", kind="server_error")
        schema = wanted.get("json_schema", {}).get("schema") if strict else None
        prompt = "\n".join(text_of(m) for m in body["messages"])
        prompt_tokens = len(prompt) // 4 + 4 * len(body["messages"])
        if prompt_tokens > self.context_tokens:
            raise Refused(
                400,
                f"This model's maximum context length is {self.context_tokens} tokens. However, your messages "
                f"resulted in {prompt_tokens} tokens. Please reduce the length of the messages.",
                code="context_length_exceeded",
                param="messages",
            )
        calls = tool_calls(self.brain, body) if fault is None else None
        content, refusal, finish = (None, None, "tool_calls") if calls else self._content(body, schema, prompt, fault)
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        if content is not None and limit and len(content) // 4 + 1 > limit:
            content, finish = content[: limit * 4], "length"
        completion_tokens = (len(content or refusal or "") // 4) + 1
        cached = self._cached(prompt)
        self.tokens.update(prompt=prompt_tokens, completion=completion_tokens, cached=cached)
        number = self.counts["chat"]
        return {
            "id": f"chatcmpl-{number}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": f"{body['model']}-2025-04-14",
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": content,
                        "refusal": refusal,
                        "annotations": [],
                        **({"tool_calls": calls} if calls else {}),
                    },
                    "logprobs": _logprobs(content) if body.get("logprobs") and content else None,
                    "finish_reason": finish,
                }
            ],
            "usage": {
                "prompt_tokens": prompt_tokens,
                "completion_tokens": completion_tokens,
                "total_tokens": prompt_tokens + completion_tokens,
                "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0},
            },
            "system_fingerprint": "fp_stand_in",
        }

    def _content(
        self, body: dict[str, Any], schema: dict[str, Any] | None, prompt: str, fault: str | None
    ) -> tuple[str | None, str | None, str]:
        if fault == "refusal":
            return None, "I'm sorry, I can't help with that.", "stop"
        if fault == "content-filter":
            return None, None, "content_filter"
        if fault == "empty":
            return None, None, "stop"
        readable = schema or _schema_in(prompt) if body.get("response_format") else None
        try:
            answer = self.brain.answer(body["messages"], readable)
        except Stop as stop:
            refusal = "I'm sorry, I can't help with that." if stop.kind == "refusal" else None
            return None, refusal, "stop" if stop.kind == "refusal" else stop.kind
        if isinstance(answer, dict):
            answer = _spoil(answer, fault)
            if schema is not None and fault not in ("wrong-schema", "invented-class"):
                answer = _constrain(answer, schema)
            content = orjson.dumps(answer).decode()
        else:
            content = answer
        if fault == "malformed":
            return content[: len(content) // 2] + "}", None, "stop"
        if fault == "length":
            return content[: len(content) // 2], None, "length"
        return content, None, "stop"

    def _cached(self, prompt: str) -> int:
        """Tokens of the longest prefix seen before, from 1,024 on in steps of 128, as OpenAI counts."""
        known = 0
        running = hashlib.blake2b(digest_size=8)
        for end in range(512, len(prompt) + 1, 512):
            running.update(prompt[end - 512 : end].encode(errors="surrogatepass"))
            digest = running.digest()
            if digest in self._prefixes:
                known = end // 4
            else:
                self._prefixes.add(digest)
        return known if known >= 1024 else 0

    def embeddings(self, body: dict[str, Any]) -> dict[str, Any]:
        """Deterministic unit vectors; texts that share words point in similar directions."""
        unknown = sorted(set(body) - EMBEDDING_PARAMETERS)
        if unknown:
            raise Refused(400, f"Unknown parameter: '{unknown[0]}'.", code="unknown_parameter", param=unknown[0])
        self.check_model(body.get("model"))
        texts = [body["input"]] if isinstance(body.get("input"), str) else body.get("input")
        if not isinstance(texts, list) or not texts or not all(isinstance(t, str) and t for t in texts):
            raise Refused(400, "'$.input' is invalid.", param="input")
        size = body.get("dimensions") or 1536
        vectors = [_vector(text, size) for text in texts]
        if body.get("encoding_format") == "base64":
            shown: list[Any] = [base64.b64encode(struct.pack(f"<{size}f", *v)).decode() for v in vectors]
        else:
            shown = vectors
        tokens = sum(len(text) // 4 + 1 for text in texts)
        return {
            "object": "list",
            "data": [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(shown)],
            "model": body["model"],
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }


def _schema_in(prompt: str) -> dict[str, Any] | None:
    """A JSON schema written into the prompt, for servers in plain JSON mode."""
    for line in prompt.splitlines():
        if line.startswith('{"type":"object"'):
            found: dict[str, Any] = orjson.loads(line)
            return found
    return None


def _spoil(answer: dict[str, Any], fault: str | None) -> dict[str, Any]:
    rows = next((value for value in answer.values() if isinstance(value, list)), None)
    if fault == "wrong-schema":
        return {"unexpected": "shape"}
    if not rows or not isinstance(rows[0], dict):
        return answer
    if fault == "missing-item":
        rows.pop()
    elif fault == "extra-item":
        rows.append({**rows[0], "id": 9999})
    elif fault == "duplicate-item":
        rows.append({**rows[0]})
    elif fault == "invented-class" and "label" in rows[0]:
        rows[0]["label"] = "a class nobody asked for"
    return answer


def _constrain(answer: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """What constrained decoding does: an illegal enum value cannot be said; the nearest legal one is."""
    if breaks_schema(answer, schema) is None:
        return answer
    fixed: dict[str, Any] = _legal(answer, schema)
    problem = breaks_schema(fixed, schema)
    assert problem is None, f"the brain cannot answer this schema: {problem}"
    return fixed


def _legal(value: Any, schema: dict[str, Any]) -> Any:
    if "enum" in schema:
        return value if value in schema["enum"] else schema["enum"][0]
    if isinstance(value, dict) and schema.get("type") == "object":
        return {name: _legal(value.get(name), child) for name, child in schema["properties"].items()}
    if isinstance(value, list) and schema.get("type") == "array":
        return [_legal(child, schema["items"]) for child in value]
    return value


TOKEN = re.compile(rb'[A-Za-z]+|[0-9]+|[^A-Za-z0-9"]|"')
LABEL = re.compile(rb'"label":"(?=(?:[^"\\]|\\.)*","confidence":(\d+))')


def _logprobs(content: str) -> dict[str, Any]:
    """Tokens with log probabilities: all are sure but the first of a label, as likely as the answer's confidence."""
    raw = content.encode()
    starts = {m.end(): max(int(m[1]), 1) / 100 for m in LABEL.finditer(raw)}
    rows = []
    for match in TOKEN.finditer(raw):
        token = match[0]
        logprob = math.log(starts.get(match.start(), 1.0))
        rows.append(
            {"token": token.decode("utf-8", "replace"), "logprob": logprob, "bytes": list(token), "top_logprobs": []}
        )
    return {"content": rows, "refusal": None}


def _vector(text: str, size: int) -> list[float]:
    vector = [0.0] * size
    for word in text.lower().split() or [text]:
        rng = random.Random(word)
        for _ in range(8):
            vector[rng.randrange(size)] += rng.choice((-1.0, 1.0))
    length = math.sqrt(sum(v * v for v in vector)) or 1.0
    return [v / length for v in vector]


def model_object(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "stand-in"}
