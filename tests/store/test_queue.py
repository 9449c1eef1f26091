"""The queue: claiming and holding, and what happens when two people meet. Answers are in test_answers.py."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import psycopg
import pytest

from schemas.errors import LabelCrewError
from schemas.world import Claim, Item, Lease
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
