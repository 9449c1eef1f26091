"""What models cost: US dollars for a million tokens of input, of input the provider had cached, and of output.

The table holds OpenAI's standard list prices as published in August 2026; prices change, so a setting
(``LABELCREW_PRICES``) overrides it. A dated snapshot (``gpt-4.1-mini-2025-04-14``) costs what its name costs. A model
that runs on this machine costs nothing; the price of any other model that is not listed is unknown, and unknown is
never taken for nothing.
"""

from __future__ import annotations

import re

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.errors import error_of
from schemas.world import Usage

PER = 1_000_000


class Price(BaseModel):
    """USD per million tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: float = Field(ge=0)
    cached: float | None = Field(default=None, ge=0)
    """Input that the provider had cached; the full input price when None."""
    output: float = Field(ge=0)

    def cost(self, input_tokens: int, cached_tokens: int, output_tokens: int) -> float:
        """US dollars. ``input_tokens`` counts the cached ones too, as providers do."""
        cached = self.input if self.cached is None else self.cached
        fresh = max(0, input_tokens - cached_tokens)
        return (fresh * self.input + cached_tokens * cached + output_tokens * self.output) / PER


FREE = Price(input=0, cached=0, output=0)

PRICES: dict[str, Price] = {
    "gpt-4.1": Price(input=2.00, cached=0.50, output=8.00),
    "gpt-4.1-mini": Price(input=0.40, cached=0.10, output=1.60),
    "gpt-4.1-nano": Price(input=0.10, cached=0.025, output=0.40),
    "gpt-4o": Price(input=2.50, cached=1.25, output=10.00),
    "gpt-4o-mini": Price(input=0.15, cached=0.075, output=0.60),
    "gpt-5": Price(input=1.25, cached=0.125, output=10.00),
    "gpt-5-mini": Price(input=0.25, cached=0.025, output=2.00),
    "gpt-5-nano": Price(input=0.05, cached=0.005, output=0.40),
    "gpt-5.4": Price(input=2.50, cached=0.25, output=15.00),
    "gpt-5.4-mini": Price(input=0.75, cached=0.075, output=4.50),
    "gpt-5.4-nano": Price(input=0.20, cached=0.02, output=1.25),
    "o3": Price(input=2.00, cached=0.50, output=8.00),
    "o4-mini": Price(input=1.10, cached=0.275, output=4.40),
}

_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")


def price_of(model: str, *, overrides: str | None = None, on_this_machine: bool = False) -> Price | None:
    """The price of a model, or None when nobody told it.

    ``overrides`` is JSON, name → price, and wins. Raises ConfigurationError when it cannot be read.
    """
    if model.startswith("local/"):
        return FREE
    own = _read(overrides) if overrides else {}
    bare = _SNAPSHOT.sub("", model.removeprefix("openai/"))
    for table in (own, PRICES):
        for name in (model, bare):
            if name in table:
                return table[name]
    return FREE if on_this_machine else None


def require_price(model: str, overrides: str | None = None, *, on_this_machine: bool = False) -> Price:
    """The price of a model. Raises unknown-price: without one no budget can be kept."""
    price = price_of(model, overrides=overrides, on_this_machine=on_this_machine)
    if price is None:
        raise error_of("unknown-price", f"The price of {model} is not known, so a budget cannot be kept.")
    return price


def usage_of(price: Price | None, input_tokens: int, cached_tokens: int, output_tokens: int) -> Usage:
    """Tokens with their cost; an unknown price adds nothing to the sum."""
    return Usage(
        input_tokens=input_tokens,
        cached_tokens=cached_tokens,
        output_tokens=output_tokens,
        cost_usd=price.cost(input_tokens, cached_tokens, output_tokens) if price else 0.0,
    )


def _read(overrides: str) -> dict[str, Price]:
    try:
        raw = orjson.loads(overrides)
        return {name: Price.model_validate(value) for name, value in raw.items()}
    except (ValidationError, orjson.JSONDecodeError, AttributeError) as error:
        raise error_of(
            "configuration",
            "LABELCREW_PRICES cannot be read.",
            hint='It looks like {"my-model": {"input": 0.1, "cached": 0.05, "output": 0.3}}.',
        ) from error
