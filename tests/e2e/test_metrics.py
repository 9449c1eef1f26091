"""The numbers of a dataset at work, in the browser: rates, models, people, drift, and what happened."""

from __future__ import annotations

from playwright.async_api import Page, expect

from tests.e2e.conftest import Api


async def test_work_shows_in_the_metrics_and_drift_can_be_watched(page: Page, api: Api) -> None:
    texts = [f"a review of order {n}" for n in range(60)]
    dataset = await api.dataset("Measured", ["good", "bad"], texts, drafts=[{"labels": ["good"]}] * 60)
    for item in (await api.items(dataset))[:4]:
        body = {"payload": {"labels": ["bad"]}, "labelset_version": 1, "lead_time_ms": 3000}
        await api.put(f"/v1/items/{item['id']}/annotation", body)

    await page.goto(f"/dataset?id={dataset}")
    await page.get_by_role("tab", name="Metrics").click()
    glance = page.get_by_role("region", name="At a glance")
    await expect(glance).to_contain_text("of 60 items")
    await expect(glance).to_contain_text("100\u202f%")
    row = page.get_by_role("table", name="Models").get_by_role("row").nth(1)
    await expect(row).to_contain_text("teacher")
    await expect(row).to_contain_text("60")
    await expect(page.get_by_role("table", name="Work of people")).to_contain_text("4")
    await expect(page.get_by_role("img", name="Answers: 4 answers in 1 point")).to_be_visible()
    await expect(page.get_by_role("region", name="What happened")).to_contain_text("item submitted")

    drift = page.get_by_role("region", name="Drift")
    await drift.get_by_role("button", name="Watch for drift").click()
    await expect(drift).to_contain_text("30 items are the reference")
