"""What speaks for a label, from what was read about an item: suggestion, examples, guideline lines, likely confusion.

Computed in a thread, without a database or a language model. The words here are the template's; a language model may put
the same evidence differently (agents/guide.py), and may not change it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jobs.vectors import unpack_vector
from learning.diversity import likely_rival, pick_diverse
from learning.passages import rank_passages
from schemas.guidance import TEMPLATE, Confusion, GuidelineLine, Hint, HintExample
from schemas.labeling import PrelabelInput
from schemas.labelsets import Labelset
from schemas.payloads import Payload, labels_of, parse_payload
from schemas.world import Alternative, Draft

if TYPE_CHECKING:
    from agents.guide import Evidence
    from jobs.hints import Basis

EXAMPLES = 5
LEAST_EXAMPLES = 3
VOTERS = 10
ALIKE = 0.35
"""Cosine under which an item is no example, unless there is none better."""
VOTES_FROM = 0.6
"""A neighbour has a vote when it is at least so near, as a share of the nearest one's similarity."""
LINES = 4
SHOWN_CHARACTERS = 600
SPAN_CHARACTERS = 8_000
"""A text longer than this is not tagged while somebody waits."""
LOCAL_PREFIX = "local/"

NOTHING_VERIFIED = "Nothing is verified here yet, so the suggestion goes by the names of the classes alone."
NO_GUIDELINES = "The dataset has no guidelines yet."


@dataclass
class Findings:
    """The evidence about one item."""

    labelset: Labelset
    text: str
    draft: Draft | None
    suggestions: list[Alternative]
    examples: list[HintExample]
    lines: list[GuidelineLine]
    confusion: Confusion | None
    why: str
    note: str

    @property
    def label(self) -> str | None:
        """The suggested class, where there is exactly one."""
        labels = labels_of(self.draft.payload) if self.draft and self.draft.payload else []
        return labels[0] if len(labels) == 1 else None

    def hint(self, item: str) -> Hint:
        """The hint in the template's words, not stored yet."""
        return Hint(
            id="",
            item_id=item,
            payload=self.draft.payload if self.draft else None,
            probability=self.draft.probability if self.draft else None,
            suggestions=self.suggestions,
            by=self.draft.model if self.draft else "",
            why=self.why,
            confusion=self.confusion,
            examples=self.examples,
            guideline_lines=self.lines,
            worded_by=TEMPLATE,
            note=self.note,
        )

    def evidence(self) -> Evidence:
        """The same for the guidance agent, which reads names, not keys."""
        from agents.guide import Evidence

        name_of = self.labelset.name_of
        assert self.draft is not None
        assert self.draft.payload is not None
        suggested = ", ".join(name_of(key) for key in labels_of(self.draft.payload)) or "none"
        shown = [*labels_of(self.draft.payload), *([self.confusion.rival] if self.confusion else [])]
        described = {c.name: c.description for c in self.labelset.active if c.key in shown}
        return Evidence(
            text=self.text,
            suggested=suggested,
            probability=self.draft.probability,
            rival=name_of(self.confusion.rival) if self.confusion else None,
            examples=[(e.text, answer_in_words(self.labelset, e.payload)) for e in self.examples],
            lines={line.line: line.text for line in self.lines},
            described=described,
            others=[c.name for c in self.labelset.active if c.key not in shown],
        )


def gather(basis: Basis) -> Findings:
    """The evidence. Heavy: call it in a thread."""
    found, labelset = basis.found, basis.labelset
    text = found["item"]["text"] or ""
    near = [_example(row) for row in found["neighbours"]]
    draft = _suggestion(basis, text)
    suggestions = _ranked(draft)
    label = labels_of(draft.payload)[0] if draft and draft.payload and len(labels_of(draft.payload)) == 1 else None
    rival, times = _rival(basis, suggestions, label)
    names = [labelset.name_of(key) for key in (label, rival) if key]
    ranked = rank_passages(basis.passages, basis.passage_vectors, text, basis.vector, names, LINES)
    lines = [
        GuidelineLine(line=p.line, text=p.text, heading=p.heading) for p in (basis.passages[index] for index in ranked)
    ]
    confusion = None
    if label is not None and rival is not None:
        other = next((e for e in near if labels_of(e.payload) == [rival]), None)
        confusion = Confusion(
            label=label,
            rival=rival,
            probability=next((s.probability for s in suggestions if s.label == rival), 0.0),
            times=times,
            tell_apart=_tell_apart(labelset, label, rival, times, lines, other),
            example=other,
        )
    return Findings(
        labelset=labelset,
        text=text,
        draft=draft if draft and draft.payload else None,
        suggestions=suggestions,
        examples=_diverse(near, found["neighbours"]),
        lines=lines,
        confusion=confusion,
        why=_why(labelset, draft, near),
        note=_note(basis),
    )


def answer_in_words(labelset: Labelset, payload: Payload) -> str:
    """An answer by the names of its classes."""
    return ", ".join(labelset.name_of(key) for key in labels_of(payload)) or "none"


def _suggestion(basis: Basis, text: str) -> Draft | None:
    """The stored draft of a language model or a file, which is calibrated as well as can be; else the student's, now."""
    stored = Draft.model_validate(basis.found["draft"]) if basis.found["draft"] else None
    if stored is not None and (not stored.model.startswith(LOCAL_PREFIX) or basis.model is None):
        known = set(basis.labelset.keys)
        return stored if stored.payload is not None and set(labels_of(stored.payload)) <= known else None
    if basis.model is None or (basis.labelset.kind == "spans" and len(text) > SPAN_CHARACTERS):
        return stored
    vector = None if basis.vector is None else tuple(basis.vector.tolist())
    return basis.model.draft_now([PrelabelInput(item_id=basis.found["item"]["id"], text=text, vector=vector)])[0]


def _ranked(draft: Draft | None) -> list[Alternative]:
    if draft is None or draft.payload is None:
        return []
    chosen = labels_of(draft.payload)
    probability = draft.probability if draft.probability is not None else (draft.confidence or 0.0)
    known = {other.label: other for other in draft.alternatives}
    first = [known.get(label) or Alternative(label=label, probability=probability) for label in chosen]
    if len(chosen) == 1:
        first = [Alternative(label=chosen[0], probability=probability)]
    return [*first, *(other for other in draft.alternatives if other.label not in chosen)][: max(5, len(chosen))]


def _rival(basis: Basis, suggestions: list[Alternative], label: str | None) -> tuple[str | None, int]:
    """The class to tell the suggested one from, and how often the two were confused."""
    keys = basis.labelset.keys
    if label not in keys or basis.labelset.kind != "classification" or basis.labelset.multi:
        return None, 0
    place = {key: n for n, key in enumerate(keys)}
    probabilities = np.zeros(len(keys))
    for other in suggestions:
        if other.label in place:
            probabilities[place[other.label]] = other.probability
    pairs = [
        (place[row["drafted"]], place[row["answered"]], row["n"])
        for row in basis.confusions
        if row["drafted"] in place and row["answered"] in place
    ]
    rival = likely_rival(probabilities.tolist(), place[label], pairs)
    if rival is None:
        return None, 0
    times = sum(n for one, other, n in pairs if {one, other} == {place[label], rival})
    return keys[rival], times


def _tell_apart(
    labelset: Labelset, label: str, rival: str, times: int, lines: list[GuidelineLine], example: HintExample | None
) -> str:
    classes = {c.key: c for c in labelset.active}
    one, other = classes[label], classes[rival]
    said = [f"{c.name}: {' '.join(c.description.split())}" for c in (one, other) if c.description.strip()]
    line = next((at for at in lines if other.name.casefold() in f"{at.heading} {at.text}".casefold()), None)
    if not said and line is not None:
        said = [f"See line {line.line} of the guidelines."]
    if not said and example is not None:
        said = [f"Compare with the nearest verified «{other.name}»."]
    if not said:
        said = ["Neither class is described yet; a guideline line that tells them apart would help."]
    if times:
        said.append(f"Drafts of one were corrected to the other {times} time{'s' if times > 1 else ''} of late.")
    return " ".join(part if part.endswith((".", "!", "?", "…")) else f"{part}." for part in said)


def _why(labelset: Labelset, draft: Draft | None, near: list[HintExample]) -> str:
    if draft is None:
        return "No model has an answer for this item; the examples and the guidelines are all there is."
    if draft.payload is None:
        return draft.error.detail if draft.error else "No model has an answer for this item."
    if len(labelset.active) == 1 and not labelset.multi and labelset.kind == "classification":
        return "The labelset has this one class only."
    said = []
    voters = [e for e in near[:VOTERS] if e.similarity >= VOTES_FROM * near[0].similarity]
    wanted = answer_in_words(labelset, draft.payload)
    if voters and labelset.kind == "classification":
        agreeing = sum(set(labels_of(e.payload)) == set(labels_of(draft.payload)) for e in voters)
        if len(voters) > 1:
            said.append(f"{agreeing} of the {len(voters)} most similar verified items are «{wanted}».")
        elif agreeing:
            said.append(f"The most similar verified item is «{wanted}».")
        nearest = answer_in_words(labelset, voters[0].payload)
        if nearest != wanted:
            said.append(f"But the nearest one is «{nearest}» (similarity {voters[0].similarity:.2f}).")
    if draft.rationale and (not said or not draft.model.startswith(LOCAL_PREFIX)):
        said.append(draft.rationale)
    return " ".join(said) or f"{draft.model} answered «{wanted}» without a reason."


def _note(basis: Basis) -> str:
    notes = []
    if not basis.found["verified"]:
        notes.append(NOTHING_VERIFIED)
    if not basis.passages:
        notes.append(NO_GUIDELINES)
    return " ".join(notes)


def _example(row: dict[str, Any]) -> HintExample:
    return HintExample(
        item_id=row["id"],
        seq=row["seq"],
        external_id=row["external_id"],
        text=(row["text"] or "")[:SHOWN_CHARACTERS],
        payload=parse_payload(row["payload"]),
        similarity=round(float(row["similarity"]), 4),
    )


def _diverse(near: list[HintExample], rows: list[dict[str, Any]]) -> list[HintExample]:
    enough = max(LEAST_EXAMPLES, sum(e.similarity >= ALIKE for e in near))
    near, rows = near[:enough], rows[:enough]
    if not near:
        return []
    vectors = np.stack([unpack_vector(row["vector"]) for row in rows])
    answers = [e.payload.model_dump_json() for e in near]
    picks = pick_diverse(np.array([e.similarity for e in near]), vectors, answers, EXAMPLES)
    return [near[pick.index].model_copy(update={"copies": pick.copies}) for pick in picks]
