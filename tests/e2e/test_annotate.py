"""Annotating by keyboard alone: what is pressed is what is stored, and nothing makes the hand wait."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from playwright.async_api import Page, Request, Route, expect

from tests.e2e.conftest import Api, Watch

MOODS = ["positive", "negative", "mixed"]
MANY = [
    "delivery", "refund", "exchange", "invoice", "login", "password", "warranty", "stock", "size", "colour",
    "gift card", "voucher",
]  # fmt: skip
PUT = "**/v1/items/*/annotation"


def texts(count: int) -> list[str]:
    return [f"Message number {n}: something happened." for n in range(1, count + 1)]


async def open_annotate(page: Page, dataset: str) -> None:
    await page.goto(f"/annotate?dataset={dataset}")
    await expect(page.get_by_test_id("text")).to_be_visible()


async def press(page: Page, *keys: str) -> None:
    for key in keys:
        await page.keyboard.press(key)


async def expect_text(page: Page, words: str) -> None:
    await expect(page.get_by_test_id("text")).to_have_text(words)


async def all_saved(page: Page) -> None:
    await expect(page.get_by_test_id("sync")).to_have_attribute("data-state", "saved")


async def eventually(check: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(100):
        if await check():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it did not come to pass")


async def test_ten_items_by_keyboard_alone_are_stored_as_they_were_answered(page: Page, api: Api) -> None:
    dataset = await api.dataset("Ten", MOODS, texts(10), drafts=[{"labels": ["positive"]}] * 6)
    await open_annotate(page, dataset)
    await expect(page.get_by_test_id("draft")).to_contain_text("positive")
    await expect(page.get_by_test_id("probability")).to_have_text("87\u202f%")
    await expect(page.get_by_test_id("route")).to_contain_text("teacher")
    await press(page, "a", "a", "a")  # three drafts accepted
    await press(page, "2", "Enter", "x", "3", "Enter")  # two corrected
    await expect_text(page, texts(10)[5])
    await press(page, "Enter")  # a draft that stands is submitted as it is
    await expect_text(page, texts(10)[6])
    await press(page, "Enter")  # nothing is chosen, so nothing is submitted
    await expect(page.get_by_test_id("message")).to_contain_text("Choose a class first")
    await press(page, "1", "Enter", "2", "Enter", "s")
    await expect_text(page, texts(10)[9])
    await press(page, "/")
    await page.keyboard.type("mix")
    await press(page, "Enter", "Enter")
    await expect(page.get_by_test_id("end")).to_contain_text("Nothing left to do")
    await all_saved(page)

    items = await api.items(dataset)
    labels = [item["annotation"] and item["annotation"]["payload"]["labels"] for item in items]
    assert labels == [
        ["positive"], ["positive"], ["positive"], ["negative"], ["mixed"], ["positive"], ["positive"], ["negative"],
        None, ["mixed"],
    ]  # fmt: skip
    assert [item["state"] for item in items] == ["verified"] * 8 + ["skipped", "verified"]
    assert all(item["annotation"]["lead_time_ms"] >= 0 for item in items if item["annotation"])


async def test_next_item_is_shown_while_the_answer_is_still_on_its_way(page: Page, api: Api) -> None:
    dataset = await api.dataset("Slow", MOODS, texts(3), drafts=[{"labels": ["mixed"]}] * 3)
    held: asyncio.Event = asyncio.Event()

    async def hold(route: Route) -> None:
        await held.wait()
        await route.continue_()

    await page.route(PUT, hold)
    await open_annotate(page, dataset)
    await press(page, "a")
    await expect_text(page, texts(3)[1])
    await press(page, "a")
    await expect_text(page, texts(3)[2])
    await expect(page.get_by_test_id("sync")).to_have_attribute("data-state", "saving")
    assert [item["state"] for item in await api.items(dataset)] == ["drafted"] * 3
    held.set()
    await all_saved(page)
    assert [item["state"] for item in await api.items(dataset)] == ["verified", "verified", "drafted"]


async def test_undo_brings_the_last_item_back_and_reopens_it_for_everybody(page: Page, api: Api) -> None:
    dataset = await api.dataset("Undo", MOODS, texts(4), drafts=[{"labels": ["positive"]}] * 4)
    await open_annotate(page, dataset)
    await press(page, "a", "2", "Enter")
    await all_saved(page)
    await press(page, "u")
    await expect_text(page, texts(4)[1])
    await expect(page.get_by_role("button", name="negative")).to_have_attribute("aria-pressed", "true")
    await all_saved(page)
    assert [item["state"] for item in await api.items(dataset)] == ["verified", "drafted", "drafted", "drafted"]
    await press(page, "u")  # and the one before
    await expect_text(page, texts(4)[0])
    await press(page, "3", "Enter")
    await all_saved(page)
    items = await api.items(dataset)
    assert items[0]["annotation"]["payload"] == {"labels": ["mixed"]}
    assert [item["state"] for item in items] == ["verified", "drafted", "drafted", "drafted"]


async def test_undo_after_a_reload_takes_back_the_last_answer_of_before(page: Page, api: Api, watch: Watch) -> None:
    watch.forgiven.append("409")
    dataset = await api.dataset("Undo later", MOODS, texts(3), drafts=[{"labels": ["positive"]}] * 3)
    await open_annotate(page, dataset)
    await press(page, "a")
    await all_saved(page)
    await page.reload()
    await expect_text(page, texts(3)[1])
    await press(page, "u")
    await expect_text(page, texts(3)[0])
    assert (await api.items(dataset))[0]["state"] == "drafted"
    await press(page, "u")
    await expect(page.get_by_test_id("message")).to_contain_text("no answer here that can be taken back")


async def test_going_back_and_answering_again_stores_a_new_revision(page: Page, api: Api) -> None:
    dataset = await api.dataset("Again", MOODS, texts(3))
    await open_annotate(page, dataset)
    await press(page, "1", "Enter", "k")
    await expect_text(page, texts(3)[0])
    await expect(page.get_by_test_id("entry-status")).to_contain_text("positive")
    await press(page, "2", "Enter")
    await expect_text(page, texts(3)[1])
    await all_saved(page)
    answer = (await api.items(dataset))[0]["annotation"]
    assert (answer["revision"], answer["payload"]) == (2, {"labels": ["negative"]})


async def test_typing_finds_a_class_among_many(page: Page, api: Api) -> None:
    dataset = await api.dataset("Many", MANY, texts(3))
    await open_annotate(page, dataset)
    await page.keyboard.type("wa")  # "w" means nothing else, so it begins a search
    await expect(page.get_by_role("combobox")).to_have_value("wa")
    await press(page, "Enter")
    await expect(page.get_by_role("button", name="warranty")).to_have_attribute("aria-pressed", "true")
    await press(page, "Enter", "/")
    await page.keyboard.type("card")
    await press(page, "Enter", "Enter", "/", "Escape", "4", "Enter")
    await all_saved(page)
    found = [item["annotation"]["payload"]["labels"] for item in await api.items(dataset)]
    assert found == [["warranty"], ["gift card"], ["invoice"]]


async def test_several_labels_start_from_the_draft_and_none_is_an_answer(page: Page, api: Api) -> None:
    drafts: list[dict[str, Any] | None] = [{"labels": ["positive", "mixed"]}, {"labels": ["positive"]}]
    dataset = await api.dataset("Multi", MOODS, texts(2), drafts=drafts, multi=True)
    await open_annotate(page, dataset)
    await press(page, "3", "2", "Enter", "x", "Enter")
    await all_saved(page)
    stored = [set(item["annotation"]["payload"]["labels"]) for item in await api.items(dataset)]
    assert stored == [{"positive", "negative"}, set()]


async def test_marked_text_shows_the_spans_of_the_draft_by_code_points(page: Page, api: Api) -> None:
    text = "👩‍🚀 Ada met Bo.\nThen she left."
    start = text.index("Ada")
    spans = [{"start": start, "end": start + 3, "label": "person"}]
    dataset = await api.dataset(
        "Spans", ["person", "place"], [text, "Nobody."], drafts=[{"spans": spans}], kind="spans"
    )
    await open_annotate(page, dataset)
    await expect(page.get_by_test_id("text").locator("mark")).to_contain_text("Ada")
    await press(page, "a", "x", "Enter")
    await all_saved(page)
    payloads = [item["annotation"]["payload"] for item in await api.items(dataset)]
    assert payloads == [{"spans": spans}, {"spans": []}]


async def test_answers_survive_a_network_that_fails_and_are_stored_once(page: Page, api: Api, watch: Watch) -> None:
    watch.forgiven.append("ERR_FAILED")
    dataset = await api.dataset("Offline", MOODS, texts(3), drafts=[{"labels": ["mixed"]}] * 3)
    tried: list[Request] = []

    async def fail_twice(route: Route) -> None:
        tried.append(route.request)
        if len(tried) == 2:  # this one arrives, and only its answer is lost
            await route.fetch()
        await (route.abort() if len(tried) <= 2 else route.continue_())

    await page.route(PUT, fail_twice)
    await open_annotate(page, dataset)
    await press(page, "a")
    await expect(page.get_by_test_id("sync")).to_contain_text("1 answer not saved yet")
    await press(page, "a")
    await expect_text(page, texts(3)[2])
    await all_saved(page)
    items = await api.items(dataset)
    assert [item["state"] for item in items] == ["verified", "verified", "drafted"]
    assert [item["annotation"]["revision"] for item in items[:2]] == [1, 1]
    keys = [json.loads(request.post_data or "{}")["key"] for request in tried]
    assert keys[0] == keys[1] == keys[2] != keys[3]


async def test_unsent_answers_are_sent_by_the_next_visit(page: Page, api: Api, watch: Watch) -> None:
    watch.forgiven.append("ERR_FAILED")
    dataset = await api.dataset("Crash", MOODS, texts(2), drafts=[{"labels": ["mixed"]}] * 2)

    async def fail(route: Route) -> None:
        await route.abort()

    await page.route(PUT, fail)
    await open_annotate(page, dataset)
    await press(page, "a")
    await expect(page.get_by_test_id("sync")).to_have_attribute("data-state", "offline")
    page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
    await page.unroute(PUT)
    await page.goto("about:blank")
    await page.goto(f"/annotate?dataset={dataset}")
    await expect_text(page, texts(2)[1])
    await all_saved(page)
    assert (await api.items(dataset))[0]["state"] == "verified"


async def test_item_lost_to_somebody_else_is_told_and_the_work_goes_on(page: Page, api: Api, watch: Watch) -> None:
    watch.forgiven.append("409")
    dataset = await api.dataset("Lost", MOODS, texts(3))
    await open_annotate(page, dataset)
    first = (await api.items(dataset))[0]
    await api_put(api, first["id"], {"labels": ["mixed"]})  # an admin decides it meanwhile
    await press(page, "1", "Enter")
    await expect_text(page, texts(3)[1])
    await expect(page.get_by_test_id("message")).to_contain_text("i1 was not stored")
    await press(page, "2", "Enter")
    await all_saved(page)
    stored = [item["annotation"] and item["annotation"]["payload"]["labels"] for item in await api.items(dataset)]
    assert stored == [["mixed"], ["negative"], None]
    await press(page, "k", "k")
    await expect(page.get_by_test_id("entry-status")).to_contain_text("Not stored")


async def api_put(api: Api, item: str, payload: dict[str, Any]) -> None:
    response = await api._client.put(f"/v1/items/{item}/annotation", json={"payload": payload, "labelset_version": 1})
    assert response.is_success, response.text


async def test_leaving_gives_the_items_back(page: Page, api: Api) -> None:
    dataset = await api.dataset("Leave", MOODS, texts(4))
    await open_annotate(page, dataset)

    async def released(count: int) -> bool:
        events = await api.get(f"/v1/datasets/{dataset}/activity", kind="item_released")
        return len(events) == count

    await page.get_by_role("link", name="Leave").click()
    await expect(page.get_by_role("heading", name="Leave")).to_be_visible()
    await eventually(lambda: released(4))
    await open_annotate(page, dataset)
    await page.goto("about:blank")
    await eventually(lambda: released(8))


async def test_lease_is_renewed_while_the_page_is_open(page: Page, api: Api) -> None:
    dataset = await api.dataset("Renew", MOODS, texts(1))
    await page.clock.install()
    await open_annotate(page, dataset)
    async with page.expect_response("**/v1/leases/*/renew") as renewed:
        await page.clock.fast_forward("06:00")  # more than half of the ten minutes that a lease lasts
    assert (await renewed.value).ok


async def test_sign_in_that_ran_out_keeps_the_answers_and_goes_on_after_it(page: Page, api: Api, watch: Watch) -> None:
    watch.forgiven.append("401")
    dataset = await api.dataset("Expired", MOODS, texts(2), drafts=[{"labels": ["mixed"]}] * 2)
    await open_annotate(page, dataset)
    session = await page.evaluate("localStorage.getItem('labelcrew.session')")
    spoilt = json.dumps({**json.loads(session), "token": "spoilt"})
    await page.evaluate("value => localStorage.setItem('labelcrew.session', value)", spoilt)
    await press(page, "a")
    await expect(page.get_by_role("dialog", name="Your sign-in has ended")).to_be_visible()
    await expect(page.get_by_test_id("sync")).to_have_attribute("data-state", "signed-out")
    other = await page.context.new_page()  # somebody signs in again in another tab
    await other.goto("/login")
    await other.evaluate("value => localStorage.setItem('labelcrew.session', value)", session)
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await all_saved(page)
    assert (await api.items(dataset))[0]["state"] == "verified"


async def test_help_and_guidelines_open_by_key_and_swallow_other_keys(page: Page, api: Api) -> None:
    dataset = await api.dataset("Help", MOODS, texts(2), drafts=[{"labels": ["mixed"]}] * 2)
    await open_annotate(page, dataset)
    await press(page, "?")
    await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    await press(page, "a", "Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await press(page, "g")
    await expect(page.get_by_role("dialog", name="Guidelines")).to_be_visible()
    await press(page, "Escape")
    await expect_text(page, texts(2)[0])
    await press(page, "Shift+S")
    await page.keyboard.type("Wrong language")
    await press(page, "Enter")
    await expect_text(page, texts(2)[1])
    await all_saved(page)
    events = await api.get(f"/v1/datasets/{dataset}/activity", kind="item_skipped")
    assert [event["data"]["reason"] for event in events] == ["Wrong language"]
