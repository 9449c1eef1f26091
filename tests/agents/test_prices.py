"""What a call costs, and when nobody knows."""

from __future__ import annotations

import pytest

from agents.prices import FREE, price_of, require_price, usage_of
from schemas.errors import ConfigurationError, Invalid


def test_gpt_4_1_mini_costs_its_list_price() -> None:
    price = price_of("gpt-4.1-mini")
    assert price is not None
    assert (price.input, price.cached, price.output) == (0.40, 0.10, 1.60)
    assert price.cost(1_000_000, 0, 1_000_000) == pytest.approx(2.00)


def test_cached_input_costs_its_own_price() -> None:
    price = price_of("gpt-4.1-mini")
    assert price is not None
    assert price.cost(1_000_000, 500_000, 0) == pytest.approx(0.25)


@pytest.mark.parametrize("name", ["gpt-4.1-mini-2025-04-14", "openai/gpt-4.1-mini"])
def test_snapshots_and_routed_names_cost_what_the_model_costs(name: str) -> None:
    assert price_of(name) == price_of("gpt-4.1-mini")


def test_the_embedded_model_is_free() -> None:
    assert price_of("local/minilm-l6") == FREE


def test_a_model_on_this_machine_is_free() -> None:
    assert price_of("llama3.2", on_this_machine=True) == FREE


def test_an_unknown_model_has_no_price() -> None:
    assert price_of("somebody/model") is None
    with pytest.raises(Invalid) as caught:
        require_price("somebody/model")
    assert caught.value.code == "unknown-price"


def test_a_setting_overrides_the_table() -> None:
    price = price_of("gpt-4.1-mini", overrides='{"gpt-4.1-mini": {"input": 1, "output": 2}}')
    assert price is not None
    assert price.cost(1_000_000, 400_000, 0) == pytest.approx(1.0)


@pytest.mark.parametrize("wrong", ["nonsense", "[1]", '{"m": {"input": -1, "output": 1}}', '{"m": {"inpt": 1}}'])
def test_a_setting_that_cannot_be_read_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match="LABELCREW_PRICES"):
        price_of("m", overrides=wrong)


def test_an_unknown_price_adds_nothing() -> None:
    assert usage_of(None, 10, 0, 10).cost_usd == 0
