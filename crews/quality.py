"""Conflicts in, rulings out: the QA agent judges the worst findings within a budget.

The instruments have done the measuring; here a language model weighs their evidence against the guidelines and the
verified examples. Cases go out in small batches, several at once. When the budget ends or the key is refused, what was
ruled before stays, and the failure is told with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.adjudicator import BATCH, SHOWN, Adjudicator, Case
from agents.client import ModelClient
from schemas.errors import LabelCrewError
from schemas.labeling import Example
from schemas.labelsets import Labelset
from schemas.payloads import Payload, labels_of, parse_payload
from schemas.quality import Ruling, WholeConflict
from schemas.spending import Spend

EXAMPLES_A_CASE = 4
AT_ONCE = 4


@dataclass
class Session:
    """What a session of the judge brought: rulings by conflict. ``stopped`` is why it ended early."""

    rulings: dict[str, Ruling] = field(default_factory=dict)
    unusable: int = 0
    stopped: LabelCrewError | None = None


async def adjudicate(
    client: ModelClient,
    labelset: Labelset,
    guidelines: str,
    cases: Sequence[Case],
    *,
    spend: Spend | None = None,
    at_once: int = AT_ONCE,
) -> Session:
    """Rule on ``cases``, the first ones first."""
    judge = Adjudicator(client, labelset, guidelines, spend=spend)
    session = Session()
    batches = [cases[at : at + BATCH] for at in range(0, len(cases), BATCH)]
    for at in range(0, len(batches), at_once):
        group = batches[at : at + at_once]
        answers = await asyncio.gather(*(judge.judge(batch) for batch in group), return_exceptions=True)
        for batch, answer in zip(group, answers, strict=True):
            if isinstance(answer, LabelCrewError):
                session.stopped = session.stopped or answer
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found = dict(zip((case.conflict for case in batch), answer, strict=True))
                session.rulings |= {conflict: ruling for conflict, ruling in found.items() if ruling is not None}
                session.unusable += sum(ruling is None for ruling in found.values())
        if session.stopped is not None:
            break
    return session


def case_of(raw: dict[str, Any], labelset: Labelset) -> Case | None:
    """The case behind a conflict as the database gives it (:class:`WholeConflict`); None where there is nothing that a
    text model could judge. Examples are the verified items of its evidence, by their answers of today."""
    conflict = WholeConflict.model_validate(raw)
    given = conflict.evidence.get("given")
    item = conflict.item
    if item is None or not item.text or given is None:
        return None
    answered = [other for other in conflict.others if other.annotation is not None and other.text]
    known = {label_class.key for label_class in labelset.classes}
    examples = [
        Example(item_id=other.id, text=other.text or "", payload=other.annotation.payload)
        for other in answered
        if other.annotation is not None and _is_known(other.annotation.payload, known)
    ]
    return Case(
        conflict=conflict.id, text=item.text, given=parse_payload(given), doubt=str(conflict.evidence.get("summary", "")),
        examples=tuple(examples[:EXAMPLES_A_CASE]),
    )  # fmt: skip


def estimate_session(client: ModelClient, labelset: Labelset, guidelines: str, texts: Sequence[str], cases: int) -> int:
    """About how many tokens of input ``cases`` rulings take, judging by some ``texts``."""
    judge = Adjudicator(client, labelset, guidelines)
    shown = [text[: SHOWN // 8] for text in texts] or [""]
    like = [
        Case("", text, parse_payload({"spans": []} if labelset.kind == "spans" else {"labels": labelset.keys[:1]}), "")
        for text in (shown * BATCH)[:BATCH]
    ]
    a_call = client.estimate_tokens(judge.messages(like), judge.schema)
    examples = client.estimate_tokens([{"role": "user", "content": "".join(text for text in (shown * 16)[:16])}])
    return round((a_call + examples) * cases / BATCH)


def _is_known(payload: Payload, keys: set[str]) -> bool:
    return set(labels_of(payload)) <= keys
