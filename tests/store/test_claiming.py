"""Who is handed which item: skills, limits, what nobody finishes, known answers, and what is answered unseen."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from schemas.payloads import Classification
from schemas.world import Claim, Submitted
from store.rpc import Rpc
from tests.support.database import Clock
from tests.support.queue_truth import consistent
from tests.support.teams import Team, draft, refusal


def skilled(dsn: str, user: str, *skills: str) -> None:
    """Give a member skills, as an admin does."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("update labelcrew.members set skills = %s where user_id = %s", [list(skills), user])


# Skills


async def test_item_with_tags_is_handed_only_to_those_who_have_all_of_them(rpc: Rpc, database_dsn: str) -> None:
    team = await Team.of(rpc)
    await team.add("Guten Tag", metadata={"tags": ["de"]})
    await team.add("Das Urteil", metadata={"tags": "legal, de"})
    await team.add("hello")
    plain, german, lawyer = [await team.member() for _ in range(3)]
    skilled(database_dsn, german, "de")
    skilled(database_dsn, lawyer, "de", "legal", "fr")
    assert [c["item"]["text"] for c in await team.claim(plain, 5)] == ["hello"]
    assert [c["item"]["text"] for c in await team.claim(german, 5)] == ["Guten Tag"]
    [claim] = [Claim.model_validate(claim) for claim in await team.claim(lawyer, 5)]
    assert (claim.item.text, claim.item.tags) == ("Das Urteil", ["de", "legal"])
    assert consistent(database_dsn)


async def test_pools_are_taken_in_the_order_of_their_most_urgent_item(rpc: Rpc, database_dsn: str) -> None:
    team = await Team.of(rpc)
    for text, tags in (("one", ["a"]), ("two", []), ("three", ["b"])):
        await team.add(text, metadata={"tags": tags})
    everybody = await team.member()
    skilled(database_dsn, everybody, "a", "b")
    ids = {item["text"]: item["id"] for item in await team.items()}
    await team.call("set_priorities", rows=[{"id": ids["three"], "priority": 5}, {"id": ids["two"], "priority": 1}])
    assert [c["item"]["text"] for c in await team.claim(everybody, 3)] == ["three", "two", "one"]


# Limits


async def test_nobody_holds_more_than_the_dataset_allows(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=5, max_open=2)
    person = await team.member()
    assert len(await team.claim(person, 5)) == 2
    assert len(await team.claim(person, 5)) == 2


async def test_day_that_is_full_ends_with_daily_limit(rpc: Rpc, clock: Clock) -> None:
    team = await Team.of(rpc, items=5, max_per_day=2)
    person = await team.member()
    claims = await team.claim(person, 5)
    assert len(claims) == 2
    await team.submit(person, claims[0])
    await team.submit(person, claims[0]["item"]["id"], "bad")
    assert len(await team.claim(person, 5)) == 1
    await team.submit(person, claims[1])
    await refusal(team.claim(person), "daily-limit")
    assert len(await team.claim(await team.member())) == 1
    clock.advance(days=1)
    assert len(await team.claim(person, 5)) == 2


@pytest.mark.parametrize(
    "setting",
    [
        {"max_per_day": 0}, {"max_open": 101}, {"expiry_limit": 1.5}, {"review_share_new": 2}, {"sla_minutes": 5},
        {"sla_minutes": {"verified": 5}}, {"sla_minutes": {"returned": "x"}}, {"return_seconds": -1},
    ],
)  # fmt: skip
async def test_setting_out_of_bounds_is_refused_with_invalid(rpc: Rpc, setting: dict[str, Any]) -> None:
    await refusal(Team.of(rpc, **setting), "invalid")


# What nobody finishes


async def test_item_that_nobody_finishes_goes_to_a_reviewer(rpc: Rpc, clock: Clock, database_dsn: str) -> None:
    team = await Team.of(rpc, items=1, lease_seconds=60, expiry_limit=2)
    one, two, reviewer = await team.member(), await team.member(), await team.member("reviewer")
    for person in (one, two):
        assert len(await team.claim(person)) == 1
        clock.advance(seconds=61)
    assert await team.claim(one) == [], "the second lease counts before anybody has noticed that it ran out"
    assert await rpc.call("sweep_queue") == {"expired": 1, "escalated": 1, "overdue": 0}
    assert await rpc.call("sweep_queue") == {"expired": 0, "escalated": 0, "overdue": 0}
    assert await team.claim(two) == []
    [claim] = await team.claim(reviewer)
    assert (await team.submit(reviewer, claim))["item"]["state"] == "verified"
    [event] = await team.call("list_events", kinds=["item_escalated"])
    assert event["data"] == {"expiries": 2}
    assert consistent(database_dsn)


async def test_answer_forgives_the_leases_that_ran_out(rpc: Rpc, clock: Clock) -> None:
    team = await Team.of(rpc, items=1, overlap=2, lease_seconds=60, expiry_limit=2)
    one, two, three = [await team.member() for _ in range(3)]
    await team.claim(one)
    clock.advance(seconds=61)
    [claim] = await team.claim(two)
    await team.submit(two, claim)
    await team.claim(one)
    clock.advance(seconds=61)
    assert len(await team.claim(three)) == 1


async def test_what_waits_too_long_is_listed_and_noted_once(rpc: Rpc, clock: Clock) -> None:
    team = await Team.of(rpc, items=2, review_levels=2, sla_minutes={"annotated": 30, "skipped": 1})
    person, reviewer = await team.member(), await team.member("reviewer")
    [claim] = await team.claim(person)
    await team.submit(person, claim)
    clock.advance(minutes=31)
    [late] = await team.call("list_overdue", reviewer)
    assert (late["item_id"], late["state"], late["minutes"]) == (claim["item"]["id"], "annotated", 30)
    assert 59 <= late["late_seconds"] <= 70
    assert [(await rpc.call("sweep_queue"))["overdue"] for _ in range(2)] == [1, 0]
    await rpc.call("review_item", actor=reviewer, item=late["item_id"], decision="approved")
    assert await team.call("list_overdue", reviewer) == []
    await refusal(team.call("list_overdue", person), "forbidden")


# Skipping


async def test_skip_can_be_taken_back_by_its_author(rpc: Rpc, database_dsn: str) -> None:
    team = await Team.of(rpc, items=1)
    one, two = await team.member(), await team.member()
    [item] = await team.items()
    await team.call("save_predictions", rows=[draft(item["id"])])
    [claim] = await team.claim(one)
    lease = {"lease": claim["lease"]["id"], "token": claim["lease"]["token"]}
    await rpc.call("release_lease", actor=one, skip_reason="unsure", **lease)
    await refusal(rpc.call("take_back_skip", actor=two, item=item["id"]), "nothing-to-undo")
    back = await rpc.call("take_back_skip", actor=one, item=item["id"])
    assert (back["item"]["state"], back["lease"]["token"]) == ("drafted", 2)
    await refusal(rpc.call("take_back_skip", actor=one, item=item["id"]), "nothing-to-undo")
    assert (await team.submit(one, back))["item"]["state"] == "verified"
    assert consistent(database_dsn)


async def test_skip_that_a_reviewer_has_seen_to_stays(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1)
    person = await team.member()
    [claim] = await team.claim(person)
    lease = {"lease": claim["lease"]["id"], "token": claim["lease"]["token"]}
    await rpc.call("release_lease", actor=person, skip_reason="unsure", **lease)
    await rpc.call("return_item", actor=team.admin, item=claim["item"]["id"])
    await refusal(rpc.call("take_back_skip", actor=person, item=claim["item"]["id"]), "nothing-to-undo")


# Known answers


async def gold_of(team: Team, label: str = "good") -> str:
    """One item with a known answer."""
    [item] = await team.add(f"gold {label}")
    payload = {"labels": [label]}
    await team.rpc.call("set_gold", actor=team.admin, item=item, payload=payload)
    return item


async def test_gold_looks_like_any_other_item_and_is_handed_out_once_to_each(rpc: Rpc, database_dsn: str) -> None:
    team = await Team.of(rpc, items=40, gold_share=0.5, blind_share=0)
    gold = await gold_of(team)
    assert (await team.item(gold))["gold"] is True
    people = [await team.member() for _ in range(2)]
    for person in people:
        seen = [claim["item"] for claim in await team.claim(person, 20)]
        [known] = [item for item in seen if item["id"] == gold]
        assert (known["state"], known["annotation"], known["gold"]) == ("new", None, False)
        assert (await team.item(gold, person)) == known
    assert consistent(database_dsn)


async def test_gold_is_nowhere_found_with_its_answer_by_those_who_are_asked_for_it(rpc: Rpc, database_dsn: str) -> None:
    team = await Team.of(rpc, items=1, gold_share=0.5, blind_share=0)
    gold = await gold_of(team)
    [other] = [item["id"] for item in await team.items() if item["id"] != gold]
    rows = [{"id": item, "vector": [1.0] + [0.0] * 383} for item in (gold, other)]
    await rpc.call("save_embeddings", actor=team.admin, dataset=team.dataset, model="m", rows=rows)
    person = await team.member()
    told = []
    for who in (person, team.admin):
        similar = await rpc.call("similar_items", actor=who, item=other)
        near = await rpc.call("nearest_items", actor=who, dataset=team.dataset, vector=rows[0]["vector"])
        found = await rpc.call("search_items", actor=who, dataset=team.dataset, item=other)
        hits = [hit["item"] for hits in (similar, near, found) for hit in hits if hit["item"]["id"] == gold]
        assert len(hits) == 3
        told.append({(hit["annotation"] is None, hit["gold"]) for hit in hits})
    assert told == [{(True, False)}, {(False, True)}]


async def test_answer_to_gold_is_scored_and_changes_nothing(rpc: Rpc, database_dsn: str) -> None:
    team = await Team.of(rpc, gold_share=0.5, blind_share=0)
    gold = await gold_of(team, "good")
    before = await team.item(gold)
    right, wrong = await team.member(), await team.member()
    for person, label in ((right, "good"), (wrong, "bad")):
        claim = await _until_gold(team, person)
        done = Submitted.model_validate(await team.submit(person, claim, label, key="k"))
        assert (done.created, done.item.state) == (True, "verified"), "what they see is what they see elsewhere"
        assert done.annotation.payload == Classification(labels=(label,))
        again = await team.submit(person, claim, label, key="k")
        assert (again["created"], again["annotation"]["id"]) == (False, done.annotation.id)
        await refusal(team.submit(person, claim, label), "already-submitted")
        history = await rpc.call("list_history", actor=person, item=gold)
        assert (history["annotations"], [e for e in history["events"] if "gold" in e["kind"]]) == ([], [])
    after = await team.item(gold)
    assert {**after, "updated_at": None} == {**before, "updated_at": None}
    with psycopg.connect(database_dsn) as connection:
        rows = connection.execute(
            "select user_id::text, agrees, score from labelcrew.gold_answers order by number"
        ).fetchall()
    assert rows == [(right, True, 1.0), (wrong, False, 0.0)]
    assert consistent(database_dsn)


async def _until_gold(team: Team, person: str) -> dict[str, Any]:
    """The claim of the only item that is left: gold, as soon as chance draws it."""
    for _ in range(60):
        claims = await team.claim(person)
        if claims:
            return claims[0]
    raise AssertionError("sixty coins fell on the same side")


async def test_answer_to_gold_can_be_undone_and_given_again(rpc: Rpc, database_dsn: str) -> None:
    team = await Team.of(rpc, items=1, gold_share=0.5)
    gold = await gold_of(team)
    person = await team.member()
    for claim in await team.claim(person, 1):
        await team.submit(person, claim, "ugly")
    claim = await _until_gold(team, person)
    await team.submit(person, claim, "bad")
    last = gold if claim["item"]["id"] == gold else claim["item"]["id"]
    back = await team.call("undo_submit", person)
    assert back["item"]["id"] == last
    await team.submit(person, back, "good")
    await team.submit(person, last, "bad")
    with psycopg.connect(database_dsn) as connection:
        rows = connection.execute("select count(*) from labelcrew.gold_answers where withdrawn_at is null").fetchone()
    assert rows == (1,)
    assert consistent(database_dsn)


async def test_gold_that_is_skipped_or_given_back_stays_what_it_is(rpc: Rpc) -> None:
    team = await Team.of(rpc, gold_share=0.5)
    gold = await gold_of(team)
    person = await team.member()
    claim = await _until_gold(team, person)
    lease = {"lease": claim["lease"]["id"], "token": claim["lease"]["token"]}
    skipped = await rpc.call("release_lease", actor=person, skip_reason="odd", **lease)
    assert skipped["state"] == "skipped"
    assert (await team.item(gold))["state"] == "verified"
    assert [len(await team.claim(person)) for _ in range(20)] == [0] * 20


async def test_gold_takes_a_role_and_a_valid_answer_and_can_be_cleared(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1)
    annotator = await team.member()
    [item] = await team.items()
    await refusal(rpc.call("set_gold", actor=annotator, item=item["id"]), "forbidden")
    await refusal(rpc.call("set_gold", actor=team.admin, item=item["id"]), "illegal-transition")
    payload = {"labels": ["unheard of"]}
    await refusal(rpc.call("set_gold", actor=team.admin, item=item["id"], payload=payload), "invalid-payload")
    await team.submit(team.admin, item["id"])
    assert (await rpc.call("set_gold", actor=team.admin, item=item["id"]))["gold"] is True
    assert (await rpc.call("clear_gold", actor=team.admin, item=item["id"]))["gold"] is False


async def test_gold_that_is_sent_back_is_an_item_like_any_other(rpc: Rpc, database_dsn: str) -> None:
    team = await Team.of(rpc, gold_share=0.5)
    gold = await gold_of(team)
    person = await team.member()
    claim = await _until_gold(team, person)
    await rpc.call("return_item", actor=team.admin, item=gold)
    await refusal(team.submit(person, claim), "stale-token")
    assert (await team.item(gold))["gold"] is False
    [again] = await team.claim(person)
    assert (await team.submit(person, again))["item"]["state"] == "verified"
    assert consistent(database_dsn)


# Unseen


async def test_blind_items_are_drawn_at_their_first_claim_and_come_without_a_draft(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=60, blind_share=0.3)
    rows = [draft(item["id"]) for item in await team.items()]
    await team.call("save_predictions", rows=rows)
    person = await team.member()
    claims = [claim["item"] for claim in await team.claim(person, 60)]
    blind = [item for item in claims if item["arm"] == "blind"]
    assert 5 < len(blind) < 35
    assert all((item["draft"] is None) == (item["arm"] == "blind") for item in claims)
    seen = await team.item(blind[0]["id"], person)
    assert seen["draft"] is None
    assert (await rpc.call("list_history", actor=person, item=blind[0]["id"]))["predictions"] == []
    assert await rpc.call("list_predictions", actor=person, item=blind[0]["id"]) == []
    assert (await team.item(blind[0]["id"]))["draft"] is not None, "reviewers and admins see it"
    listed = await team.call("list_items", person, limit=100)
    assert all(item["draft"] is None for item in listed["items"] if item["arm"] == "blind")
