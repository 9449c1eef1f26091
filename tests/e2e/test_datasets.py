"""From an empty server to labels in a file, in the browser: create, import, pre-label, look, export."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.async_api import Browser, Page, expect

from tests.e2e.conftest import Api, Served

REVIEWS = """id,text,stars
r1,"Lovely tent, it stood in the storm.",5
r2,"The zip broke on the first night, and nobody answers.",1
r3,"Light and warm. Would buy it again!",5
r4,,3
r5,"Arrived late and wet, the box was torn.",1
"""


async def test_sign_in_link_works_once_and_says_so(
    browser: Browser, served: Served, signed_in: object, page: Page
) -> None:
    context = await browser.new_context()
    stranger = await context.new_page()
    await stranger.goto(served.address)
    await stranger.wait_for_url("**/login?next=*")
    await stranger.goto("about:blank")
    await stranger.goto(served.link)
    await expect(stranger.locator("main").get_by_role("alert").first).to_contain_text("link was used or has expired")
    await stranger.get_by_label("Email").fill("admin@localhost")
    await stranger.get_by_label("Password").fill("not the password")
    await stranger.get_by_role("button", name="Sign in").click()
    await expect(stranger.locator("main").get_by_role("alert").last).to_contain_text("Email or password is wrong")
    await context.close()


async def test_a_dataset_is_created_filled_drafted_and_exported(page: Page, api: Api, tmp_path: Path) -> None:
    file = tmp_path / "reviews.csv"
    file.write_text(REVIEWS)

    await page.goto("/")
    await page.get_by_role("button", name="New dataset").click()
    await page.get_by_label("Name").fill("Tent reviews")
    await page.get_by_label("Classes").fill("positive: the writer is content\nnegative: the writer is not content\n\n")
    await expect(page.get_by_text("2 classes", exact=True)).to_be_visible()
    await page.get_by_role("button", name="Create dataset").click()
    await expect(page.get_by_role("heading", name="Tent reviews")).to_be_visible()

    await page.get_by_role("button", name="Import").click()
    await page.get_by_label("File", exact=True).set_input_files(file)
    await expect(page.get_by_label("Text column")).to_have_value("text")
    await expect(page.get_by_label("Id column")).to_have_value("id")
    await page.get_by_role("dialog").get_by_role("button", name="Import").click()
    await expect(page.get_by_role("heading", name="Import of reviews.csv")).to_be_visible()
    await expect(page.get_by_test_id("job-state")).to_have_text("Done", timeout=60_000)
    await expect(page.get_by_role("region", name="Rows", exact=True)).to_contain_text("New items4")
    await expect(page.get_by_role("region", name="Rows not taken")).to_contain_text("5")

    await page.get_by_role("link", name="To the dataset").click()
    await page.get_by_role("button", name="Pre-label").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_label("Model")).to_have_value("local/minilm-l6")
    await expect(dialog.locator("dl")).to_contain_text("Items4")
    await expect(dialog.locator("dl")).to_contain_text("$0.00")
    await dialog.get_by_role("button", name="Start").click()
    await expect(page.get_by_role("heading", name="Pre-label with local/minilm-l6")).to_be_visible()
    await expect(page.get_by_test_id("job-state")).to_have_text("Done", timeout=90_000)
    await expect(page.get_by_text("4 of 4 done")).to_be_visible()

    await page.get_by_role("link", name="To the dataset").click()
    await expect(page.get_by_role("button", name=re.compile(r"Drafted\s*4"))).to_be_visible()
    await page.get_by_role("button", name="Export").click()
    await page.get_by_label("Format").select_option("csv")
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Download").click()
    saved = tmp_path / "out.csv"
    await (await download.value).save_as(saved)
    assert "Light and warm" in saved.read_text()

    (dataset,) = [d for d in await api.get("/v1/datasets") if d["name"] == "Tent reviews"]
    assert dataset["states"]["drafted"] == 4
    assert {item["external_id"] for item in await api.items(dataset["id"])} == {"r1", "r2", "r3", "r5"}


async def test_items_are_found_by_state_label_and_words_and_open_beside_the_list(page: Page, api: Api) -> None:
    texts = [f"Parcel {n} is late." for n in range(60)] + ["The lamp glows green."]
    dataset = await api.dataset("Find", ["late", "other"], texts, drafts=[{"labels": ["late"]}] * 60)
    await page.goto(f"/dataset?id={dataset}")
    rows = page.get_by_role("table", name="Items").locator("tbody tr")
    await expect(rows).to_have_count(50)
    await page.get_by_role("button", name="Show more").click()
    await expect(rows).to_have_count(61)
    await page.get_by_label("Search in the texts").fill("lamp")
    await expect(rows).to_have_count(1)
    await page.get_by_label("Search in the texts").fill("")
    await page.get_by_role("button", name=re.compile(r"New\s*1")).click()
    await expect(rows).to_have_count(1)
    await page.get_by_role("button", name="Show all").click()
    await page.get_by_label("Label", exact=True).select_option("other")
    await expect(page.get_by_text("No item fits")).to_be_visible()
    await page.get_by_label("Label", exact=True).select_option("late")
    await expect(rows).to_have_count(50)
    await rows.first.get_by_role("button").press("Enter")
    sheet = page.get_by_role("dialog")
    await expect(sheet).to_contain_text("Parcel 0 is late.")
    await expect(sheet).to_contain_text("The text says so.")
    await sheet.get_by_role("link", name="Answer it").click()
    await expect(page.get_by_test_id("text")).to_have_text("Parcel 0 is late.")
    await page.keyboard.press("a")
    await expect(page.get_by_test_id("sync")).to_have_attribute("data-state", "saved")
    (found,) = await api.items(dataset, q="Parcel 0")
    assert found["state"] == "verified"


async def test_classes_can_be_renamed_added_and_retired(page: Page, api: Api) -> None:
    dataset = await api.dataset("Classes", ["one", "two"], ["Some text."])
    await page.goto(f"/dataset?id={dataset}&tab=labels")
    await page.get_by_role("button", name="Edit").click()
    await page.get_by_label("Name of class 1").fill("first")
    await page.get_by_role("button", name="Retire two").click()
    await page.get_by_role("button", name="Add a class").click()
    await page.get_by_label("Name of class 2").fill("third")
    await page.get_by_role("button", name="Save as a new version").click()
    await expect(page.get_by_text("Version 2")).to_be_visible()
    classes = (await api.get(f"/v1/datasets/{dataset}"))["labelset"]["classes"]
    assert [(c["key"], c["name"], c["retired"]) for c in classes] == [
        ("one", "first", False),
        ("third", "third", False),
        ("two", "two", True),
    ]


async def test_a_running_job_is_followed_live_paused_resumed_and_cancelled(page: Page, api: Api) -> None:
    texts = [f"Item {n}: " + "a rather long story about a tent in the rain, " * 20 for n in range(300)]
    dataset = await api.dataset("Jobs", ["tent", "rain"], texts)
    job = await api.post(f"/v1/datasets/{dataset}/jobs", {"kind": "prelabel"})
    state = page.get_by_test_id("job-state")
    await page.goto(f"/job?id={job['id']}")
    await expect(state).to_have_text("Running", timeout=60_000)
    await page.get_by_role("button", name="Pause").click()
    await expect(state).to_have_text("Paused")
    await page.get_by_role("button", name="Resume").click()
    await expect(page.get_by_role("button", name="Pause")).to_be_visible()
    await page.goto(f"/dataset?id={dataset}")
    await page.get_by_role("listitem").get_by_role("link", name="Pre-label").click()
    await page.get_by_role("button", name="Cancel").click()
    await expect(state).to_have_text("Cancelled")
    assert (await api.get(f"/v1/jobs/{job['id']}"))["state"] == "cancelled"
