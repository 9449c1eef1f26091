"""The QA agent as a judge: rules on doubted labels, and must quote what it rests on.

A quotation counts only if it exists: words of the guidelines are looked for in the guidelines, an example must be one
that was shown. What does not exist is struck out; a ruling that rested on nothing else is no ruling. Items, findings
and examples enter the prompt as lines of data (:mod:`agents.data`), so that no text can pass for an instruction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.answers import ItemAnswer, batch_schema, read_answer, rows_of, show_payload
from agents.client import ModelClient
from agents.completion import shared
from agents.data import numbered, quoted
from agents.failures import concerns_run
from agents.prelabeler import rules_of, show_classes
from agents.quotes import find_quote
from prompts import Message, load_prompt
from schemas.errors import LabelCrewError, error_of
from schemas.labeling import Example
from schemas.labelsets import Labelset
from schemas.payloads import Classification, Payload, Spans
from schemas.quality import Quote, Ruling
from schemas.spending import Spend

PROMPTS = {"classification": "adjudicate_classification", "spans": "adjudicate_spans"}
BATCH = 4
"""Cases a call: each brings examples of its own, so a larger batch saves little."""
SHOWN = 8_000
"""Characters of a text that are shown; of an example, an eighth."""
OUTPUT_TOKENS = {"classification": 250, "spans": 700}
SHORTEST_QUOTE = 8
LONGEST_QUOTE = 300
DOUBTFUL = 0.5
"""A ruling that quotes nothing is at most this sure."""

QUOTES = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "source": {"type": "string", "enum": ["guideline", "example"]},
            "example": {"type": "integer"},
            "text": {"type": "string"},
        },
        "required": ["source", "example", "text"],
        "additionalProperties": False,
    },
}
VERDICT = {"type": "string", "enum": ["keep", "relabel", "unclear"]}


@dataclass(frozen=True)
class Case:
    """A doubted label: of which conflict, the text, what was given, why it is doubted, and labelled items beside it."""

    conflict: str
    text: str
    given: Payload
    doubt: str
    examples: tuple[Example, ...] = field(default=())


class Adjudicator:
    """Rules on cases under one labelset with one model. Raises invalid for labelsets that a text model cannot judge."""

    def __init__(
        self, client: ModelClient, labelset: Labelset, guidelines: str = "", *, spend: Spend | None = None
    ) -> None:
        if labelset.kind not in PROMPTS:
            raise error_of("invalid", f"A language model cannot judge {labelset.kind} of a text.")
        self.client = client
        self.labelset = labelset
        self.guidelines = guidelines.strip()
        self.prompt = load_prompt(PROMPTS[labelset.kind])
        self.schema = batch_schema(labelset, name="verdicts", before={"quotes": QUOTES, "verdict": VERDICT})
        self._spend = spend
        self._fixed = {"guidelines": self.guidelines, "classes": show_classes(labelset), **rules_of(labelset)}

    async def judge(self, cases: Sequence[Case]) -> list[Ruling | None]:
        """A ruling for each case, in order, by one call; None where the model gave no usable one, asked again alone.

        Raises what concerns the whole run: a used-up budget, a refused key.
        """
        rulings = await self._ask(cases)
        for place, ruling in enumerate(rulings):
            if ruling is None:
                rulings[place] = (await self._ask([cases[place]], attempt=1))[0]
        return rulings

    def messages(self, cases: Sequence[Case]) -> list[Message]:
        """The prompt for these cases."""
        return self.prompt.render(
            items=numbered(case.text[:SHOWN] for case in cases),
            findings=numbered(
                {**show_payload(self.labelset, case.text, case.given), "doubt": case.doubt} for case in cases
            ),
            examples="\n".join(self._show(number, *shown) for number, shown in enumerate(_examples(cases), 1)),
            **self._fixed,
        )

    def output_limit(self, count: int) -> int:
        """Most tokens that an answer for ``count`` cases may have."""
        return OUTPUT_TOKENS[self.labelset.kind] * (count + 1)

    async def _ask(self, cases: Sequence[Case], *, attempt: int = 0) -> list[Ruling | None]:
        try:
            completion = await self.client.complete(
                self.messages(cases), schema=self.schema, max_output_tokens=self.output_limit(len(cases)),
                spend=self._spend, attempt=attempt,
            )  # fmt: skip
            if completion.problem is not None:
                raise completion.problem
            rows = rows_of(completion.value, "verdicts", len(cases))
        except LabelCrewError as error:
            if concerns_run(error):
                raise
            return [None] * len(cases)
        examples = _examples(cases)
        costs = [usage.cost_usd for usage in shared(completion.usage, len(cases))]
        return [
            self._read(case, rows.get(number), examples, cost)
            for number, (case, cost) in enumerate(zip(cases, costs, strict=True), 1)
        ]

    def _read(
        self, case: Case, row: dict[str, Any] | None, examples: Sequence[tuple[int, Example]], cost: float
    ) -> Ruling | None:
        """One row of the answer; None when it cannot be used."""
        if row is None or row.get("verdict") not in VERDICT["enum"]:
            return None
        try:
            answer = read_answer(self.labelset, case.text, row, last_try=True)
        except LabelCrewError:
            return None
        claimed = row.get("quotes")
        claimed = [quote for quote in claimed if isinstance(quote, dict)] if isinstance(claimed, list) else []
        quotes = [quote for raw in claimed if (quote := self._check(raw, examples)) is not None]
        verdict, reason = self._settle(case, row["verdict"], answer), answer.why
        if claimed and not quotes:
            verdict, reason = "unclear", f"Struck out: it quoted what stands nowhere. {reason}".strip()
        confidence = answer.confidence
        if confidence is not None and not quotes:
            confidence = min(confidence, DOUBTFUL)
        return Ruling(
            verdict=verdict, payload=answer.payload if verdict == "relabel" else None, confidence=confidence, reason=reason,
            quotes=quotes, grounded=bool(quotes), by=self.client.model, prompt_hash=self.prompt.hash, cost_usd=cost,
        )  # fmt: skip

    def _settle(self, case: Case, said: str, answer: ItemAnswer) -> Any:
        """The verdict that the label given with it bears out."""
        same = _same(answer.payload, case.given)
        if said == "relabel":
            return "unclear" if same else "relabel"
        return "keep" if said == "keep" and same else "unclear"

    def _check(self, raw: dict[str, Any], examples: Sequence[tuple[int, Example]]) -> Quote | None:
        """The quotation as it stands in its source; None when it does not."""
        text = raw.get("text")
        if not isinstance(text, str):
            return None
        if raw.get("source") == "guideline":
            place = find_quote(self.guidelines, text)
            if place is None or place.end - place.start < min(SHORTEST_QUOTE, len(self.guidelines)):
                return None
            return Quote(source="guideline", text=self.guidelines[place.start : place.end][:LONGEST_QUOTE])
        number = raw.get("example")
        if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= len(examples):
            return None
        example = examples[number - 1][1]
        shown = example.text[: SHOWN // 8]
        place = find_quote(shown, text)
        if place is None:
            return None
        return Quote(source="example", text=shown[place.start : place.end][:LONGEST_QUOTE], item_id=example.item_id)

    def _show(self, number: int, item: int, example: Example) -> str:
        text = example.text[: SHOWN // 8]
        shown = {"item": item, "text": text, **show_payload(self.labelset, example.text, example.payload)}
        return f"{number}: {quoted(shown)}"


def _examples(cases: Sequence[Case]) -> list[tuple[int, Example]]:
    """Every example with the number of the item it belongs to, in the order in which they are numbered."""
    return [(number, example) for number, case in enumerate(cases, 1) for example in case.examples]


def _same(one: Payload, other: Payload) -> bool:
    if isinstance(one, Classification) and isinstance(other, Classification):
        return set(one.labels) == set(other.labels)
    if isinstance(one, Spans) and isinstance(other, Spans):
        return set(one.spans) == set(other.spans)
    return one == other
