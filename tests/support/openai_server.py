"""A strict stand-in for OpenAI's HTTP protocol: chat completions (streamed too), models and embeddings.

It refuses what OpenAI refuses (wrong keys, unknown parameters and models, schemas outside the strict subset, prompts
over the context), counts tokens, and fails on purpose: rate limits with Retry-After, server errors, cut connections,
malformed JSON, refusals, truncated and filtered answers, answers that forget, repeat or invent items. Raw asyncio and
httptools, so that a call costs a fraction of a millisecond and the client is what a benchmark measures.

In a test: ``async with StandIn(brain=...) as server: ... server.base_url``. On its own:
``python -m tests.support.openai_server --port 8001 --latency 0.3 --faults 0.1``.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import orjson

from tests.support.openai_answers import ALL_FAULTS, ANSWER_FAULTS, KEY, TRANSPORT_FAULTS, Answers, even_faults
from tests.support.openai_brain import Brain, GoldBrain, KeywordBrain
from tests.support.openai_wire import Call, Connection

__all__ = ["ALL_FAULTS", "ANSWER_FAULTS", "KEY", "TRANSPORT_FAULTS", "Call", "StandIn", "even_faults"]


@dataclass
class StandIn(Answers):
    """The server. ``script`` names the fault of each coming call in turn (None: no fault), then ``rates`` apply."""

    latency: float = 0.0
    """Seconds until a chat answer is sent."""
    pace: float = 0.0
    """Seconds between the pieces of a streamed answer."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """Fault → share of calls."""
    seed: int = 7
    record: bool = True
    """False: keep no requests, for long runs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.calls: list[Call] = []
        self.script: list[str | None] = []
        self.at_once = 0
        self.abandoned = 0
        """Streamed answers whose reader went away before the end."""
        self.pieces_sent = 0
        self.most_at_once = 0
        self.connections: set[asyncio.Transport] = set()
        self._random = random.Random(self.seed)
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), host, port)

    async def stop(self) -> None:
        """Close all connections and the socket."""
        assert self._server is not None
        self._server.close()
        for transport in list(self.connections):
            transport.abort()
        await self._server.wait_closed()

    @property
    def base_url(self) -> str:
        """What OPENAI_BASE_URL should say."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    @property
    def chats(self) -> list[Call]:
        """The chat calls that arrived."""
        return [call for call in self.calls if call.path == "/v1/chat/completions"]

    def next_fault(self) -> str | None:
        """The fault of the call at hand."""
        if self.script:
            return self.script.pop(0)
        if not self.rates:
            return None
        draw = self._random.random()
        for fault, rate in self.rates.items():
            if draw < rate:
                return fault
            draw -= rate
        return None


async def _serve(options: argparse.Namespace) -> None:
    brain: Brain = KeywordBrain()
    if options.gold:
        rows = [orjson.loads(line) for line in Path(options.gold).read_bytes().splitlines()]
        brain = GoldBrain({row["text"]: row["label"] for row in rows})
    server = StandIn(
        brain=brain, latency=options.latency, rates=even_faults(options.faults) if options.faults else {}, record=False
    )
    await server.start(port=options.port)
    print(f"listening on {server.base_url} with the key {KEY}", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Run the stand-in until it is stopped."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds until a chat answer is sent")
    parser.add_argument("--faults", type=float, default=0.0, help="share of calls that fail, all kinds alike")
    parser.add_argument("--gold", help="JSONL file with text and label, to answer right")
    options = parser.parse_args()
    try:
        import uvloop

        uvloop.run(_serve(options))
    except ImportError:
        asyncio.run(_serve(options))


if __name__ == "__main__":
    main()
