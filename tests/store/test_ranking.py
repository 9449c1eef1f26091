"""The head of the queue: who stands there, in which order, and who is left alone."""

from __future__ import annotations

import base64

import numpy as np

from store.rpc import Rpc
from tests.support.teams import Team, draft


async def _seqs(team: Team) -> list[int]:
    return [item["seq"] for item in await team.items()]


async def test_ranked_items_are_handed_out_in_their_order_then_the_rest_by_arrival(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=5)
    seqs = await _seqs(team)
    done = await rpc.call("rank_queue", dataset=team.dataset, seqs=[seqs[3], seqs[1]], control=[seqs[1]])
    assert done == {"ranked": 2, "control": 1}
    claims = await team.claim(team.admin, 5)
    assert [c["item"]["seq"] for c in claims] == [seqs[3], seqs[1], seqs[0], seqs[2], seqs[4]]
    assert [c["item"]["arm"] for c in claims[:3]] == [None, "control", None]


async def test_renewed_ranking_sends_the_old_head_back_and_unmarks_it(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=4)
    seqs = await _seqs(team)
    await rpc.call("rank_queue", dataset=team.dataset, seqs=seqs[2:], control=seqs[2:])
    await rpc.call("rank_queue", dataset=team.dataset, seqs=seqs[:1])
    assert [(i["priority"] > 0, i["arm"]) for i in await team.items()] == [(True, None)] + [(False, None)] * 3


async def test_held_and_answered_items_are_not_ranked(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=4, overlap=2)
    seqs = await _seqs(team)
    [held] = await team.claim(team.admin, 1)
    other = await team.member()
    [claim, *_] = await team.claim(other, 2)
    await team.submit(other, claim)
    rankable = (await rpc.call("list_rankable", dataset=team.dataset))["seqs"]
    assert sorted(rankable) == seqs[2:]
    assert (await rpc.call("rank_queue", dataset=team.dataset, seqs=seqs))["ranked"] == 2
    assert held["item"]["seq"] == seqs[0]
    assert [i["priority"] > 0 for i in await team.items()] == [False, False, True, True]


async def test_priority_that_an_admin_set_high_or_below_zero_stays(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=3)
    ids = [i["id"] for i in await team.items()]
    await team.call("set_priorities", rows=[{"id": ids[0], "priority": 5}, {"id": ids[1], "priority": -1}])
    assert (await rpc.call("rank_queue", dataset=team.dataset, seqs=await _seqs(team)))["ranked"] == 1
    assert [i["priority"] > 1 for i in await team.items()] == [True, False, True]
    assert [i["priority"] for i in await team.items()][:2] == [5, -1]


async def test_ranking_is_on_record_with_who_was_drawn_at_random(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=2)
    seqs = await _seqs(team)
    await rpc.call("rank_queue", dataset=team.dataset, seqs=seqs, control=seqs[:1], info={"student": 3})
    [event] = await team.call("list_events", kinds=["queue_ranked"])
    assert event["data"] == {"student": 3, "ranked": 2, "control": [(await team.items())[0]["id"]]}


async def test_empty_ranking_clears_the_head(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=2)
    await rpc.call("rank_queue", dataset=team.dataset, seqs=await _seqs(team))
    assert await rpc.call("rank_queue", dataset=team.dataset, seqs=[]) == {"ranked": 0, "control": 0}
    assert [i["priority"] for i in await team.items()] == [0, 0]


async def test_vectors_are_read_in_pages_by_seq_whatever_the_state(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=5)
    items = await team.items()
    rows = [{"id": i["id"], "vector": [float(n == d) for d in range(384)]} for n, i in enumerate(items) if n != 2]
    await team.call("save_embeddings", model="m", rows=rows)
    await team.call("save_predictions", rows=[draft(items[1]["id"])])
    await team.submit(team.admin, items[3]["id"])
    assert await rpc.call("count_vectors", dataset=team.dataset) == 4
    first = await rpc.call("read_vectors", dataset=team.dataset, limit=3)
    assert first["seqs"] == [items[n]["seq"] for n in (0, 1, 3)]
    vectors = np.frombuffer(base64.b64decode(first["vectors"]), dtype=">f2").reshape(3, 384)
    assert vectors.argmax(axis=1).tolist() == [0, 1, 3]
    rest = await rpc.call("read_vectors", dataset=team.dataset, after=first["next"], limit=3)
    assert (rest["seqs"], rest["next"]) == ([items[4]["seq"]], None)
    assert (await rpc.call("list_answered", dataset=team.dataset))["seqs"] == [items[3]["seq"]]
