"""The stand-in for OpenAI's protocol, spoken to with OpenAI's own SDK."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from tests.support.openai_brain import fill
from tests.support.openai_rules import breaks_schema, schema_problem
from tests.support.openai_server import ALL_FAULTS, KEY, StandIn, even_faults

ASKED: Any = {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
async def server() -> AsyncIterator[StandIn]:
    async with StandIn() as running:
        yield running


@pytest.fixture
async def sdk(server: StandIn) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key=KEY, base_url=server.base_url, max_retries=0) as client:
        yield client


async def test_a_streamed_answer_says_the_same_in_pieces(sdk: openai.AsyncOpenAI) -> None:
    whole = await sdk.chat.completions.create(**ASKED)
    stream = await sdk.chat.completions.create(**ASKED, stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in stream]
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said == whole.choices[0].message.content
    assert chunks[-1].usage is not None


async def test_embeddings_have_the_size_that_was_asked_for_and_are_alike_for_like_texts(
    sdk: openai.AsyncOpenAI,
) -> None:
    texts = ["lost my card", "my card is lost", "exchange rates"]
    answer = await sdk.embeddings.create(model="text-embedding-3-small", input=texts, dimensions=384)
    one, like, other = (row.embedding for row in answer.data)
    assert len(one) == 384
    assert math.isclose(sum(v * v for v in one), 1.0, rel_tol=1e-5)
    assert sum(a * b for a, b in zip(one, like, strict=True)) > sum(a * b for a, b in zip(one, other, strict=True))


async def test_models_are_listed_and_unknown_ones_not_found(sdk: openai.AsyncOpenAI) -> None:
    assert "gpt-4.1-mini" in [model.id async for model in sdk.models.list()]
    with pytest.raises(openai.NotFoundError):
        await sdk.models.retrieve("gpt-nobody")


async def test_a_wrong_key_is_refused(server: StandIn) -> None:
    async with openai.AsyncOpenAI(api_key="wrong", base_url=server.base_url) as client:
        with pytest.raises(openai.AuthenticationError):
            await client.chat.completions.create(**ASKED)


async def test_an_unknown_parameter_is_refused(sdk: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="Unknown parameter: 'mood'"):
        await sdk.chat.completions.create(**ASKED, extra_body={"mood": "good"})


async def test_json_mode_needs_the_word_json(sdk: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="json"):
        await sdk.chat.completions.create(**ASKED, response_format={"type": "json_object"})


async def test_a_prefix_said_before_counts_as_cached(sdk: openai.AsyncOpenAI) -> None:
    messages: Any = [{"role": "user", "content": "guidelines " * 1_000}]
    usages = [(await sdk.chat.completions.create(model="gpt-4.1", messages=messages)).usage for _ in range(2)]
    cached = [u.prompt_tokens_details.cached_tokens for u in usages if u and u.prompt_tokens_details]
    assert cached[0] == 0
    assert cached[1] is not None
    assert cached[1] >= 1_024


async def test_latency_is_waited_and_calls_under_way_are_counted(server: StandIn, sdk: openai.AsyncOpenAI) -> None:
    server.latency = 0.2
    began = time.monotonic()
    await sdk.chat.completions.create(**ASKED)
    assert time.monotonic() - began >= 0.2
    assert (server.most_at_once, server.at_once) == (1, 0)


def test_every_kind_of_fault_has_its_share() -> None:
    rates = even_faults(0.26)
    assert set(rates) == set(ALL_FAULTS)
    assert math.isclose(sum(rates.values()), 0.26)


def test_the_plainest_value_of_a_schema_is_legal() -> None:
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "score": {"anyOf": [{"type": "number"}, {"type": "null"}]},
            "tags": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}},
        },
        "required": ["name", "score", "tags"],
        "additionalProperties": False,
    }
    assert schema_problem(schema) is None
    assert breaks_schema(fill(schema), schema) is None
    assert breaks_schema({"name": 1, "score": 1, "tags": []}, schema) is not None


def test_it_runs_as_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "tests.support.openai_server", "--latency", "0.01", "--faults", "0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[2]
        with openai.OpenAI(api_key=KEY, base_url=url) as client:
            assert client.models.list().data
        process.terminate()
