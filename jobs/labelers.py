"""The labeler of a dataset: its labelset and guidelines, its student or its language model, and what people verified.

Bulk jobs and the gateway's single drafts are made by the same labelers, so a draft does not depend on who asked.
Students are decoded once a version, clients of a model's server are made once a process: both are kept here.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from jobs.calibrations import TAUGHT_ENOUGH, SureLabeler, surenesses, unjudged, with_vectors
from jobs.vectors import embedder, unpack_vector
from schemas.errors import error_of
from schemas.labeling import Example, Labeler, PrelabelInput
from schemas.labelsets import Labelset
from schemas.payloads import parse_payload
from schemas.settings import LOCAL_MODEL, Settings
from schemas.spending import Spend
from schemas.world import Draft
from store.rpc import Rpc

if TYPE_CHECKING:
    from crews.local import LocalModel
    from crews.models import Clients
    from learning.student import Student

REASONS = 4_000
"""Verified items that the embedded model may name as its reason."""
SHOTS = 8
"""Verified items shown to a language model with a batch."""
UPCOMING = 50
"""Items at the head of the queue whose drafts follow a new student at once."""
CHANGED = 0.05
"""A draft is renewed when its label changes, or its probability by more than this."""

_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, list[tuple[Settings, Rpc, Clients]]] = WeakKeyDictionary()
_local: dict[str, tuple[tuple[int, int], LocalModel]] = {}


def is_local(settings: Settings, model: str | None) -> bool:
    """Whether this model (None: the server's default) runs on this machine, inside the product."""
    return (model or settings.default_model).startswith("local/")


async def labeler_for_dataset(
    rpc: Rpc,
    settings: Settings,
    actor: str,
    dataset: str,
    *,
    model: str | None = None,
    spend: Spend | None = None,
    interactive: bool = False,
    with_crew: bool = True,
) -> Labeler:
    """The labeler that drafts for this dataset: ``model``, else the dataset's own, else the server's default.

    ``interactive`` sends every item of a language model through the crew; without ``with_crew`` none goes there. Raises
    ``no-labelset``, ``unknown-model``.
    """
    found = await rpc.call("get_dataset", actor=actor, dataset=dataset)
    if found["labelset"] is None:
        raise error_of("no-labelset")
    labelset = Labelset.model_validate(found["labelset"])
    name = model or found["settings"].get("model") or settings.default_model
    if name.startswith("local/"):
        if name != LOCAL_MODEL:
            raise error_of("unknown-model", f"there is no embedded model {name}")
        return await _local_model(rpc, actor, dataset, labelset)
    from crews.models import language_model

    verified = (await rpc.call("training_stamp", dataset=dataset))["verified"]
    by_route = await surenesses(rpc, dataset, name, labelset.version)
    first = by_route.get("llm") or unjudged()
    inner = language_model(
        name, labelset, found["guidelines"], settings,
        client=clients_of(rpc, settings).get(name),
        spend=spend,
        examples_for=_examples_from(rpc, actor, dataset) if verified else None,
        threshold=found["settings"].get("crew_threshold", 0.5),
        calibrate=lambda claimed: float(first.apply([claimed])[0]),
        interactive=interactive,
        with_crew=with_crew,
    )  # fmt: skip
    return SureLabeler(inner, by_route, student=await _second_opinion(rpc, dataset, labelset))


async def prelabel_item(
    rpc: Rpc, settings: Settings, actor: str, item_id: str, *, model: str | None = None
) -> dict[str, Any]:
    """Draft one item now, store the draft, and return it as stored (a ``Prediction``). Raises why there is none."""
    item = await rpc.call("get_item", actor=actor, item=item_id)
    dataset = item["dataset_id"]
    labeler = await labeler_for_dataset(rpc, settings, actor, dataset, model=model, interactive=True)
    draft = (await labeler.draft([PrelabelInput(item_id=item_id, text=item["text"] or "")]))[0]
    saved = await rpc.call("save_predictions", actor=actor, dataset=dataset, rows=[draft.model_dump(mode="json")])
    if draft.error is not None:
        raise error_of(draft.error.code, draft.error.detail)
    stored: list[dict[str, Any]] = await rpc.call("list_predictions", actor=actor, item=item_id)
    return next(row for row in stored if row["id"] == saved["ids"][0])


async def redraft_upcoming(rpc: Rpc, settings: Settings, actor: str, dataset: str) -> int:
    """Renew the drafts that people see next, where a newer student thinks differently; how many were renewed.

    Only drafts of the embedded model are renewed: whoever asked for another model's keeps them.
    """
    page = await rpc.call(
        "list_items", actor=actor, dataset=dataset, states=["new", "drafted"], sort="priority", limit=UPCOMING
    )
    old = {item["id"]: item for item in page["items"] if (item["draft"] or {}).get("model") == LOCAL_MODEL}
    if not old:
        return 0
    labeler = await labeler_for_dataset(rpc, settings, actor, dataset, model=LOCAL_MODEL)
    drafts = await labeler.draft([PrelabelInput(item_id=i, text=item["text"] or "") for i, item in old.items()])
    renewed = [draft for draft in drafts if _differs(draft, old[draft.item_id]["draft"])]
    if renewed:
        rows = [draft.model_dump(mode="json") for draft in renewed]
        await rpc.call("save_predictions", actor=actor, dataset=dataset, rows=rows)
    return len(renewed)


async def ready_local_model(rpc: Rpc, actor: str, dataset: str) -> None:
    """Before a bulk run: a student that knows the newest answers and a share of the items without any."""
    from jobs.students import train

    found = await rpc.call("get_dataset", actor=actor, dataset=dataset)
    if found["labelset"] is None:
        raise error_of("no-labelset")
    if found["labelset"]["kind"] != "spans":
        await embed_some(rpc, actor, dataset)
    elif not (await rpc.call("training_stamp", dataset=dataset))["verified"]:
        return
    await train(rpc, actor, dataset)


async def embed_some(rpc: Rpc, actor: str, dataset: str, *, least: int = 4_000) -> None:
    """See that the pool which the student learns from has vectors: the first ``least`` items get theirs."""
    from jobs.vectors import embed_missing

    have = (await rpc.call("sample_vectors", actor=actor, dataset=dataset, limit=least))["n"]
    while have < least:
        made = await embed_missing(rpc, actor, dataset, limit=min(512, least - have))
        if not made:
            return
        have += made


async def _second_opinion(rpc: Rpc, dataset: str, labelset: Labelset) -> Student | None:
    """The dataset's student, where it has learnt enough to say something about another model's drafts."""
    if labelset.kind != "classification" or labelset.multi:
        return None
    stored = await rpc.call("get_student", dataset=dataset)
    if stored is None or stored["labelset_version"] != labelset.version or stored["trained_on"] < TAUGHT_ENOUGH:
        return None
    from learning.student import Student

    return await asyncio.to_thread(Student.from_bytes, base64.b64decode(stored["blob"]))


async def _local_model(rpc: Rpc, actor: str, dataset: str, labelset: Labelset) -> LocalModel:
    """The embedded model with the dataset's newest student; made anew when student or labelset are newer."""
    from crews.local import LocalModel

    stored = await rpc.call("get_student", dataset=dataset)
    fits = stored is not None and stored["labelset_version"] == labelset.version
    version = (labelset.version, stored["version"] if fits else 0)
    kept = _local.get(dataset)
    if kept is not None and kept[0] == version:
        return kept[1]
    model = await embedder()
    if not fits and labelset.kind != "spans":
        from crews.local import local_model

        made = await asyncio.to_thread(local_model, labelset)
    elif labelset.kind == "spans":
        from learning.span_tagger import SpanTagger

        tagger = await asyncio.to_thread(SpanTagger.from_bytes, base64.b64decode(stored["blob"])) if fits else None
        made = LocalModel(labelset, model, tagger=tagger)
    else:
        made = await _taught(rpc, actor, dataset, labelset, stored)
    _local[dataset] = (version, made)
    return made


async def _taught(rpc: Rpc, actor: str, dataset: str, labelset: Labelset, stored: dict[str, Any]) -> LocalModel:
    import numpy as np

    from crews.local import LocalModel
    from learning.student import Student

    student = await asyncio.to_thread(Student.from_bytes, base64.b64decode(stored["blob"]))
    rows: list[dict[str, Any]] = []
    if student.trained_on:
        rows = await rpc.call("list_training_rows", actor=actor, dataset=dataset, limit=REASONS, vectors="base64")
    shown = [row for row in rows if row["vector"] is not None]
    return LocalModel(
        labelset,
        await embedder(),
        student=student,
        examples=[_example(row) for row in shown],
        example_vectors=np.stack([unpack_vector(row["vector"]) for row in shown]) if shown else None,
    )


def _examples_from(rpc: Rpc, actor: str, dataset: str) -> Callable[[Sequence[PrelabelInput]], Any]:
    """Finds, for a batch, the verified items nearest to its middle: they show what people decided on the like."""

    async def nearest(items: Sequence[PrelabelInput]) -> list[Example]:
        import numpy as np

        vectors = np.array([item.vector for item in await with_vectors(items)])
        middle = np.round(vectors.mean(axis=0), 5).tolist()
        found = await rpc.call("nearest_items", actor=actor, dataset=dataset, vector=middle, limit=SHOTS, verified=True)
        return [
            Example(item_id=f["item"]["id"], text=f["item"]["text"] or "", payload=f["item"]["annotation"]["payload"])
            for f in found
            if f["item"]["annotation"]  # of a known answer an annotator sees the text alone
        ]

    return nearest


def _example(row: dict[str, Any]) -> Example:
    return Example(item_id=row["item_id"], text=row["text"] or "", payload=parse_payload(row["payload"]))


def _differs(draft: Draft, old: dict[str, Any]) -> bool:
    if draft.payload is None:
        return False
    if draft.route != old["route"]:
        return True
    if draft.payload.model_dump(mode="json", exclude_defaults=True) != old["payload"] or old["probability"] is None:
        return True
    return bool(abs((draft.probability or 0.0) - old["probability"]) > CHANGED)


def clients_of(rpc: Rpc, settings: Settings) -> Clients:
    """The clients of this event loop and these settings, which share limits and the completion cache."""
    from crews.models import Clients
    from store.cache import caches_of

    made = _clients.setdefault(asyncio.get_running_loop(), [])
    for known_settings, known_rpc, clients in made:
        if known_settings is settings and known_rpc is rpc:
            return clients
    made.append((settings, rpc, Clients(settings, cache=caches_of(settings, rpc)[0])))
    return made[-1][2]
