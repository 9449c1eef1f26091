"""The audit log's chain over HTTP."""

from __future__ import annotations

from formats.audit import check_export
from jobs.sealing import seal
from tests.support.gateway import House


async def test_state_check_and_export_agree(house: House) -> None:
    dataset = await house.dataset()
    await seal(house.rpc)
    state = (await house.get("admin", f"/v1/datasets/{dataset}/audit")).json()
    assert (state["seals"], state["unsealed"]) == (1, 0)
    found = (await house.get("admin", f"/v1/datasets/{dataset}/audit/check")).json()
    assert (found["broken"], found["events"], found["head"]) == (None, state["sealed"], state["head"])
    exported = await house.get("admin", f"/v1/datasets/{dataset}/audit/export")
    assert exported.headers["content-type"] == "application/x-ndjson"
    checked = check_export(exported.content.splitlines())
    assert (checked.broken, checked.head, checked.events) == (None, state["head"], state["sealed"])


async def test_event_names_the_request_that_caused_it(house: House) -> None:
    dataset = await house.dataset()
    answer = await house.ask(
        "admin", "PATCH", f"/v1/datasets/{dataset}", json={"name": "Other"}, headers={"X-Request-ID": "from-a-client"}
    )
    assert answer.headers["x-request-id"] == "from-a-client"
    events = await house.rpc.call("list_events", actor=house.people["admin"].id, dataset=dataset)
    assert events[-1]["request_id"] == "from-a-client"
    assert all(event["request_id"] for event in events)
