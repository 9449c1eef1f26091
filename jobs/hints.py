"""A hint for one item: the evidence is read in one call, put together in a thread, worded, checked, and logged.

What is known of a dataset beside the item (its student, its guidelines as vectors, which classes are confused) is kept in
this process and read anew when it has changed. Everything that is cited is looked up again after the wording, because a
language model takes seconds and items may change meanwhile.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jobs.allowance import allowance_for
from jobs.evidence import Findings, gather
from jobs.labelers import clients_of, is_local, labeler_for_dataset
from jobs.vectors import embed_texts, save_vectors, unpack_vector
from learning.passages import Passage, passages_of
from schemas.errors import LabelCrewError, error_of
from schemas.guidance import TEMPLATE, Hint
from schemas.labelsets import Labelset
from schemas.settings import LOCAL_MODEL, Settings
from schemas.world import Usage
from store.rpc import Rpc

if TYPE_CHECKING:
    from crews.local import LocalModel
    from jobs.vectors import Vectors

NEIGHBOURS = 24
"""Verified items that the shown examples are chosen from."""
KEPT = 64
"""Datasets whose guidelines and students are kept ready."""
CONFUSIONS_KEEP_S = 30.0
WORDS_S = 12.0
"""How long somebody waits for a language model's words before the template's will do."""

NO_MODEL = "Worded from a template: no language model is configured."

_guidelines: OrderedDict[str, tuple[list[Passage], Vectors]] = OrderedDict()
_models: OrderedDict[str, tuple[tuple[Any, ...], LocalModel]] = OrderedDict()
_confusions: OrderedDict[str, tuple[float, list[dict[str, Any]]]] = OrderedDict()


@dataclass(frozen=True)
class Basis:
    """What the evidence about an item is read from."""

    found: dict[str, Any]
    labelset: Labelset
    vector: Vectors | None
    model: LocalModel | None
    passages: list[Passage]
    passage_vectors: Vectors
    confusions: list[dict[str, Any]]


async def hint_for(rpc: Rpc, settings: Settings, actor: str, item: str, *, worded: bool = True) -> dict[str, Any]:
    """A :class:`schemas.guidance.Hint` as JSON, logged. ``worded=False`` leaves it with the template's words.

    Raises ``blind-item``, ``no-labelset``, ``not-found``.
    """
    began = time.perf_counter()
    basis = await read_basis(rpc, settings, actor, item)
    findings = await asyncio.to_thread(gather, basis)
    hint = findings.hint(item)
    prompt_hash, refused = None, ""
    name = basis.found["settings"].get("model") or settings.default_model
    if worded and not is_local(settings, name):
        hint, prompt_hash, refused = await _worded(rpc, settings, actor, name, basis, findings, hint)
    else:
        hint.note = _joined(NO_MODEL if is_local(settings, name) else "", hint.note)
    return await _checked_and_logged(
        rpc, actor, hint, basis, prompt_hash, refused, (time.perf_counter() - began) * 1000
    )


async def findings_for(rpc: Rpc, settings: Settings, actor: str, item: str) -> Findings:
    """The evidence about an item, shown to nobody and not logged. Raises as :func:`hint_for`."""
    return await asyncio.to_thread(gather, await read_basis(rpc, settings, actor, item))


async def read_basis(rpc: Rpc, settings: Settings, actor: str, item: str) -> Basis:
    """Everything that evidence about ``item`` needs; its vector is computed and kept where there is none."""
    found = await rpc.call("get_hint_basis", actor=actor, item=item, limit=NEIGHBOURS)
    if found["labelset"] is None:
        raise error_of("no-labelset")
    dataset, text = found["dataset_id"], found["item"]["text"]
    if found["vector"] is None and text:
        made = await embed_texts([text])
        await save_vectors(rpc, actor, dataset, [item], made)
        found = await rpc.call("get_hint_basis", actor=actor, item=item, limit=NEIGHBOURS)
    labelset = Labelset.model_validate(found["labelset"])
    passages, vectors = await passages_for(found["guidelines"])
    return Basis(
        found=found,
        labelset=labelset,
        vector=unpack_vector(found["vector"]) if found["vector"] else None,
        model=await _model(rpc, settings, actor, dataset, labelset, found),
        passages=passages,
        passage_vectors=vectors,
        confusions=await _recent_confusions(rpc, actor, dataset),
    )


async def passages_for(guidelines: str) -> tuple[list[Passage], Vectors]:
    """The passages of these guidelines with their vectors (n, 384)."""
    key = hashlib.sha256(guidelines.encode(errors="replace")).hexdigest()
    if key not in _guidelines:
        passages = passages_of(guidelines)
        vectors = await embed_texts([p.whole for p in passages]) if passages else np.zeros((0, 384), np.float32)
        _keep(_guidelines, key, (passages, vectors))
    return _guidelines[key]


async def _model(
    rpc: Rpc, settings: Settings, actor: str, dataset: str, labelset: Labelset, found: dict[str, Any]
) -> LocalModel | None:
    """The embedded model with the dataset's newest student; None where it has nothing to say."""
    if labelset.kind not in ("classification", "spans") or found["item"]["text"] is None:
        return None
    student = found["student"] or {}
    version = (labelset.version, student.get("version", 0), bool(student.get("labelset_version") == labelset.version))
    kept = _models.get(dataset)
    if kept is None or kept[0] != version:
        made: Any = await labeler_for_dataset(rpc, settings, actor, dataset, model=LOCAL_MODEL)
        _keep(_models, dataset, (version, made))
    return _models[dataset][1]


async def _recent_confusions(rpc: Rpc, actor: str, dataset: str) -> list[dict[str, Any]]:
    kept = _confusions.get(dataset)
    if kept is None or time.monotonic() - kept[0] > CONFUSIONS_KEEP_S:
        counted = await rpc.call("count_confusions", actor=actor, dataset=dataset)
        _keep(_confusions, dataset, (time.monotonic(), counted))
    return _confusions[dataset][1]


async def _worded(
    rpc: Rpc, settings: Settings, actor: str, name: str, basis: Basis, findings: Findings, hint: Hint
) -> tuple[Hint, str | None, str]:
    """The hint in the model's words, or in the template's with the reason; the prompt's hash; why it was refused."""
    from agents.guide import Guide

    if hint.payload is None or not hint.suggestions:
        return hint, None, ""
    try:
        client = clients_of(rpc, settings).get(name)
    except LabelCrewError as error:
        hint.note = _joined(f"Worded from a template: {error.detail}", hint.note)
        return hint, None, error.code
    budget = basis.found["settings"].get("budget_usd")
    spend = allowance_for(rpc, actor, basis.found["dataset_id"], budget, priced=client.price is not None)
    try:
        answer = await asyncio.wait_for(Guide(client, spend=spend).word(findings.evidence()), WORDS_S)
    except TimeoutError:
        hint.note = _joined("Worded from a template: the model took too long.", hint.note)
        return hint, None, "model-timeout"
    hint.usage = answer.usage
    if answer.wording is None:
        hint.note = _joined(f"Worded from a template: the model's words were not used ({answer.refused}).", hint.note)
        return hint, answer.prompt_hash, answer.refused
    hint.why, hint.worded_by = answer.wording.why.strip(), name
    if hint.confusion is not None and answer.wording.tell_apart.strip():
        hint.confusion.tell_apart = answer.wording.tell_apart.strip()
    return hint, answer.prompt_hash, ""


async def _checked_and_logged(
    rpc: Rpc, actor: str, hint: Hint, basis: Basis, prompt_hash: str | None, refused: str, latency_ms: float
) -> dict[str, Any]:
    """Logs the hint; whatever it cites that is not there any more is left out of it."""
    cited = [example.item_id for example in hint.examples]
    rival = hint.confusion.example if hint.confusion else None
    row = {
        "labelset_version": basis.labelset.version,
        "suggested": hint.payload.model_dump(mode="json", exclude_defaults=True) if hint.payload else None,
        "probability": hint.probability,
        "examples": [*cited, *([rival.item_id] if rival else [])],
        "lines": [line.line for line in hint.guideline_lines],
        "worded_by": hint.worded_by,
        "prompt_hash": prompt_hash,
        "refused": refused,
        "cost_usd": hint.usage.cost_usd,
        "latency_ms": latency_ms,
    }
    saved = await rpc.call("save_hint", actor=actor, item=hint.item_id, hint=row)
    there = set(saved["examples"])
    hint.id = saved["id"]
    hint.examples = [example for example in hint.examples if example.item_id in there]
    if hint.confusion is not None and rival is not None and rival.item_id not in there:
        hint.confusion.example = None
    if hint.worded_by != TEMPLATE and not set(cited) <= there:
        # the words may speak of what is gone
        hint.why, hint.worded_by, hint.usage = "An example changed while this was worded; ask again.", TEMPLATE, Usage()
    return hint.model_dump(mode="json")


def _joined(*notes: str) -> str:
    return " ".join(note for note in notes if note)


def _keep(kept: OrderedDict[str, Any], key: str, value: Any) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > KEPT:
        kept.popitem(last=False)
