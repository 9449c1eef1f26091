"""An answer that nobody reads any more ends: at the model's server, in the budget, and in the history."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest_asyncio
import uvicorn
from pydantic import SecretStr

from api.chatting import stream_chat
from jobs.chat import open_chat
from schemas.guidance import ChatAsk
from schemas.settings import Settings
from store.rpc import Rpc
from tests.api.test_hints import taught
from tests.support.gateway import House, open_house
from tests.support.openai_server import KEY, StandIn
from tests.support.openai_tools import HandyBrain


@pytest_asyncio.fixture
async def model() -> AsyncIterator[StandIn]:
    """A model that talks for minutes."""
    async with StandIn(brain=HandyBrain("word " * 40_000), pace=0.002) as server:
        yield server


@pytest_asyncio.fixture
async def talking(settings: Settings, pg_rpc: Rpc, model: StandIn) -> AsyncIterator[House]:
    update = {"openai_api_key": SecretStr(KEY), "openai_base_url": model.base_url}
    async with open_house(settings.model_copy(update=update), pg_rpc) as house:
        yield house


@asynccontextmanager
async def on_a_port(house: House) -> AsyncIterator[int]:
    """The application behind uvicorn, as it is served."""
    config = uvicorn.Config(house.app, port=0, lifespan="off", log_level="warning")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


async def kept(house: House, dataset: str) -> list[dict[str, Any]]:
    """The history, once the answer is in it."""
    history: list[dict[str, Any]] = []
    for _ in range(200):
        history = (await house.get("annotator", f"/v1/datasets/{dataset}/chat")).json()["messages"]
        if len(history) == 2:
            break
        await asyncio.sleep(0.02)
    return history


async def check_ended(house: House, dataset: str, model: StandIn) -> None:
    history = await kept(house, dataset)
    sent = model.pieces_sent
    await asyncio.sleep(0.1)
    assert (model.abandoned, model.pieces_sent) == (1, sent)
    assert sent < 1_000
    assert history[1]["data"]["ended"] == "cancelled"
    assert history[1]["content"].startswith("word word")
    effect = (await house.get("reviewer", f"/v1/datasets/{dataset}/hints/effect")).json()
    assert 0 < effect["cost_usd"] < 0.01


async def test_closing_the_stream_ends_the_models_answer_and_keeps_what_was_said(
    talking: House, model: StandIn
) -> None:
    dataset = await taught(talking)
    actor = talking.people["annotator"].id
    asked = ChatAsk(message="Talk")
    conversation = await open_chat(talking.rpc, talking.gateway.settings, actor, dataset, asked)
    stream = stream_chat(talking.gateway, conversation.events()).body_iterator
    raw = b""
    async for part in stream:
        raw += part if isinstance(part, bytes) else str(part).encode()
        if raw.count(b"event: token") > 5:
            break
    await stream.aclose()  # type: ignore[union-attr]
    await check_ended(talking, dataset, model)


async def test_a_client_that_hangs_up_ends_the_models_answer(talking: House, model: StandIn) -> None:
    dataset = await taught(talking)
    body = json.dumps({"message": "Talk"}).encode()
    async with on_a_port(talking) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = (
            f"POST /v1/datasets/{dataset}/chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Authorization: {talking.people['annotator'].headers['Authorization']}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        for _ in range(5):
            await reader.readuntil(b"event: token")
        writer.transport.abort()
        await check_ended(talking, dataset, model)


async def test_a_client_that_hangs_up_before_the_first_word_ends_the_call(talking: House, model: StandIn) -> None:
    model.latency = 30.0
    dataset = await taught(talking)
    body = json.dumps({"message": "Talk"}).encode()
    async with on_a_port(talking) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        token = talking.people["annotator"].headers["Authorization"]
        head = (
            f"POST /v1/datasets/{dataset}/chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Authorization: {token}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await reader.readuntil(b"event: start")
        while not model.connections:
            await asyncio.sleep(0.01)
        writer.transport.abort()
        history = await kept(talking, dataset)
        assert (history[1]["data"]["ended"], history[1]["content"]) == ("cancelled", "")
        for _ in range(100):
            if not model.connections:
                break
            await asyncio.sleep(0.02)
        assert not model.connections
