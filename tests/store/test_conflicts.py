"""Conflicts: opened once, settled by people, reopened only by other evidence, relabelled in one transaction."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from schemas.errors import Conflict, Forbidden, Invalid, InvalidPayload, NotFound
from store.rpc import Rpc
from tests.support.database import Clock
from tests.support.teams import Team, draft


def finding(
    item: str | None, kind: str = "label_error", severity: float = 0.7, stamp: str = "s1", **more: Any
) -> dict[str, Any]:
    proposal = more.pop("proposal", {"action": "relabel", "payload": {"labels": ["bad"]}, "reason": "so say models"})
    return {
        "item_id": item, "kind": kind, "severity": severity, "fingerprint": f"{kind}:{item}",
        "evidence": {"stamp": stamp, "summary": "doubtful", "items": [], **more}, "proposal": proposal,
    }  # fmt: skip


async def save(team: Team, *rows: dict[str, Any], kinds: list[str] | None = None, **more: Any) -> dict[str, Any]:
    kinds = kinds or sorted({row["kind"] for row in rows} or {"label_error"})
    saved: dict[str, Any] = await team.rpc.call(
        "save_findings", dataset=team.dataset, kinds=kinds, rows=list(rows), **more
    )
    return saved


async def page(team: Team, actor: str | None = None, **filters: Any) -> dict[str, Any]:
    found: dict[str, Any] = await team.call("list_conflicts", actor, **filters)
    return found


async def resolve(team: Team, conflict: str, action: str, actor: str | None = None, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = await team.rpc.call(
        "resolve_conflict", actor=actor or team.admin, conflict=conflict, action=action, **more
    )
    return answer


async def kinds_of_events(team: Team) -> list[str]:
    events = await team.call("list_events", kinds=["conflict_opened", "conflict_resolved", "conflict_dismissed"])
    return [event["kind"] for event in events]


class TestLife:
    async def test_a_finding_is_opened_once_and_again_only_by_other_evidence(self, rpc: Rpc) -> None:
        team = await Team.of(rpc, items=1)
        [item] = [i["id"] for i in await team.items()]
        assert await save(team, finding(item)) == {"opened": 1, "standing": 0, "gone": 0}
        assert await save(team, finding(item, severity=0.8)) == {"opened": 0, "standing": 1, "gone": 0}
        [conflict] = (await page(team))["conflicts"]
        assert (conflict["severity"], conflict["item"]["text"], conflict["verdict"]) == (0.8, "text number 1", None)
        dismissed = await resolve(team, conflict["id"], "dismiss", comment="it is fine")
        assert (dismissed["state"], dismissed["resolution"], dismissed["comment"]) == (
            "dismissed",
            "dismissed",
            "it is fine",
        )
        await save(team, finding(item, severity=0.9))
        assert (await page(team))["conflicts"] == []
        await save(team, finding(item, stamp="s2"))
        [again] = (await page(team))["conflicts"]
        assert (again["id"], again["resolved_by"]) == (conflict["id"], None)
        assert await kinds_of_events(team) == ["conflict_opened", "conflict_dismissed", "conflict_opened"]

    async def test_what_no_longer_holds_is_gone_and_comes_back_when_found_again(self, pg_rpc: Rpc) -> None:
        team = await Team.of(pg_rpc, items=2)
        one, two = [i["id"] for i in await team.items()]
        await save(team, finding(one), finding(two), finding(one, "model_disagrees"))
        assert (await save(team, finding(one), kinds=["label_error"]))["gone"] == 1
        closed = (await page(team, states=["resolved"]))["conflicts"]
        assert [(c["item_id"], c["resolution"], c["resolved_by"]) for c in closed] == [(two, "gone", None)]
        await save(team, finding(one), finding(two), kinds=["label_error"])
        assert len((await page(team))["conflicts"]) == 3
        assert (await save(team, kinds=["label_error"], items=[two]))["gone"] == 1
        assert (await save(team, kinds=["label_error"], complete=False))["gone"] == 0
        assert (await save(team, kinds=["label_error"], still=[one]))["gone"] == 0

    async def test_a_doubt_about_a_label_that_the_item_no_longer_has_is_gone(self, pg_rpc: Rpc) -> None:
        team = await Team.of(pg_rpc)
        one, two = await team.add("a", "b", annotation={"labels": ["good"]})
        given: dict[str, Any] = {"given": {"labels": ["good"]}}
        await save(team, finding(one, **given), finding(two, **given), finding(one, "annotators_disagree", **given))
        await team.submit(team.admin, one, "bad")
        assert await pg_rpc.call("close_outdated", dataset=team.dataset, items=[one, two]) == 1
        left = {(c["item_id"], c["kind"]) for c in (await page(team))["conflicts"]}
        assert left == {(two, "label_error"), (one, "annotators_disagree")}

    async def test_an_item_has_one_conflict_of_a_kind_whoever_opened_it(self, pg_rpc: Rpc, clean_dsn: str) -> None:
        team = await Team.of(pg_rpc, items=1)
        [item] = [i["id"] for i in await team.items()]
        with psycopg.connect(clean_dsn, autocommit=True) as connection:
            connection.execute(
                "select labelcrew.open_conflict(%s, %s, 'annotators_disagree', 0.5, 'overlap/1', '{\"stamp\": \"a\"}')",
                [team.dataset, item],
            )
        await save(team, finding(item, "annotators_disagree", stamp="a"))
        assert (await page(team))["counts"] == {"annotators_disagree": 1}

    async def test_two_scans_at_once_open_one_conflict(self, pg_rpc: Rpc) -> None:
        team = await Team.of(pg_rpc, items=1)
        [item] = [i["id"] for i in await team.items()]
        await asyncio.gather(*(save(team, finding(item)) for _ in range(6)))
        assert len((await page(team))["conflicts"]) == 1
        assert await kinds_of_events(team) == ["conflict_opened"]

    async def test_findings_about_items_of_another_dataset_are_passed_over(self, pg_rpc: Rpc) -> None:
        team, other = await Team.of(pg_rpc, items=1), await Team.of(pg_rpc, items=1)
        [item] = [i["id"] for i in await other.items()]
        assert (await save(team, finding(item)))["opened"] == 0


class TestList:
    async def test_pages_go_on_where_they_ended_the_worst_first(self, rpc: Rpc) -> None:
        team = await Team.of(rpc, items=7)
        rows = [finding(i["id"], severity=0.5 if n % 2 else n / 10) for n, i in enumerate(await team.items())]
        await save(team, *rows, finding(None, "confused_classes", 1.0))
        seen: list[dict[str, Any]] = []
        cursor = None
        while True:
            found = await page(team, limit=3, cursor=cursor)
            seen += found["conflicts"]
            cursor = found["next_cursor"]
            if cursor is None:
                break
        assert [c["severity"] for c in seen] == sorted((c["severity"] for c in seen), reverse=True)
        assert len({c["id"] for c in seen}) == 8
        assert found["counts"] == {"label_error": 7, "confused_classes": 1}

    async def test_filters_by_kind_item_and_severity(self, pg_rpc: Rpc) -> None:
        team = await Team.of(pg_rpc, items=2)
        one, two = [i["id"] for i in await team.items()]
        await save(team, finding(one, severity=0.2), finding(two), finding(two, "model_disagrees"))
        assert len((await page(team, kinds=["model_disagrees"]))["conflicts"]) == 1
        assert len((await page(team, item=two))["conflicts"]) == 2
        assert len((await page(team, min_severity=0.5))["conflicts"]) == 2
        for bad in ({"states": ["shut"]}, {"cursor": "nonsense"}, {"cursor": "W10="}):
            with pytest.raises(Invalid):
                await page(team, **bad)

    async def test_a_conflict_about_a_person_says_who(self, pg_rpc: Rpc) -> None:
        team = await Team.of(pg_rpc)
        somebody = await team.member()
        row = {"kind": "implausibly_fast", "severity": 0.8, "fingerprint": "f", "evidence": {"person": somebody}}
        await save(team, row, {**row, "fingerprint": "g", "evidence": {"person": "nobody"}})
        people = [c["person"] and c["person"]["id"] for c in (await page(team))["conflicts"]]
        assert sorted(people, key=str) == sorted([somebody, None], key=str)

    async def test_annotators_and_strangers_see_none(self, pg_rpc: Rpc) -> None:
        team, other = await Team.of(pg_rpc, items=1), await Team.of(pg_rpc)
        await save(team, finding((await team.items())[0]["id"]))
        [conflict] = (await page(team))["conflicts"]
        annotator, reviewer = await team.member(), await team.member("reviewer")
        with pytest.raises(Forbidden):
            await page(team, annotator)
        with pytest.raises(NotFound):
            await pg_rpc.call("get_conflict", actor=other.admin, conflict=conflict["id"])
        with pytest.raises(Forbidden):
            await resolve(team, conflict["id"], "keep", annotator)
        assert (await resolve(team, conflict["id"], "keep", reviewer))["resolution"] == "kept"


class TestRelabel:
    async def test_the_reviewers_decision_and_the_resolution_are_one(self, rpc: Rpc) -> None:
        team = await Team.of(rpc, items=1)
        [item] = [i["id"] for i in await team.items()]
        reviewer = await team.member("reviewer")
        await save(team, finding(item, items=[{"id": item}]), finding(item, "model_disagrees", 0.5))
        [first, _] = (await page(team))["conflicts"]
        done = await resolve(team, first["id"], "relabel", reviewer, comment="the models are right")
        assert (done["state"], done["resolution"], done["resolved_by"]) == ("resolved", "relabelled", reviewer)
        answer = done["item"]["annotation"]
        assert (answer["payload"], answer["level"], answer["user_id"]) == ({"labels": ["bad"]}, 2, reviewer)
        assert [other["id"] for other in done["others"]] == [item]
        # what proposed the same answer is settled with it
        assert (await page(team))["conflicts"] == []
        assert (await resolve(team, first["id"], "relabel", reviewer))["state"] == "resolved"
        history = await rpc.call("list_history", actor=team.admin, item=item)
        assert len(history["annotations"]) == 1

    async def test_an_answer_of_ones_own_wins_over_the_proposal(self, pg_rpc: Rpc) -> None:
        team = await Team.of(pg_rpc, items=1)
        [item] = [i["id"] for i in await team.items()]
        await save(team, finding(item))
        [conflict] = (await page(team))["conflicts"]
        done = await resolve(team, conflict["id"], "relabel", payload={"labels": ["ugly"]})
        assert done["item"]["annotation"]["payload"] == {"labels": ["ugly"]}

    async def test_a_refused_answer_leaves_the_conflict_open(self, pg_rpc: Rpc) -> None:
        team = await Team.of(pg_rpc, items=1)
        [item] = [i["id"] for i in await team.items()]
        await save(
            team, finding(item), finding(None, "confused_classes"), finding(item, "near_duplicates", proposal=None)
        )
        by_kind = {c["kind"]: c["id"] for c in (await page(team))["conflicts"]}
        with pytest.raises(InvalidPayload):
            await resolve(team, by_kind["label_error"], "relabel", payload={"labels": ["nonsense"]})
        with pytest.raises(Invalid, match="not about one item"):
            await resolve(team, by_kind["confused_classes"], "relabel")
        with pytest.raises(Invalid, match="nothing is proposed"):
            await resolve(team, by_kind["near_duplicates"], "relabel")
        with pytest.raises(Invalid, match="relabel, keep or dismiss"):
            await resolve(team, by_kind["near_duplicates"], "forget")
        assert len((await page(team))["conflicts"]) == 3

    async def test_of_two_who_settle_it_differently_the_second_is_told(self, pg_rpc: Rpc) -> None:
        team = await Team.of(pg_rpc, items=1)
        await save(team, finding((await team.items())[0]["id"]))
        [conflict] = (await page(team))["conflicts"]
        other = await team.member("reviewer")
        await resolve(team, conflict["id"], "keep")
        with pytest.raises(Conflict, match="settled before: kept") as refused:
            await resolve(team, conflict["id"], "relabel", other)
        assert refused.value.code == "already-resolved"


class TestVerdicts:
    async def test_the_worst_unjudged_come_first_and_keep_their_verdict(self, pg_rpc: Rpc) -> None:
        team = await Team.of(pg_rpc, items=3)
        ids = [i["id"] for i in await team.items()]
        await save(team, *(finding(item, severity=0.3 * n) for n, item in enumerate(ids, 1)))
        worst = await pg_rpc.call("list_unjudged", dataset=team.dataset, limit=2)
        assert [c["item"]["id"] for c in worst] == [ids[2], ids[1]]
        rows = [
            {"conflict": worst[0]["id"], "stamp": "s1", "verdict": {"verdict": "keep", "by": "m"}},
            {"conflict": worst[1]["id"], "stamp": "of yesterday", "verdict": {"verdict": "keep", "by": "m"}},
        ]
        assert await pg_rpc.call("save_verdicts", dataset=team.dataset, rows=rows) == {"judged": 1, "asked": 0}
        assert len(await pg_rpc.call("list_unjudged", dataset=team.dataset)) == 2
        await save(team, finding(ids[2], stamp="s2"), kinds=["nothing"])
        assert len(await pg_rpc.call("list_unjudged", dataset=team.dataset)) == 3

    async def test_what_remains_unclear_goes_to_one_more_person_where_people_answered(self, rpc: Rpc) -> None:
        team = await Team.of(rpc, items=3)
        ids = [i["id"] for i in await team.items()]
        first, second = await team.member(), await team.member()
        for claim in await team.claim(first, 2):
            await team.submit(first, claim)
        await save(team, *(finding(item, severity=0.3 * n) for n, item in enumerate(ids, 1)))
        rows = [
            {"conflict": c["id"], "stamp": "s1", "verdict": {"verdict": "unclear", "by": "m"}}
            for c in await rpc.call("list_unjudged", dataset=team.dataset)
        ]
        saved = await rpc.call("save_verdicts", dataset=team.dataset, rows=rows, ask=1)
        assert saved == {"judged": 3, "asked": 1}
        # the worst of those that somebody has answered, and at the head of the queue
        [claim] = await team.claim(second)
        assert claim["item"]["id"] == ids[1]
        assert (await team.item(ids[1]))["state"] != "verified"
        assert (await team.item(ids[0]))["state"] == "verified"
        await team.submit(second, claim)
        assert (await team.item(ids[1]))["state"] == "verified"


class TestReading:
    async def test_answers_drafts_and_vectors_are_read_in_pages(self, rpc: Rpc) -> None:
        team = await Team.of(rpc)
        ids = await team.add("one", "two", "three", annotation={"labels": ["good"]})
        [drafted, _] = await team.add("four", "five")
        await team.call("save_predictions", rows=[draft(drafted, "bad")])
        vectors = [{"id": item, "vector": [float(item == i) for i in ids] + [0.0] * 381} for item in ids]
        await team.call("save_embeddings", model="m", rows=vectors)
        first = await rpc.call("read_answers", dataset=team.dataset, limit=3)
        assert [row["payload"] for row in first["rows"]] == [{"labels": ["good"]}] * 3
        assert all(row["vector"] for row in first["rows"])
        last = await rpc.call("read_answers", dataset=team.dataset, after=first["next"], limit=3)
        assert [(row["payload"], row["draft"], row["vector"]) for row in last["rows"]] == [
            (None, {"labels": ["bad"]}, False)
        ]
        assert last["next"] is None

    async def test_answers_under_an_older_labelset_with_retired_classes_are_listed(self, pg_rpc: Rpc) -> None:
        team = await Team.of(pg_rpc)
        [_, bad] = await team.add("a", "b", annotation={"labels": ["good"]})
        assert await pg_rpc.call("list_violations", dataset=team.dataset) == []
        await team.labelset(classes=[{"name": "bad"}, {"name": "ugly"}])
        found = await pg_rpc.call("list_violations", dataset=team.dataset)
        assert len(found) == 2
        assert (found[0]["problem"], found[0]["version"], found[0]["source"]) == ("unknown class 'good'", 1, "answer")
        assert len(await pg_rpc.call("list_violations", dataset=team.dataset, items=[bad])) == 1

    async def test_paces_tell_what_came_to_count_where_others_had_a_part(self, pg_rpc: Rpc) -> None:
        team = await Team.of(pg_rpc, items=2)
        annotator = await team.member()
        claims = await team.claim(annotator, 2)
        for claim in claims:
            await team.submit(annotator, claim, lead_time_ms=900)
        await team.submit(team.admin, claims[0]["lease"]["item_id"], "bad")
        paces = await pg_rpc.call("list_paces", dataset=team.dataset)
        assert [(row["lead_ms"], row["final"], row["decided"]) for row in paces] == [
            (900, {"labels": ["bad"]}, True), (900, None, False)
        ]  # fmt: skip

    async def test_changes_since_the_last_scan_come_with_their_neighbours(self, pg_rpc: Rpc, clock: Clock) -> None:
        team = await Team.of(pg_rpc)
        ids = await team.add(*"abcde", annotation={"labels": ["good"]})
        vectors = [{"id": item, "vector": [1.0, n / 10] + [0.0] * 382} for n, item in enumerate(ids)]
        await team.call("save_embeddings", model="m", rows=vectors)
        [stale] = await pg_rpc.call("list_stale_scans")
        assert (stale["dataset_id"], stale["since"]) == (team.dataset, None)
        changed = await pg_rpc.call("list_changed_answers", dataset=team.dataset, since=None)
        assert len(changed) == 5
        assert [near["payload"] for near in changed[0]["near"]] == [{"labels": ["good"]}] * 4
        await pg_rpc.call("mark_scanned", dataset=team.dataset, seen_at=stale["changed_at"])
        assert await pg_rpc.call("list_stale_scans") == []
        clock.advance(minutes=1)
        await pg_rpc.call(
            "submit_annotation", actor=team.admin, item=ids[2], payload={"labels": ["bad"]}, labelset_version=1
        )
        [stale] = await pg_rpc.call("list_stale_scans")
        changed = await pg_rpc.call("list_changed_answers", dataset=team.dataset, since=stale["since"])
        assert [row["id"] for row in changed] == [ids[2]]

    async def test_items_whose_conflict_rests_on_a_changed_one_are_looked_at_too(
        self, pg_rpc: Rpc, clock: Clock
    ) -> None:
        team = await Team.of(pg_rpc)
        one, two = await team.add("a", "b", annotation={"labels": ["good"]})
        rows = [{"id": item, "vector": [1.0] + [0.0] * 383} for item in (one, two)]
        await team.call("save_embeddings", model="m", rows=rows)
        await save(team, finding(one, "near_duplicates", items=[{"id": two}]))
        [stale] = await pg_rpc.call("list_stale_scans")
        await pg_rpc.call("mark_scanned", dataset=team.dataset, seen_at=stale["changed_at"])
        clock.advance(minutes=1)
        await pg_rpc.call(
            "submit_annotation", actor=team.admin, item=two, payload={"labels": ["bad"]}, labelset_version=1
        )
        changed = await pg_rpc.call("list_changed_answers", dataset=team.dataset, since=stale["changed_at"])
        assert {row["id"] for row in changed} == {one, two}
