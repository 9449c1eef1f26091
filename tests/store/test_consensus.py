"""Consensus in the database: what is read, what it changes, what it never touches, and who asks for one more answer."""

from __future__ import annotations

from typing import Any

from store.rpc import Rpc
from tests.support.teams import Team, refusal

RUN = {"method": "pooled-dawid-skene", "labelset_version": 1, "items": 1, "answers": 3, "annotators": [], "note": ""}


async def _crowd(rpc: Rpc, labels: list[list[str]], **settings: Any) -> tuple[Team, list[str], list[str]]:
    """A team whose members gave these labels, an item a row; the members and the items."""
    people = len(labels[0])
    team = await Team.of(rpc, items=len(labels), overlap=people, **settings)
    members = [await team.member() for _ in range(people)]
    for number, member in enumerate(members):
        claims = await team.claim(member, len(labels))
        for claim, row in zip(sorted(claims, key=lambda c: c["item"]["seq"]), labels, strict=True):
            await team.submit(member, claim, row[number])
    return team, members, [item["id"] for item in await team.items()]


def _row(item: str, label: str, **more: Any) -> dict[str, Any]:
    return {
        "item": item, "payload": {"labels": [label]}, "probability": 0.7, "answers": 3, "agreed": False, "gain": 0.2,
        "ask": False, **more,
    }  # fmt: skip


async def _run(team: Team, rows: list[dict[str, Any]], *, apply: bool = True, job: str | None = None) -> dict[str, Any]:
    made = await team.rpc.call("create_consensus_run", dataset=team.dataset, job=job, run=RUN)
    done: dict[str, Any] = await team.rpc.call("save_consensus", run=made["id"], rows=rows, apply=apply)
    await team.rpc.call("finish_consensus_run", run=made["id"])
    return done


async def _label(team: Team, item: str) -> str:
    found = await team.item(item)
    return str(found["annotation"]["payload"]["labels"][0])


async def test_crowd_is_read_in_pages_without_items_of_one_answer(rpc: Rpc) -> None:
    team, members, items = await _crowd(rpc, [["good", "bad"], ["bad", "bad"], ["ugly", "good"]])
    [lone] = await team.add("a text that one person answers")
    await team.submit(members[0], (await team.claim(members[0]))[0])
    first = await rpc.call("list_crowd_answers", dataset=team.dataset, limit=2)
    assert [row["item"] for row in first["rows"]] == items[:2]
    assert [a["payload"]["labels"] for a in first["rows"][0]["answers"]] == [["good"], ["bad"]]
    assert {a["user"] for a in first["rows"][0]["answers"]} == set(members)
    rest = await rpc.call("list_crowd_answers", dataset=team.dataset, after=first["next"], limit=2)
    assert ([row["item"] for row in rest["rows"]], rest["next"]) == ([items[2]], None)
    assert lone not in items
    assert (await rpc.call("find_crowd", dataset=team.dataset))["items"] == 3


async def test_answer_that_says_what_the_consensus_says_becomes_the_one_that_counts(rpc: Rpc) -> None:
    team, _, [item] = await _crowd(rpc, [["good", "bad", "good"]])
    assert await _label(team, item) == "good"
    assert await _run(team, [_row(item, "bad")]) == {"saved": 1, "changed": 1, "asked": 0}
    assert await _label(team, item) == "bad"
    found = await team.item(item)
    assert (found["state"], found["annotation"]["level"]) == ("verified", 1)
    assert [i["id"] for i in await team.items(label="bad")] == [item]
    [event] = await team.call("list_events", kinds=["consensus_applied"])
    assert event["data"]["changed"] == [item]


async def test_changed_answer_makes_the_student_stale(rpc: Rpc) -> None:
    team, _, [item] = await _crowd(rpc, [["good", "bad", "good"]])
    before = await rpc.call("training_stamp", dataset=team.dataset)
    await _run(team, [_row(item, "bad")])
    assert (await rpc.call("training_stamp", dataset=team.dataset))["last_change"] > before["last_change"]


async def test_counting_alone_and_what_nobody_said_change_nothing(rpc: Rpc) -> None:
    team, _, [item] = await _crowd(rpc, [["good", "bad", "good"]])
    assert (await _run(team, [_row(item, "bad")], apply=False))["changed"] == 0
    assert (await _run(team, [_row(item, "ugly")]))["changed"] == 0
    assert await _label(team, item) == "good"


async def test_reviewers_decision_is_never_touched(rpc: Rpc) -> None:
    team, _, [item] = await _crowd(rpc, [["good", "bad", "good"]], review_levels=2)
    reviewer = await team.member("reviewer")
    await team.submit(reviewer, item, "ugly")
    assert await _run(team, [_row(item, "bad", ask=True)]) == {"saved": 1, "changed": 0, "asked": 0}
    assert await _label(team, item) == "ugly"
    [row] = (await rpc.call("list_crowd_answers", dataset=team.dataset))["rows"]
    assert row["decided"] is True


async def test_answer_that_a_reviewer_approved_or_is_looking_at_is_never_touched(rpc: Rpc) -> None:
    team, _, items = await _crowd(rpc, [["good", "bad", "good"], ["good", "bad", "good"]], review_levels=2)
    reviewer = await team.member("reviewer")
    await rpc.call("review_item", actor=reviewer, item=items[0], decision="approved")
    [review] = await team.call("claim_reviews", reviewer, count=1)
    assert review["item"]["id"] == items[1]
    done = await _run(team, [_row(item, "bad", ask=True) for item in items])
    assert (done["changed"], done["asked"]) == (0, 0)
    assert [await _label(team, item) for item in items] == ["good", "good"]
    found = await rpc.call("list_crowd_answers", dataset=team.dataset)
    assert [row["decided"] for row in found["rows"]] == [True, False]


async def test_item_that_got_another_answer_meanwhile_is_left_alone(rpc: Rpc) -> None:
    team, _, [item] = await _crowd(rpc, [["good", "bad", "good"]])
    assert await _run(team, [_row(item, "bad", answers=2)]) == {"saved": 1, "changed": 0, "asked": 0}


async def test_one_more_person_is_asked_and_decides(rpc: Rpc) -> None:
    team, members, [item] = await _crowd(rpc, [["good", "bad"]])
    assert (await _run(team, [_row(item, "bad", answers=2, ask=True)]))["asked"] == 1
    assert (await team.item(item))["state"] == "new"
    assert await team.claim(members[0]) == []
    late = await team.member()
    [claim] = await team.claim(late)
    assert claim["item"]["id"] == item
    await team.submit(late, claim, "good")
    assert (await team.item(item))["state"] == "verified"
    assert await _label(team, item) == "good"
    assert await team.claim(await team.member()) == []


async def test_items_that_ask_for_one_more_person_are_handed_out_first(rpc: Rpc) -> None:
    team, _, items = await _crowd(rpc, [["good", "bad"], ["good", "bad"]])
    await team.add("a new text")
    await rpc.call("rank_queue", dataset=team.dataset, seqs=[i["seq"] for i in await team.items(states=["new"])])
    await _run(team, [_row(items[1], "good", answers=2, ask=True)])
    [claim] = await team.claim(await team.member())
    assert claim["item"]["id"] == items[1]


async def test_asking_again_adds_one_person_at_a_time(rpc: Rpc) -> None:
    team, _, [item] = await _crowd(rpc, [["good", "bad"]])
    await _run(team, [_row(item, "bad", answers=2, ask=True)])
    assert (await _run(team, [_row(item, "bad", answers=2, ask=True)]))["asked"] == 0
    late = await team.member()
    await team.submit(late, (await team.claim(late))[0], "ugly")
    assert (await _run(team, [_row(item, "bad", answers=3, ask=True)]))["asked"] == 1
    assert len(await team.claim(await team.member())) == 1


async def test_report_names_the_run_and_the_doubtful_first(rpc: Rpc) -> None:
    team, members, items = await _crowd(rpc, [["good", "bad"], ["good", "good"], ["ugly", "bad"]])
    rows = [
        _row(items[0], "good", answers=2, probability=0.6),
        _row(items[1], "good", answers=2, probability=0.99, agreed=True),
        _row(items[2], "bad", answers=2, probability=0.5, ask=True),
    ]
    await _run(team, rows)
    reviewer = await team.member("reviewer")
    found = await team.call("get_consensus", reviewer)
    assert (found["agreed"], found["disagreed"], found["waiting"]) == (1, 2, 1)
    assert [row["item_id"] for row in found["items"]] == [items[2], items[0]]
    assert found["items"][1]["counts"] == {"labels": ["good"]}
    assert [p["user"] for p in found["items"][1]["people"]] == members
    assert found["run"]["method"] == "pooled-dawid-skene"
    await refusal(team.call("get_consensus", members[0]), "forbidden")


async def test_newer_run_replaces_what_the_older_said(rpc: Rpc) -> None:
    team, _, items = await _crowd(rpc, [["good", "bad"], ["good", "bad"]])
    await _run(team, [_row(item, "good", answers=2) for item in items])
    await _run(team, [_row(items[0], "good", answers=2, probability=0.9)])
    found = await team.call("get_consensus")
    assert [(row["item_id"], row["probability"]) for row in found["items"]] == [(items[0], 0.9)]


async def test_run_of_a_job_is_made_once(rpc: Rpc) -> None:
    team = await Team.of(rpc)
    job = await team.call("create_job", kind="consensus")
    first = await rpc.call("create_consensus_run", dataset=team.dataset, job=job["id"], run=RUN)
    assert await rpc.call("create_consensus_run", dataset=team.dataset, job=job["id"], run=RUN) == first


async def test_dataset_is_stale_when_enough_answers_came_and_it_does_more_than_count(rpc: Rpc) -> None:
    team, _, items = await _crowd(rpc, [["good", "bad"]] * 11)
    assert await rpc.call("list_stale_consensus") == []
    await team.call("update_dataset", patch={"settings": {"consensus": "pooled"}})
    assert [row["dataset_id"] for row in await rpc.call("list_stale_consensus")] == [team.dataset]
    await _run(team, [_row(item, "good", answers=2) for item in items])
    assert await rpc.call("list_stale_consensus") == []


async def test_unknown_method_is_refused_as_a_setting(rpc: Rpc) -> None:
    team = await Team.of(rpc)
    await refusal(team.call("update_dataset", patch={"settings": {"consensus": "oracle"}}), "invalid")
    await refusal(team.call("update_dataset", patch={"settings": {"pseudo_labels": "yes"}}), "invalid")
