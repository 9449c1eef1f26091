"""The client of the model's server, against a server that misbehaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel, Field

from agents.client import ModelClient, is_loopback
from agents.completion import shared, total
from agents.strict import strict_schema
from prompts import Message
from schemas.errors import ConfigurationError, LabelCrewError, ModelError
from schemas.settings import Settings
from schemas.world import Usage
from tests.support.model import client_of
from tests.support.openai_brain import KeywordBrain, ScriptedBrain
from tests.support.openai_rules import Refused, schema_problem
from tests.support.openai_server import KEY, StandIn

HELLO: list[Message] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"mood": {"type": "string", "enum": ["good", "bad"]}},
    "required": ["mood"],
    "additionalProperties": False,
}


@pytest.fixture
async def server() -> AsyncIterator[StandIn]:
    async with StandIn() as running:
        yield running


async def test_an_answer_comes_back_parsed_with_its_tokens_and_its_price(server: StandIn) -> None:
    completion = await client_of(server).complete(HELLO, schema=SCHEMA)
    assert completion.value == {"mood": "good"}
    assert completion.problem is None
    usage = completion.usage
    assert usage.input_tokens > 0
    assert usage.latency_ms > 0
    assert usage.cost_usd == pytest.approx((usage.input_tokens * 0.4 + usage.output_tokens * 1.6) / 1e6)


async def test_the_schema_is_sent_in_strict_mode(server: StandIn) -> None:
    await client_of(server).complete(HELLO, schema=SCHEMA)
    declared = server.chats[0].body["response_format"]["json_schema"]
    assert declared["strict"] is True
    assert declared["schema"] == SCHEMA


@pytest.mark.parametrize("fault", ["rate-limit", "server-error", "cut", "cut-midway"])
async def test_what_passes_is_tried_again(server: StandIn, fault: str) -> None:
    server.script = [fault, fault]
    completion = await client_of(server).complete(HELLO, schema=SCHEMA)
    assert completion.value == {"mood": "good"}
    assert len(server.chats) == 3


async def test_retry_after_is_honoured_by_every_call_of_the_client(server: StandIn) -> None:
    server.retry_after = 0.6
    client = client_of(server)
    await client.complete(HELLO)
    server.script = ["rate-limit"]
    refused_at = time.monotonic()
    first = asyncio.create_task(client.complete(HELLO))
    await asyncio.sleep(0.2)
    await asyncio.gather(first, client.complete(HELLO))
    later = [call.at - refused_at for call in server.chats[2:]]
    assert len(later) == 2
    assert min(later) >= 0.6


async def test_a_wrong_key_stops_at_once_with_model_auth_and_without_showing_the_key(server: StandIn) -> None:
    with pytest.raises(ModelError) as caught:
        await client_of(server, api_key="sk-secret-secret-secret").complete(HELLO)
    assert caught.value.code == "model-auth"
    assert server.counts["401"] == 1
    assert "secret" not in f"{caught.value} {caught.value.data} {caught.value.__context__}"


async def test_a_server_that_goes_on_failing_is_given_up(server: StandIn) -> None:
    server.script = ["server-error"] * 9
    with pytest.raises(ModelError) as caught:
        await client_of(server, max_retries=2).complete(HELLO)
    assert caught.value.code == "model-error"
    assert len(server.chats) == 3


async def test_a_rate_limit_without_end_is_given_up_with_model_rate_limited(server: StandIn) -> None:
    server.rates = {"rate-limit": 1.0}
    server.retry_after = 0.01
    with pytest.raises(ModelError) as caught:
        await client_of(server, max_retries=2).complete(HELLO)
    assert caught.value.code == "model-rate-limited"


async def test_a_used_up_quota_is_not_asked_again(server: StandIn) -> None:
    server.script = ["quota"]
    with pytest.raises(ModelError, match="quota"):
        await client_of(server).complete(HELLO)
    assert len(server.chats) == 1


async def test_an_unknown_model_is_refused_with_unknown_model(server: StandIn) -> None:
    with pytest.raises(LabelCrewError) as caught:
        await client_of(server, model="gpt-nobody").complete(HELLO)
    assert caught.value.code == "unknown-model"
    assert len(server.chats) == 1


async def test_a_server_that_is_not_there_is_given_up_soon_with_model_unreachable() -> None:
    client = ModelClient("m", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(ModelError) as caught:
        await client.complete(HELLO)
    assert caught.value.code == "model-unreachable"


async def test_a_server_that_never_answers_is_given_up_with_model_timeout(server: StandIn) -> None:
    server.script = ["hang", "hang", "hang"]
    with pytest.raises(ModelError) as caught:
        await client_of(server, timeout_s=0.2).complete(HELLO)
    assert caught.value.code == "model-timeout"
    assert len(server.chats) == 2


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("refusal", "model-refused"),
        ("content-filter", "content-filtered"),
        ("length", "answer-cut"),
        ("malformed", "model-malformed"),
        ("empty", "model-malformed"),
    ],
)
async def test_an_answer_of_no_use_says_why_and_what_it_cost(server: StandIn, fault: str, code: str) -> None:
    server.script = [fault]
    completion = await client_of(server).complete(HELLO, schema=SCHEMA)
    assert completion.problem is not None
    assert completion.problem.code == code
    assert completion.usage.cost_usd > 0


async def test_a_server_that_fails_every_call_stops_the_run(server: StandIn) -> None:
    server.rates = {"server-error": 1.0}
    client = client_of(server, max_retries=0)
    failures = await asyncio.gather(*(client.complete(HELLO) for _ in range(25)), return_exceptions=True)
    codes = [failure.code for failure in failures if isinstance(failure, ModelError)]
    assert codes.count("model-error") == 19
    assert codes.count("model-unreachable") == 6


async def test_a_prompt_beyond_the_context_is_refused_with_context_overflow(server: StandIn) -> None:
    server.context_tokens = 50
    with pytest.raises(ModelError) as caught:
        await client_of(server).complete([{"role": "user", "content": "word " * 100}])
    assert caught.value.code == "context-overflow"


async def test_no_more_calls_are_under_way_than_the_limit(server: StandIn) -> None:
    server.latency = 0.03
    client = client_of(server, concurrency=3)
    await asyncio.gather(*(client.complete(HELLO) for _ in range(12)))
    assert server.most_at_once == 3


async def test_connections_are_used_again(server: StandIn) -> None:
    client = client_of(server, concurrency=20)
    for _ in range(5):
        await client.complete(HELLO)
    assert len(server.connections) == 1
    await client.close()


class TestDialect:
    async def test_a_server_without_schemas_is_asked_in_words_and_remembered(self, server: StandIn) -> None:
        server.strict_support = False
        client = client_of(server)
        for _ in range(2):
            assert (await client.complete(HELLO, schema=SCHEMA)).value == {"mood": "good"}
        formats = [call.body["response_format"]["type"] for call in server.chats]
        assert formats == ["json_schema", "json_object", "json_object"]
        assert '"enum":["good","bad"]' in server.chats[-1].body["messages"][0]["content"]

    async def test_calls_side_by_side_give_up_one_step_only(self, server: StandIn) -> None:
        server.strict_support = False
        server.latency = 0.02
        client = client_of(server)
        await asyncio.gather(*(client.complete(HELLO, schema=SCHEMA) for _ in range(8)))
        assert {call.body.get("response_format", {}).get("type") for call in server.chats} == {
            "json_schema",
            "json_object",
        }

    async def test_parameters_that_a_model_refuses_are_left_out_from_then_on(self, server: StandIn) -> None:
        server.refused_parameters = frozenset({"temperature", "logprobs", "max_completion_tokens"})
        client = client_of(server)
        for _ in range(2):
            await client.complete(HELLO, schema=SCHEMA, logprobs=True, max_output_tokens=100)
        assert set(server.chats[-1].body) == {"model", "messages", "response_format", "max_tokens"}
        assert server.counts["400"] == 3

    async def test_a_limit_that_leaves_no_room_for_an_answer_is_lifted(self) -> None:
        class Thinker(StandIn):
            def chat(self, body: dict[str, Any], fault: str | None) -> dict[str, Any]:
                answer = super().chat(body, fault)
                if "max_completion_tokens" in body or "max_tokens" in body:
                    answer["choices"][0]["message"]["content"] = ""
                    answer["choices"][0]["finish_reason"] = "length"
                return answer

        async with Thinker() as server:
            completion = await client_of(server).complete(HELLO, schema=SCHEMA, max_output_tokens=100)
        assert completion.value == {"mood": "good"}
        assert completion.usage.input_tokens == server.tokens["prompt"]

    @pytest.mark.parametrize(
        "said",
        ['<think>{"mood": "?"} hm</think>\n{"mood": "bad"}', '```json\n{"mood": "bad"}\n```', 'Sure: {"mood": "bad"}.'],
    )
    async def test_json_wrapped_in_words_is_still_read(self, said: str) -> None:
        async with StandIn(brain=ScriptedBrain(lambda _m, _a: said), strict_support=False) as server:
            assert (await client_of(server).complete(HELLO, schema=SCHEMA)).value == {"mood": "bad"}


class TestNetwork:
    def test_a_server_elsewhere_is_refused_when_the_network_is_forbidden(self) -> None:
        with pytest.raises(ConfigurationError) as caught:
            ModelClient("m", base_url="https://api.openai.com/v1", forbid_network=True)
        assert caught.value.code == "network-forbidden"

    async def test_loopback_stays_allowed_and_goes_through_no_proxy(
        self, server: StandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        assert (await client_of(server, forbid_network=True).complete(HELLO)).text == "Hello."

    @pytest.mark.parametrize(
        ("url", "here"),
        [
            ("http://localhost:11434/v1", True),
            ("http://127.0.0.9/v1", True),
            ("http://[::1]:1/v1", True),
            ("http://localhost.example.org/v1", False),
            ("http://127.0.0.1.example.org/v1", False),
            ("https://api.openai.com/v1", False),
            ("http://10.0.0.1/v1", False),
        ],
    )
    def test_this_machine_is_told_from_others(self, url: str, here: bool) -> None:
        assert is_loopback(url) is here

    def test_settings_without_a_server_name_no_model(self) -> None:
        with pytest.raises(LabelCrewError) as caught:
            ModelClient.from_settings(Settings(OPENAI_API_KEY=None, OPENAI_BASE_URL=None), "gpt-4.1-mini")
        assert caught.value.code == "unknown-model"

    async def test_settings_describe_the_client(self, server: StandIn) -> None:
        described = Settings(
            OPENAI_API_KEY=KEY,
            OPENAI_BASE_URL=server.base_url,
            model="my-model",
            prices='{"my-model": {"input": 1, "output": 1}}',
            forbid_network=True,
        )
        completion = await ModelClient.from_settings(described).complete(HELLO)
        assert completion.usage.cost_usd == pytest.approx(
            (completion.usage.input_tokens + completion.usage.output_tokens) / 1e6
        )


async def test_the_estimate_of_tokens_learns_from_the_server(server: StandIn) -> None:
    client = client_of(server)
    chinese: list[Message] = [{"role": "user", "content": "我的银行卡丢了" * 30}]
    before = client.estimate_tokens(chinese)
    for _ in range(30):
        completion = await client.complete(chinese)
    real = completion.usage.input_tokens
    assert abs(client.estimate_tokens(chinese) - real) < abs(before - real)


def test_a_batchs_usage_is_shared_without_losing_a_token() -> None:
    whole = Usage(input_tokens=101, cached_tokens=7, output_tokens=32, cost_usd=0.03, latency_ms=5)
    parts = shared(whole, 10)
    assert total(parts).model_copy(update={"latency_ms": 5, "cost_usd": 0.03}) == whole
    assert sum(p.cost_usd for p in parts) == pytest.approx(0.03)


class TestStrictSchema:
    def test_a_model_becomes_a_schema_that_openai_takes(self) -> None:
        class Inner(BaseModel):
            note: str | None = None
            score: int = Field(default=1, ge=0, le=3)

        class Outer(BaseModel):
            """With words."""

            name: str = Field(min_length=1, max_length=10)
            parts: list[Inner] = Field(default_factory=list, max_length=3)

        schema = strict_schema(Outer)
        assert schema_problem(schema) is None
        assert schema["required"] == ["name", "parts"]
        assert schema["properties"]["parts"]["maxItems"] == 3

    def test_free_keys_are_refused(self) -> None:
        class Free(BaseModel):
            anything: dict[str, int]

        with pytest.raises(ConfigurationError):
            strict_schema(Free)


def test_the_stand_in_refuses_what_openai_refuses() -> None:
    for wrong in (
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": [], "additionalProperties": False},
        {**SCHEMA, "properties": {"mood": {"type": "string", "minLength": 1}}},
        {**SCHEMA, "properties": {"mood": {"type": "string", "enum": [str(n) for n in range(1001)]}}},
        {**SCHEMA, "properties": {"mood": {"type": "string", "enum": [f"{n:0100d}" for n in range(251)]}}},
        {"type": "array", "items": {"type": "string"}},
    ):
        assert schema_problem(wrong) is not None
    assert schema_problem(SCHEMA) is None
    with pytest.raises(Refused, match="Unknown parameter: 'mood'"):
        StandIn(brain=KeywordBrain()).chat({"model": "gpt-4.1", "messages": HELLO, "mood": 1}, None)
