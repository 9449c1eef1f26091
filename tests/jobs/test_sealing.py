"""The worker's own loops for the audit log and webhooks: nobody has to ask for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from integrations.webhooks import new_secret
from schemas.settings import Settings
from store.rpc import Rpc
from tests.jobs.conftest import eventually
from tests.support import receiver as receiving
from tests.support.teams import Team


async def test_worker_seals_what_happens_and_tells_of_it(
    pg_rpc: Rpc, settings: Settings, working: Callable[[Settings], Any]
) -> None:
    team = await Team.of(pg_rpc)
    with receiving.running() as receiver:
        await team.call("create_webhook", url=receiver.url, kinds=["items_created"], secret=new_secret())
        await team.add("a text")

        async def done() -> bool:
            state = await team.call("get_audit")
            return state["unsealed"] == 0 and state["seals"] > 0 and len(receiver.messages) == 1

        async with working(settings.model_copy(update={"webhook_networks": ["127.0.0.0/8"]})):
            await eventually(done)
    assert (await team.call("verify_audit"))["broken"] is None
