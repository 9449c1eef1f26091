"""Webhooks over HTTP."""

from __future__ import annotations

import pytest

from tests.support.gateway import House

KINDS = ["item_verified", "job_failed"]


@pytest.fixture
def allowed(house: House) -> House:
    """A server whose operator allows webhooks to this machine."""
    house.gateway.settings = house.gateway.settings.model_copy(update={"webhook_networks": ["127.0.0.0/8"]})
    return house


async def test_webhook_is_made_changed_and_deleted_and_its_secret_told_once(allowed: House) -> None:
    dataset = await allowed.dataset()
    path = f"/v1/datasets/{dataset}/webhooks"
    made = await allowed.post("admin", path, {"url": "http://127.0.0.1:9/hook", "kinds": KINDS})
    assert made.status_code == 201
    assert made.json()["secret"].startswith("whsec_")
    where = {"webhook": made.json()["id"]}
    [listed] = (await allowed.get("admin", path)).json()
    assert "secret" not in listed
    changed = (await allowed.ask("admin", "PATCH", path, params=where, json={"active": False})).json()
    assert (changed["active"], changed["kinds"], changed["secret"]) == (False, KINDS, None)
    rotated = (await allowed.ask("admin", "PATCH", path, params=where, json={"rotate": True})).json()["secret"]
    assert rotated not in {None, made.json()["secret"]}
    assert (await allowed.get("admin", f"{path}/deliveries", params=where)).json() == []
    assert (await allowed.ask("admin", "POST", f"{path}/replay", params=where)).json() == {"replayed": 0}
    assert (await allowed.ask("admin", "DELETE", path, params=where)).status_code == 204
    assert (await allowed.get("admin", path)).json() == []


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "https://localhost/", "https://169.254.169.254/latest"])
async def test_private_addresses_are_refused(house: House, url: str) -> None:
    dataset = await house.dataset()
    refused = await house.post("admin", f"/v1/datasets/{dataset}/webhooks", {"url": url, "kinds": KINDS})
    assert (refused.status_code, refused.json()["code"]) == (422, "webhook-address")


async def test_unknown_kinds_are_refused(allowed: House) -> None:
    dataset = await allowed.dataset()
    body = {"url": "http://127.0.0.1/", "kinds": ["everything"]}
    assert (await allowed.post("admin", f"/v1/datasets/{dataset}/webhooks", body)).status_code == 422
