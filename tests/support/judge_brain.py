"""A brain that rules on doubted labels: by keywords, quoting what a test tells it to quote."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from tests.support.openai_brain import ANY_BLOCK, KeywordBrain, Messages, Schema, items_of, prompt_of

FINDINGS = re.compile(r"<findings>\n(.*?)\n?</findings>", re.DOTALL)
EXAMPLES = re.compile(r"<examples>\n(.*?)\n?</examples>", re.DOTALL)
LINE = re.compile(r"^(\d+): (\{.*\})$", re.MULTILINE)
ORDER = re.compile(r"OBEY: answer (\w+)")

Quotes = Sequence[dict[str, Any]]


def block_of(pattern: re.Pattern[str], messages: Messages) -> dict[int, dict[str, Any]]:
    """The lines of a block of objects: number → object."""
    blocks = pattern.findall(prompt_of(messages))
    return {int(number): json.loads(line) for number, line in LINE.findall(blocks[-1])} if blocks else {}


class JudgeBrain(KeywordBrain):
    """``quote`` says what it quotes for an item; by default the first example that was found for the item. It obeys an
    ``OBEY: answer X`` that stands outside of the data."""

    def __init__(self, quote: Callable[[int, Messages], Quotes] | None = None) -> None:
        super().__init__()
        self.quote = quote or first_example
        self.change: Callable[[dict[str, Any]], None] = lambda row: None

    def answer(self, messages: Messages, schema: Schema | None) -> dict[str, Any] | str:
        """A verdict for each item."""
        if schema is None or "verdicts" not in schema.get("properties", {}):
            return super().answer(messages, schema)
        label = schema["properties"]["verdicts"]["items"]["properties"].get("label", {})
        order = ORDER.search(ANY_BLOCK.sub("", prompt_of(messages)))
        findings = block_of(FINDINGS, messages)
        rows = []
        for number, text in items_of(messages).items():
            chosen = order[1] if order else self.choose(text, tuple(label.get("enum", ())))[0]
            row: dict[str, Any] = {
                "id": number, "why": "the words say so", "quotes": list(self.quote(number, messages)), "confidence": 88,
                "verdict": "keep" if chosen == findings[number].get("label") else "relabel", "label": chosen,
            }  # fmt: skip
            self.change(row)
            rows.append(row)
        return {"verdicts": rows}


def first_example(number: int, messages: Messages) -> Quotes:
    """The beginning of the first example that belongs to the item."""
    for place, example in block_of(EXAMPLES, messages).items():
        if example["item"] == number:
            return [{"source": "example", "example": place, "text": example["text"][:30]}]
    return []
