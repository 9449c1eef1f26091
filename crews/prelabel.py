"""The crew that deliberates: a pre-label agent gives doubtful items a second look, a QA agent judges what it says.

One kickoff serves a group of items, because a kickoff costs 40 ms of processor time. CrewAI's executor blocks the
thread that it runs in, so every kickoff has a thread of a pool of its own, and the event loop stays free. What fails
for the group is tried item by item; an item on which the crew cannot agree to say anything keeps its first draft.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from agents.answers import ItemAnswer, batch_schema, in_words, read_answer, rows_of, show_examples, show_payload
from agents.client import ModelClient
from agents.completion import shared, total
from agents.data import numbered, prose, quoted
from agents.engine import load_crewai
from agents.failures import concerns_run
from agents.prelabeler import rules_of, show_classes
from agents.quality_inspector import INSPECT, QualityInspector, Verdict
from prompts import joint_hash, load_prompt
from schemas.errors import LabelCrewError, error_of
from schemas.labeling import Example, PrelabelInput
from schemas.labelsets import Labelset
from schemas.spending import Spend
from schemas.world import Draft, DraftError, Usage

DELIBERATE = {"classification": "deliberate_classification", "spans": "deliberate_spans"}
KICKOFFS_AT_ONCE = 16


@dataclass(frozen=True)
class Doubtful:
    """An item to deliberate on, with its first draft and what speaks against it, if it has one."""

    item: PrelabelInput
    draft: Draft | None = None
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """What a crew sits down with: the model, the rules, the folder for CrewAI's files, the budget."""

    client: ModelClient
    labelset: Labelset
    guidelines: str
    storage: Path
    spend: Spend | None = None


@dataclass
class Minutes:
    """What was said: rows by item number, and what it cost. ``failure`` says why rows are missing."""

    answers: dict[int, dict[str, Any]]
    verdicts: dict[int, dict[str, Any]]
    usage: Usage
    failure: LabelCrewError | None = None


async def deliberate(table: Table, group: Sequence[Doubtful], examples: Sequence[Example] = ()) -> list[Draft]:
    """One draft for each item of the group, by the crew.

    Raises what concerns the whole run (a used-up budget, a refused key), unless every item has a first draft to keep.
    """
    minutes = await _meet(table, group, examples)
    if minutes.failure is not None:
        if concerns_run(minutes.failure):
            if not all(d.draft is not None and d.draft.payload is not None for d in group):
                raise minutes.failure
        elif len(group) > 1:
            alone = [await deliberate(table, [doubtful], examples) for doubtful in group]
            return [draft for drafts in alone for draft in drafts]
    inspector = QualityInspector(table.labelset)
    usages = shared(minutes.usage, len(group))
    return [
        _conclude(table, inspector, doubtful, minutes, number, usages[number - 1])
        for number, doubtful in enumerate(group, 1)
    ]


# -- the meeting -------------------------------------------------------------------------------------------------


async def _meet(table: Table, group: Sequence[Doubtful], examples: Sequence[Example]) -> Minutes:
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_threads(), _kickoff, table, group, examples, loop)


def _kickoff(
    table: Table, group: Sequence[Doubtful], examples: Sequence[Example], loop: asyncio.AbstractEventLoop
) -> Minutes:
    crewai = load_crewai(table.storage)
    from agents.llm import Llm, Structured, structured

    inspector = QualityInspector(table.labelset)
    words = {
        "guidelines": prose(table.guidelines.strip()),
        "classes": prose(show_classes(table.labelset)),
        "examples": show_examples(table.labelset, examples),
        "items": numbered(doubtful.item.text for doubtful in group),
        **rules_of(table.labelset),
    }
    drafter = load_prompt(DELIBERATE[table.labelset.kind]).fill(drafts=_show_drafts(table.labelset, group), **words)
    judge = inspector.prompt.fill(**words)

    llm = Llm(table.client, loop, table.spend)

    def task(voice: dict[str, str], shape: type[Structured], context: list[Any] | None) -> Any:
        agent = crewai.Agent(
            role=voice["role"], goal=voice["goal"], backstory=voice["backstory"], llm=llm, allow_delegation=False,
            verbose=False, cache=False, max_iter=2, max_retry_limit=0, respect_context_window=False,
        )  # fmt: skip
        return crewai.Task(
            description=voice["description"], expected_output=voice["expected_output"], agent=agent,
            response_model=shape, context=context,
        )  # fmt: skip

    draft_shape, verdict_shape = structured(batch_schema(table.labelset)), structured(inspector.schema)
    drafting = task(drafter, draft_shape, None)
    judging = task(judge, verdict_shape, [drafting])
    crew = crewai.Crew(
        agents=[drafting.agent, judging.agent], tasks=[drafting, judging], process=crewai.Process.sequential,
        verbose=False, memory=False, cache=False, tracing=False, share_crew=False,
    )  # fmt: skip
    failure: LabelCrewError | None = None
    minutes = Minutes({}, {}, Usage())
    try:
        crew.kickoff()
    except Exception as error:
        failure = llm.failure or (error if isinstance(error, LabelCrewError) else None)
        if failure is None:
            raise
    minutes.failure = failure
    minutes.usage = total(llm.usages)
    try:
        minutes.answers = rows_of(llm.said.get(draft_shape), "answers", len(group))
        minutes.verdicts = rows_of(llm.said.get(verdict_shape), "verdicts", len(group))
    except LabelCrewError as error:
        minutes.failure = failure or error
    return minutes


def _show_drafts(labelset: Labelset, group: Sequence[Doubtful]) -> str:
    """The first drafts as lines of data; empty when no item has one."""
    lines = []
    for number, doubtful in enumerate(group, 1):
        draft = doubtful.draft
        if draft is None:
            continue
        shown: dict[str, Any] = {}
        if draft.payload is not None:
            shown |= show_payload(labelset, doubtful.item.text, draft.payload)
        if draft.confidence is not None:
            shown["confidence"] = round(draft.confidence * 100)
        lines.append(f"{number}: {quoted(shown | {'doubts': list(doubtful.doubts)})}")
    return "\n".join(lines)


# -- the conclusion ----------------------------------------------------------------------------------------------


def _conclude(
    table: Table, inspector: QualityInspector, doubtful: Doubtful, minutes: Minutes, number: int, usage: Usage
) -> Draft:
    """What becomes of one item after the crew has spoken."""
    text = doubtful.item.text
    answer = _read_answer(table.labelset, text, minutes.answers.get(number))
    verdict = _read_verdict(inspector, text, minutes.verdicts.get(number))
    first = doubtful.draft
    spent = total([first.usage, usage]) if first is not None else usage
    if answer is None and verdict is None:
        return _unresolved(table, doubtful, minutes.failure, spent)
    final = _final(answer, verdict)
    return Draft(
        item_id=doubtful.item.item_id,
        payload=final.payload,
        confidence=final.confidence,
        rationale=final.why,
        model=table.client.model,
        prompt_hash=_crew_hash(table.labelset),
        labelset_version=table.labelset.version,
        route="crew",
        route_reason=_tell(table.labelset, text, doubtful, answer, verdict),
        usage=spent,
    )


def _final(answer: ItemAnswer | None, verdict: Verdict | None) -> ItemAnswer:
    """The QA agent has the last word; where it agrees, the label and its reason are the pre-label agent's."""
    if verdict is None:
        assert answer is not None
        return answer
    if answer is not None and verdict.agrees:
        confidence = verdict.answer.confidence if verdict.answer.confidence is not None else answer.confidence
        return ItemAnswer(answer.payload, confidence, answer.why)
    return verdict.answer


def _tell(labelset: Labelset, text: str, doubtful: Doubtful, answer: ItemAnswer | None, verdict: Verdict | None) -> str:
    """Both voices, in words."""
    why = f"Deliberated because {'; '.join(doubtful.doubts)}." if doubtful.doubts else "The crew deliberated."
    if answer is None:
        drafted = "The pre-label agent gave no usable answer."
    else:
        drafted = f"The pre-label agent said {_voice(labelset, text, answer)}"
    if verdict is None:
        judged = "The QA agent gave no usable verdict."
    elif answer is not None and verdict.agrees:
        judged = f"The QA agent agreed{_sure(verdict.answer)}: {_sentence(verdict.answer.why)}"
    else:
        judged = f"The QA agent said {_voice(labelset, text, verdict.answer)}"
    return " ".join([why, drafted, judged])


def _voice(labelset: Labelset, text: str, answer: ItemAnswer) -> str:
    return f"{in_words(labelset, text, answer.payload)}{_sure(answer)}: {_sentence(answer.why)}"


def _sentence(words: str) -> str:
    return words if words.endswith((".", "!", "?")) else f"{words}."


def _sure(answer: ItemAnswer) -> str:
    return "" if answer.confidence is None else f" ({answer.confidence:.0%} sure)"


def _unresolved(table: Table, doubtful: Doubtful, failure: LabelCrewError | None, spent: Usage) -> Draft:
    """The crew said nothing about this item: its first draft stays, or it has an error."""
    failure = failure or error_of("model-malformed", "The crew gave no usable answer for this item.")
    first = doubtful.draft
    if first is not None and first.payload is not None:
        reason = f"{first.route_reason} The crew was asked and gave no answer ({failure.code}); the first draft stays."
        return first.model_copy(update={"usage": spent, "route_reason": reason})
    return Draft(
        item_id=doubtful.item.item_id,
        payload=None,
        model=table.client.model,
        prompt_hash=_crew_hash(table.labelset),
        labelset_version=table.labelset.version,
        route="crew",
        route_reason="The crew deliberated and gave no usable answer.",
        usage=spent,
        error=DraftError(code=failure.code, detail=failure.detail),
    )


def _read_answer(labelset: Labelset, text: str, row: dict[str, Any] | None) -> ItemAnswer | None:
    try:
        return None if row is None else read_answer(labelset, text, row, last_try=True)
    except LabelCrewError:
        return None


def _read_verdict(inspector: QualityInspector, text: str, row: dict[str, Any] | None) -> Verdict | None:
    try:
        return None if row is None else inspector.read(text, row)
    except LabelCrewError:
        return None


@lru_cache(maxsize=8)
def _hash_of(kind: str) -> str:
    return joint_hash(load_prompt(DELIBERATE[kind]), load_prompt(INSPECT[kind]))


def _crew_hash(labelset: Labelset) -> str:
    return _hash_of(labelset.kind)


@lru_cache(maxsize=1)
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(KICKOFFS_AT_ONCE, thread_name_prefix="crew")
