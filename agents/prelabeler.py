"""The pre-label agent: drafts labels for a batch of items in one call, and answers for each item by itself.

A batch saves most of the prompt: guidelines and classes are read once for ten items. What a batch risks is given back
item by item: an item that the model left out, refused, answered twice or outside the labelset is asked again alone; a
batch that is too long is halved, and later batches are smaller. What still fails becomes a draft with an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.answers import ItemAnswer, batch_schema, read_answer, rows_of, show_examples
from agents.checks import Checker
from agents.client import ModelClient
from agents.completion import Completion, shared, total
from agents.data import numbered, quoted
from agents.failures import concerns_run
from prompts import Message, Prompt, load_prompt
from schemas.errors import LabelCrewError, error_of
from schemas.labeling import Example, PrelabelInput, with_finished
from schemas.labelsets import LabelClass, Labelset
from schemas.spending import Spend
from schemas.world import Draft, DraftError, Usage

BATCH_SIZE = 10
BATCH_CHARACTERS = 40_000
"""A batch is closed early when its texts grow past this, about 10,000 tokens."""

TRIES_ALONE = 4
"""With a tenth of all calls failing somehow, three leave about one item in 2,000 without a draft; four leave none."""

SECOND_TRY_TEMPERATURE = 0.5
SHRINK = frozenset({"context-overflow", "answer-cut", "model-timeout"})
PROMPTS = {"classification": "prelabel_classification", "spans": "prelabel_spans"}
OUTPUT_TOKENS = {"classification": 120, "spans": 500}
"""Most tokens of an answer, an item; the answer's frame takes as many again at most."""

CLASS_EXAMPLES = 2


@dataclass
class Drafted:
    """A draft with what speaks against it."""

    draft: Draft
    doubts: list[str] = field(default_factory=list)


@dataclass
class _Work:
    item: PrelabelInput
    usages: list[Usage] = field(default_factory=list)
    answer: ItemAnswer | None = None
    probability: float | None = None
    error: LabelCrewError | None = None
    mates: int = 1
    """Items of the call that brought the answer."""

    @property
    def done(self) -> bool:
        return self.answer is not None or self.error is not None


class PrelabelAgent:
    """Drafts for one labelset with one model. Raises invalid for labelsets that a text model cannot draft."""

    def __init__(
        self,
        client: ModelClient,
        labelset: Labelset,
        guidelines: str = "",
        *,
        batch_size: int = BATCH_SIZE,
        spend: Spend | None = None,
        logprobs: bool = True,
    ) -> None:
        """``logprobs``: ask for token probabilities, which tell more than what a model says of itself."""
        if labelset.kind not in PROMPTS:
            raise error_of("invalid", f"A language model cannot draft {labelset.kind} of a text.")
        self.client = client
        self.labelset = labelset
        self.batch_size = batch_size
        self.prompt: Prompt = load_prompt(PROMPTS[labelset.kind])
        self.schema = batch_schema(labelset)
        self._checker = Checker(labelset)
        self._size = batch_size
        self._spend = spend
        self._logprobs = logprobs and labelset.kind == "classification"
        self._fixed = {"guidelines": guidelines.strip(), "classes": show_classes(labelset), **rules_of(labelset)}

    async def draft_batch(self, items: Sequence[PrelabelInput], examples: Sequence[Example] = ()) -> list[Draft]:
        """One draft for each item, in order. Raises what concerns the whole run, with the drafts done before it."""
        return [drafted.draft for drafted in await self.draft_with_doubts(items, examples)]

    async def draft_with_doubts(
        self, items: Sequence[PrelabelInput], examples: Sequence[Example] = ()
    ) -> list[Drafted]:
        """As :meth:`draft_batch`, with what speaks against each draft."""
        works = [_Work(item) for item in items]
        shown = show_examples(self.labelset, examples)
        try:
            await _all([self._answer(batch, shown) for batch in self._pack(works)])
        except LabelCrewError as error:
            raise with_finished(error, [self._drafted(work).draft for work in works if work.done]) from None
        return [self._drafted(work) for work in works]

    def messages(self, texts: Sequence[str], examples: str = "") -> list[Message]:
        """The prompt for a batch of texts; ``examples`` as lines of data."""
        return self.prompt.render(items=numbered(texts), examples=examples, **self._fixed)

    def output_limit(self, count: int) -> int:
        """Most tokens that an answer for ``count`` items may have."""
        return OUTPUT_TOKENS[self.labelset.kind] * (count + 1)

    # -- a batch, whatever it takes ------------------------------------------------------------------------------

    async def _answer(self, works: list[_Work], examples: str) -> None:
        failed = await self._ask(works, examples)
        if not failed:
            return
        if len(works) == 1:
            await self._answer_alone(works[0], examples, failed[works[0].item.item_id])
        elif any(error.code in SHRINK for error in failed.values()):
            self._size = max(1, min(self._size, len(works) // 2))
            half = len(works) // 2
            await _all([self._answer(works[:half], examples), self._answer(works[half:], examples)])
        else:
            await _all([self._answer([work], examples) for work in works if work.item.item_id in failed])

    async def _answer_alone(self, work: _Work, examples: str, failure: LabelCrewError) -> None:
        for attempt in range(1, TRIES_ALONE):
            if failure.code == "context-overflow":
                break
            failed = await self._ask([work], examples, attempt=attempt, last=attempt == TRIES_ALONE - 1)
            if not failed:
                return
            failure = failed[work.item.item_id]
        work.error = failure

    async def _ask(
        self, works: list[_Work], examples: str, *, attempt: int = 0, last: bool = False
    ) -> dict[str, LabelCrewError]:
        """One call. Returns what failed, by item id; raises what concerns the run."""
        try:
            completion = await self.client.complete(
                self.messages([work.item.text for work in works], examples),
                schema=self.schema,
                max_output_tokens=self.output_limit(len(works)),
                logprobs=self._logprobs,
                temperature=SECOND_TRY_TEMPERATURE if attempt else 0.0,
                spend=self._spend,
                attempt=attempt,
            )
        except LabelCrewError as error:
            if concerns_run(error):
                raise
            return {work.item.item_id: error for work in works}
        for work, usage in zip(works, shared(completion.usage, len(works)), strict=True):
            work.usages.append(usage)
        try:
            if completion.problem is not None:
                raise completion.problem
            rows = rows_of(completion.value, "answers", len(works))
        except LabelCrewError as error:
            return {work.item.item_id: error for work in works}
        return self._read_rows(works, rows, completion, last=last)

    def _read_rows(
        self, works: list[_Work], rows: dict[int, dict[str, Any]], completion: Completion, *, last: bool
    ) -> dict[str, LabelCrewError]:
        failed: dict[str, LabelCrewError] = {}
        probabilities = _by_number(completion)
        for number, work in enumerate(works, 1):
            try:
                if number not in rows:
                    raise error_of("model-malformed", "The model left this item out.")
                work.answer = read_answer(self.labelset, work.item.text, rows[number], last_try=last)
                work.probability = probabilities.get(number)
                work.mates = len(works)
            except LabelCrewError as error:
                failed[work.item.item_id] = error
        return failed

    # -- prompt and result ---------------------------------------------------------------------------------------

    def _pack(self, works: list[_Work]) -> list[list[_Work]]:
        batches: list[list[_Work]] = []
        room = 0
        for work in works:
            length = len(work.item.text)
            if not batches or len(batches[-1]) >= self._size or length > room:
                batches.append([])
                room = BATCH_CHARACTERS
            batches[-1].append(work)
            room -= length
        return batches

    def _drafted(self, work: _Work) -> Drafted:
        shared_fields: dict[str, Any] = {
            "item_id": work.item.item_id,
            "model": self.client.model,
            "prompt_hash": self.prompt.hash,
            "labelset_version": self.labelset.version,
            "route": "llm",
            "usage": total(work.usages),
        }
        answer = work.answer
        if answer is None:
            error = work.error or error_of("model-error")
            draft = Draft(
                **shared_fields,
                payload=None,
                route_reason="The language model gave no usable answer, asked again alone.",
                error=DraftError(code=error.code, detail=error.detail),
            )
            return Drafted(draft)
        confidence = answer.confidence if work.probability is None else work.probability
        company = f"in a batch of {work.mates}" if work.mates > 1 else "alone"
        draft = Draft(
            **shared_fields,
            payload=answer.payload,
            confidence=confidence,
            rationale=answer.why,
            route_reason=f"The language model answered, asked {company}.",
        )
        return Drafted(draft, self._checker.doubts(answer))


def show_classes(labelset: Labelset) -> str:
    """The active classes, one a line, with what is known of them."""
    return "\n".join(_show_class(label_class) for label_class in labelset.active)


def _show_class(label_class: LabelClass) -> str:
    line = " ".join(label_class.name.split())
    if label_class.description:
        line += f": {' '.join(label_class.description.split())}"
    if label_class.examples:
        line += f" (such as {', '.join(quoted(text) for text in label_class.examples[:CLASS_EXAMPLES])})"
    return line


def rules_of(labelset: Labelset) -> dict[str, str]:
    """The prompts' variable that says what the labelset allows."""
    if labelset.kind == "spans":
        return {"overlap": "spans may overlap" if labelset.allow_overlap else "no two spans may overlap"}
    return {"choice": "every class that fits, or none," if labelset.multi else "exactly one class"}


def _by_number(completion: Completion) -> dict[int, float]:
    """Token probabilities by item number, where there is one for each row."""
    rows = completion.value.get("answers", []) if isinstance(completion.value, dict) else []
    probabilities = completion.label_probabilities
    if probabilities is None or len(probabilities) != len(rows):
        return {}
    pairs = zip(rows, probabilities, strict=True)
    return {row["id"]: p for row, p in pairs if isinstance(row, dict) and isinstance(row.get("id"), int)}


async def _all(coroutines: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Wait for all, then raise the first error: what the others had under way is paid for and is kept."""
    if len(coroutines) == 1:
        await coroutines[0]
        return
    results = await asyncio.gather(*coroutines, return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    unexpected = [error for error in errors if not isinstance(error, LabelCrewError)]
    if errors:
        raise (unexpected or errors)[0]
