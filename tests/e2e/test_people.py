"""People come and go in the browser: invited, joined, given another role, measured, removed."""

from __future__ import annotations

import re

from playwright.async_api import Browser, Page, expect

from tests.e2e.conftest import Api, Served


async def test_somebody_is_invited_joins_answers_and_is_seen(
    browser: Browser, served: Served, page: Page, api: Api
) -> None:
    dataset = await api.dataset("Crew", ["yes", "no"], [f"Question {n}." for n in range(1, 4)])
    await page.goto(f"/dataset?id={dataset}&tab=people")
    await page.get_by_role("button", name="Invite", exact=True).click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Email").fill("bo@example.org")
    await dialog.get_by_label("Skills").fill("de, law")
    await dialog.get_by_role("button", name="Make the link").click()
    link = await dialog.get_by_label("Link").input_value()
    assert link.startswith(f"{served.address}/join/#token=")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("list", name="Invited")).to_contain_text("bo@example.org")

    context = await browser.new_context(base_url=served.address)
    context.set_default_timeout(15_000)
    guest = await context.new_page()
    await guest.goto(link)
    await expect(guest.get_by_role("heading", name="Join “Crew”")).to_be_visible()
    assert "token" not in guest.url
    await guest.get_by_label("Name").fill("Bo")
    await guest.get_by_label("Password").fill("correct horse battery")
    await guest.get_by_role("button", name="Make the account and join").click()
    await expect(guest.get_by_role("heading", name="Crew")).to_be_visible()
    await guest.get_by_role("link", name="Annotate").click()
    await expect(guest.get_by_test_id("text")).to_have_text("Question 1.")
    await guest.keyboard.press("1")
    await guest.keyboard.press("Enter")
    await expect(guest.get_by_test_id("text")).to_have_text("Question 2.")
    await expect(guest.get_by_test_id("sync")).to_have_attribute("data-state", "saved")
    await guest.goto(f"/dataset?id={dataset}&tab=people")
    await expect(guest.get_by_role("region", name="Your quality")).to_contain_text("1 answer")
    await expect(guest.get_by_role("region", name="Members")).to_contain_text("Annotator")
    await expect(guest.get_by_role("button", name="Invite", exact=True)).to_have_count(0)
    await guest.goto(link)
    await expect(guest.locator("main").get_by_role("alert")).to_contain_text("was used or withdrawn, or has expired")
    await context.close()

    await page.reload()
    table = page.get_by_role("table", name="Quality of people")
    await expect(table.get_by_role("row", name=re.compile("^Bo"))).to_contain_text("bo@example.org")
    await page.get_by_label("Role of Bo").select_option("reviewer")
    await expect(page.get_by_label("Role of Bo")).to_have_value("reviewer")
    members = {m["name"]: m for m in await api.get(f"/v1/datasets/{dataset}/members")}
    assert (members["Bo"]["role"], members["Bo"]["skills"]) == ("reviewer", ["de", "law"])
    page.on("dialog", lambda asked: asked.accept())
    await page.get_by_role("button", name="Remove Bo").click()
    await expect(page.get_by_label("Role of Bo")).to_have_count(0)
    assert [m["name"] for m in await api.get(f"/v1/datasets/{dataset}/members")] == ["Admin"]


async def test_invitation_is_withdrawn(page: Page, api: Api) -> None:
    dataset = await api.dataset("Withdrawn", ["yes", "no"], ["A text."])
    await api.post(f"/v1/datasets/{dataset}/invitations", {"email": "ann@example.org", "role": "admin"})
    await page.goto(f"/dataset?id={dataset}&tab=people")
    await page.get_by_role("button", name="Withdraw the invitation of ann@example.org").click()
    await expect(page.get_by_role("list", name="Invited")).to_have_count(0)
    (made,) = await api.get(f"/v1/datasets/{dataset}/invitations")
    assert made["state"] == "revoked"
