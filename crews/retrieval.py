"""The assistant without a language model: it looks things up with the same tools and says so.

Which tools it uses goes by the words of the question and by whether an item is open; what they find is told in sentences
of ours. Proposals pass the same gate.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from crews.guidance import Answer, Event, Found, Gate, Tool
from schemas.errors import LabelCrewError

OPENING = "No language model is configured, so I cannot talk; this is what I find.\n\n"
NOTHING = "Nothing that I can look up answers this. Ask about a label, the guidelines, similar items, jobs or progress."

_NEXT = re.compile(r"\b(next|what should|where (do|should) i|priorit\w+|queue)\b", re.IGNORECASE)
_JOBS = re.compile(r"\b(jobs?|running|progress|status|cost\w*|spent|export\w*|pre-?label\w*)\b", re.IGNORECASE)
_COUNTS = re.compile(
    r"\b(how (many|far|good|well)|progress|metrics?|accura\w+|done|left|quality|verified)\b", re.IGNORECASE
)
_CONFLICTS = re.compile(r"\b(conflicts?|disagree\w*|doubt\w*|wrong|mistakes?|errors?)\b", re.IGNORECASE)
_SEARCH = re.compile(r"\b(find|search|show|similar|like this|examples?|items?)\b", re.IGNORECASE)
_START = re.compile(r"\b(?:start|run|begin|launch)\b.{0,40}\b(pre-?label|train|embed|rank|export)", re.IGNORECASE)
_ADD = re.compile(
    r"\badd\b.{0,40}\b(?:guidelines?|rules?|lines?)\b\s*[::]?\s*[\"“«]?(.{3,300}?)[\"”»]?\s*$", re.IGNORECASE
)


async def answer_by_retrieval(
    question: str, tools: Sequence[Tool], gate: Gate, answer: Answer, *, item_open: bool
) -> AsyncGenerator[Event, None]:
    """The events of an answer, as :meth:`crews.guidance.Assistant.answer` gives them."""
    by_name = {tool.name: tool for tool in tools}
    said = 0
    for piece in _say(OPENING, answer):
        yield piece
    for name, values in _plan(question, by_name, item_open=item_open):
        answer.tools.append(name)
        try:
            found = await by_name[name].run(values)
        except LabelCrewError as error:
            yield "tool", {"name": name, "summary": error.detail}
            continue
        answer.items.update(found.items)
        answer.lines.update(found.lines)
        yield "tool", {"name": name, "summary": found.summary}
        hostile = gate.read(found.texts)
        if hostile:
            named = ", ".join(f"#{number}" for number in hostile)
            yield "notice", {"text": f"The text of {named} reads like orders to the assistant. They are not followed."}
        if found.proposal is not None:
            async for event in _offer(found, gate, answer):
                yield event
            said += 1
            continue
        words = _WORDS[name](found.value)
        said += bool(words)
        for piece in _say(words, answer):
            yield piece
        if name == "suggest_label" and "propose_label" in by_name and found.value["label"]:
            proposed = await by_name["propose_label"].run(
                {"item": "", "labels": found.value["label"], "why": "What the statistics suggest."}
            )
            async for event in _offer(proposed, gate, answer):
                yield event
    if not said:
        for piece in _say(NOTHING, answer):
            yield piece


def _plan(question: str, tools: Mapping[str, Tool], *, item_open: bool) -> list[tuple[str, dict[str, Any]]]:
    """The tools to use and their arguments, in order."""
    plan: list[tuple[str, dict[str, Any]]] = []
    started, added = _START.search(question), _ADD.search(question)
    if started:
        plan.append(("propose_job", {"kind": started[1].lower().replace("-", ""), "why": ""}))
    if added:
        plan.append(("propose_guideline", {"line": added[1], "why": ""}))
    if not plan:
        about_work = [
            (_NEXT, "next_items"), (_JOBS, "list_jobs"), (_COUNTS, "get_progress"), (_CONFLICTS, "list_conflicts"),
        ]  # fmt: skip
        plan = [(name, {}) for words, name in about_work if words.search(question)]
        if item_open and not any(name in {"next_items", "list_jobs"} for name, _ in plan):
            plan.insert(0, ("suggest_label", {"item": ""}))
        plan.append(("look_up_guidelines", {"query": question}))
        if _SEARCH.search(question) or (not item_open and len(plan) == 1):
            plan.append(("search_items", {"query": question}))
    return [(name, values) for name, values in plan if name in tools]


async def _offer(found: Found, gate: Gate, answer: Answer) -> AsyncGenerator[Event, None]:
    assert found.proposal is not None
    names = found.value.get("names", ()) if isinstance(found.value, dict) else ()
    objection = gate.objection(found, names)
    if objection:
        yield "notice", {"text": f"A proposal was held back: {objection}."}
    else:
        answer.proposals.append(found.proposal)
        yield "proposal", found.proposal.model_dump(mode="json")


def _say(words: str, answer: Answer) -> list[Event]:
    """A piece of text: line by line, as it would be written."""
    answer.text += words
    return [("token", {"text": line}) for line in words.splitlines(keepends=True)]


def _label(value: dict[str, Any]) -> str:
    if not value["label"]:
        return f"I have no label to suggest for {value['item']}: {value['why']}\n\n"
    sure = "" if value["probability"] is None else f" ({value['probability']:.0%})"
    words = f"{value['item']} is likely **{', '.join(value['label'])}**{sure}. {value['why']}\n"
    if value["easily_taken_for"]:
        other = value["easily_taken_for"]
        words += f"Easily taken for **{other['label']}**: {other['tell_apart']}\n"
    words += "\n"
    for line, text in value["guideline_lines"].items():
        words += f"- line {line}: {text}\n"
    for row in value["similar"][:3]:
        words += f"- {row['item']} {', '.join(row['labels'])}: {_short(row['text'])}\n"
    return words + "\n"


def _lines(value: dict[str, Any]) -> str:
    rows = "".join(f"- line {line['line']}: {line['text']}\n" for line in value.get("lines", ()))
    return f"From the guidelines:\n\n{rows}\n" if rows else ""


def _items(value: dict[str, Any]) -> str:
    rows = value.get("items") or value.get("similar_verified_items") or []
    return "Items:\n\n" + "".join(f"- {_row(row)}\n" for row in rows) + "\n" if rows else ""


def _next(value: dict[str, Any]) -> str:
    if not value["next"]:
        return "Nothing is left to label.\n\n"
    return f"Next, {value['order']}:\n\n" + "".join(f"- {_row(row)}\n" for row in value["next"]) + "\n"


def _jobs(value: dict[str, Any]) -> str:
    rows = [
        f"- {job['kind']}: {job['state']}, {job['done']:,} of {job['total'] or '?'} done, {job['cost_usd']:g} USD\n"
        for job in value["jobs"]
    ]
    return "Jobs, newest first:\n\n" + "".join(rows) + "\n" if rows else "There are no jobs yet.\n\n"


def _progress(value: dict[str, Any]) -> str:
    states = ", ".join(f"{n:,} {state}" for state, n in value["states"].items())
    words = f"{value['items']:,} items: {states}.\n" if states else "The dataset has no items yet.\n"
    accuracy = (value.get("student") or {}).get("metrics", {}).get("accuracy")
    if accuracy is not None:
        words += f"The student is right in {accuracy:.0%} of {value['student']['trained_on']:,} verified items.\n"
    return words + "\n"


def _conflicts(value: dict[str, Any]) -> str:
    if not value["worst"]:
        return "There are no open conflicts.\n\n"
    rows = [f"- {row['item'] or ''} {row['kind'].replace('_', ' ')}: {row['summary']}\n" for row in value["worst"]]
    return "Open conflicts, the worst first:\n\n" + "".join(rows) + "\n"


def _row(row: dict[str, Any]) -> str:
    labels = row.get("verified_labels") or row.get("labels")
    return f"{row['item']}{' ' + ', '.join(labels) if labels else ''}: {_short(row['text'])}"


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 90 else f"{flat[:89]}…"


_WORDS = {
    "suggest_label": _label,
    "look_up_guidelines": _lines,
    "search_items": _items,
    "similar_items": _items,
    "next_items": _next,
    "list_jobs": _jobs,
    "get_progress": _progress,
    "list_conflicts": _conflicts,
}
