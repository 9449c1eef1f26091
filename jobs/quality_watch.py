"""The light scan: right after answers arrive, the instruments that one item and its neighbours are enough for.

Near duplicates, disagreeing neighbours and answers that the labelset does not allow are found within seconds of the
answer, so that a reviewer hears of them while the annotator still remembers. What is wrong with a dataset as a whole is
left to the quality scan that somebody orders.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import structlog

from jobs.context import context
from jobs.quality import names_of, violations_of
from jobs.vectors import embed_texts, save_vectors
from schemas.errors import LabelCrewError
from schemas.labelsets import Labelset
from store.rpc import Rpc

log = structlog.get_logger("quality")

LOCAL_KINDS = ["near_duplicates", "neighbour_disagreement", "schema_violation"]
MOST = 100
"""Items a turn. After an import of many answers only the newest are looked at: the rest is for the quality scan."""
LEAST_PAUSE_S = 3.0
PAUSE_FACTOR = 6.0


@dataclass
class _Pace:
    ended: float = -1e9
    took: float = 0.0

    def may_begin(self) -> bool:
        return time.monotonic() - self.ended >= max(LEAST_PAUSE_S, PAUSE_FACTOR * self.took)


_paces: dict[str, _Pace] = {}


async def watch_answers() -> None:
    """Look at what was answered since the last time, in every dataset; a dataset whose turn is costly waits longer."""
    rpc = context().rpc
    for row in await rpc.call("list_stale_scans"):
        pace = _paces.setdefault(row["dataset_id"], _Pace())
        if not pace.may_begin():
            continue
        began = time.monotonic()
        try:
            await scan_changes(rpc, row["actor"], row["dataset_id"], row["since"], row["changed_at"])
        except LabelCrewError as error:
            log.warning("answers_not_watched", dataset=row["dataset_id"], code=error.code, detail=error.detail)
        pace.ended, pace.took = time.monotonic(), time.monotonic() - began


async def scan_changes(
    rpc: Rpc, actor: str, dataset: str, since: str | None, until: str, most: int = MOST
) -> dict[str, int]:
    """Look at the newest ``most`` items that changed after ``since``; how many were looked at, opened and gone. What has
    no vector yet gets one first."""
    labelset = await rpc.call("find_labelset", dataset=dataset)
    changed = await rpc.call("list_changed_answers", dataset=dataset, since=since, limit=most, timeout=60)
    bare = [row for row in changed if row["near"] is None and row["text"]]
    if bare:
        vectors = await embed_texts([row["text"] for row in bare])
        await save_vectors(rpc, actor, dataset, [row["id"] for row in bare], vectors)
        changed = await rpc.call("list_changed_answers", dataset=dataset, since=since, limit=most, timeout=60)
    done = {"items": len(changed), "opened": 0, "gone": 0}
    if changed and labelset is not None:
        ids = [row["id"] for row in changed]
        violations = await rpc.call("list_violations", dataset=dataset, items=ids)
        rows = _look(changed, Labelset.model_validate(labelset), violations)
        saved = await rpc.call("save_findings", dataset=dataset, kinds=LOCAL_KINDS, rows=rows, items=ids)
        outdated = await rpc.call("close_outdated", dataset=dataset, items=ids)
        done |= {"opened": saved["opened"], "gone": saved["gone"] + outdated}
    await rpc.call("mark_scanned", dataset=dataset, seen_at=until)
    return done


def _look(changed: list[dict[str, Any]], labelset: Labelset, violations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from learning.conflicts import Labelled, Near, near_duplicates, neighbour_disagreement, worst

    names = names_of(labelset)
    findings = violations_of(violations, labelset.version)
    for row in changed:
        item = Labelled(row["id"], row["text"] or "", row["payload"], row["length"])
        near = [
            Near(Labelled(n["id"], n["text"] or "", n["payload"], n["length"]), n["similarity"])
            for n in row["near"] or () if n["payload"] is not None
        ]  # fmt: skip
        looks = [near_duplicates(item, near, names)]
        if labelset.kind == "classification":
            looks.append(neighbour_disagreement(item, near, names))
        findings += [finding for finding in looks if finding is not None]
    return [finding.row() for finding in worst(findings)]
