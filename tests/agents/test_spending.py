"""What a call costs: nothing when it was asked before, never more than the budget holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from agents.completion import Completion
from prompts import Message
from schemas.caching import CachedCompletion
from schemas.errors import LabelCrewError, ModelError, PaymentRequired, error_of
from schemas.world import Usage
from tests.support.model import Budget, MemoryCache, client_of
from tests.support.openai_server import StandIn

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


class TestCache:
    async def test_a_repeated_question_costs_nothing_and_calls_nobody(self, server: StandIn) -> None:
        client = client_of(server, cache=MemoryCache())
        first = await client.complete(HELLO, schema=SCHEMA, logprobs=True)
        again = await client.complete(HELLO, schema=SCHEMA, logprobs=True)
        assert again.cached
        assert (again.value, again.label_probabilities) == (first.value, first.label_probabilities)
        assert again.usage == Usage()
        assert len(server.chats) == 1

    async def test_a_repeated_question_needs_no_budget(self, server: StandIn) -> None:
        client = client_of(server, cache=MemoryCache())
        await client.complete(HELLO, schema=SCHEMA)
        assert (await client.complete(HELLO, schema=SCHEMA, spend=Budget(0.0))).cached

    @pytest.mark.parametrize(
        "change", [{"schema": None}, {"temperature": 0.5}, {"attempt": 1}, {"max_output_tokens": 50}]
    )
    async def test_another_question_is_asked(self, server: StandIn, change: dict[str, Any]) -> None:
        client = client_of(server, cache=MemoryCache())
        await client.complete(HELLO, schema=SCHEMA)
        await client.complete(HELLO, **({"schema": SCHEMA} | change))
        assert len(server.chats) == 2

    async def test_another_model_or_server_is_another_question(self, server: StandIn) -> None:
        cache = MemoryCache()
        await client_of(server, cache=cache).complete(HELLO)
        await client_of(server, cache=cache, model="gpt-4.1").complete(HELLO)
        async with StandIn() as other:
            await client_of(other, cache=cache).complete(HELLO)
        assert len(cache.entries) == 3

    async def test_an_answer_of_no_use_is_not_kept(self, server: StandIn) -> None:
        cache = MemoryCache()
        server.script = ["refusal"]
        await client_of(server, cache=cache).complete(HELLO, schema=SCHEMA)
        assert cache.entries == {}

    async def test_a_cache_that_fails_stops_nothing(self, server: StandIn) -> None:
        class Broken:
            async def get_many(self, keys: Sequence[str]) -> dict[str, CachedCompletion]:
                raise error_of("unavailable")

            async def put_many(self, items: Any) -> None:
                raise error_of("unavailable")

        completion = await client_of(server, cache=Broken()).complete(HELLO, schema=SCHEMA)
        assert completion.value == {"mood": "good"}

    def test_an_entry_of_somebody_else_is_ignored(self) -> None:
        assert Completion.from_cache({"answer": 1}, as_json=False) is None
        assert Completion.from_cache({"text": "not json"}, as_json=True) is None


class TestBudget:
    async def test_what_is_spent_is_what_the_answers_cost(self, server: StandIn) -> None:
        budget = Budget(1.0)
        completion = await client_of(server).complete(HELLO, spend=budget)
        assert budget.spent == pytest.approx(completion.usage.cost_usd)
        assert budget.held == pytest.approx(0.0)
        assert budget.most > budget.spent

    async def test_a_call_that_does_not_fit_is_refused_before_it_is_made(self, server: StandIn) -> None:
        with pytest.raises(PaymentRequired):
            await client_of(server).complete(HELLO, spend=Budget(0.000001))
        assert server.chats == []

    async def test_a_budget_is_not_used_up_while_calls_under_way_hold_most_of_it(self, server: StandIn) -> None:
        server.latency = 0.01
        budget = Budget(0.01)
        client = client_of(server, concurrency=32)

        async def ask(number: int) -> bool:
            question: list[Message] = [{"role": "user", "content": f"Question {number}"}]
            try:
                await client.complete(question, schema=SCHEMA, max_output_tokens=1_000, spend=budget)
            except PaymentRequired:
                return False
            return True

        assert all(await asyncio.gather(*(ask(number) for number in range(100))))
        assert budget.most <= 0.01
        assert budget.held == pytest.approx(0.0)

    async def test_calls_that_wait_for_room_all_end_when_there_is_none(self, server: StandIn) -> None:
        budget = Budget(0.0018)
        client = client_of(server)
        ended = await asyncio.gather(
            *(client.complete(HELLO, max_output_tokens=1_000, spend=budget) for _ in range(100)),
            return_exceptions=True,
        )
        refused = [e for e in ended if isinstance(e, PaymentRequired)]
        assert 0 < len(refused) < 100
        assert len(refused) + sum(isinstance(e, Completion) for e in ended) == 100

    async def test_a_call_that_failed_gives_its_reservation_back(self, server: StandIn) -> None:
        budget = Budget(1.0)
        with pytest.raises(ModelError):
            await client_of(server, api_key="wrong").complete(HELLO, spend=budget)
        assert (budget.held, budget.spent) == (0.0, 0.0)

    async def test_an_unknown_price_is_refused_because_no_budget_could_be_kept(self, server: StandIn) -> None:
        with pytest.raises(LabelCrewError) as caught:
            await client_of(server, price=None).complete(HELLO, spend=Budget(1.0))
        assert caught.value.code == "unknown-price"
