"""Scorecards: the database counts, learning/scorecards says what the counts allow to say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from learning.scorecards import distinguishable, places, wilson
from schemas.people import Distinguishable, Rate, Scorecard, Scorecards
from store.rpc import Rpc

RATES = ("gold", "consensus", "acceptance")


async def report_scorecard(rpc: Rpc, actor: str, dataset: str) -> Scorecard:
    """The actor's own."""
    return _scorecard(await rpc.call("get_scorecard", actor=actor, dataset=dataset))


async def report_scorecards(rpc: Rpc, actor: str, dataset: str) -> Scorecards:
    """Everybody's, by name; needs the role admin."""
    rows = await rpc.call("list_scorecards", actor=actor, dataset=dataset)
    counts = {rate: {row["user_id"]: (row[rate][0], row[rate][1]) for row in rows} for rate in RATES}
    groups = {rate: distinguishable(counts[rate]) for rate in RATES}
    placed = {rate: places(counts[rate]) for rate in RATES}
    return Scorecards(people=[_scorecard(row, placed) for row in rows], distinguishable=Distinguishable(**groups))


def _scorecard(row: dict[str, Any], placed: Mapping[str, Mapping[str, tuple[int, int]]] | None = None) -> Scorecard:
    rates = {rate: _rate(*row[rate], place=(placed or {}).get(rate, {}).get(row["user_id"])) for rate in RATES}
    return Scorecard.model_validate({**row, **rates})


def _rate(right: int, of: int, *, place: tuple[int, int] | None) -> Rate:
    low, high = wilson(right, of)
    best, worst = place or (None, None)
    share = right / of if of else None
    return Rate(right=right, of=of, rate=share, low=low, high=high, best_place=best, worst_place=worst)
