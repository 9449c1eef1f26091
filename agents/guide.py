"""The guidance agent: puts the evidence about one item into words for the person who labels it.

It decides nothing: the label, the examples and the guideline lines are found by statistics before it is asked. What it
says is checked before anybody reads it. A wording is thrown away whole when it argues for another label, cites a number
that was not given, quotes what stands nowhere, names a class that is not in question, or holds an address: an item whose
text gives orders shows itself in one of these. The words of the template stand then.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from agents.client import ModelClient
from agents.data import numbered, quoted
from agents.quotes import find_quote
from agents.strict import strict_schema
from prompts import load_prompt
from schemas.errors import LabelCrewError
from schemas.spending import Spend
from schemas.world import Usage

OUTPUT_TOKENS = 400
LONGEST_WHY = 600
ITEM_CHARACTERS = 6_000
EXAMPLE_CHARACTERS = 400

_ADDRESS = re.compile(r"https?:|www\.|\S@\S+\.\w|\]\(|<\s*/?\s*[a-z]", re.IGNORECASE)
_ID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-", re.IGNORECASE)
_EXAMPLES = re.compile(r"\bexamples?\s+#?(\d+(?:\s*(?:,|and|&)\s*#?\d+)*)", re.IGNORECASE)
_LINES = re.compile(r"\b(?:lines?|guidelines?)\s+#?(\d+(?:\s*(?:,|and|&)\s*#?\d+)*)", re.IGNORECASE)
_QUOTED = re.compile(r"[\"“«]([^\"”»]{3,})[\"”»]")


@dataclass(frozen=True)
class Evidence:
    """What a wording may be made of. ``examples`` are (text, answer) and count from 1; ``lines`` are by number."""

    text: str
    suggested: str
    probability: float | None
    rival: str | None = None
    examples: Sequence[tuple[str, str]] = ()
    lines: dict[int, str] = field(default_factory=dict)
    described: dict[str, str] = field(default_factory=dict)
    """Descriptions of the classes in question, by name."""
    others: Sequence[str] = ()
    """The names of all other classes."""


class Wording(BaseModel):
    """What the model answers."""

    label: str
    why: str
    tell_apart: str
    examples: list[int]
    lines: list[int]


@dataclass(frozen=True)
class Worded:
    """``wording`` is None when there is none to show; ``refused`` says why then."""

    wording: Wording | None
    usage: Usage
    prompt_hash: str
    refused: str = ""


class Guide:
    """Words hints with one model."""

    def __init__(self, client: ModelClient, *, spend: Spend | None = None) -> None:
        self._client = client
        self._spend = spend
        self._prompt = load_prompt("hint")

    async def word(self, evidence: Evidence) -> Worded:
        """Never raises for what the model or its server does: a hint without its words is still a hint."""
        try:
            completion = await self._client.complete(
                self._prompt.render(**_shown(evidence)),
                schema=_schema(evidence),
                max_output_tokens=OUTPUT_TOKENS,
                spend=self._spend,
            )
        except LabelCrewError as error:
            return Worded(None, Usage(), self._prompt.hash, error.code)
        if completion.problem is not None:
            return Worded(None, completion.usage, self._prompt.hash, completion.problem.code)
        try:
            wording = Wording.model_validate(completion.value)
        except ValidationError:
            return Worded(None, completion.usage, self._prompt.hash, "model-malformed")
        problem = problem_of(wording, evidence)
        return Worded(None if problem else wording, completion.usage, self._prompt.hash, problem)


def problem_of(wording: Wording, evidence: Evidence) -> str:
    """Why nobody should read this wording; empty when there is no reason."""
    prose = f"{wording.why}\n{wording.tell_apart}"
    cited_examples = [*wording.examples, *_numbers(_EXAMPLES, prose)]
    cited_lines = [*wording.lines, *_numbers(_LINES, prose)]
    checks = (
        (wording.label != evidence.suggested, "it argues for another label"),
        (not wording.why.strip() or len(prose) > LONGEST_WHY, "it says nothing, or too much"),
        (any(not 1 <= n <= len(evidence.examples) for n in cited_examples), "it cites an example that is not there"),
        (any(n not in evidence.lines for n in cited_lines), "it cites a guideline line that is not there"),
        (bool(_ADDRESS.search(prose) or _ID.search(prose)), "it holds an address"),
        (any(not _stands(quote, evidence) for quote in _QUOTED.findall(prose)), "it quotes what stands nowhere"),
        (any(_names(prose, name, evidence) for name in evidence.others), "it names a class that is not in question"),
    )
    return next((problem for wrong, problem in checks if wrong), "")


def _shown(evidence: Evidence) -> dict[str, str]:
    rival = f"Easily taken for: {evidence.rival}" if evidence.rival else "No other class is likely."
    examples = (f"{answer} ← {text[:EXAMPLE_CHARACTERS]}" for text, answer in evidence.examples)
    return {
        "suggested": evidence.suggested,
        "probability": "unknown" if evidence.probability is None else f"{evidence.probability:.0%}",
        "rival": rival,
        "classes": "\n".join(f"{name}: {text}" if text else name for name, text in evidence.described.items()),
        "lines": "\n".join(f"{number}: {quoted(text)}" for number, text in evidence.lines.items()),
        "examples": numbered(examples),
        "item": numbered([evidence.text[:ITEM_CHARACTERS]]),
    }


def _schema(evidence: Evidence) -> dict[str, Any]:
    schema = strict_schema(Wording)
    schema["properties"]["label"]["enum"] = list(
        dict.fromkeys(name for name in (evidence.suggested, evidence.rival) if name)
    )
    return schema


def _numbers(pattern: re.Pattern[str], prose: str) -> list[int]:
    return [int(number) for found in pattern.findall(prose) for number in re.findall(r"\d+", found)]


def _stands(quote: str, evidence: Evidence) -> bool:
    names = [evidence.suggested, evidence.rival or "", *evidence.described.values()]
    shown = [text[:EXAMPLE_CHARACTERS] for text, _ in evidence.examples]
    sources = [evidence.text[:ITEM_CHARACTERS], *shown, *evidence.lines.values(), *names]
    quote = quote.rstrip(" .,;:!?…").strip()
    return any(find_quote(source, quote) is not None or quote.casefold() in source.casefold() for source in sources)


def _names(prose: str, name: str, evidence: Evidence) -> bool:
    """Whether a class that is not in question is named, other than where the guideline lines name it too."""
    if len(name) < 3:
        return False
    word = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE)
    trusted = " ".join([*evidence.lines.values(), *evidence.described, *evidence.described.values()])
    return bool(word.search(prose)) and not word.search(trusted)
