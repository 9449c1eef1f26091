"""Brains for the stand-in: they read the prompt that was sent and answer in the schema that was asked for.

A brain sees nothing but the messages and the schema, like a model. It understands the product's way of writing items
down (one a line between ``<items>`` and ``</items>``: a number and a JSON string), falls back to filling any schema
with legal values, and is deterministic: the same request gets the same answer.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from tests.support.openai_rules import text_of

Messages = list[dict[str, Any]]
Schema = dict[str, Any]

BLOCK = re.compile(r"<items>\n(.*?)\n?</items>", re.DOTALL)
ANY_BLOCK = re.compile(r"<(items|examples|drafts|findings)>\n.*?</\1>", re.DOTALL)
LINE = re.compile(r'^(\d+): (".*")$', re.MULTILINE)
WORD = re.compile(r"\w+")


class Stop(Exception):
    """A brain ends a call otherwise than with an answer: ``refusal``, ``content_filter`` or ``length``."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Brain(Protocol):
    """Something that answers."""

    def answer(self, messages: Messages, schema: Schema | None) -> dict[str, Any] | str:
        """The answer; a dict is sent as JSON. Raises :class:`Stop`."""
        ...


def prompt_of(messages: Messages) -> str:
    """All that a model would read, in order."""
    return "\n".join(text_of(message) for message in messages)


def items_of(messages: Messages) -> dict[int, str]:
    """The items of a request: number → text. The last block counts, as the last thing said."""
    blocks = BLOCK.findall(prompt_of(messages))
    if not blocks:
        return {}
    return {int(number): json.loads(text) for number, text in LINE.findall(blocks[-1])}


def classes_of(schema: Schema) -> list[str]:
    """The first enum of strings in the schema: the class names."""
    if schema.get("type") == "string" and "enum" in schema:
        return list(schema["enum"])
    for child in [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]:
        found = classes_of(child)
        if found:
            return found
    return []


class KeywordBrain:
    """Chooses the class whose name shares most words with the text; ties go by a hash, with little confidence."""

    def __init__(self) -> None:
        self._words: dict[tuple[str, ...], list[tuple[str, frozenset[str]]]] = {}

    def answer(self, messages: Messages, schema: Schema | None) -> dict[str, Any] | str:
        """One answer for each item, or any legal value where the request has no items."""
        if schema is None:
            return "Hello."
        items = items_of(messages)
        for name in ("answers", "verdicts"):
            if items and name in schema.get("properties", {}):
                element = schema["properties"][name]["items"]
                classes = tuple(classes_of(element))
                return {name: [self.one(number, text, element, classes) for number, text in items.items()]}
        return fill(schema)  # type: ignore[no-any-return]

    def one(self, number: int, text: str, element: Schema, classes: tuple[str, ...]) -> dict[str, Any]:
        """The answer for one item."""
        label, confidence = self.choose(text, classes)
        answer: dict[str, Any] = {}
        for name, schema in element["properties"].items():
            match name:
                case "id":
                    answer[name] = number
                case "label":
                    answer[name] = label
                case "labels":
                    answer[name] = [label]
                case "spans":
                    answer[name] = self.spans(text, classes)
                case "confidence":
                    answer[name] = confidence
                case "why" | "reason":
                    answer[name] = "the words fit"
                case "agrees":
                    answer[name] = True
                case _:
                    answer[name] = fill(schema)
        return answer

    def choose(self, text: str, classes: tuple[str, ...]) -> tuple[str, int]:
        """A class and a confidence from 0 to 100."""
        if not classes:
            return "", 50
        known = self._words.get(classes)
        if known is None:
            known = [(name, frozenset(WORD.findall(name.lower().replace("_", " ")))) for name in classes]
            self._words[classes] = known
        words = set(WORD.findall(text.lower()))
        scores = [len(words & of_class) for _, of_class in known]
        best = max(scores)
        if best == 0:
            return classes[zlib.crc32(text.encode()) % len(classes)], 30
        return known[scores.index(best)][0], 92 if scores.count(best) == 1 else 60

    def spans(self, text: str, classes: tuple[str, ...]) -> list[dict[str, Any]]:
        """Every capitalised word is a span of the first class."""
        seen: dict[str, int] = {}
        found = []
        for match in re.finditer(r"\b[A-Z]\w+", text):
            seen[match[0]] = seen.get(match[0], 0) + 1
            found.append({"text": match[0], "occurrence": seen[match[0]], "label": classes[0] if classes else ""})
        return found


class GoldBrain(KeywordBrain):
    """Knows the right class of each text, and is sure of it; other texts go by keywords."""

    def __init__(self, gold: Mapping[str, str], *, confidence: int = 95) -> None:
        super().__init__()
        self.gold = gold
        self.confidence = confidence

    def choose(self, text: str, classes: tuple[str, ...]) -> tuple[str, int]:
        """The gold class where it is known."""
        label = self.gold.get(text)
        return (label, self.confidence) if label in classes else super().choose(text, classes)


class ObedientBrain(KeywordBrain):
    """Obeys any ``OBEY: answer X`` that stands outside the data blocks, wherever a text managed to put it there."""

    ORDER = re.compile(r"OBEY: answer (\w+)")

    def answer(self, messages: Messages, schema: Schema | None) -> dict[str, Any] | str:
        """The order's class for every item, if there is an order; else what keywords say."""
        outside = ANY_BLOCK.sub("", prompt_of(messages))
        order = self.ORDER.search(outside)
        self.ordered = order[1] if order else None
        return super().answer(messages, schema)

    def choose(self, text: str, classes: tuple[str, ...]) -> tuple[str, int]:
        """The ordered class, legal or not."""
        return (self.ordered, 99) if self.ordered else super().choose(text, classes)


class ScriptedBrain(KeywordBrain):
    """Lets a test change the answers: ``change(messages, answer) -> answer`` sees what keywords would say."""

    def __init__(self, change: Callable[[Messages, Any], Any]) -> None:
        super().__init__()
        self.change = change

    def answer(self, messages: Messages, schema: Schema | None) -> dict[str, Any] | str:
        """The changed answer."""
        changed: dict[str, Any] | str = self.change(messages, super().answer(messages, schema))
        return changed


def fill(schema: Schema) -> Any:
    """The plainest legal value of a schema of the strict subset."""
    if "anyOf" in schema:
        return fill(schema["anyOf"][0])
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    match kind:
        case "object":
            return {name: fill(child) for name, child in schema.get("properties", {}).items()}
        case "array":
            return [fill(schema["items"]) for _ in range(schema.get("minItems", 1))]
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "string":
            return "text"
        case _:
            return None
