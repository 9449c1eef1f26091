"""Bulk drafting with a language model, against a plain loop over the same SDK with the same batches.

The model's server is the stand-in of the tests in a process of its own: 300 ms an answer, 64 calls at once, ten items a
call, 77 classes. What is measured is the client: its checks, retries, prices and drafts against a loop that has none.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from agents.client import ModelClient
from agents.prelabeler import PrelabelAgent
from agents.prices import PRICES
from bench.tables import Table
from schemas.labeling import PrelabelInput
from schemas.labelsets import Labelset

MODEL = "gpt-4.1-mini"
KEY = "test-key"
AT_ONCE = 64
BATCH = 10
LATENCY_S = 0.3
CLASSES = 77
ROUNDS = 3
SHARE = 0.8
FAULTS = 0.1
WITH_FAULTS = "LabelCrew, every tenth call fails, all kinds of faults"


@dataclass
class Measured:
    """One run."""

    items_per_s: float
    cpu_ms: float
    characters: float
    labelled: float = 1.0
    """Share of the items that got a label, each one draft."""
    tokens: float | None = None
    """Per item, prompt and answer, as the server counted them; failed calls included."""
    usd: float | None = None
    """Of all items."""


def run(*, quick: bool) -> list[Table]:
    """Items a second, processor time and prompt characters an item; medians of alternating runs."""
    count = 640 if quick else 9_000
    texts = [f"I have a question about my payment number {n}, can you help me?" for n in range(count)]
    names = [f"reason_of_the_call_{n:02d}" for n in range(CLASSES)]
    table = Table(
        f"Bulk drafting: {count:,} texts, {CLASSES} classes, {BATCH} a call, {AT_ONCE} calls at once, 300 ms a call",
        [
            "client", "items/s", "of the plain loop", "target", "reached", "CPU ms/item", "prompt characters/item",
            "labelled", "tokens/item", "USD",
        ],
    )  # fmt: skip
    with _server() as (url, process), _server(faults=FAULTS) as (failing, _):
        clients: dict[str, Callable[[], Awaitable[Measured]]] = {
            "plain asyncio loop, openai SDK": lambda: _plain(url, texts, names),
            "LabelCrew, claimed confidence": lambda: _ours(url, texts, names, logprobs=False),
            "LabelCrew, token probabilities": lambda: _ours(url, texts, names, logprobs=True),
        }
        runs: dict[str, list[Measured]] = {name: [] for name in clients}
        for _ in range(1 if quick else ROUNDS):
            for name, client in clients.items():
                runs[name].append(asyncio.run(_measure(client)))
        clients[WITH_FAULTS] = lambda: _ours(failing, texts, names, logprobs=False)
        runs[WITH_FAULTS] = [asyncio.run(_measure(clients[WITH_FAULTS]))]
        served = process.cpu_times()
    peer = statistics.median(m.items_per_s for m in runs["plain asyncio loop, openai SDK"])
    for name, measured in runs.items():
        rate = statistics.median(m.items_per_s for m in measured)
        cpu = statistics.median(m.cpu_ms for m in measured)
        aimed = name.startswith("LabelCrew") and name != WITH_FAULTS
        table.add(
            name, round(rate), round(rate / peer, 2), f"≥ {SHARE}" if aimed else None,
            ("yes" if rate / peer >= SHARE else "no") if aimed else None, round(cpu, 3), round(measured[0].characters),
            f"{measured[0].labelled:.2%}", measured[0].tokens, measured[0].usd,
        )  # fmt: skip
    calls = sum(len(m) for name, m in runs.items() if name != WITH_FAULTS) * count / BATCH
    table.note = f"The server took {(served.user + served.system) / calls * 1000:.2f} ms of processor time a call."
    return [table]


async def _measure(client: Callable[[], Awaitable[Measured]]) -> Measured:
    return await client()


async def _plain(url: str, texts: list[str], names: list[str]) -> Measured:
    from openai import AsyncOpenAI

    sdk = AsyncOpenAI(api_key=KEY, base_url=url)
    label = {"type": "string", "enum": names}
    properties = {"id": {"type": "integer"}, "label": label, "confidence": {"type": "integer"}}
    row = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    answers = {"answers": {"type": "array", "items": row}}
    schema = {"type": "object", "properties": answers, "required": ["answers"], "additionalProperties": False}
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}
    system = "Classify each text into one of these classes, with a confidence from 0 to 100:\n" + "\n".join(names)
    places = asyncio.Semaphore(AT_ONCE)
    found: dict[int, tuple[str, int]] = {}
    characters = 0

    async def ask(start: int) -> None:
        nonlocal characters
        lines = [f"{n}: {json.dumps(text)}" for n, text in enumerate(texts[start : start + BATCH], 1)]
        user = "<items>\n" + "\n".join(lines) + "\n</items>"
        characters += len(system) + len(user)
        async with places:
            completion = await sdk.chat.completions.create(
                model=MODEL,
                temperature=0,
                messages=[{"role": "system", "content": system}, {"role": "user", "content": user}],
                response_format=wanted,  # type: ignore[arg-type]
            )
        for answer in json.loads(completion.choices[0].message.content or "")["answers"]:
            found[start + answer["id"] - 1] = (answer["label"], answer["confidence"])

    await ask(0)
    characters = 0
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(ask(start) for start in range(0, len(texts), BATCH)))
    took, used = time.perf_counter() - began, time.process_time() - cpu
    await sdk.close()
    assert len(found) == len(texts)
    return Measured(len(texts) / took, used / len(texts) * 1000, characters / len(texts))


async def _ours(url: str, texts: list[str], names: list[str], *, logprobs: bool) -> Measured:
    client = ModelClient(MODEL, api_key=KEY, base_url=url, concurrency=AT_ONCE, price=PRICES[MODEL])
    agent = PrelabelAgent(client, Labelset.of(names), batch_size=BATCH, logprobs=logprobs)
    items = [PrelabelInput(item_id=str(n), text=text) for n, text in enumerate(texts)]
    await agent.draft_batch(items[:BATCH])
    began, cpu = time.perf_counter(), time.process_time()
    drafts = await agent.draft_batch(items)
    took, used = time.perf_counter() - began, time.process_time() - cpu
    await client.close()
    if [draft.item_id for draft in drafts] != [item.item_id for item in items]:
        raise RuntimeError("an item was drafted twice, or not at all")
    characters = sum(len(message["content"]) for message in agent.messages(texts[:BATCH])) / BATCH
    labelled = sum(draft.payload is not None for draft in drafts) / len(drafts)
    tokens = sum(draft.usage.input_tokens + draft.usage.output_tokens for draft in drafts) / len(drafts)
    usd = sum(draft.usage.cost_usd for draft in drafts)
    return Measured(
        len(texts) / took, used / len(texts) * 1000, characters, labelled, round(tokens, 1), round(usd, 4)
    )  # fmt: skip


@contextmanager
def _server(*, faults: float = 0.0) -> Iterator[tuple[str, psutil.Process]]:
    command = [
        sys.executable, "-m", "tests.support.openai_server", "--latency", str(LATENCY_S), "--faults", str(faults)
    ]  # fmt: skip
    root = Path(__file__).resolve().parent.parent
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[2], psutil.Process(process.pid)
        finally:
            process.terminate()
