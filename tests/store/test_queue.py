"""The queue: claiming, holding, answering, taking back, and what happens when two people meet."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import psycopg
import pytest

from schemas.errors import LabelCrewError
from schemas.world import Claim, Item, Lease, Submitted
from store.rpc import Rpc
from tests.support.database import Clock
from tests.support.people import new_user
from tests.support.queue_truth import consistent, contradictions
from tests.support.teams import Team, draft, refusal

# Claiming


async def test_claim_hands_out_the_next_items_in_the_shape_of_the_vocabulary(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=3)
    annotator = await team.member()
    claims = [Claim.model_validate(claim) for claim in await team.claim(annotator, 2)]
    assert [claim.item.text for claim in claims] == ["text number 1", "text number 2"]
    assert all(claim.lease.item_id == claim.item.id and claim.lease.token == 1 for claim in claims)


async def test_highest_priority_comes_first_then_the_order_of_arrival(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=4)
    ids = [item["id"] for item in await team.items()]
    await team.call("set_priorities", rows=[{"id": ids[2], "priority": 2}, {"id": ids[0], "priority": -1.5}])
    claims = await team.claim(team.admin, 4)
    assert [claim["item"]["id"] for claim in claims] == [ids[2], ids[1], ids[3], ids[0]]


async def test_item_under_a_live_lease_is_not_handed_to_anybody_else(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1)
    one, two = await team.member(), await team.member()
    assert len(await team.claim(one, 5)) == 1
    assert await team.claim(two, 5) == []


async def test_second_claim_gives_the_same_lease_again_with_its_time_anew(rpc: Rpc, clock: Clock) -> None:
    team = await Team.of(rpc, items=3, lease_seconds=100)
    annotator = await team.member()
    [first] = await team.claim(annotator)
    clock.advance(seconds=60)
    [again, other] = await team.claim(annotator, 2)
    assert (again["lease"]["id"], again["lease"]["token"]) == (first["lease"]["id"], first["lease"]["token"])
    assert Lease.model_validate(again["lease"]).expires_at > Lease.model_validate(first["lease"]).expires_at
    assert other["item"]["id"] != first["item"]["id"]
    clock.advance(seconds=60)
    assert (await team.submit(annotator, first))["created"]


async def test_expired_lease_makes_the_item_claimable_with_a_higher_token(rpc: Rpc, clock: Clock) -> None:
    team = await Team.of(rpc, items=1, lease_seconds=60)
    one, two = await team.member(), await team.member()
    [first] = await team.claim(one)
    clock.advance(seconds=61)
    [second] = await team.claim(two)
    assert second["item"]["id"] == first["item"]["id"]
    assert second["lease"]["token"] > first["lease"]["token"]


async def test_overlap_hands_an_item_to_that_many_different_people(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1, overlap=2)
    people = [await team.member() for _ in range(3)]
    claims = [await team.claim(person, 2) for person in people]
    assert [len(c) for c in claims] == [1, 1, 0]
    await team.submit(people[0], claims[0][0])
    assert await team.claim(people[0]) == []
    assert await team.claim(people[2]) == []
    assert (await team.submit(people[1], claims[1][0]))["item"]["state"] == "verified"


async def test_every_open_state_is_claimable_and_no_other(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=5)
    ids = [item["id"] for item in await team.items()]
    await team.call("save_predictions", rows=[draft(ids[1])])
    for item in ids[2:4]:
        await team.submit(team.admin, item)
    await rpc.call("return_item", actor=team.admin, item=ids[3], note="look again")
    annotator = await team.member()
    assert [claim["item"]["state"] for claim in await team.claim(annotator, 9)] == ["new", "drafted", "returned", "new"]


@pytest.mark.parametrize("seconds", [9, 86_401])
async def test_lease_of_an_odd_length_is_refused(pg_rpc: Rpc, seconds: int) -> None:
    team = await Team.of(pg_rpc, items=1)
    await refusal(team.claim(team.admin, lease_seconds=seconds), "invalid")


async def test_twenty_at_once_never_get_the_same_item(pg_rpc: Rpc, database_dsn: str) -> None:
    team = await Team.of(pg_rpc, items=45)
    people = [await team.member() for _ in range(20)]
    claims = await asyncio.gather(*(team.claim(person, 2) for person in people))
    handed = [claim["item"]["id"] for each in claims for claim in each]
    assert len(handed) == len(set(handed)) == 40
    assert consistent(database_dsn)


async def test_last_item_goes_to_one_of_many_who_come_at_once(pg_rpc: Rpc, database_dsn: str) -> None:
    team = await Team.of(pg_rpc, items=1, overlap=3)
    people = [await team.member() for _ in range(12)]
    claims = await asyncio.gather(*(team.claim(person) for person in people))
    assert sum(len(each) for each in claims) == 3
    assert consistent(database_dsn)


async def test_claim_waits_for_a_row_that_is_locked_rather_than_saying_there_is_nothing(
    pg_rpc: Rpc, database_dsn: str
) -> None:
    team = await Team.of(pg_rpc, items=1)
    with psycopg.connect(database_dsn) as other:
        other.execute("select from labelcrew.items for update")
        claiming = asyncio.create_task(team.claim(team.admin))
        await asyncio.sleep(0.05)
        assert not claiming.done()
        other.rollback()
        assert len(await claiming) == 1


# Holding


async def test_renewed_lease_lives_longer(rpc: Rpc, clock: Clock) -> None:
    team = await Team.of(rpc, items=1, lease_seconds=60)
    [claim] = await team.claim(team.admin)
    clock.advance(seconds=50)
    lease = {"lease": claim["lease"]["id"], "token": claim["lease"]["token"]}
    renewed = Lease.model_validate(await rpc.call("renew_lease", actor=team.admin, **lease))
    assert renewed.expires_at > Lease.model_validate(claim["lease"]).expires_at
    clock.advance(seconds=50)
    await rpc.call("renew_lease", actor=team.admin, **lease)
    clock.advance(seconds=61)
    await refusal(rpc.call("renew_lease", actor=team.admin, **lease), "lease-expired")


async def test_lease_of_somebody_else_is_not_found(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1)
    [claim] = await team.claim(await team.member())
    lease = {"lease": claim["lease"]["id"], "token": claim["lease"]["token"]}
    await refusal(rpc.call("renew_lease", actor=team.admin, **lease), "not-found")
    await refusal(rpc.call("release_lease", actor=team.admin, **lease), "not-found")
    await refusal(team.submit(team.admin, claim), "not-found")


async def test_released_item_goes_to_the_next_person_at_once(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1)
    one, two = await team.member(), await team.member()
    [claim] = await team.claim(one)
    lease = {"lease": claim["lease"]["id"], "token": claim["lease"]["token"]}
    for _ in range(2):
        item = Item.model_validate(await rpc.call("release_lease", actor=one, **lease))
    assert item.state == "new"
    assert len(await team.claim(two)) == 1
    await refusal(team.submit(one, claim), "lease-expired")


async def test_skipped_item_is_out_of_the_queue_until_a_reviewer_returns_it(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1)
    annotator, reviewer = await team.member(), await team.member("reviewer")
    [claim] = await team.claim(annotator)
    lease = {"lease": claim["lease"]["id"], "token": claim["lease"]["token"]}
    for _ in range(2):
        skipped = await rpc.call("release_lease", actor=annotator, skip_reason="not English", **lease)
    assert skipped["state"] == "skipped"
    assert await team.claim(reviewer) == []
    await refusal(rpc.call("return_item", actor=annotator, item=skipped["id"]), "forbidden")
    assert (await rpc.call("return_item", actor=reviewer, item=skipped["id"]))["state"] == "returned"
    [again] = await team.claim(annotator)
    assert (await team.submit(annotator, again))["item"]["state"] == "verified"
    history = await rpc.call("list_history", actor=reviewer, item=skipped["id"])
    reasons = [event["data"] for event in history["events"] if event["kind"] == "item_skipped"]
    assert reasons == [{"reason": "not English"}]


async def test_answers_given_before_a_skip_count_when_the_item_is_returned(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1, overlap=2)
    one, two = await team.member(), await team.member()
    [first], [second] = await team.claim(one), await team.claim(two)
    await team.submit(one, first)
    lease = {"lease": second["lease"]["id"], "token": second["lease"]["token"]}
    await rpc.call("release_lease", actor=two, skip_reason="unsure", **lease)
    await rpc.call("return_item", actor=team.admin, item=first["item"]["id"])
    assert await team.claim(one) == []
    [again] = await team.claim(two)
    assert (await team.submit(two, again))["item"]["state"] == "verified"


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


# What holds whatever happens


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("new", "auto_accepted"),
        ("verified", "skipped_not_a_state"),
        ("skipped", "auto_accepted"),
        ("returned", "drafted"),
    ],
)
async def test_table_refuses_an_illegal_transition_by_itself(
    pg_rpc: Rpc, database_dsn: str, before: str, after: str
) -> None:
    team = await Team.of(pg_rpc, items=1)
    with psycopg.connect(database_dsn) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute(
            "update labelcrew.items set state = %s, draft_id = gen_random_uuid(), annotation_id = case "
            "when %s = 'verified' then gen_random_uuid() end where dataset_id = %s",
            [before, before, team.dataset],
        )
        connection.execute("set session_replication_role = origin")
        with pytest.raises(psycopg.Error) as raised:
            connection.execute("update labelcrew.items set state = %s where dataset_id = %s", [after, team.dataset])
        assert raised.value.sqlstate == "LCTRN"


async def test_table_refuses_to_overwrite_an_answer(pg_rpc: Rpc, database_dsn: str) -> None:
    team = await Team.of(pg_rpc, items=1)
    await team.submit(team.admin, (await team.items())[0]["id"])
    for change in ('payload = \'{"labels": ["bad"]}\'', "user_id = gen_random_uuid()", "revision = 7"):
        with psycopg.connect(database_dsn) as connection, pytest.raises(psycopg.Error, match="never overwritten"):
            connection.execute(f"update labelcrew.annotations set {change}".encode())


async def test_strangers_find_no_queue(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1)
    stranger = await new_user(rpc)
    await refusal(team.claim(stranger), "not-found")
    await refusal(team.submit(stranger, (await team.items())[0]["id"]), "not-found")
    await refusal(team.call("undo_submit", stranger), "not-found")


async def test_eight_people_doing_anything_at_once_lose_and_double_nothing(pg_rpc: Rpc, database_dsn: str) -> None:
    team = await Team.of(pg_rpc, items=6, overlap=2, lease_seconds=10)
    people = [await team.member() for _ in range(8)]
    stored = 0

    async def work(person: str, seed: int) -> None:
        nonlocal stored
        rng = random.Random(seed)
        held: list[dict[str, Any]] = []
        for _ in range(25):
            try:
                match rng.choice(["claim", "claim", "submit", "submit", "release", "undo", "draft", "return"]):
                    case "claim":
                        held = await team.claim(person, rng.randint(1, 2))
                    case "submit" if held:
                        done = await team.submit(person, held.pop(), rng.choice(["good", "bad"]))
                        stored += done["created"]
                    case "release" if held:
                        lease = held.pop()["lease"]
                        await pg_rpc.call("release_lease", actor=person, lease=lease["id"], token=lease["token"])
                    case "undo":
                        held.append(await team.call("undo_submit", person))
                    case "draft":
                        rows = [draft(i["id"]) for i in rng.sample(await team.items(), 3)]
                        await team.call("save_predictions", rows=rows)
                    case "return":
                        item = rng.choice(await team.items())["id"]
                        await pg_rpc.call("return_item", actor=team.admin, item=item)
                    case _:
                        pass
            except LabelCrewError as error:
                assert error.code in {  # noqa: PT017
                    "stale-token", "lease-expired", "nothing-to-undo", "illegal-transition", "already-submitted",
                }, error  # fmt: skip

    await asyncio.gather(*(work(person, seed) for seed, person in enumerate(people)))
    assert stored > 10
    with psycopg.connect(database_dsn) as connection:
        assert contradictions(connection) == []
        row = connection.execute("select count(*) from labelcrew.annotations").fetchone()
        assert row == (stored,)
