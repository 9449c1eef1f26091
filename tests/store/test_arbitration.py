"""Level 3 has the last word; which answers are reviewed at all, and what several people's answers amount to."""

from __future__ import annotations

from schemas.reviews import ReviewClaim
from schemas.world import Item
from store.rpc import Rpc
from tests.support.crews import Crew
from tests.support.database import Clock
from tests.support.queue_truth import consistent
from tests.support.teams import Team, refusal

# The last word


async def test_disagreement_of_two_levels_goes_to_level_three_whose_word_is_final(rpc: Rpc, database_dsn: str) -> None:
    crew = await Crew.of(rpc, levels=3)
    item = await crew.answer()
    assert (await crew.review(item, "corrected"))["item"]["state"] == "reviewed"
    await refusal(crew.review(item, who="second"), "forbidden")
    [claim] = [ReviewClaim.model_validate(claim) for claim in await crew.claim("judge", level=3)]
    assert claim.question is not None
    assert (claim.question.kind, len(claim.answers)) == ("disagreement", 2)
    done = await crew.review(item, "corrected", who="judge", payload={"labels": ["good"]})
    assert (done["item"]["state"], done["item"]["annotation"]["payload"]) == ("verified", {"labels": ["good"]})
    await refusal(crew.appeal(item, "reviewer"), "illegal-transition")
    assert consistent(database_dsn)


async def test_level_three_may_side_with_the_reviewer(rpc: Rpc) -> None:
    crew = await Crew.of(rpc, levels=3)
    item = await crew.answer()
    await crew.review(item, "corrected")
    done = await crew.review(item, who="judge")
    assert (done["item"]["state"], done["item"]["annotation"]["level"]) == ("verified", 2)


async def test_agreement_of_two_levels_needs_no_third(rpc: Rpc) -> None:
    crew = await Crew.of(rpc, levels=3)
    item = await crew.answer()
    assert (await crew.review(item))["item"]["state"] == "verified"
    assert await crew.claim("judge", level=3) == []


async def test_who_reviewed_at_level_two_does_not_decide_at_level_three(rpc: Rpc) -> None:
    crew = await Crew.of(rpc, levels=3)
    item = await crew.answer()
    await crew.review(item, "corrected", who="judge")
    assert await crew.claim("judge", level=3) == []
    await refusal(crew.review(item, who="judge"), "own-work")
    done = await rpc.call("review_item", actor=crew.team.admin, item=item, decision="approved")
    assert done["item"]["state"] == "verified"


async def test_appeal_against_a_rejection_lets_the_answer_stand_until_level_three_has_spoken(
    rpc: Rpc, database_dsn: str
) -> None:
    crew = await Crew.of(rpc)
    item = await crew.answer()
    await crew.review(item, "rejected")
    await refusal(crew.appeal(item, "other"), "illegal-transition")
    await refusal(crew.appeal(item, comment=" "), "invalid")
    appealed = Item.model_validate(await crew.appeal(item))
    assert appealed.state == "reviewed"
    assert appealed.annotation is not None
    assert await crew.team.claim(crew.people["author"]) == []
    done = await crew.review(item, who="judge")
    assert (done["item"]["state"], done["item"]["annotation"]["user_id"]) == ("verified", crew.people["author"])
    await refusal(crew.appeal(item), "illegal-transition")
    assert consistent(database_dsn)


async def test_appeal_against_a_correction_is_decided_once(rpc: Rpc, database_dsn: str) -> None:
    crew = await Crew.of(rpc)
    item = await crew.answer()
    await crew.review(item, "corrected")
    assert (await crew.appeal(item))["state"] == "reviewed"
    await refusal(crew.appeal(item), "illegal-transition")
    done = await crew.review(item, "rejected", who="judge")
    assert done["item"]["state"] == "returned"
    error = await refusal(crew.appeal(item), "illegal-transition")
    assert "final" in error.detail
    assert consistent(database_dsn)


async def test_appeal_comes_in_time_or_not_at_all(rpc: Rpc, clock: Clock) -> None:
    crew = await Crew.of(rpc, items=2, appeal_seconds=3600)
    item = await crew.answer()
    await crew.review(item, "rejected")
    clock.advance(seconds=3600)
    await refusal(crew.appeal(item), "illegal-transition")
    other = await crew.answer()
    assert other == item, "their own comes first"
    error = await refusal(crew.appeal(item), "illegal-transition")
    assert error.data["from"] == "annotated"


# Which answers are reviewed


async def test_trusted_people_are_reviewed_less_often(rpc: Rpc) -> None:
    crew = await Crew.of(rpc, items=60, review_trusted_after=5, review_share_trusted=0.0)
    for _ in range(5):
        item = await crew.answer()
        assert await crew.state(item) == "annotated"
        await crew.review(item)
    assert await crew.state(await crew.answer()) == "verified"
    await crew.team.call("update_dataset", patch={"settings": {"review_share_trusted": 0.4}})
    states = [await crew.state(await crew.answer()) for _ in range(50)]
    assert 5 < states.count("annotated") < 40


async def test_trust_ends_with_mistakes(rpc: Rpc) -> None:
    crew = await Crew.of(rpc, items=8, review_trusted_after=3, review_share_trusted=0.0)
    for decision in ("approved", "approved", "corrected"):
        await crew.review(await crew.answer(), decision)
    assert await crew.state(await crew.answer()) == "annotated"


async def test_share_of_new_people_may_be_lowered(rpc: Rpc) -> None:
    crew = await Crew.of(rpc, items=1, review_share_new=0)
    assert await crew.state(await crew.answer()) == "verified"


# Several answers


async def test_unanimous_answers_pass_on_and_others_become_conflicts_for_level_two(rpc: Rpc, database_dsn: str) -> None:
    crew = await Crew.of(rpc, items=2, overlap=2, review_share_trusted=0.0)
    first = await crew.answer("author", "good")
    await crew.answer("other", "good")
    assert await crew.state(first) == "verified"
    second = await crew.answer("author", "good")
    await crew.answer("other", "bad")
    assert await crew.state(second) == "annotated"
    page = await crew.team.call("list_conflicts", crew.people["reviewer"])
    [conflict] = page["conflicts"]
    assert (conflict["kind"], conflict["item"]["id"], conflict["severity"]) == ("annotators_disagree", second, 0.5)
    assert {person["user"] for person in conflict["evidence"]["people"]} == {
        crew.people["author"],
        crew.people["other"],
    }
    await crew.review(second)
    assert await crew.state(second) == "verified"
    assert consistent(database_dsn)


async def test_disagreement_with_one_level_is_verified_and_stays_a_conflict(rpc: Rpc) -> None:
    crew = await Crew.of(rpc, levels=1, overlap=3)
    third = await crew.team.member()
    crew.people["third"] = third
    for who, label in (("author", "good"), ("other", "bad"), ("third", "bad")):
        item = await crew.answer(who, label)
    found = await crew.team.item(item)
    assert (found["state"], found["annotation"]["payload"]) == ("verified", {"labels": ["bad"]})
    [conflict] = (await crew.team.call("list_conflicts"))["conflicts"]
    assert conflict["proposal"]["payload"] == {"labels": ["bad"]}


async def test_order_of_labels_is_no_disagreement(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1, overlap=2, labelset=False)
    await team.labelset(multi=True)
    for labels in (["good", "bad"], ["bad", "good"]):
        person = await team.member()
        [claim] = await team.claim(person)
        done = await team.submit(person, claim, payload={"labels": labels})
    assert done["item"]["state"] == "verified"
    assert (await team.call("list_conflicts"))["conflicts"] == []


async def test_rejected_majority_is_set_aside_and_the_others_stay(rpc: Rpc, database_dsn: str) -> None:
    crew = await Crew.of(rpc, overlap=2)
    await crew.answer("author", "good")
    item = await crew.answer("other", "bad")
    judged = (await crew.team.item(item))["annotation"]["user_id"]
    await crew.review(item, "rejected")
    who = next(name for name, user in crew.people.items() if user == judged)
    keeps = "author" if who == "other" else "other"
    assert await crew.team.claim(crew.people[keeps]) == []
    assert await crew.answer(who, "ugly") == item
    assert await crew.state(item) == "annotated"
    assert consistent(database_dsn)
