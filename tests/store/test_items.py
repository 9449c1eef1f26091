"""Items: taking them in once, listing them in every order, and their history."""

from __future__ import annotations

import asyncio
import base64
import random
from typing import Any

import orjson
import pytest

from schemas.world import Item, ItemPage
from store.rpc import Rpc
from tests.support.people import new_user
from tests.support.teams import Team, draft, failure, refusal

SORTS = ["seq", "-seq", "priority", "probability", "-probability", "-updated"]


# Taking in


async def test_rows_become_items_in_their_order_with_the_shape_of_the_vocabulary(rpc: Rpc) -> None:
    team = await Team.of(rpc)
    rows = [{"external_id": f"row-{n}", "text": f"text {n}", "metadata": {"n": n}} for n in range(20)]
    made = await team.call("create_items", rows=rows)
    assert (made["created"], made["existing"]) == (20, 0)
    assert [(r["index"], r["created"]) for r in made["results"]] == [(n, True) for n in range(20)]
    page = ItemPage.model_validate(await team.call("list_items"))
    assert [item.external_id for item in page.items] == [row["external_id"] for row in rows]
    assert page.items[7].metadata == {"n": 7}
    assert page.items[7].id == made["results"][7]["id"]
    assert (page.items[0].state, page.total, page.next_cursor) == ("new", 20, None)


async def test_second_import_of_the_same_rows_creates_nothing(rpc: Rpc) -> None:
    team = await Team.of(rpc)
    rows = [
        {"external_id": "a", "text": "one"},
        {"text": "two"},
        {"text": "two"},
        {"external_id": "a", "text": "three"},
    ]
    first = await team.call("create_items", rows=rows)
    assert (first["created"], first["existing"]) == (2, 2)
    assert [r["created"] for r in first["results"]] == [True, True, False, False]
    second = await team.call("create_items", rows=rows)
    assert (second["created"], second["existing"]) == (0, 4)
    assert [r["id"] for r in second["results"]] == [r["id"] for r in first["results"]]
    assert [item["text"] for item in await team.items()] == ["one", "two"]


async def test_same_text_is_an_item_of_its_own_under_another_external_id_and_in_another_dataset(rpc: Rpc) -> None:
    team, other = await Team.of(rpc), await Team.of(rpc)
    rows = [{"text": "same"}, {"external_id": "1", "text": "same"}, {"external_id": "2", "text": "same"}]
    assert (await team.call("create_items", rows=rows))["created"] == 3
    assert (await other.call("create_items", rows=rows))["created"] == 3


async def test_results_are_left_out_of_large_calls_unless_wanted(rpc: Rpc) -> None:
    team = await Team.of(rpc)
    rows = [{"text": f"t{n}"} for n in range(1001)]
    assert "results" not in await team.call("create_items", rows=rows)
    assert len((await team.call("create_items", rows=rows, want_results=True))["results"]) == 1001
    assert "results" not in await team.call("create_items", rows=rows[:2], want_results=False)


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([{"external_id": "x"}], "invalid"),
        ({"text": "x"}, "invalid"),
        ([{"text": "x", "metadata": [1]}], "invalid"),
        ([{"text": "x", "annotation": {"labels": ["unheard of"]}}], "invalid-payload"),
        ([{"text": "y", "prediction": {"payload": {"labels": []}}}], "invalid-payload"),
        ([{"text": "t"}] * 50_001, "too-large"),
    ],
)
async def test_call_with_a_bad_row_is_refused_as_a_whole(pg_rpc: Rpc, rows: Any, code: str) -> None:
    team = await Team.of(pg_rpc)
    if isinstance(rows, list):
        rows = [{"text": "good row"}, *rows]
    error = await refusal(team.call("create_items", rows=rows), code)
    if code == "invalid-payload":
        assert error.data["index"] == 1
    assert await team.items() == []


async def test_odd_texts_come_back_as_they_were(rpc: Rpc) -> None:
    team = await Team.of(rpc)
    texts = ["", " ", "'; drop table items; --", "東京 🙂 é\u0301", '"quoted" \\ back', "x" * 200_000, "a\nb\tc\r"]
    await team.add(*texts)
    assert [item["text"] for item in await team.items()] == texts


async def test_imported_answer_counts_at_once_and_a_draft_waits_for_people(rpc: Rpc) -> None:
    team = await Team.of(rpc, overlap=3)
    made = await team.call("create_items", rows=[
        {"text": "gold", "annotation": {"labels": ["good"]}},
        {"text": "guess", "prediction": {"payload": {"labels": ["bad"]}, "confidence": 0.4, "model": "their-model"}},
        {"text": "plain"},
    ])  # fmt: skip
    assert made["updated"] == 2
    gold, guess, plain = (Item.model_validate(item) for item in await team.items())
    assert gold.annotation is not None
    assert (gold.state, gold.annotation.source, gold.annotation.user_id) == ("verified", "import", team.admin)
    assert guess.draft is not None
    assert (guess.state, guess.draft.model, guess.draft.route, guess.draft.confidence) == (
        "drafted", "their-model", "import", 0.4,
    )  # fmt: skip
    assert plain.state == "new"


async def test_imported_answer_is_reviewed_where_there_are_reviewers(rpc: Rpc) -> None:
    team = await Team.of(rpc, review_levels=2)
    await team.call("create_items", rows=[{"text": "gold", "annotation": {"labels": ["good"]}}])
    assert await team.states() == {"annotated": 1}


async def test_known_items_take_the_labels_they_lack_and_keep_those_they_have(rpc: Rpc) -> None:
    team = await Team.of(rpc)
    rows = [{"text": "a"}, {"text": "b", "annotation": {"labels": ["good"]}}]
    await team.call("create_items", rows=rows)
    again = [
        {**row, "annotation": {"labels": ["bad"]}, "prediction": {"payload": {"labels": ["ugly"]}}} for row in rows
    ]
    for updated in (3, 0):
        assert (await team.call("create_items", rows=again))["updated"] == updated
    a, b = await team.items()
    assert (a["annotation"]["payload"], b["annotation"]["payload"]) == ({"labels": ["bad"]}, {"labels": ["good"]})
    assert len(await team.rpc.call("list_predictions", actor=team.admin, item=a["id"])) == 1


async def test_labels_without_a_labelset_are_refused_with_no_labelset(rpc: Rpc) -> None:
    team = await Team.of(rpc, labelset=False)
    await refusal(team.call("create_items", rows=[{"text": "a", "annotation": {"labels": ["x"]}}]), "no-labelset")
    assert (await team.call("create_items", rows=[{"text": "a"}]))["created"] == 1


async def test_one_event_tells_of_a_whole_import(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=50)
    events = await team.call("list_events", kinds=["items_created"])
    assert [event["data"]["created"] for event in events] == [50]


async def test_two_who_import_the_same_file_at_once_create_each_item_once(pg_rpc: Rpc) -> None:
    team = await Team.of(pg_rpc)
    rows = [{"external_id": str(n), "text": f"text {n}"} for n in range(2000)]
    made = await asyncio.gather(*(team.call("create_items", rows=rows) for _ in range(3)))
    assert sum(m["created"] for m in made) == 2000
    assert await team.states() == {"new": 2000}


async def test_rollback_removes_what_the_job_made_and_nobody_worked_on(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1)
    annotator = await team.member()
    job = (await team.call("create_job", kind="import"))["id"]
    await team.call("create_items", job=job, rows=[
        {"text": "worked on"}, {"text": "held"}, {"text": "new"}, {"text": "gold", "annotation": {"labels": ["good"]}},
    ])  # fmt: skip
    old, worked, held, *_ = await team.items()
    await team.submit(annotator, next(c for c in await team.claim(annotator, 2) if c["item"]["id"] == worked["id"]))
    await team.claim(annotator, 2)
    await refusal(rpc.call("rollback_import", actor=annotator, job=job), "forbidden")
    await refusal(rpc.call("rollback_import", actor=await new_user(rpc), job=job), "not-found")
    assert await rpc.call("rollback_import", actor=team.admin, job=job) == {"deleted": 2, "kept": 2}
    assert [item["id"] for item in await team.items()] == [old["id"], worked["id"], held["id"]]
    assert await team.states() == {"new": 2, "verified": 1}


# Listing


async def filled(rpc: Rpc) -> Team:
    """Ninety items in many states, with many ties in every order."""
    rng = random.Random(5)
    team = await Team.of(rpc, review_levels=2)
    ids = await team.add(*(f"word{n % 7} letter {'abc'[n % 3]} number {n}" for n in range(90)))
    chosen = rng.sample(ids, 60)
    probability = [None, 0.25, 0.5, 0.75]
    await team.call("save_predictions", rows=[
        draft(i, rng.choice(["good", "bad"]), probability=rng.choice(probability), route=rng.choice(["llm", "crew"]))
        for i in chosen
    ])  # fmt: skip
    await team.call(
        "set_priorities", rows=[{"id": i, "priority": rng.choice([-1, 0.5, 2])} for i in rng.sample(ids, 50)]
    )
    for i in rng.sample(ids, 12):
        await team.submit(team.admin, i, rng.choice(["good", "ugly"]))
    return team


def key_of(sort: str, item: dict[str, Any]) -> Any:
    """How Python would order it."""
    probability = item["draft"]["probability"] if item["draft"] else None
    return {
        "seq": item["seq"],
        "-seq": -item["seq"],
        "priority": (-item["priority"], item["seq"]),
        "probability": (probability is None, probability or 0, item["seq"]),
        "-probability": (probability is None, -(probability or 0), -item["seq"]),
    }.get(sort)


async def paged(team: Team, **params: Any) -> list[dict[str, Any]]:
    """Every page of seven, joined."""
    found: list[dict[str, Any]] = []
    cursor = None
    for _ in range(40):
        page = await team.call("list_items", limit=7, cursor=cursor, **params)
        assert len(page["items"]) <= 7
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found
    raise AssertionError("the pages do not end")


FILTERS: list[dict[str, Any]] = [
    {},
    {"states": ["drafted"]},
    {"states": ["new", "verified"]},
    {"label": "good"},
    {"label": "good", "states": ["drafted"]},
    {"q": "word3"},
    {"q": "letter b", "label": "bad"},
    {"sources": ["crew", "human"]},
    {"min_probability": 0.3},
    {"min_probability": 0.5, "max_probability": 0.5, "sources": ["llm"]},
]


def passes(filters: dict[str, Any], item: dict[str, Any]) -> bool:
    """What the filters mean."""
    answer = item["annotation"] or item["draft"]
    probability = item["draft"]["probability"] if item["draft"] else None
    source = item["annotation"]["source"] if item["annotation"] else item["draft"]["route"] if item["draft"] else None
    least, most = filters.get("min_probability"), filters.get("max_probability")
    return (
        ("states" not in filters or item["state"] in filters["states"])
        and ("label" not in filters or (answer is not None and filters["label"] in answer["payload"]["labels"]))
        and all(word in item["text"].split() for word in filters.get("q", "").split())
        and ("sources" not in filters or source in filters["sources"])
        and (least is None or (probability is not None and probability >= least))
        and (most is None or (probability is not None and probability <= most))
    )


async def test_pages_join_to_the_filtered_list_in_every_order(rpc: Rpc) -> None:
    """Some of the filters match few items, which are sorted, others many, which are met along the order."""
    team = await filled(rpc)
    everything = await team.items()
    assert len(everything) == 90
    for filters in FILTERS:
        expected = [item for item in everything if passes(filters, item)]
        assert expected, filters
        for sort in SORTS:
            found = await paged(team, sort=sort, **filters)
            assert sorted(i["id"] for i in found) == sorted(i["id"] for i in expected), (filters, sort)
            if sort == "-updated":
                keys = [(i["updated_at"], i["seq"]) for i in found]
                assert keys == sorted(keys, reverse=True)
            else:
                assert [key_of(sort, i) for i in found] == sorted(key_of(sort, i) for i in found), (filters, sort)


async def test_total_is_known_for_states_and_left_open_for_other_filters(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=3)
    assert (await team.call("list_items", states=["new"], limit=1))["total"] == 3
    assert (await team.call("list_items", states=["verified"]))["total"] == 0
    assert (await team.call("list_items", q="text"))["total"] is None


async def test_search_finds_beginnings_of_words_external_ids_and_new_items(rpc: Rpc) -> None:
    team = await Team.of(rpc)
    await team.add("Please refund my order", "It's an order, not a rant", "東京 tower")
    await team.call("create_items", rows=[{"external_id": "ORD-7!", "text": "other"}])
    for words, texts in {
        "refu ORDER": ["Please refund my order"],
        "order": ["Please refund my order", "It's an order, not a rant"],
        "it's": ["It's an order, not a rant"],
        "ORD-7!": ["other"],
        "東京": ["東京 tower"],
        "or": [],
        "!!!": [],
        "refund & | ! ( 'x": [],
    }.items():
        assert [item["text"] for item in await team.items(q=words)] == texts, words
    await team.add("refund again")
    assert len(await team.items(q="refund")) == 2


@pytest.mark.parametrize("cursor", ["", "x", "!!", "eyJ9", base64.b64encode(b'["seq",null,null]').decode()])
async def test_made_up_cursor_is_refused_with_invalid(rpc: Rpc, cursor: str) -> None:
    team = await Team.of(rpc, items=2)
    await refusal(team.call("list_items", cursor=cursor), "invalid")


async def test_cursor_of_another_order_is_refused_with_invalid(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=2)
    cursor = (await team.call("list_items", limit=1))["next_cursor"]
    assert orjson.loads(base64.urlsafe_b64decode(cursor + "=="))[0] == "seq"
    await refusal(team.call("list_items", cursor=cursor, sort="-seq"), "invalid")
    await refusal(team.call("list_items", sort="text"), "invalid")
    await refusal(team.call("list_items", states=["lost"]), "invalid")


async def test_cursor_stays_good_when_items_come_and_go(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=6)
    page = await team.call("list_items", limit=3, states=["new"])
    await team.submit(team.admin, page["items"][2]["id"])
    await team.add("late")
    rest = await team.call("list_items", states=["new"], cursor=page["next_cursor"])
    assert [item["text"] for item in rest["items"]] == ["text number 4", "text number 5", "text number 6", "late"]


# One item


async def test_history_tells_everything_newest_first(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1)
    [item] = [i["id"] for i in await team.items()]
    await team.call("save_predictions", rows=[failure(item)])
    await team.call("save_predictions", rows=[draft(item)])
    await team.submit(team.admin, item, "good")
    await team.submit(team.admin, item, "bad")
    history = await rpc.call("list_history", actor=team.admin, item=item)
    assert [(a["revision"], a["current"], a["payload"]["labels"]) for a in history["annotations"]] == [
        (2, True, ["bad"]), (1, False, ["good"]),
    ]  # fmt: skip
    assert [p["error"] is None for p in history["predictions"]] == [True, False]
    kinds = ["item_verified", "item_submitted"] * 2 + ["predictions_saved"] * 2
    assert [e["kind"] for e in history["events"]] == kinds


async def test_annotator_does_not_see_what_others_answered_until_it_is_decided(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1, overlap=2)
    one, two = await team.member(), await team.member()
    [first], [second] = await team.claim(one), await team.claim(two)
    await team.submit(one, first)
    item = first["item"]["id"]
    assert (await team.item(item, two))["annotation"] is None
    assert (await rpc.call("list_history", actor=two, item=item))["annotations"] == []
    assert len((await rpc.call("list_history", actor=team.admin, item=item))["annotations"]) == 1
    await team.submit(two, second)
    assert len((await rpc.call("list_history", actor=two, item=item))["annotations"]) == 2


async def test_items_of_strangers_are_not_found(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=1)
    [item] = await team.items()
    stranger = await new_user(rpc)
    for function in ("get_item", "list_history", "list_predictions", "similar_items", "return_item"):
        await refusal(rpc.call(function, actor=stranger, item=item["id"]), "not-found")
        await refusal(rpc.call(function, actor=team.admin, item=team.dataset), "not-found")
