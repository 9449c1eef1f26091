"""What is counted for scorecards: gold, the others' majority, reviews, pace; own answers never judge themselves."""

from __future__ import annotations

from typing import Any

import psycopg

from store.rpc import Rpc
from tests.support.database import Clock
from tests.support.teams import Team, refusal


async def cards(team: Team) -> dict[str, dict[str, Any]]:
    return {card["user_id"]: card for card in await team.call("list_scorecards")}


async def everybody_answers(team: Team, people: list[str], *labels: str) -> None:
    """Each person answers every item; ``labels`` has a letter a person for each item: g(ood), b(ad), u(gly)."""
    words = {"g": "good", "b": "bad", "u": "ugly"}
    for n, person in enumerate(people):
        claims = await team.claim(person, len(labels))
        for claim in claims:
            place = int(claim["item"]["text"].rpartition(" ")[2]) - 1
            await team.submit(person, claim, words[labels[place][n]], lead_time_ms=1000 * (n + 1))


def judge(dsn: str, team: Team, reviewer: str, author: str, decisions: list[str], level: int = 2) -> None:
    """Reviews of the author's newest answers."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        answers = connection.execute(
            "select id, item_id from labelcrew.annotations where dataset_id = %s and user_id = %s order by number",
            [team.dataset, author],
        ).fetchall()
        for (answer, item), decision in zip(answers, decisions, strict=False):
            connection.execute(
                "insert into labelcrew.reviews (item_id, dataset_id, reviewer_id, author_id, level, decision,"
                " annotation_id, correction_id) values (%s, %s, %s, %s, %s, %s, %s, %s)",
                [item, team.dataset, reviewer, author, level, decision, answer,
                 answer if decision == "corrected" else None],
            )  # fmt: skip


class TestConsensus:
    async def test_one_is_compared_with_the_majority_of_the_others(self, rpc: Rpc) -> None:
        team = await Team.of(rpc, items=5, overlap=4)
        people = [await team.member() for _ in range(4)]
        await everybody_answers(team, people, "gggg", "gggb", "ggbb", "guub", "bggg")
        found = await cards(team)
        # The first person: yes, yes, no (the others say g, b, b), no, no.
        assert found[people[0]]["consensus"] == [2, 5]
        # The second: yes, yes, no, nothing (the others say g, u, b and have no majority), yes.
        assert found[people[1]]["consensus"] == [3, 4]
        assert found[people[2]]["consensus"] == [3, 4]
        # The fourth: yes, no, no, no (the others say g, u, u), yes.
        assert found[people[3]]["consensus"] == [2, 5]

    async def test_answers_alone_on_their_item_are_compared_with_nobody(self, rpc: Rpc) -> None:
        team = await Team.of(rpc, items=3)
        person = await team.member()
        await everybody_answers(team, [person], "g", "b", "u")
        card = (await cards(team))[person]
        assert (card["answers"], card["consensus"]) == (3, [0, 0])

    async def test_two_who_differ_are_both_counted_as_differing(self, rpc: Rpc) -> None:
        team = await Team.of(rpc, items=2, overlap=2)
        people = [await team.member() for _ in range(2)]
        await everybody_answers(team, people, "gg", "gb")
        assert [card["consensus"] for card in (await cards(team)).values()] == [[1, 2], [1, 2]]

    async def test_several_classes_say_the_same_in_any_order(self, rpc: Rpc) -> None:
        team = await Team.of(rpc, labelset=False, overlap=2)
        await team.labelset(multi=True)
        await team.add("text number 1")
        for labels in (["good", "bad"], ["bad", "good"]):
            person = await team.member()
            (claim,) = await team.claim(person)
            await team.submit(person, claim, payload={"labels": labels})
        assert [card["consensus"] for card in (await cards(team)).values()] == [[1, 1], [1, 1]]


class TestAcceptance:
    async def test_last_word_on_each_answer_counts(self, rpc: Rpc, clean_dsn: str) -> None:
        team = await Team.of(rpc, items=4, review_levels=3)
        author, reviewer, arbiter = await team.member(), await team.member("reviewer"), await team.member("admin")
        await everybody_answers(team, [author], "g", "g", "g", "g")
        judge(clean_dsn, team, reviewer, author, ["approved", "corrected", "rejected"])
        card = (await cards(team))[author]
        assert (card["acceptance"], card["corrected"], card["rejected"]) == ([1, 3], 1, 1)
        judge(clean_dsn, team, arbiter, author, ["approved", "approved"], level=3)
        card = (await cards(team))[author]
        assert (card["acceptance"], card["corrected"], card["rejected"]) == ([2, 3], 0, 1)

    async def test_review_that_was_taken_back_does_not_count(self, rpc: Rpc, clean_dsn: str) -> None:
        team = await Team.of(rpc, items=1, review_levels=2)
        author, reviewer = await team.member(), await team.member("reviewer")
        await everybody_answers(team, [author], "g")
        judge(clean_dsn, team, reviewer, author, ["rejected"])
        with psycopg.connect(clean_dsn, autocommit=True) as connection:
            connection.execute("update labelcrew.reviews set withdrawn_at = now()")
        assert (await cards(team))[author]["acceptance"] == [0, 0]


class TestGold:
    async def test_standing_answers_to_known_items_are_counted(self, rpc: Rpc, clean_dsn: str) -> None:
        team = await Team.of(rpc, items=3)
        person = await team.member()
        with psycopg.connect(clean_dsn, autocommit=True) as connection:
            for item, agrees in zip(await team.items(), (True, True, False), strict=True):
                connection.execute(
                    "insert into labelcrew.gold_answers (item_id, dataset_id, user_id, payload, gold_payload, agrees,"
                    " score, labelset_version) values (%s, %s, %s, '{}', '{}', %s, 1, 1)",
                    [item["id"], team.dataset, person, agrees],
                )
            assert (await cards(team))[person]["gold"] == [2, 3]
            connection.execute("update labelcrew.gold_answers set withdrawn_at = now() where not agrees")
        assert (await cards(team))[person]["gold"] == [2, 2]


class TestCards:
    async def test_everybody_who_works_or_worked_here_by_name(self, rpc: Rpc) -> None:
        team = await Team.of(rpc, items=1)
        gone, reviewer = await team.member(), await team.member("reviewer")
        for name in ("zoe", "Ada"):
            user = await rpc.call("create_user", email=f"{name}@example.org", name=name)
            await team.call("add_member", email=user["email"], role="annotator")
        await everybody_answers(team, [gone], "g")
        await team.call("remove_member", user=gone)
        found = await team.call("list_scorecards")
        assert [(card["name"], card["role"]) for card in found] == [
            ("Ada", "annotator"), ("annotator", None), ("zoe", "annotator"),
        ]  # fmt: skip
        assert reviewer not in {card["user_id"] for card in found}

    async def test_pace_is_the_median_and_changing_an_answer_is_not_another(self, rpc: Rpc, clock: Clock) -> None:
        team = await Team.of(rpc, items=3)
        person = await team.member()
        for ms in (1000, 9000, 2000):
            (claim,) = await team.claim(person)
            await team.submit(person, claim, lead_time_ms=ms)
        await team.submit(person, claim["item"]["id"], "bad")
        card = (await cards(team))[person]
        assert (card["answers"], card["answers_week"], card["median_ms"]) == (3, 3, 2000)
        clock.advance(seconds=8 * 86400)
        card = (await cards(team))[person]
        assert (card["answers"], card["answers_week"]) == (3, 0)

    async def test_answer_that_was_taken_back_is_none(self, rpc: Rpc) -> None:
        team = await Team.of(rpc, items=1)
        person = await team.member()
        await everybody_answers(team, [person], "g")
        await team.call("undo_submit", person)
        assert (await cards(team))[person]["answers"] == 0

    async def test_own_card_is_the_one_that_admins_see(self, rpc: Rpc) -> None:
        team = await Team.of(rpc, items=4, overlap=3)
        people = [await team.member() for _ in range(3)]
        await everybody_answers(team, people, "ggg", "ggb", "gbu", "bgg")
        everybody = await cards(team)
        for person in people:
            own = await team.call("get_scorecard", person)
            assert (own.pop("earned"), own.pop("currency")) == (None, None)
            assert own == everybody[person]

    async def test_own_card_has_what_was_earned_where_work_is_paid(self, rpc: Rpc) -> None:
        team = await Team.of(rpc, items=2)
        person = await team.member()
        await team.call("set_currency", currency="EUR")
        await team.call("set_prices", prices=[{"level": 1, "per": "item", "amount": 25}])
        await team.call("fund_escrow", amount=1000, key="first")
        await everybody_answers(team, [person], "g", "b")
        own = await team.call("get_scorecard", person)
        assert (own["earned"], own["currency"]) == (50, "EUR")

    async def test_member_without_answers_has_an_empty_card(self, rpc: Rpc) -> None:
        team = await Team.of(rpc)
        card = await team.call("get_scorecard", await team.member())
        assert (card["answers"], card["gold"], card["median_ms"], card["last_at"]) == (0, [0, 0], None, None)

    async def test_only_admins_see_everybodys(self, rpc: Rpc) -> None:
        team = await Team.of(rpc)
        await refusal(team.call("list_scorecards", await team.member("super_reviewer")), "forbidden")
