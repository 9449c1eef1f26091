"""Reviewing by keyboard: approved, corrected and rejected as pressed, with what was said before in sight."""

from __future__ import annotations

from playwright.async_api import Page, expect

from tests.e2e.conftest import Api

MOODS = ["positive", "negative", "mixed"]


async def waiting(api: Api, name: str, count: int) -> str:
    """A dataset with two levels and answers that came with its items; its id."""
    made = await api.post(
        "/v1/datasets",
        {
            "name": name,
            "labelset": {"classes": [{"name": mood} for mood in MOODS]},
            "settings": {"review_levels": 2, "blind_share": 0},
        },
    )
    rows = [{"text": f"Message {n}", "annotation": {"labels": ["positive"]}} for n in range(1, count + 1)]
    await api.post(f"/v1/datasets/{made['id']}/items", {"rows": rows})
    return str(made["id"])


async def test_three_items_are_approved_corrected_and_rejected_by_keyboard(page: Page, api: Api) -> None:
    dataset = await waiting(api, "Looked at", 4)
    await page.goto(f"/dataset?id={dataset}")
    await page.get_by_role("link", name="Review").click()
    await expect(page.get_by_test_id("text")).to_have_text("Message 1")
    await expect(page.get_by_test_id("answers")).to_contain_text("positive")
    await page.keyboard.press("a")
    await expect(page.get_by_test_id("text")).to_have_text("Message 2")
    await page.keyboard.press("2")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("text")).to_have_text("Message 3")
    await page.keyboard.press("r")
    await page.keyboard.type("It is ironic")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("text")).to_have_text("Message 4")
    await expect(page.get_by_test_id("progress")).to_contain_text("3 in this sitting")
    items = await api.items(dataset)
    assert [item["state"] for item in items] == ["verified", "verified", "returned", "annotated"]
    assert items[1]["annotation"]["payload"] == {"labels": ["negative"]}
    said = await api.get(f"/v1/items/{items[2]['id']}/reviews")
    assert [review["comment"] for review in said["reviews"]] == ["It is ironic"]


async def test_end_is_told_when_nothing_waits(page: Page, api: Api) -> None:
    dataset = await waiting(api, "Looked through", 1)
    await page.goto(f"/review?dataset={dataset}")
    await expect(page.get_by_test_id("text")).to_have_text("Message 1")
    await page.keyboard.press("a")
    await expect(page.get_by_test_id("end")).to_contain_text("Nothing waits for a review")
