"""Reviews: who may say what about whose answer, and what becomes of the item."""

from __future__ import annotations

import itertools
from typing import Any

import psycopg
import pytest

from schemas.reviews import Review, ReviewClaim, Reviewed
from store.rpc import Rpc
from tests.support.crews import Crew
from tests.support.database import Clock
from tests.support.queue_truth import consistent
from tests.support.teams import refusal

# Claiming


async def test_claim_hands_out_what_waits_with_everything_said_about_it(rpc: Rpc) -> None:
    crew = await Crew.of(rpc, items=2)
    item = await crew.answer()
    [claim] = [ReviewClaim.model_validate(claim) for claim in await crew.claim(count=5)]
    assert (claim.item.id, claim.level, claim.lease.item_id, claim.question) == (item, 2, item, None)
    assert [answer.user_id for answer in claim.answers] == [crew.people["author"]]
    assert claim.reviews == []


async def test_two_reviewers_never_hold_the_same_item(rpc: Rpc, clock: Clock) -> None:
    crew = await Crew.of(rpc, review_lease_seconds=60)
    item = await crew.answer()
    [held] = await crew.claim()
    assert await crew.claim("second") == []
    [again] = await crew.claim()
    assert again["lease"]["id"] == held["lease"]["id"]
    await refusal(crew.review(item, who="second"), "conflict")
    clock.advance(seconds=61)
    [other] = await crew.claim("second")
    lease = {"lease": held["lease"]["id"], "token": held["lease"]["token"]}
    await refusal(crew.review(item, **lease), "stale-token")
    lease = {"lease": other["lease"]["id"], "token": other["lease"]["token"]}
    await crew.review(item, who="second", **lease)
    error = await refusal(crew.review(item, lease=held["lease"]["id"], token=held["lease"]["token"]), "stale-token")
    assert error.data["state"] == "verified"


async def test_released_review_goes_to_the_next_reviewer(rpc: Rpc) -> None:
    crew = await Crew.of(rpc)
    await crew.answer()
    [held] = await crew.claim()
    lease = {"lease": held["lease"]["id"], "token": held["lease"]["token"]}
    reviewer = crew.people["reviewer"]
    await refusal(rpc.call("release_lease", actor=reviewer, skip_reason="x", **lease), "illegal-transition")
    await rpc.call("release_lease", actor=reviewer, **lease)
    assert len(await crew.claim("second")) == 1


async def test_lease_for_a_review_takes_no_answer(rpc: Rpc) -> None:
    crew = await Crew.of(rpc)
    await crew.answer()
    [held] = await crew.claim()
    await refusal(crew.team.submit(crew.people["reviewer"], held), "illegal-transition")


async def test_annotators_and_strangers_review_nothing(rpc: Rpc) -> None:
    crew = await Crew.of(rpc)
    item = await crew.answer()
    await refusal(crew.claim("other"), "forbidden")
    await refusal(crew.claim("reviewer", level=3), "forbidden")
    await refusal(crew.claim("judge", level=4), "invalid")
    await refusal(crew.review(item, who="other"), "forbidden")


# Deciding


async def test_approved_answer_is_verified(rpc: Rpc, database_dsn: str) -> None:
    crew = await Crew.of(rpc)
    item = await crew.answer()
    [held] = await crew.claim()
    done = Reviewed.model_validate(
        await crew.review(item, lease=held["lease"]["id"], token=held["lease"]["token"], comment="well done")
    )
    assert (done.item.state, done.review.decision, done.review.level) == ("verified", "approved", 2)
    assert (done.review.author_id, done.review.reviewer_id) == (crew.people["author"], crew.people["reviewer"])
    assert (await crew.kinds(item))[-3:] == ["review_claimed", "item_reviewed", "item_verified"]
    assert consistent(database_dsn)


async def test_corrected_answer_counts_at_two_levels(rpc: Rpc) -> None:
    crew = await Crew.of(rpc)
    item = await crew.answer()
    done = Reviewed.model_validate(await crew.review(item, "corrected"))
    assert done.item.state == "verified"
    assert done.item.annotation is not None
    assert (done.item.annotation.id, done.item.annotation.level) == (done.review.correction_id, 2)


async def test_rejected_item_waits_for_its_author_and_comes_back_to_the_same_reviewer(
    rpc: Rpc, database_dsn: str
) -> None:
    crew = await Crew.of(rpc)
    item = await crew.answer()
    done = Reviewed.model_validate(await crew.review(item, "rejected"))
    assert (done.item.state, done.item.annotation) == ("returned", None)
    assert await crew.team.claim(crew.people["other"]) == []
    assert await crew.answer(label="bad") == item
    assert await crew.state(item) == "annotated"
    assert await crew.claim("second") == []
    [claim] = [ReviewClaim.model_validate(claim) for claim in await crew.claim()]
    assert [review.comment for review in claim.reviews] == ["read the guidelines"]
    await crew.review(item)
    assert await crew.state(item) == "verified"
    assert consistent(database_dsn)


async def test_author_who_does_not_come_loses_the_item_to_the_pool_but_never_to_its_reviewer(
    rpc: Rpc, clock: Clock
) -> None:
    crew = await Crew.of(rpc, return_seconds=3600)
    item = await crew.answer()
    await crew.review(item, "rejected")
    clock.advance(seconds=3601)
    assert await crew.team.claim(crew.people["reviewer"]) == []
    [claim] = await crew.team.claim(crew.people["other"])
    await crew.team.submit(crew.people["other"], claim)
    clock.advance(seconds=3601)
    assert len(await crew.claim("second")) == 1, "the reviewer had their time"


async def test_nobody_reviews_their_own_work(rpc: Rpc, database_dsn: str) -> None:
    crew = await Crew.of(rpc)
    item = await crew.answer("reviewer")
    assert await crew.claim() == []
    await refusal(crew.review(item), "own-work")
    await crew.review(item, "rejected", who="second")
    assert await crew.answer("reviewer", label="bad") == item
    await refusal(crew.review(item), "own-work")
    answer = (await crew.team.item(item))["annotation"]["id"]
    with psycopg.connect(database_dsn) as connection, pytest.raises(psycopg.Error) as raised:
        connection.execute(
            "insert into labelcrew.reviews (item_id, dataset_id, reviewer_id, author_id, level, decision, annotation_id) "
            "values (%s, %s, %s, null, 2, 'approved', %s)",
            [item, crew.team.dataset, crew.people["reviewer"], answer],
        )
    assert raised.value.sqlstate in {"LCOWN", "LCCNF"}


async def test_imported_answer_is_nobodys_work_and_may_be_reviewed_by_who_brought_it(rpc: Rpc) -> None:
    crew = await Crew.of(rpc, items=0)
    [item] = await crew.team.add("imported", annotation={"labels": ["good"]})
    done = await rpc.call("review_item", actor=crew.team.admin, item=item, decision="approved")
    assert (done["item"]["state"], done["review"]["author_id"]) == ("verified", None)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"decision": "rejected", "comment": " "}, "invalid"),
        ({"decision": "corrected", "payload": None}, "invalid"),
        ({"decision": "corrected", "payload": {"labels": ["good"]}}, "invalid"),
        ({"decision": "corrected", "payload": {"labels": ["unheard of"]}}, "invalid-payload"),
        ({"decision": "approved", "payload": {"labels": ["bad"]}}, "invalid"),
        ({"decision": "perhaps"}, "invalid"),
    ],
)
async def test_bad_review_is_refused_and_changes_nothing(rpc: Rpc, params: dict[str, Any], code: str) -> None:
    crew = await Crew.of(rpc)
    item = await crew.answer()
    await refusal(rpc.call("review_item", actor=crew.people["reviewer"], item=item, **params), code)
    assert await crew.state(item) == "annotated"


async def test_review_of_a_verified_item_is_refused_with_illegal_transition(rpc: Rpc) -> None:
    crew = await Crew.of(rpc)
    item = await crew.answer()
    await crew.review(item, key="once")
    again = await crew.review(item, key="once")
    assert again["created"] is False
    error = await refusal(crew.review(item, who="second"), "illegal-transition")
    assert error.data["from"] == "verified"


async def test_author_who_answers_anew_meanwhile_ends_the_reviewers_hold(rpc: Rpc) -> None:
    crew = await Crew.of(rpc)
    item = await crew.answer()
    [held] = await crew.claim()
    await crew.team.submit(crew.people["author"], item, "bad")
    lease = {"lease": held["lease"]["id"], "token": held["lease"]["token"]}
    await refusal(crew.review(item, **lease), "stale-token")


async def test_answer_that_was_reviewed_cannot_be_undone(rpc: Rpc) -> None:
    crew = await Crew.of(rpc)
    item = await crew.answer()
    await crew.review(item)
    await refusal(crew.team.call("undo_submit", crew.people["author"]), "nothing-to-undo")


async def test_reviewer_who_answers_directly_has_reviewed_and_may_undo_it(rpc: Rpc, database_dsn: str) -> None:
    crew = await Crew.of(rpc)
    item = await crew.answer()
    await crew.team.submit(crew.people["reviewer"], item, "bad")
    said = await rpc.call("list_reviews", actor=crew.people["author"], item=item)
    [review] = [Review.model_validate(review) for review in said["reviews"]]
    assert (review.decision, review.level) == ("corrected", 2)
    await crew.team.call("undo_submit", crew.people["reviewer"])
    assert (await rpc.call("list_reviews", actor=crew.people["author"], item=item))["reviews"] == []
    assert await crew.state(item) == "annotated"
    assert consistent(database_dsn)


# Kept for good


async def test_table_refuses_to_change_or_delete_a_review(pg_rpc: Rpc, database_dsn: str) -> None:
    crew = await Crew.of(pg_rpc)
    await crew.review(await crew.answer())
    for change in ("update labelcrew.reviews set comment = 'x'", "delete from labelcrew.reviews"):
        with psycopg.connect(database_dsn) as connection, pytest.raises(psycopg.Error) as raised:
            connection.execute(change.encode())
        assert raised.value.sqlstate == "LCCNF"


async def test_every_change_of_state_is_a_row(pg_rpc: Rpc, database_dsn: str) -> None:
    crew = await Crew.of(pg_rpc, levels=3)
    item = await crew.answer()
    await crew.review(item, "rejected")
    await crew.appeal(item)
    await crew.review(item, who="judge")
    with psycopg.connect(database_dsn) as connection:
        moves = connection.execute(
            "select from_state, to_state from labelcrew.item_moves where item_id = %s order by id", [item]
        ).fetchall()
    states = ["new", "annotated", "returned", "reviewed", "verified"]
    assert moves == list(itertools.pairwise(states))


async def test_deleted_dataset_takes_its_reviews_along(rpc: Rpc) -> None:
    crew = await Crew.of(rpc, levels=3)
    item = await crew.answer()
    await crew.review(item, "corrected")
    assert await crew.team.call("delete_dataset") == {"deleted": True}
