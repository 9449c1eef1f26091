"""Chats in the database: a history for each person and item, and finding an item by how people call it."""

from __future__ import annotations

import pytest

from schemas.guidance import ChatHistory
from store.rpc import Rpc
from tests.support.teams import Team, refusal


async def team_of(rpc: Rpc) -> Team:
    return await Team.of(rpc, items=2, blind_share=0)


async def test_history_is_of_one_person_and_one_item_oldest_first(rpc: Rpc) -> None:
    team = await team_of(rpc)
    [one, two] = [item["id"] for item in await team.items()]
    other = await team.member()
    await team.call("add_chat_message", role="user", content="first", item=one)
    data = {"proposals": [], "items": [], "lines": [], "tools": [], "model": "", "usage": {}, "ended": "done"}
    await team.call("add_chat_message", role="assistant", content="second", item=one, data=data)
    await team.call("add_chat_message", role="user", content="elsewhere", item=two)
    await team.call("add_chat_message", role="user", content="whole")
    await team.call("add_chat_message", other, role="user", content="mine", item=one)
    history = await team.call("list_chat_messages", item=one)
    ChatHistory.model_validate(history)
    assert [(m["role"], m["content"]) for m in history["messages"]] == [("user", "first"), ("assistant", "second")]
    assert [m["content"] for m in (await team.call("list_chat_messages"))["messages"]] == ["whole"]
    assert [m["content"] for m in (await team.call("list_chat_messages", other, item=one))["messages"]] == ["mine"]
    basis = await team.call("begin_chat", question="and now?", item=one)
    assert [m["content"] for m in basis["messages"]] == ["first", "second"]
    assert (basis["item"]["id"], basis["dataset"]["id"]) == (one, team.dataset)
    assert (basis["question"]["content"], basis["question"]["role"]) == ("and now?", "user")


async def test_pages_go_back_in_time(rpc: Rpc) -> None:
    team = await team_of(rpc)
    for n in range(5):
        await team.call("add_chat_message", role="user", content=str(n))
    page = await team.call("list_chat_messages", limit=2)
    assert [m["content"] for m in page["messages"]] == ["3", "4"]
    page = await team.call("list_chat_messages", limit=3, before=page["next"])
    assert ([m["content"] for m in page["messages"]], page["next"]) == (["0", "1", "2"], page["next"])
    assert (await team.call("list_chat_messages", limit=3, before=page["next"]))["messages"] == []


async def test_deleting_forgets_ones_own_thread_only(rpc: Rpc) -> None:
    team = await team_of(rpc)
    [one, _] = [item["id"] for item in await team.items()]
    other = await team.member()
    for actor in (team.admin, other):
        await team.call("add_chat_message", actor, role="user", content="hello", item=one)
    await team.call("add_chat_message", role="user", content="whole")
    assert await team.call("delete_chat_messages", item=one) == 1
    assert len((await team.call("list_chat_messages"))["messages"]) == 1
    assert len((await team.call("list_chat_messages", other, item=one))["messages"]) == 1


async def test_items_of_other_datasets_and_strangers_are_refused_with_not_found(rpc: Rpc) -> None:
    team, elsewhere = await team_of(rpc), await team_of(rpc)
    [item, _] = await elsewhere.items()
    await refusal(team.call("begin_chat", question="x", item=item["id"]), "not-found")
    await refusal(team.call("add_chat_message", role="user", content="x", item=item["id"]), "not-found")
    await refusal(team.call("list_chat_messages", elsewhere.admin), "not-found")
    await refusal(team.call("find_item", name=item["id"]), "not-found")
    await refusal(team.call("add_chat_message", role="system", content="x"), "invalid")


async def test_an_item_is_found_by_id_number_or_external_id(rpc: Rpc) -> None:
    team = await team_of(rpc)
    [item] = await team.add("named", external_id="order 7")
    seq = (await team.item(item))["seq"]
    for name in (item, f"#{seq}", str(seq), "order 7", " order 7 "):
        assert (await team.call("find_item", name=name))["item"]["id"] == item


@pytest.mark.parametrize("name", ["", "#", "#0", "no such", "#99999999999999999999", "'; drop table items"])
async def test_an_unknown_name_is_refused_with_not_found(pg_rpc: Rpc, name: str) -> None:
    team = await team_of(pg_rpc)
    await refusal(team.call("find_item", name=name), "not-found")
