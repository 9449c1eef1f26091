"""Bulk drafting without a crew: batches side by side, doubts in words, budgets, estimates."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from crews.bulk import BulkLabeler, find_examples
from crews.models import Clients, estimate_run, is_local, language_model
from schemas.errors import LabelCrewError, ModelError, PaymentRequired
from schemas.labeling import Example, Labeler, PrelabelInput, finished_drafts
from schemas.labelsets import Labelset
from schemas.payloads import Classification
from schemas.settings import Settings
from tests.support.model import MODEL, Budget, MemoryCache, client_of, items_of_texts
from tests.support.openai_brain import items_of
from tests.support.openai_server import KEY, StandIn

BANK = Labelset.of(["lost card", "top up", "exchange rate"])


@pytest.fixture
async def server() -> AsyncIterator[StandIn]:
    async with StandIn() as running:
        yield running


@pytest.fixture
def described(server: StandIn, tmp_path: Path) -> Settings:
    return Settings(OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.base_url, data_dir=tmp_path, forbid_network=True)


def bulk(described: Settings, **options: object) -> BulkLabeler:
    labeler = language_model(MODEL, BANK, "", described, with_crew=False, **options)  # type: ignore[arg-type]
    assert isinstance(labeler, BulkLabeler)
    return labeler


async def test_a_language_model_is_a_labeler(described: Settings) -> None:
    labeler: Labeler = bulk(described, batch_size=3)
    assert (labeler.name, labeler.batch_size) == (MODEL, 3)


async def test_many_items_are_drafted_in_batches_side_by_side_in_order(server: StandIn, described: Settings) -> None:
    server.latency = 0.05
    drafts = await bulk(described).draft(items_of_texts(f"top up {n}" for n in range(60)))
    assert [d.item_id for d in drafts] == [f"i{n}" for n in range(60)]
    assert server.most_at_once == 6
    assert [len(items_of(call.body["messages"])) for call in server.chats] == [10] * 6


async def test_the_reason_of_the_route_names_confidence_and_threshold(described: Settings) -> None:
    sure, unsure = await bulk(described).draft(items_of_texts(["lost card", "hm"]))
    assert sure.route_reason.endswith("Every check passed; its confidence of 0.92 reaches 0.50.")
    assert unsure.route_reason.endswith(
        "In doubt, because its confidence of 0.30 is under 0.50; the crew is switched off."
    )


async def test_a_calibrated_probability_decides_instead_of_the_claim(described: Settings) -> None:
    labeler = bulk(described, calibrate=lambda claimed: claimed / 2, threshold=0.4)
    sure, unsure = await labeler.draft(items_of_texts(["lost card", "hm"]))
    assert (sure.confidence, sure.probability) == (pytest.approx(0.92), pytest.approx(0.46))
    assert "its probability of 0.46 reaches 0.40" in sure.route_reason
    assert "its probability of 0.15 is under 0.40" in unsure.route_reason


async def test_examples_are_looked_up_for_each_batch(server: StandIn, described: Settings) -> None:
    asked: list[list[str]] = []

    async def examples_for(items: Sequence[PrelabelInput]) -> list[Example]:
        asked.append([item.item_id for item in items])
        return [Example(item_id="e", text="gone", payload=Classification(labels=("lost card",)))]

    await bulk(described, examples_for=examples_for, batch_size=2).draft(items_of_texts(["a", "b", "c"]))
    assert sorted(asked) == [["i0", "i1"], ["i2"]]
    assert all('"gone" =>' in call.body["messages"][1]["content"] for call in server.chats)


async def test_examples_may_be_found_at_once_too() -> None:
    example = Example(item_id="e", text="gone", payload=Classification(labels=("lost card",)))
    assert await find_examples(lambda _items: [example], []) == [example]
    assert await find_examples(None, []) == ()


async def test_a_budget_that_runs_out_keeps_what_was_drafted(server: StandIn, described: Settings) -> None:
    budget = Budget(0.004)
    labeler = bulk(described, spend=budget, concurrency=2, calibrate=lambda claimed: claimed)
    with pytest.raises(PaymentRequired) as caught:
        await labeler.draft(items_of_texts(f"top up {n}" for n in range(1_000)))
    done = finished_drafts(caught.value)
    assert 0 < len(done) < 1_000
    assert all(d.probability is not None for d in done)
    assert budget.most <= 0.004
    assert budget.spent == pytest.approx(sum(d.usage.cost_usd for d in done))


async def test_a_wrong_key_stops_the_run(described: Settings, server: StandIn) -> None:
    wrong = described.model_copy(update={"openai_api_key": None})
    with pytest.raises(ModelError) as caught:
        await bulk(wrong).draft(items_of_texts(["a"]))
    assert caught.value.code == "model-auth"


async def test_items_drafted_before_cost_nothing_when_asked_again(server: StandIn, described: Settings) -> None:
    labeler = bulk(described, cache=MemoryCache())
    items = items_of_texts(f"top up {n}" for n in range(30))
    first = await labeler.draft(items)
    again = await labeler.draft(items)
    assert [d.payload for d in again] == [d.payload for d in first]
    assert [d.confidence for d in again] == [d.confidence for d in first]
    assert sum(d.usage.cost_usd for d in again) == 0
    assert len(server.chats) == 3


async def test_one_client_serves_all_labelers_of_a_model(described: Settings) -> None:
    clients = Clients(described)
    assert clients.get(MODEL) is clients.get(MODEL)
    assert clients.get(MODEL) is not clients.get("gpt-4.1")
    await clients.close()


async def test_a_model_without_a_server_is_refused_with_unknown_model(described: Settings) -> None:
    nowhere = described.model_copy(update={"openai_api_key": None, "openai_base_url": None})
    with pytest.raises(LabelCrewError) as caught:
        language_model(MODEL, BANK, "", nowhere)
    assert caught.value.code == "unknown-model"


def test_local_models_are_told_by_their_name() -> None:
    assert is_local("local/minilm-l6")
    assert not is_local("gpt-4.1-mini")


class TestEstimate:
    async def test_the_estimate_of_input_comes_close_to_what_is_used(
        self, server: StandIn, described: Settings
    ) -> None:
        texts = [f"how do I top up my card number {n}" for n in range(200)]
        client = client_of(server)
        estimate = estimate_run(client, BANK, "", texts[:50], len(texts))
        await bulk(described, client=client).draft(items_of_texts(texts))
        assert estimate.input_tokens == pytest.approx(server.tokens["prompt"], rel=0.5)
        assert estimate.cost_usd is not None
        assert (estimate.items, estimate.model) == (200, MODEL)
        assert estimate.minutes > 0

    async def test_without_a_price_there_is_no_cost(self, server: StandIn) -> None:
        assert estimate_run(client_of(server, price=None), BANK, "", ["a"], 10).cost_usd is None

    async def test_examples_add_to_the_input(self, server: StandIn) -> None:
        client = client_of(server)
        plain = estimate_run(client, BANK, "", ["a"], 100)
        with_examples = estimate_run(client, BANK, "", ["a"], 100, example_texts=["an example"] * 5)
        assert with_examples.input_tokens > plain.input_tokens
