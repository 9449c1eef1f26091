"""Export: every row once, in order, with the answer that counts."""

from __future__ import annotations

from typing import Any

from store.rpc import Rpc
from tests.support.teams import Team, draft, refusal


async def exported(team: Team, **params: Any) -> list[dict[str, Any]]:
    """All pages of three."""
    rows: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        page = await team.call("export_items", after=after, limit=3, **params)
        rows += [row if isinstance(row, dict) else dict(zip(page["columns"], row, strict=True)) for row in page["rows"]]
        after = page["next"]
    return rows


async def mixed(rpc: Rpc) -> Team:
    """Seven items: two untouched, four drafted, of which two are answered; one of these against its draft."""
    team = await Team.of(rpc, items=7)
    ids = [item["id"] for item in await team.items()]
    rows = [
        draft(ids[n], "bad", probability=n / 10, rationale=f"reason {n}", usage={"cost_usd": 0.5}) for n in (1, 2, 3, 5)
    ]
    await team.call("save_predictions", rows=rows)
    await team.submit(team.admin, ids[2], "bad", lead_time_ms=1500)
    await team.submit(team.admin, ids[5], "good")
    return team


async def test_pages_join_to_every_item_once_in_order(rpc: Rpc) -> None:
    team = await mixed(rpc)
    rows = await exported(team)
    assert [row["id"] for row in rows] == [item["id"] for item in await team.items()]
    assert [row["payload"] and row["payload"]["labels"][0] for row in rows] == [
        None, "bad", "bad", "bad", None, "good", None,
    ]  # fmt: skip
    assert [row["source"] for row in rows] == [None, "llm", "human", "llm", None, "human", None]
    row = rows[2]
    assert (row["annotator"], row["lead_time_ms"], row["model"], row["rationale"], row["cost_usd"]) == (
        team.admin, 1500, "test-model", "reason 2", 0.5,
    )  # fmt: skip
    assert (row["probability"], row["labelset_version"], row["state"]) == (0.2, 1, "verified")


async def test_compact_rows_say_the_same(rpc: Rpc) -> None:
    team = await mixed(rpc)
    assert await exported(team, compact=True) == await exported(team)


async def test_filters_choose_rows(rpc: Rpc) -> None:
    team = await mixed(rpc)
    everything = await exported(team)
    for filters, wanted in [
        ({"states": ["verified"]}, [2, 5]),
        ({"labels": ["good"]}, [5]),
        ({"labels": ["good", "bad"], "states": ["drafted"]}, [1, 3]),
        ({"sources": ["llm"]}, [1, 3]),
        ({"min_probability": 0.25}, [3, 5]),
        ({"min_probability": 0.1, "max_probability": 0.3}, [1, 2, 3]),
        ({"states": None}, list(range(7))),
        ({"states": []}, []),
    ]:
        assert await exported(team, filters=filters) == [everything[n] for n in wanted], filters


async def test_export_of_an_empty_dataset_is_empty(rpc: Rpc) -> None:
    team = await Team.of(rpc)
    assert await exported(team) == []


async def test_annotators_may_not_export(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1)
    await refusal(team.call("export_items", await team.member()), "forbidden")
    assert len((await team.call("export_items", await team.member("reviewer")))["rows"]) == 1
