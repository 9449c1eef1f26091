"""Answers that stream: pieces, calls of tools, what they cost, and what happens when either side breaks off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agents.streaming import Chat, Turn, stream_turn
from schemas.errors import LabelCrewError
from tests.support.model import Budget, client_of
from tests.support.openai_server import StandIn
from tests.support.openai_tools import HandyBrain

HELLO: list[Chat] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
LOOK = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Looks something up.",
        "strict": True,
        "parameters": {
            "type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"],
            "additionalProperties": False,
        },
    },
}  # fmt: skip
WORDS = "This is an answer of a few words, longer than a piece."


@pytest.fixture
async def server() -> AsyncIterator[StandIn]:
    async with StandIn(brain=HandyBrain(WORDS)) as running:
        yield running


async def said(server: StandIn, messages: list[Chat] = HELLO, **options: Any) -> tuple[list[str], Turn]:
    turn = Turn()
    client = client_of(server, max_retries=options.pop("max_retries", 6))
    pieces = [piece async for piece in stream_turn(client, messages, turn, **options)]
    await client.close()
    return pieces, turn


async def test_text_comes_in_pieces_with_its_tokens_and_its_price(server: StandIn) -> None:
    pieces, turn = await said(server)
    assert len(pieces) > 3
    assert "".join(pieces) == turn.text == WORDS
    usage = turn.usage
    assert usage.input_tokens > 0
    assert usage.cost_usd == pytest.approx((usage.input_tokens * 0.4 + usage.output_tokens * 1.6) / 1e6)
    assert server.chats[0].body["stream_options"] == {"include_usage": True}


async def test_calls_of_tools_are_put_together_and_their_results_taken(server: StandIn) -> None:
    server.brain = HandyBrain([("look_up", {"query": "late parcels"}), ("look_up", {"query": "ü 🙂"})], WORDS)
    _, turn = await said(server, tools=[LOOK])
    assert [(c.name, c.values) for c in turn.calls] == [
        ("look_up", {"query": "late parcels"}), ("look_up", {"query": "ü 🙂"}),
    ]  # fmt: skip
    results = [{"role": "tool", "tool_call_id": c.id, "content": "nothing"} for c in turn.calls]
    _, second = await said(server, [*HELLO, turn.as_message(), *results], tools=[LOOK])
    assert second.text == WORDS


async def test_arguments_that_are_no_json_are_none(server: StandIn) -> None:
    server.brain = HandyBrain([("look_up", "{not json"), ("look_up", "[1]")])
    _, turn = await said(server, tools=[LOOK])
    assert [c.values for c in turn.calls] == [None, None]


async def test_the_stand_in_refuses_a_call_without_its_result(server: StandIn) -> None:
    server.brain = HandyBrain([("look_up", {"query": "x"})])
    _, turn = await said(server, tools=[LOOK])
    with pytest.raises(LabelCrewError, match="refused the request"):
        await said(server, [*HELLO, turn.as_message()], tools=[LOOK])


@pytest.mark.parametrize("fault", ["rate-limit", "server-error", "cut"])
async def test_what_fails_before_the_first_piece_is_tried_again(server: StandIn, fault: str) -> None:
    server.script = [fault, None]
    pieces, _ = await said(server)
    assert "".join(pieces) == WORDS
    assert len(server.chats) == 2


async def test_an_answer_that_breaks_off_is_an_error_and_is_not_asked_again(server: StandIn) -> None:
    server.script = ["cut-midway"]
    budget = Budget(1.0)
    with pytest.raises(LabelCrewError, match="broke off") as raised:
        await said(server, spend=budget)
    assert raised.value.code == "model-error"
    assert len(server.chats) == 1
    assert budget.spent > 0
    assert budget.held == pytest.approx(0)


@pytest.mark.parametrize(("fault", "code"), [("refusal", "model-refused"), ("content-filter", "content-filtered")])
async def test_an_answer_that_is_none_says_why(server: StandIn, fault: str, code: str) -> None:
    server.script = [fault]
    with pytest.raises(LabelCrewError) as raised:
        await said(server)
    assert raised.value.code == code


async def test_whoever_stops_reading_ends_the_answer_at_the_server_and_pays_what_was_written(server: StandIn) -> None:
    server.brain, server.pace = HandyBrain("word " * 2_000), 0.002
    turn, budget = Turn(), Budget(1.0)
    client = client_of(server)
    pieces = stream_turn(client, HELLO, turn, spend=budget)
    async for _ in pieces:
        if len(turn.text) > 60:
            break
    await pieces.aclose()  # type: ignore[attr-defined]
    await asyncio.sleep(0.05)
    assert server.abandoned == 1
    sent = server.pieces_sent
    await asyncio.sleep(0.05)
    assert server.pieces_sent == sent < 100
    assert 0 < budget.spent < client.price.cost(100, 0, 400)  # type: ignore[union-attr]
    assert budget.held == pytest.approx(0)


async def test_a_cancelled_task_ends_the_answer_and_gives_its_place_back(server: StandIn) -> None:
    server.brain, server.pace = HandyBrain("word " * 2_000), 0.002
    client, budget, turn = client_of(server, concurrency=1), Budget(1.0), Turn()

    async def read() -> None:
        async for _ in stream_turn(client, HELLO, turn, spend=budget):
            pass

    task = asyncio.create_task(read())
    while len(turn.text) < 40:
        await asyncio.sleep(0.002)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.05)
    assert (server.abandoned, budget.held) == (1, pytest.approx(0))
    server.pace = 0.0
    again = [piece async for piece in stream_turn(client, HELLO, Turn())]
    assert again


async def test_a_budget_without_room_is_refused_before_anything_is_asked(server: StandIn) -> None:
    with pytest.raises(LabelCrewError) as raised:
        await said(server, spend=Budget(0.0))
    assert (raised.value.code, server.chats) == ("budget-exceeded", [])


@pytest.mark.parametrize("refused", ["stream_options", "tools", "temperature"])
async def test_what_the_server_does_not_know_is_left_out(server: StandIn, refused: str) -> None:
    server.refused_parameters = frozenset({refused})
    _, turn = await said(server, tools=[LOOK])
    assert turn.text == WORDS
    assert refused not in server.chats[-1].body
    assert turn.usage.output_tokens > 0


async def test_tries_run_out(server: StandIn) -> None:
    server.script = ["server-error"] * 9
    with pytest.raises(LabelCrewError) as raised:
        await said(server, max_retries=1)
    assert (raised.value.code, len(server.chats)) == ("model-error", 2)
