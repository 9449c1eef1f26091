"""Scorecards: the database counts, learning/scorecards says what the counts allow to say."""

from __future__ import annotations

from typing import Any

from learning.scorecards import distinguishable, wilson
from schemas.people import Distinguishable, Rate, Scorecard, Scorecards
from store.rpc import Rpc

RATES = ("gold", "consensus", "acceptance")


async def report_scorecard(rpc: Rpc, actor: str, dataset: str) -> Scorecard:
    """The actor's own."""
    return _scorecard(await rpc.call("get_scorecard", actor=actor, dataset=dataset))


async def report_scorecards(rpc: Rpc, actor: str, dataset: str) -> Scorecards:
    """Everybody's, by name; needs the role admin."""
    rows = await rpc.call("list_scorecards", actor=actor, dataset=dataset)
    groups = {rate: distinguishable({row["user_id"]: (row[rate][0], row[rate][1]) for row in rows}) for rate in RATES}
    return Scorecards(people=[_scorecard(row) for row in rows], distinguishable=Distinguishable(**groups))


def _scorecard(row: dict[str, Any]) -> Scorecard:
    return Scorecard.model_validate({**row, **{rate: _rate(*row[rate]) for rate in RATES}})


def _rate(right: int, of: int) -> Rate:
    low, high = wilson(right, of)
    return Rate(right=right, of=of, rate=right / of if of else None, low=low, high=high)
