"""Licences in the database: what they speak about, who may touch them, and that everything goes back when they end."""

from __future__ import annotations

from typing import Any

from store.rpc import Rpc
from tests.support.teams import Team, draft, refusal

PLAN = {
    "model": "test-model", "labelset_version": 1, "alpha": 0.1, "delta": 0.05, "finite": True, "audit_share": 0.25,
    "candidates": 8, "expected_coverage": 0.5, "reason": "auditing", "regions": [{"threshold": 0.8, "size": 8}],
}  # fmt: skip
VERDICT = {
    "granted": True, "threshold": 0.8, "coverage": 1.0, "bound": 0.08, "audit_size": 2, "audit_errors": 0,
    "method": "hypergeometric", "reason": "none was wrong",
}  # fmt: skip


async def _drafted(rpc: Rpc, n: int = 8, **settings: Any) -> tuple[Team, list[dict[str, Any]]]:
    team = await Team.of(rpc, items=n, **settings)
    await team.call("save_predictions", rows=[draft(i["id"]) for i in await team.items()])
    return team, await team.items()


async def _licence(team: Team, items: list[dict[str, Any]], audit: int = 2, **plan: Any) -> dict[str, Any]:
    drafts = await team.call("list_accept_candidates")
    made: dict[str, Any] = await team.call(
        "create_licence", job=None, plan={**PLAN, **plan}, seqs=drafts["seqs"], predictions=drafts["predictions"],
        confidences=drafts["probabilities"], audit=[i["seq"] for i in items[:audit]],
    )  # fmt: skip
    return made


async def test_candidates_are_unanswered_drafts_with_a_probability_of_one_model(rpc: Rpc) -> None:
    team, items = await _drafted(rpc, 6)
    await team.call("save_predictions", rows=[draft(items[0]["id"], probability=None)])
    await team.call("save_predictions", rows=[draft(items[1]["id"], model="another")])
    await team.submit(team.admin, items[2]["id"])
    [claim] = await team.claim(team.admin, 1)
    found = await team.call("list_accept_candidates")
    left = [i["seq"] for i in items[1:] if i["id"] not in {items[1]["id"], items[2]["id"], claim["item"]["id"]}]
    assert (found["model"], sorted(found["seqs"])) == ("test-model", left)
    assert set(found["labels"]) == {"good"}
    assert (await team.call("list_accept_candidates", model="another"))["seqs"] == [items[1]["seq"]]


async def test_audit_items_stand_first_in_the_order_drawn_and_hide_their_draft(rpc: Rpc) -> None:
    team, items = await _drafted(rpc)
    licence = await _licence(team, list(reversed(items)), audit=3)
    assert (licence["state"], licence["audit"]) == ("auditing", {"drawn": 3, "answered": 0, "wrong": 0})
    claims = await team.claim(team.admin, 4)
    assert [c["item"]["seq"] for c in claims] == [items[n]["seq"] for n in (7, 6, 5, 0)]
    assert [c["item"]["draft"] is None for c in claims] == [True, True, True, False]


async def test_items_up_for_a_licence_are_not_ranked(rpc: Rpc) -> None:
    team, items = await _drafted(rpc)
    [late] = await team.add("a text without a draft")
    await _licence(team, items)
    seq = (await team.item(late))["seq"]
    assert (await rpc.call("list_rankable", dataset=team.dataset))["seqs"] == [seq]


async def test_granted_licence_accepts_what_was_audited_and_keeps_a_share_with_people(rpc: Rpc) -> None:
    team, items = await _drafted(rpc)
    licence = await _licence(team, items)
    assert await rpc.call("list_ripe_licences") == []
    for item in items[:2]:
        await team.submit(team.admin, item["id"])
    [ripe] = await rpc.call("list_ripe_licences")
    assert (ripe["licence"], ripe["actor"], ripe["state"]) == (licence["id"], team.admin, "auditing")
    audit = await rpc.call("find_audit", licence=licence["id"])
    assert [row["right"] for row in audit["first"]] == [True, True]
    assert len(audit["confidences"]) == 6
    done = await rpc.call("decide_licence", actor=team.admin, licence=licence["id"], verdict=VERDICT)
    assert (done["state"], done["accepted"], done["watch"]["drawn"]) == ("granted", 4, 2)
    assert await team.states() == {"verified": 2, "auto_accepted": 4, "drafted": 2}
    accepted = await team.items(states=["auto_accepted"])
    assert {i["licence_id"] for i in accepted} == {licence["id"]}
    again = await rpc.call("decide_licence", actor=team.admin, licence=licence["id"], verdict={"granted": False})
    assert (again["state"], again["accepted"]) == ("granted", 4)


async def test_skipped_audit_item_counts_as_wrong(rpc: Rpc) -> None:
    team, items = await _drafted(rpc)
    licence = await _licence(team, items, audit=1)
    [claim] = await team.claim(team.admin, 1)
    await rpc.call(
        "release_lease",
        actor=team.admin, lease=claim["lease"]["id"], token=claim["lease"]["token"], skip_reason="unreadable",
    )  # fmt: skip
    audit = await rpc.call("find_audit", licence=licence["id"])
    assert [row["right"] for row in audit["first"]] == [False]


async def test_item_that_somebody_holds_is_not_accepted_under_their_hands(rpc: Rpc) -> None:
    team, items = await _drafted(rpc)
    licence = await _licence(team, items, audit=1, audit_share=0)
    await team.submit(team.admin, items[0]["id"])
    [claim] = await team.claim(await team.member(), 1)
    done = await rpc.call("decide_licence", actor=team.admin, licence=licence["id"], verdict=VERDICT)
    assert done["accepted"] == 6
    assert (await team.item(claim["item"]["id"]))["state"] == "drafted"


async def test_revoked_licence_leaves_no_trace_on_the_items_and_a_line_in_the_log(rpc: Rpc) -> None:
    team, items = await _drafted(rpc)
    licence = await _licence(team, items, audit=1)
    await team.submit(team.admin, items[0]["id"])
    await rpc.call("decide_licence", actor=team.admin, licence=licence["id"], verdict=VERDICT)
    reviewed = (await team.items(states=["auto_accepted"]))[0]["id"]
    await team.submit(team.admin, reviewed, "bad")
    assert (await team.item(reviewed))["licence_id"] is None
    gone = await rpc.call("revoke_licence", actor=team.admin, licence=licence["id"], reason="too much was wrong")
    assert (gone["state"], gone["reason"]) == ("revoked", "too much was wrong")
    assert await team.states() == {"verified": 2, "drafted": 6}
    assert all(i["licence_id"] is None and i["arm"] is None for i in await team.items(states=["drafted"]))
    again = await rpc.call("revoke_licence", actor=team.admin, licence=licence["id"], reason="once more")
    assert again["reason"] == "too much was wrong"
    kinds = [e["kind"] for e in await team.call("list_events", kinds=["licence_granted", "licence_revoked"])]
    assert kinds == ["licence_granted", "licence_revoked"]


async def test_audit_taken_back_ends_without_a_licence(rpc: Rpc) -> None:
    team, items = await _drafted(rpc)
    await _licence(team, items)
    assert await team.call("revoke_licences", reason="guidelines changed") == 1
    [licence] = await team.call("list_licences")
    assert licence["state"] == "refused"
    assert [i["priority"] for i in await team.items()] == [0] * 8


async def test_one_audit_at_a_time_and_a_repeated_job_finds_its_own(rpc: Rpc) -> None:
    team, items = await _drafted(rpc)
    job = (await team.call("create_job", kind="auto_accept"))["id"]
    nothing: dict[str, Any] = {"seqs": [], "predictions": [], "confidences": [], "audit": []}
    first = await team.call("create_licence", job=job, plan=PLAN, **nothing)
    assert first["state"] == "refused"
    assert (await team.call("create_licence", job=job, plan=PLAN, **nothing))["id"] == first["id"]
    await _licence(team, items)
    await refusal(_licence(team, items), "conflict")


async def test_only_admins_plan_decide_and_revoke_and_strangers_see_nothing(rpc: Rpc) -> None:
    team, items = await _drafted(rpc)
    licence = await _licence(team, items)
    reviewer = await team.member("reviewer")
    stranger = (await Team.of(rpc)).admin
    for actor, code in ((reviewer, "forbidden"), (stranger, "not-found")):
        await refusal(team.call("list_accept_candidates", actor), code)
        await refusal(rpc.call("decide_licence", actor=actor, licence=licence["id"], verdict=VERDICT), code)
        await refusal(rpc.call("revoke_licence", actor=actor, licence=licence["id"], reason="no"), code)
    await refusal(team.call("list_licences", stranger), "not-found")
    assert len(await team.call("list_licences", reviewer)) == 1


async def test_watch_is_ripe_again_only_when_people_said_something_new(rpc: Rpc) -> None:
    team, items = await _drafted(rpc)
    licence = await _licence(team, items, audit=1)
    await team.submit(team.admin, items[0]["id"])
    await rpc.call("decide_licence", actor=team.admin, licence=licence["id"], verdict=VERDICT)
    [claim, *_] = await team.claim(team.admin, 1)
    assert claim["item"]["arm"] == "audit"
    await team.submit(team.admin, claim, "bad")
    assert [r["state"] for r in await rpc.call("list_ripe_licences")] == ["granted"]
    assert [row["right"] for row in (await rpc.call("find_audit", licence=licence["id"]))["watch"]] == [False]
    await rpc.call("save_watch", licence=licence["id"], watch={"tested": 1})
    assert await rpc.call("list_ripe_licences") == []
