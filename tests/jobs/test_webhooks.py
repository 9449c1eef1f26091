"""Webhooks from what happens to what arrives: everything once, whatever fails on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from integrations.webhooks import new_secret, verify
from jobs.webhooks import WAITS_S, deliver
from schemas.settings import Settings
from store.rpc import Rpc
from tests.support import receiver as receiving
from tests.support.database import Clock
from tests.support.receiver import Receiver
from tests.support.teams import Team, refusal


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving.running() as server:
        yield server


@pytest.fixture
def configured(settings: Settings) -> Settings:
    return settings.model_copy(update={"webhook_networks": ["127.0.0.0/8"]})


async def listening(rpc: Rpc, receiver: Receiver, *kinds: str, items: int = 2) -> tuple[Team, dict[str, Any]]:
    """A dataset with a webhook."""
    team = await Team.of(rpc, items=items)
    hook = await team.call(
        "create_webhook", url=receiver.url, kinds=list(kinds or ("item_submitted",)), secret=new_secret()
    )
    return team, hook


async def work(team: Team) -> None:
    annotator = await team.member()
    [claim] = await team.claim(annotator)
    await team.submit(annotator, claim)


async def states(team: Team, hook: dict[str, Any]) -> list[str]:
    found = await team.call("list_deliveries", webhook=hook["id"])
    return [delivery["state"] for delivery in found]


async def test_what_happens_is_told_once_and_signed(rpc: Rpc, receiver: Receiver, configured: Settings) -> None:
    team, hook = await listening(rpc, receiver)
    await work(team)
    await work(team)
    assert await deliver(rpc, configured) == 2
    assert await deliver(rpc, configured) == 0
    assert [body["type"] for body in receiver.bodies] == ["item_submitted"] * 2
    assert {body["data"]["subject_id"] for body in receiver.bodies} == {item["id"] for item in await team.items()}
    assert all(verify(hook["secret"], headers, body) for headers, body in receiver.messages)
    assert len({headers["webhook-id"] for headers, _ in receiver.messages}) == 2
    assert await states(team, hook) == ["delivered", "delivered"]


async def test_only_the_kinds_that_were_asked_for_and_nothing_from_before(
    pg_rpc: Rpc, receiver: Receiver, configured: Settings
) -> None:
    team, _ = await listening(pg_rpc, receiver, "items_created", "job_failed")
    await work(team)
    await team.add("one more")
    await deliver(pg_rpc, configured)
    assert [body["type"] for body in receiver.bodies] == ["items_created"]


async def test_other_datasets_are_not_told_of(pg_rpc: Rpc, receiver: Receiver, configured: Settings) -> None:
    await listening(pg_rpc, receiver)
    await work(await Team.of(pg_rpc, items=1))
    assert await deliver(pg_rpc, configured) == 0


async def test_failure_is_tried_again_later_and_later_and_then_given_up(
    pg_rpc: Rpc, receiver: Receiver, configured: Settings, clock: Clock
) -> None:
    team, hook = await listening(pg_rpc, receiver)
    await work(team)
    receiver.statuses = [500] * 30
    assert await deliver(pg_rpc, configured) == 1
    assert await deliver(pg_rpc, configured) == 0
    for wait in WAITS_S:
        clock.advance(seconds=wait * 1.25)
        assert await deliver(pg_rpc, configured) == 1
    clock.advance(days=30)
    assert await deliver(pg_rpc, configured) == 0
    [found] = await team.call("list_deliveries", webhook=hook["id"])
    assert (found["state"], found["attempts"], found["status"]) == ("dead", len(WAITS_S) + 1, 500)
    assert len({headers["webhook-id"] for headers, _ in receiver.messages}) == 1
    receiver.statuses = []
    assert await team.call("replay_deliveries", webhook=hook["id"]) == {"replayed": 1}
    assert await deliver(pg_rpc, configured) == 1
    assert await states(team, hook) == ["delivered"]


async def test_delivered_ones_are_replayed_when_they_are_named(
    pg_rpc: Rpc, receiver: Receiver, configured: Settings
) -> None:
    team, hook = await listening(pg_rpc, receiver)
    await work(team)
    await deliver(pg_rpc, configured)
    [found] = await team.call("list_deliveries", webhook=hook["id"])
    assert await team.call("replay_deliveries", webhook=hook["id"]) == {"replayed": 0}
    assert await team.call("replay_deliveries", webhook=hook["id"], deliveries=[found["id"]]) == {"replayed": 1}
    await deliver(pg_rpc, configured)
    (first, _), (second, _) = receiver.messages
    assert first["webhook-id"] == second["webhook-id"]


async def test_address_that_is_gone_is_switched_off(pg_rpc: Rpc, receiver: Receiver, configured: Settings) -> None:
    team, hook = await listening(pg_rpc, receiver)
    await work(team)
    receiver.statuses = [410]
    await deliver(pg_rpc, configured)
    [found] = await team.call("list_webhooks")
    assert (found["active"], found["dead"], "gone" in found["note"]) == (False, 1, True)
    await work(team)
    assert await deliver(pg_rpc, configured) == 0
    await team.call("update_webhook", webhook=hook["id"], active=True)
    assert await deliver(pg_rpc, configured) == 1


async def test_event_that_commits_late_is_told(
    pg_rpc: Rpc, receiver: Receiver, configured: Settings, clean_dsn: str
) -> None:
    team, _ = await listening(pg_rpc, receiver, "item_submitted", "items_created")
    insert = "insert into labelcrew.events (dataset_id, kind) values (%s, 'item_submitted')"
    with psycopg.connect(clean_dsn) as late:
        late.execute(insert, [team.dataset])
        await team.add("another")
        assert await deliver(pg_rpc, configured) == 0
        late.commit()
    assert await deliver(pg_rpc, configured) == 2
    assert sorted(body["type"] for body in receiver.bodies) == ["item_submitted", "items_created"]


async def test_workers_at_once_send_each_message_once(pg_rpc: Rpc, receiver: Receiver, configured: Settings) -> None:
    team, _ = await listening(pg_rpc, receiver, "items_created", items=0)
    for n in range(30):
        await team.add(f"text {n}")
    sent = await asyncio.gather(*(deliver(pg_rpc, configured, most=7) for _ in range(4)))
    sent.append(await deliver(pg_rpc, configured))
    assert (sum(sent), len(receiver.messages)) == (30, 30)
    assert len({headers["webhook-id"] for headers, _ in receiver.messages}) == 30


async def test_worker_that_died_while_sending_is_taken_over(
    pg_rpc: Rpc, receiver: Receiver, configured: Settings, clock: Clock
) -> None:
    team, _ = await listening(pg_rpc, receiver)
    await work(team)
    await pg_rpc.call("spread_events")
    [taken] = await pg_rpc.call("claim_deliveries")
    assert await deliver(pg_rpc, configured) == 0
    clock.advance(minutes=2)
    assert await deliver(pg_rpc, configured) == 1
    late = await pg_rpc.call("finish_delivery", delivery=taken["id"], attempt=taken["attempt"], state="dead")
    assert late == {"counted": False}


async def test_private_address_is_never_called(pg_rpc: Rpc, receiver: Receiver, settings: Settings) -> None:
    team, hook = await listening(pg_rpc, receiver)
    await work(team)
    assert await deliver(pg_rpc, settings) == 1
    [found] = await team.call("list_deliveries", webhook=hook["id"])
    assert (found["state"], found["error"]) == ("pending", "127.0.0.1 is not a public address")
    assert receiver.messages == []


async def test_only_admins_see_webhooks_and_nobody_sees_the_secret_again(pg_rpc: Rpc, receiver: Receiver) -> None:
    team, hook = await listening(pg_rpc, receiver)
    assert "secret" not in str(await team.call("list_webhooks"))
    reviewer = await team.member("reviewer")
    await refusal(team.call("list_webhooks", reviewer), "forbidden")
    other = await Team.of(pg_rpc)
    await refusal(other.call("delete_webhook", webhook=hook["id"]), "not-found")
    for _ in range(19):
        await team.call("create_webhook", url="https://x/", kinds=["job_failed"], secret=new_secret())
    await refusal(team.call("create_webhook", url="https://x/", kinds=["job_failed"], secret=new_secret()), "too-large")
