"""Answers: giving one by a lease or without, changing it, taking it back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from schemas.errors import LabelCrewError
from schemas.world import Claim, Submitted
from store.rpc import Rpc
from tests.support.database import Clock
from tests.support.queue_truth import consistent
from tests.support.teams import Team, draft, refusal

# Answering


async def test_answer_by_a_lease_verifies_the_item(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1)
    annotator = await team.member()
    [claim] = await team.claim(annotator)
    done = Submitted.model_validate(await team.submit(annotator, claim, "bad", lead_time_ms=900))
    assert done.created
    assert (done.item.state, done.annotation.level, done.annotation.revision) == ("verified", 1, 1)
    assert (done.annotation.user_id, done.annotation.lead_time_ms) == (annotator, 900)
    assert done.item.annotation == done.annotation
    assert await team.claim(annotator) == []


async def test_answer_waits_for_review_where_there_are_reviewers(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1, review_levels=3)
    people = [await team.member(role) for role in ("annotator", "reviewer", "super_reviewer")]
    [claim] = await team.claim(people[0])
    item = claim["item"]["id"]
    states = [(await team.submit(people[0], claim))["item"]["state"]]
    states += [(await team.submit(person, item, "bad"))["item"]["state"] for person in people[1:]]
    assert states == ["annotated", "reviewed", "verified"]
    assert (await team.item(item))["annotation"]["level"] == 3


async def test_same_key_again_gives_back_what_was_stored(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=2)
    annotator = await team.member()
    [claim, other] = await team.claim(annotator, 2)
    first = await team.submit(annotator, claim, key="k1")
    again = await team.submit(annotator, claim, "bad", key="k1")
    assert (first["created"], again["created"]) == (True, False)
    assert again["annotation"] == first["annotation"]
    await refusal(team.submit(annotator, other, key="k1"), "conflict")
    history = await rpc.call("list_history", actor=annotator, item=claim["item"]["id"])
    assert len(history["annotations"]) == 1


async def test_double_click_stores_one_answer(pg_rpc: Rpc, database_dsn: str) -> None:
    team = await Team.of(pg_rpc, items=1)
    [claim] = await team.claim(team.admin)
    done = await asyncio.gather(*(team.submit(team.admin, claim, key="same") for _ in range(5)))
    assert [d["created"] for d in done].count(True) == 1
    assert len({d["annotation"]["id"] for d in done}) == 1
    assert consistent(database_dsn)


async def test_second_answer_by_the_same_lease_is_refused_with_already_submitted(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1)
    [claim] = await team.claim(team.admin)
    await team.submit(team.admin, claim)
    await refusal(team.submit(team.admin, claim, "bad"), "already-submitted")


async def test_expired_lease_is_refused_with_lease_expired(rpc: Rpc, clock: Clock) -> None:
    team = await Team.of(rpc, items=1, lease_seconds=60)
    annotator = await team.member()
    [claim] = await team.claim(annotator)
    clock.advance(seconds=75)
    error = await refusal(team.submit(annotator, claim), "lease-expired")
    assert "15 s ago" in error.detail
    assert error.data["state"] == "new"
    [again] = await team.claim(annotator)
    assert (await team.submit(annotator, again))["created"]


async def test_lease_that_somebody_else_has_overtaken_is_refused_with_stale_token(rpc: Rpc, clock: Clock) -> None:
    team = await Team.of(rpc, items=1, lease_seconds=60)
    one, two = await team.member(), await team.member()
    [late] = await team.claim(one)
    clock.advance(seconds=61)
    [claim] = await team.claim(two)
    await refusal(team.submit(one, late), "stale-token")
    await team.submit(two, claim, "bad")
    error = await refusal(team.submit(one, late), "stale-token")
    assert error.data["state"] == "verified"
    assert (await team.item(claim["item"]["id"]))["annotation"]["user_id"] == two


async def test_clock_that_jumps_back_does_not_revive_a_lease_that_was_overtaken(rpc: Rpc, clock: Clock) -> None:
    team = await Team.of(rpc, items=1, lease_seconds=60)
    one, two = await team.member(), await team.member()
    [late] = await team.claim(one)
    clock.advance(seconds=90)
    await team.claim(two)
    clock.advance(seconds=-90)
    await refusal(team.submit(one, late), "stale-token")
    assert await team.claim(one) == []


async def test_wrong_token_is_refused_with_stale_token(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1)
    [claim] = await team.claim(team.admin)
    await refusal(team.submit(team.admin, claim, token=99), "stale-token")
    await refusal(team.submit(team.admin, claim, token=None), "stale-token")


async def test_late_answer_and_new_claim_at_the_same_instant_leave_one_winner(pg_rpc: Rpc, clock: Clock) -> None:
    for _ in range(5):
        team = await Team.of(pg_rpc, items=1, lease_seconds=60)
        one, two = await team.member(), await team.member()
        [late] = await team.claim(one)
        clock.advance(seconds=61)
        answered, claimed = await asyncio.gather(team.submit(one, late), team.claim(two), return_exceptions=True)
        assert isinstance(answered, LabelCrewError)
        assert answered.code in {"lease-expired", "stale-token"}
        assert isinstance(claimed, list)
        assert len(claimed) == 1


async def test_without_a_lease_an_annotator_may_only_change_their_own_answer(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1)
    one, two = await team.member(), await team.member()
    [claim] = await team.claim(one)
    item = claim["item"]["id"]
    await refusal(team.submit(two, item), "forbidden")
    await refusal(team.submit(one, item), "forbidden")
    await team.submit(one, claim, "good")
    changed = await team.submit(one, item, "bad")
    assert (changed["annotation"]["revision"], changed["item"]["annotation"]["payload"]) == (2, {"labels": ["bad"]})
    await refusal(team.submit(two, item), "forbidden")
    history = await rpc.call("list_history", actor=one, item=item)
    assert [(a["revision"], a["current"]) for a in history["annotations"]] == [(2, True), (1, False)]


async def test_reviewer_may_correct_any_item_and_annotators_no_longer(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1)
    annotator, reviewer = await team.member(), await team.member("reviewer")
    [claim] = await team.claim(annotator)
    item = claim["item"]["id"]
    await team.submit(annotator, claim, "good")
    corrected = await team.submit(reviewer, item, "bad")
    assert (corrected["annotation"]["level"], corrected["item"]["annotation"]["user_id"]) == (2, reviewer)
    await refusal(team.submit(annotator, item, "ugly"), "illegal-transition")
    assert (await team.item(item))["annotation"]["payload"] == {"labels": ["bad"]}


async def test_reviewer_who_decides_a_held_item_ends_the_hold(rpc: Rpc, database_dsn: str) -> None:
    team = await Team.of(rpc, items=1)
    annotator, reviewer = await team.member(), await team.member("reviewer")
    [claim] = await team.claim(annotator)
    await team.submit(reviewer, claim["item"]["id"])
    error = await refusal(team.submit(annotator, claim), "stale-token")
    assert "decided" in error.detail
    assert consistent(database_dsn)


@pytest.mark.parametrize(
    ("payload", "version", "code"),
    [
        ({"labels": ["unheard of"]}, 1, "invalid-payload"),
        ({"labels": ["good", "bad"]}, 1, "invalid-payload"),
        ({"labels": []}, 1, "invalid-payload"),
        ({"spans": []}, 1, "invalid-payload"),
        ([], 1, "invalid-payload"),
        ({"labels": ["good"]}, 2, "not-found"),
    ],
)
async def test_answer_that_the_labelset_does_not_allow_is_refused_and_leaves_the_lease(
    rpc: Rpc, payload: Any, version: int, code: str
) -> None:
    team = await Team.of(rpc, items=1)
    [claim] = await team.claim(team.admin)
    await refusal(team.submit(team.admin, claim, payload=payload, labelset_version=version), code)
    assert (await team.submit(team.admin, claim))["created"]


async def test_spans_outside_the_text_or_over_each_other_are_refused(rpc: Rpc) -> None:
    team = await Team.of(rpc, labelset=False)
    await team.labelset("spans")
    [item] = await team.add("東京 🙂 x")
    fits = {"start": 3, "end": 6, "label": "good"}
    for second in ({"start": 5, "end": 7, "label": "bad"}, {"start": 0, "end": 5, "label": "good"}):
        await refusal(team.submit(team.admin, item, payload={"spans": [fits, second]}), "invalid-payload")
    await team.submit(team.admin, item, payload={"spans": [fits, {"start": 0, "end": 2, "label": "bad"}]})
    await team.labelset("spans", allow_overlap=True)
    both = {"spans": [fits, {"start": 0, "end": 5, "label": "bad"}]}
    await team.submit(team.admin, item, payload=both, labelset_version=2)
    assert len(await team.items(label="bad")) == 1


async def test_of_several_answers_the_most_frequent_counts(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1, overlap=3)
    for label in ("bad", "bad", "good"):
        person = await team.member()
        [claim] = await team.claim(person)
        done = await team.submit(person, claim, label)
    assert (done["item"]["state"], done["item"]["annotation"]["payload"]) == ("verified", {"labels": ["bad"]})


# Taking back


async def test_undone_answer_is_withdrawn_and_the_item_held_again(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=2)
    annotator = await team.member()
    [item] = [i["id"] for i in (await team.items())[:1]]
    await team.call("save_predictions", rows=[draft(item, "ugly")])
    [claim] = await team.claim(annotator)
    await team.submit(annotator, claim, "good")
    back = Claim.model_validate(await team.call("undo_submit", annotator))
    assert (back.item.id, back.item.state, back.item.annotation) == (item, "drafted", None)
    assert back.lease.token > claim["lease"]["token"]
    assert [i["id"] for i in await team.items(label="ugly")] == [item]
    await refusal(team.submit(annotator, claim, "bad"), "already-submitted")
    await team.submit(annotator, {"lease": back.lease.model_dump()}, "bad")
    assert (await team.item(item))["annotation"]["revision"] == 2
    history = await rpc.call("list_history", actor=annotator, item=item)
    assert [a["current"] for a in history["annotations"]] == [True, False]


async def test_undo_goes_back_answer_by_answer(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=2)
    claims = await team.claim(team.admin, 2)
    for claim in claims:
        await team.submit(team.admin, claim)
    undone = [(await team.call("undo_submit"))["item"]["id"] for _ in range(2)]
    assert undone == [claim["item"]["id"] for claim in reversed(claims)]
    await refusal(team.call("undo_submit"), "nothing-to-undo")


async def test_undone_change_lets_the_answer_before_it_stand_again(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1)
    [claim] = await team.claim(team.admin)
    await team.submit(team.admin, claim, "good")
    await team.submit(team.admin, claim["item"]["id"], "bad")
    back = await team.call("undo_submit")
    assert (back["item"]["state"], back["item"]["annotation"]["payload"]) == ("verified", {"labels": ["good"]})


async def test_undo_after_somebody_else_acted_is_refused_with_nothing_to_undo(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=2)
    annotator, reviewer = await team.member(), await team.member("reviewer")
    await refusal(team.call("undo_submit", annotator), "nothing-to-undo")
    [one, two] = await team.claim(annotator, 2)
    await team.submit(annotator, one)
    await team.submit(reviewer, one["item"]["id"], "bad")
    await refusal(team.call("undo_submit", annotator), "nothing-to-undo")
    await team.submit(annotator, two)
    await rpc.call("return_item", actor=reviewer, item=two["item"]["id"])
    await refusal(team.call("undo_submit", annotator), "nothing-to-undo")


async def test_returned_item_is_answered_anew_and_keeps_its_history(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1)
    annotator, reviewer = await team.member(), await team.member("reviewer")
    [claim] = await team.claim(annotator)
    item = claim["item"]["id"]
    await team.submit(annotator, claim, "good")
    returned = await rpc.call("return_item", actor=reviewer, item=item, note="read the guidelines")
    assert (returned["state"], returned["annotation"]) == ("returned", None)
    await refusal(rpc.call("return_item", actor=reviewer, item=item), "illegal-transition")
    [again] = await team.claim(annotator)
    done = await team.submit(annotator, again, "bad")
    assert (done["annotation"]["revision"], done["item"]["state"]) == (2, "verified")
