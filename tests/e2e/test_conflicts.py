"""A wrong label is found, shown with its evidence, and put right in the browser."""

from __future__ import annotations

from playwright.async_api import Page, expect

from tests.e2e.conftest import Api

TEXTS = {"refund": "I want my money back", "delivery": "when does the parcel arrive", "size": "which size fits me"}


async def test_a_wrong_label_is_found_and_relabelled_with_one_click(page: Page, api: Api) -> None:
    rows = [
        {"text": f"{text}, order {n}", "annotation": {"labels": [label]}}
        for n in range(12)
        for label, text in TEXTS.items()
    ]
    rows.append({"text": "I want my money back, order 77", "annotation": {"labels": ["size"]}})
    dataset = await api.dataset("Conflicts", classes=list(TEXTS), texts=["a text that nobody has answered"])
    await api.post(f"/v1/datasets/{dataset}/items", {"rows": rows})

    await page.goto(f"/dataset?id={dataset}&tab=conflicts")
    await page.get_by_role("button", name="Scan for conflicts").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("38 items")
    await dialog.get_by_label("Conflicts for the language model").fill("5")
    await expect(dialog).to_contain_text("No language model is configured")
    await dialog.get_by_role("button", name="Start").click()
    await expect(page.get_by_role("heading", name="Quality scan")).to_be_visible()
    await expect(page.get_by_test_id("job-state")).to_have_text("Done", timeout=90_000)
    await expect(page.get_by_role("region", name="Conflicts that stand")).to_contain_text("Neighbours say otherwise1")
    await page.get_by_role("link", name="To the dataset").click()
    await page.get_by_role("tab", name="Conflicts").click()

    table = page.get_by_role("table", name="Conflicts")
    await table.get_by_role("button", name="I want my money back, order 77").first.click()
    sheet = page.get_by_role("dialog")
    await expect(sheet.get_by_role("region", name="Evidence")).to_contain_text("I want my money back")
    await expect(sheet).to_contain_text("no language model has judged it")
    await sheet.get_by_role("button", name="Relabel refund").click()
    await expect(sheet).to_be_hidden()
    await expect(table.get_by_text("I want my money back, order 77")).to_have_count(0)
    [item] = [item for item in await api.items(dataset) if "order 77" in item["text"]]
    assert item["annotation"]["payload"] == {"labels": ["refund"]}
