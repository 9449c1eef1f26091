"""`labelcrew audit`, as it is typed."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

import cli.opening
from cli.main import app
from jobs.sealing import seal
from schemas.settings import Settings
from store.rpc import Rpc
from tests.support.people import new_user
from tests.support.teams import Team


@pytest.fixture
def command(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """The command over the session's database."""
    monkeypatch.setattr(cli.opening, "settings", lambda: settings)
    return CliRunner()


async def run(command: CliRunner, *words: str) -> tuple[int, str]:
    """Its exit status and what it printed, run beside the test's own loop."""
    import asyncio

    done = await asyncio.to_thread(command.invoke, app, ["audit", *words])
    return done.exit_code, done.output.replace("\n", " ")


async def test_verify_names_the_first_broken_event_and_ends_with_status_1(
    pg_rpc: Rpc, clean_dsn: str, command: CliRunner, tmp_path: Path
) -> None:
    await new_user(pg_rpc, "owner")
    team = await Team.of(pg_rpc, items=2)
    await seal(pg_rpc)
    status, words = await run(command, "verify")
    assert (status, "accounts: whole" in words) == (0, True)
    file = tmp_path / "log.ndjson"
    status, words = await run(command, "export", team.dataset, "--out", str(file))
    assert status == 0, words
    status, words = await run(command, "verify", "--file", str(file))
    assert (status, words.startswith("whole: 3 events under 1 seals; head ")) == (0, True), words
    head = words.split("head ")[1].strip()
    assert (await run(command, "verify", team.dataset, "--expect", head))[0] == 0
    assert (await run(command, "verify", "--file", str(file), "--expect", "0" * 64))[0] == 1
    event = (await team.call("list_events"))[1]["id"]
    with psycopg.connect(clean_dsn, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute("update labelcrew.events set kind = 'x' where id = %s", [event])
    status, words = await run(command, "verify", team.dataset)
    assert status == 1
    assert f"broken at event {event}, which was changed (seal 1)" in words
