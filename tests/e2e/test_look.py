"""How every page looks, in light and dark and on a telephone: drawn, within its width, and free of errors."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.e2e.conftest import Api

LIGHT_AND_DARK = [("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360)]


@pytest.mark.parametrize(("scheme", "width"), LIGHT_AND_DARK)
async def test_every_page_is_drawn_within_its_width(page: Page, api: Api, scheme: str, width: int) -> None:
    name = f"Look {scheme} {width}"
    text = f"A text with one{'very' * 20}longword that fits no telephone, and two\n\nparagraphs."
    dataset = await api.dataset(
        name, [f"class number {n}" for n in range(1, 15)], [text], drafts=[{"labels": ["class number 3"]}]
    )
    job = await api.post(f"/v1/datasets/{dataset}/jobs", {"kind": "embed"})
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    await page.set_viewport_size({"width": width, "height": 740})
    places = {
        "/": page.get_by_role("link", name=name, exact=True),
        f"/dataset?id={dataset}": page.get_by_role("table", name="Items"),
        f"/dataset?id={dataset}&tab=labels": page.get_by_text("Version 1"),
        f"/dataset?id={dataset}&tab=metrics": page.get_by_role("heading", name="Over time"),
        f"/job?id={job['id']}": page.get_by_role("heading", name="Embed the texts"),
        f"/annotate?dataset={dataset}": page.get_by_test_id("draft"),
        "/login": page.get_by_role("heading", name="Sign in to LabelCrew"),
    }
    for path, landmark in places.items():
        await page.goto(path)
        await expect(landmark.first).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert await _is_dark(page) == (scheme == "dark"), path
        assert len(await page.screenshot()) > 5_000, path


async def _is_dark(page: Page) -> bool:
    drawn = """() => {
        const canvas = Object.assign(document.createElement("canvas"), {width: 1, height: 1}).getContext("2d");
        canvas.fillStyle = getComputedStyle(document.body).backgroundColor;
        canvas.fillRect(0, 0, 1, 1);
        return canvas.getImageData(0, 0, 1, 1).data[0];
    }"""
    return int(await page.evaluate(drawn)) < 128


async def test_choosing_dark_holds_against_the_system_and_over_a_reload(page: Page) -> None:
    await page.goto("/")
    await page.get_by_role("button", name="Light or dark").click()
    await page.get_by_role("menuitemradio", name="Dark").click()
    assert await _is_dark(page)
    await page.reload()
    await expect(page.get_by_role("button", name="Light or dark")).to_be_visible()
    assert await _is_dark(page)


async def test_every_control_has_a_name_and_the_focus_can_be_seen(page: Page, api: Api) -> None:
    dataset = await api.dataset("Names", ["yes", "no"], ["Is it?"], drafts=[{"labels": ["yes"]}])
    for path in ("/", f"/dataset?id={dataset}", f"/annotate?dataset={dataset}"):
        await page.goto(path)
        await expect(page.get_by_role("button").first).to_be_visible()
        await page.wait_for_load_state("networkidle")
        nameless = await page.evaluate(
            """() => [...document.querySelectorAll("button, a, input, select, textarea")]
                .filter((e) => e.getClientRects().length > 0)
                .filter((e) => !(e.textContent.trim() || e.getAttribute("aria-label") || e.labels?.length))
                .map((e) => e.outerHTML)"""
        )
        assert nameless == []
        await page.keyboard.press("Tab")
        assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
