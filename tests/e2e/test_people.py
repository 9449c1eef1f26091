"""People come and go in the browser: invited, joined, given another role, measured, removed."""

from __future__ import annotations

import re

import httpx
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


async def test_who_has_an_account_signs_in_to_join(browser: Browser, served: Served, api: Api) -> None:
    first = await api.dataset("First crew", ["yes", "no"], ["A text."])
    second = await api.dataset("Second crew", ["yes", "no"], ["A text."])
    links = [
        (await api.post(f"/v1/datasets/{d}/invitations", {"email": "eve@example.org", "role": "annotator"}))["url"]
        for d in (first, second)
    ]
    async with httpx.AsyncClient(base_url=served.address, timeout=30) as http:
        body = {"token": links[0].rpartition("=")[2], "name": "Eve", "password": "correct horse battery"}
        assert (await http.post("/v1/invitations/accept", json=body)).status_code == 200
    context = await browser.new_context(base_url=served.address)
    context.set_default_timeout(15_000)
    guest = await context.new_page()
    await guest.goto(links[1])
    await expect(guest.get_by_text("You have an account here")).to_be_visible()
    await expect(guest.get_by_label("Email")).to_have_value("eve@example.org")
    await guest.get_by_label("Password").fill("correct horse battery")
    await guest.get_by_role("button", name="Sign in").click()
    await guest.get_by_role("button", name="Join as eve@example.org").click()
    await expect(guest.get_by_role("heading", name="Second crew")).to_be_visible()
    await context.close()


async def test_invitation_is_withdrawn(page: Page, api: Api) -> None:
    dataset = await api.dataset("Withdrawn", ["yes", "no"], ["A text."])
    await api.post(f"/v1/datasets/{dataset}/invitations", {"email": "ann@example.org", "role": "admin"})
    await page.goto(f"/dataset?id={dataset}&tab=people")
    await page.get_by_role("button", name="Withdraw the invitation of ann@example.org").click()
    await expect(page.get_by_role("list", name="Invited")).to_have_count(0)
    (made,) = await api.get(f"/v1/datasets/{dataset}/invitations")
    assert made["state"] == "revoked"


async def test_program_gets_a_token_that_is_replaced_and_revoked(served: Served, page: Page, api: Api) -> None:
    dataset = await api.dataset("Programs", ["yes", "no"], ["A text."])
    await page.goto(f"/dataset?id={dataset}&tab=people")
    await page.get_by_role("button", name="New token").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill("nightly import")
    await dialog.get_by_role("button", name="Make the token").click()
    first = await dialog.get_by_label("Token").input_value()
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Replace the token of nightly import").click()
    second = await page.get_by_role("region", name="Service tokens").get_by_label("Token", exact=True).input_value()
    page.on("dialog", lambda asked: asked.accept())
    await page.get_by_role("button", name=f"Revoke the token lc_…{first[-4:]}").click()
    await expect(page.get_by_role("button", name=re.compile("^Revoke the token"))).to_have_count(1)
    found = {}
    for token in (first, second):
        async with httpx.AsyncClient(base_url=served.address, headers={"Authorization": f"Bearer {token}"}) as program:
            found[token] = (await program.get(f"/v1/datasets/{dataset}/items")).status_code
    assert found == {first: 401, second: 200}


async def test_people_are_ranked_by_a_rate_only_where_it_is_not_chance(served: Served, page: Page, api: Api) -> None:
    dataset = await api.dataset("Ranks", ["yes", "no"], [f"Question {n}." for n in range(1, 41)])
    await api.patch(f"/v1/datasets/{dataset}", {"settings": {"overlap": 4}})
    for name, wrong in (("Ann", 1), ("Ben", 3), ("Cleo", 2), ("Dan", 30)):
        invited = {"email": f"{name}@example.org", "role": "annotator"}
        link = (await api.post(f"/v1/datasets/{dataset}/invitations", invited))["url"]
        async with httpx.AsyncClient(base_url=served.address, timeout=30) as http:
            body = {"token": link.rpartition("=")[2], "name": name}
            joined = (await http.post("/v1/invitations/accept", json=body)).json()
            http.headers["Authorization"] = f"Bearer {joined['access_token']}"
            claims = (await http.post(f"/v1/datasets/{dataset}/claim", json={"count": 40})).json()["claims"]
            for n, claim in enumerate(claims):
                answer = {
                    "payload": {"labels": ["no" if n < wrong else "yes"]}, "labelset_version": 1,
                    "lease_id": claim["lease"]["id"], "token": claim["lease"]["token"],
                }  # fmt: skip
                await http.put(f"/v1/items/{claim['item']['id']}/annotation", json=answer)
    await page.goto(f"/dataset?id={dataset}&tab=people")
    rows = page.get_by_role("table", name="Quality of people").locator("tbody tr")
    await expect(rows).to_have_text([re.compile(name) for name in ("Ann", "Ben", "Cleo", "Dan")])
    await page.get_by_label("Order").select_option("consensus")
    await expect(page.get_by_text("By this rate there are 2 groups")).to_be_visible()
    await expect(rows).to_have_text([re.compile(name) for name in ("Ann", "Ben", "Cleo", "Dan")])
    await page.get_by_label("Order").select_option("gold")
    await expect(page.get_by_text("Nothing is measured by this yet.")).to_be_visible()
