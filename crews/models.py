"""From a model's name to the labeler that speaks for it, and what a run with it would cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from agents.client import ModelClient
from agents.prelabeler import BATCH_SIZE, PrelabelAgent
from crews.bulk import BulkLabeler, CrewLabeler, ExamplesFor
from crews.prelabel import Table
from schemas.caching import CompletionCache
from schemas.labelsets import Labelset
from schemas.settings import Settings
from schemas.spending import Spend
from schemas.world import JobEstimate

LOCAL = "local/"
CALL_SECONDS = 2.0
"""How long a batch takes a hosted model, for estimates."""
ANSWER_TOKENS = {"classification": 40, "spans": 90}
"""What a model writes for an item, for estimates: id, a reason of a dozen words, the label, a confidence."""


def is_local(model: str) -> bool:
    """Whether a model runs inside LabelCrew, without any server."""
    return model.startswith(LOCAL)


class Clients:
    """One client for each model, shared by everything that runs in one event loop: limits hold for all together."""

    def __init__(self, settings: Settings, *, cache: CompletionCache | None = None) -> None:
        self._settings = settings
        self._cache = cache
        self._clients: dict[str, ModelClient] = {}

    def get(self, model: str) -> ModelClient:
        """The model's client. Raises unknown-model and network-forbidden."""
        if model not in self._clients:
            self._clients[model] = ModelClient.from_settings(self._settings, model, cache=self._cache)
        return self._clients[model]

    async def close(self) -> None:
        """Close all connections."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.close()


def language_model(
    model: str,
    labelset: Labelset,
    guidelines: str,
    settings: Settings,
    *,
    client: ModelClient | None = None,
    cache: CompletionCache | None = None,
    spend: Spend | None = None,
    examples_for: ExamplesFor | None = None,
    batch_size: int | None = None,
    concurrency: int | None = None,
    threshold: float = 0.5,
    calibrate: Callable[[float], float] | None = None,
    with_crew: bool = True,
    interactive: bool = False,
) -> BulkLabeler | CrewLabeler:
    """A labeler for a model behind OpenAI's protocol; ``interactive`` sends every item to the crew.

    ``client`` is shared by many labelers (see :class:`Clients`); without one, the labeler has its own, with ``cache``
    and ``concurrency``. Raises unknown-model, network-forbidden, and invalid where a text model cannot draft.
    """
    if client is None:
        limited = settings if concurrency is None else settings.model_copy(update={"llm_concurrency": concurrency})
        client = ModelClient.from_settings(limited, model, cache=cache)
    table = Table(client, labelset, guidelines, settings.data_path / "crewai", spend)
    agent = PrelabelAgent(client, labelset, guidelines, batch_size=batch_size or BATCH_SIZE, spend=spend)
    if interactive:
        return CrewLabeler(table, calibrate=calibrate, examples_for=examples_for)
    return BulkLabeler(
        agent, table, threshold=threshold, calibrate=calibrate, examples_for=examples_for, with_crew=with_crew
    )


def estimate_run(
    client: ModelClient,
    labelset: Labelset,
    guidelines: str,
    sample: Sequence[str],
    items: int,
    *,
    batch_size: int = BATCH_SIZE,
    example_texts: Sequence[str] = (),
) -> JobEstimate:
    """What drafting ``items`` texts like those of ``sample`` would take, without deliberations.

    ``example_texts``: as many examples as a batch will be shown. The cost is None when the model's price is unknown.
    """
    agent = PrelabelAgent(client, labelset, guidelines, batch_size=batch_size)
    batches = [sample[at : at + batch_size] for at in range(0, len(sample), batch_size)] or [[""]]
    per_call = [client.estimate_tokens(agent.messages(batch), agent.schema) for batch in batches]
    example_tokens = client.estimate_tokens([{"role": "user", "content": "\n".join(example_texts)}])
    calls = math.ceil(items / batch_size)
    input_tokens = round(calls * (sum(per_call) / len(per_call) + (example_tokens if example_texts else 0)))
    output_tokens = items * ANSWER_TOKENS[labelset.kind]
    return JobEstimate(
        items=items,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cost_usd=client.price.cost(input_tokens, 0, output_tokens) if client.price else None,
        minutes=math.ceil(calls / client.concurrency) * CALL_SECONDS / 60,
        model=client.model,
    )
