"""`labelcrew user`, as it is typed: links to the running server, accounts listed, switched off and on."""

from __future__ import annotations

import asyncio

import pytest
from typer.testing import CliRunner

import cli.opening
from api.bootstrap import noted_address
from cli.main import app
from schemas.settings import Settings
from store.rpc import Rpc
from tests.support.people import new_user
from tests.support.teams import Team, refusal


@pytest.fixture
def command(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """The command over the session's database."""
    monkeypatch.setattr(cli.opening, "settings", lambda: settings)
    return CliRunner()


async def run(command: CliRunner, *words: str) -> tuple[int, str]:
    """Its exit status and what it printed, run beside the test's own loop."""
    done = await asyncio.to_thread(command.invoke, app, ["user", *words])
    return done.exit_code, done.output.replace("\n", " ")


async def test_link_leads_to_the_server_that_runs_on_the_data_folder(
    pg_rpc: Rpc, command: CliRunner, settings: Settings
) -> None:
    await pg_rpc.call("create_user", email="ada@example.org", name="Ada")
    with noted_address(settings.model_copy(update={"port": 8123})):
        status, words = await run(command, "link", "ada@example.org")
    assert status == 0, words
    assert words.startswith("http://127.0.0.1:8123/login/#token=")


async def test_account_is_listed_switched_off_and_on_again(pg_rpc: Rpc, command: CliRunner) -> None:
    await new_user(pg_rpc, "owner")
    team = await Team.of(pg_rpc, items=2)
    leaving = await pg_rpc.call("create_user", email="leaving@example.org", name="Leaving")
    await team.call("add_member", email="leaving@example.org", role="annotator")
    await team.claim(leaving["id"], 2)
    status, words = await run(command, "deactivate", "leaving@example.org")
    assert (status, "2 items back in the queue" in words) == (0, True), words
    status, words = await run(command, "list")
    assert (status, "switched off" in words, "owner" in words) == (0, True, True), words
    await refusal(pg_rpc.call("get_user", actor=leaving["id"]), "user-inactive")
    status, words = await run(command, "reactivate", "leaving@example.org")
    assert status == 0, words
    assert (await pg_rpc.call("get_user", actor=leaving["id"]))["active"]


async def test_unknown_email_is_refused_with_not_found(pg_rpc: Rpc, command: CliRunner) -> None:
    await new_user(pg_rpc, "owner")
    done = await asyncio.to_thread(command.invoke, app, ["user", "deactivate", "nobody@example.org"])
    assert getattr(done.exception, "code", None) == "not-found"
