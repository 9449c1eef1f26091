"""Help beside the item: a hint by one key, questions to the assistant, and proposals that one click carries out."""

from __future__ import annotations

import asyncio

from playwright.async_api import Page, expect

from tests.e2e.conftest import Api, Watch
from tests.e2e.test_annotate import all_saved, expect_text, press

LATE = ["my parcel is late", "the parcel is three days late", "where is my parcel, it is late"]
BACK = ["I want my money back", "give me a refund please", "refund the money for the shoes"]
OPEN = ["my parcel is a week late", "I would like a refund of my money"]
GUIDELINES = "# Delivery\n- Late parcels are delivery, even when money is asked for.\n"


async def taught(api: Api, name: str) -> str:
    """A dataset with verified items that have their vectors, and two open ones."""
    body = {
        "name": name, "guidelines": GUIDELINES, "settings": {"blind_share": 0, "queue_order": "arrival"},
        "labelset": {"classes": [{"name": "delivery"}, {"name": "refund"}]},
    }  # fmt: skip
    dataset = (await api.post("/v1/datasets", body))["id"]
    verified = [
        {"external_id": f"{label}{n}", "text": text, "annotation": {"labels": [label]}}
        for label, texts in (("delivery", LATE), ("refund", BACK))
        for n, text in enumerate(texts)
    ]
    fresh = [{"external_id": f"open{n}", "text": text} for n, text in enumerate(OPEN)]
    await api.post(f"/v1/datasets/{dataset}/items", {"rows": [*verified, *fresh]})
    job = await api.post(f"/v1/datasets/{dataset}/jobs", {"kind": "embed"})
    for _ in range(150):
        if (await api.get(f"/v1/jobs/{job['id']}"))["state"] == "done":
            return str(dataset)
        await asyncio.sleep(0.1)
    raise AssertionError("the items got no vectors")


async def test_hint_by_one_key_shows_why_examples_and_lines_and_is_gone_on_the_next_item(page: Page, api: Api) -> None:
    dataset = await taught(api, "Hints")
    await page.goto(f"/annotate?dataset={dataset}")
    await expect_text(page, OPEN[0])
    await press(page, "h")
    hint = page.get_by_test_id("hint")
    await expect(hint.get_by_test_id("hint-label")).to_contain_text("delivery")
    await expect(hint.get_by_test_id("hint-why")).to_contain_text("most similar verified items are «delivery»")
    await expect(hint.get_by_test_id("hint-examples").get_by_role("listitem").first).to_contain_text("late")
    await expect(hint.get_by_test_id("hint-lines")).to_contain_text("line 2")
    await expect(hint.get_by_test_id("hint-note")).to_contain_text("no language model is configured")
    await hint.get_by_role("button", name="Choose it").click()
    await expect(page.get_by_role("button", name="delivery", exact=False).first).to_have_attribute(
        "aria-pressed", "true"
    )
    await press(page, "Enter")
    await expect_text(page, OPEN[1])
    await expect(hint).to_have_count(0)
    await all_saved(page)
    effect = await api.get(f"/v1/datasets/{dataset}/hints/effect")
    assert effect["hints"] == 1
    assert [(arm["arm"], arm["as_suggested"]) for arm in effect["arms"] if arm["arm"] == "hinted"] == [("hinted", 1)]


async def test_assistant_answers_and_one_click_stores_the_label_it_proposes(page: Page, api: Api) -> None:
    dataset = await taught(api, "Chat")
    await page.goto(f"/annotate?dataset={dataset}")
    await expect_text(page, OPEN[0])
    await press(page, "c")
    chat = page.get_by_test_id("chat")
    await expect(chat.get_by_label("Question")).to_be_focused()
    await page.keyboard.type("Which label is right, and why?")
    await press(page, "Enter")
    await expect(chat.get_by_test_id("chat-log")).to_contain_text("No language model is configured")
    await expect(chat.get_by_test_id("chat-log")).to_contain_text("likely delivery")
    assert [item["state"] for item in await api.items(dataset, state="verified")] == ["verified"] * 6
    await chat.get_by_test_id("proposal").get_by_role("button").click()
    await expect_text(page, OPEN[1])
    await all_saved(page)
    stored = {item["external_id"]: item for item in await api.items(dataset)}
    assert stored["open0"]["annotation"]["payload"] == {"labels": ["delivery"]}


async def test_guideline_line_and_history_outlive_the_page(page: Page, api: Api, watch: Watch) -> None:
    watch.forgiven.append("ERR_ABORTED")
    dataset = await taught(api, "Chat history")
    await page.goto(f"/annotate?dataset={dataset}")
    await expect_text(page, OPEN[0])
    await press(page, "c")
    chat = page.get_by_test_id("chat")
    await chat.get_by_label("Question").fill("Add a guideline: Broken parcels are delivery")
    await press(page, "Enter")
    offer = chat.get_by_test_id("proposal").get_by_role("button")
    await expect(offer).to_contain_text("Add to the guidelines: Broken parcels are delivery")
    assert (await api.get(f"/v1/datasets/{dataset}"))["guidelines"] == GUIDELINES
    await offer.click()
    await expect(offer).to_contain_text("Done")
    assert (await api.get(f"/v1/datasets/{dataset}"))["guidelines"] == f"{GUIDELINES}- Broken parcels are delivery\n"
    await page.reload()
    await expect_text(page, OPEN[0])
    await press(page, "c")
    await expect(chat.get_by_test_id("chat-log")).to_contain_text("Add a guideline: Broken parcels")
    await chat.get_by_role("button", name="Forget this chat").click()
    await expect(chat.get_by_test_id("chat-log")).not_to_contain_text("Broken parcels")
