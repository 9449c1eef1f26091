"""Which models can draft on this server, and what they cost."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import orjson

from schemas.settings import LOCAL_MODEL, Settings

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def available_models(settings: Settings) -> list[dict[str, Any]]:
    """In the shape of :class:`api.bodies.Model`, the default first. Without a model's server there is only ours."""
    from agents.prices import PRICES, price_of

    names = [settings.default_model, LOCAL_MODEL]
    if settings.openai_api_key or settings.openai_base_url:
        priced = orjson.loads(settings.prices) if settings.prices else {}
        names.extend(priced)
        if not settings.openai_base_url:
            names.extend(PRICES)
    here = urlsplit(settings.openai_base_url or "").hostname in LOOPBACK
    found = []
    for name in dict.fromkeys(names):
        price = price_of(name, overrides=settings.prices, on_this_machine=here)
        shown = price and {
            "input": price.input,
            "cached": price.input if price.cached is None else price.cached,
            "output": price.output,
        }
        found.append({"name": name, "default": name == settings.default_model, "price": shown})
    return found
