"""The embedded Postgres as several processes live through it: first come, last to leave, killed, in the way."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from schemas.errors import ConfigurationError
from schemas.settings import Settings
from store import open_store
from store.embedded import DATABASE, DBOS_DATABASE, EmbeddedPostgres, server_pid
from store.embedded_host import SOCKET_PATH_LIMIT
from store.migrate import expected_version

FAST = {"fsync": "off", "shared_buffers": "32MB"}
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(short_tmp: Path) -> Iterator[Path]:
    """A data folder whose cluster exists and does not run."""
    folder = short_tmp / "emb"
    embedded = EmbeddedPostgres(folder, conf=FAST)
    embedded.start()
    embedded.stop()
    yield folder
    last = EmbeddedPostgres.attach(folder)
    if last is not None:
        last.stop()


def is_up(folder: Path) -> bool:
    """Whether Postgres answers on this folder."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(folder / "postgres" / ".s.PGSQL.5432")) == 0


class Process:
    """Another process of ours that holds the database of ``folder`` until told to leave."""

    def __init__(self, folder: Path, *, exclusive: bool = False) -> None:
        script = f"""
            import sys
            from pathlib import Path
            from store.embedded import EmbeddedPostgres
            embedded = EmbeddedPostgres(Path({str(folder)!r}), exclusive={exclusive}, conf={FAST!r})
            embedded.start()
            print("ready", flush=True)
            sys.stdin.readline()
        """
        self._process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        while (line := self._process.stdout.readline()) and line.strip() != "ready":
            pass
        assert line.strip() == "ready"

    @property
    def pid(self) -> int:
        return self._process.pid

    def leave(self) -> None:
        """Let it exit by itself: its exit hook lets go of the database."""
        self._process.communicate("\n", timeout=60)
        assert self._process.returncode == 0

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.communicate(timeout=60)


def test_start_makes_both_databases_and_stop_stops(folder: Path) -> None:
    embedded = EmbeddedPostgres(folder, conf=FAST)
    assert f"/{DATABASE}?" in embedded.start()
    assert embedded.start() == embedded.dsn
    with psycopg.connect(embedded.dsn) as connection:
        names = {name for (name,) in connection.execute("select datname from pg_database").fetchall()}
    assert {DATABASE, DBOS_DATABASE} <= names
    embedded.stop()
    embedded.stop()
    assert not is_up(folder)


def test_fsync_is_on_and_nothing_listens_on_the_network(short_tmp: Path, folder: Path) -> None:
    embedded = EmbeddedPostgres(folder)
    embedded.start()
    with psycopg.connect(embedded.dsn) as connection:
        for setting, value in {
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "listen_addresses": "",
            "jit": "off",
            "data_checksums": "on",
        }.items():
            row = connection.execute("select current_setting(%s)", [setting]).fetchone()
            assert row == (value,), setting
    assert stat.S_IMODE(embedded.pgdata.stat().st_mode) == 0o700
    embedded.stop()


def test_last_process_to_leave_stops_postgres(folder: Path) -> None:
    first = Process(folder)
    second = Process(folder)
    first.leave()
    assert is_up(folder)
    second.leave()
    assert not is_up(folder)


def test_three_processes_that_start_at_once_share_one_postgres(folder: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        processes = list(pool.map(lambda _: Process(folder), range(3)))
    for process in processes:
        assert is_up(folder)
        process.leave()
    assert not is_up(folder)


def test_forked_child_that_exits_leaves_postgres_to_its_parent(folder: Path) -> None:
    embedded = EmbeddedPostgres(folder, conf=FAST)
    embedded.start()
    child = multiprocessing.get_context("fork").Process(target=embedded.stop)
    child.start()
    child.join(30)
    assert child.exitcode == 0
    guest = Process(folder)
    guest.leave()
    assert is_up(folder)
    embedded.stop()
    assert not is_up(folder)


def test_attach_finds_a_running_postgres_and_only_that(folder: Path, tmp_path: Path) -> None:
    assert EmbeddedPostgres.attach(tmp_path / "nothing-here") is None
    assert EmbeddedPostgres.attach(folder) is None
    other = Process(folder)
    attached = EmbeddedPostgres.attach(folder)
    assert attached is not None
    other.leave()
    with psycopg.connect(attached.dsn) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    attached.stop()
    assert not is_up(folder)


def test_second_server_is_refused_with_data_dir_in_use_naming_the_first(folder: Path) -> None:
    server = Process(folder, exclusive=True)
    assert server_pid(folder) == server.pid
    with pytest.raises(ConfigurationError) as caught:
        EmbeddedPostgres(folder, exclusive=True, conf=FAST).start()
    assert caught.value.code == "data-dir-in-use"
    assert str(server.pid) in caught.value.detail
    guest = EmbeddedPostgres(folder, conf=FAST)
    guest.start()
    guest.stop()
    assert is_up(folder)
    server.leave()
    assert server_pid(folder) is None
    assert not is_up(folder)


def test_killed_server_leaves_no_lock_and_its_postgres_is_taken_over(folder: Path) -> None:
    server = Process(folder, exclusive=True)
    server.kill()
    assert server_pid(folder) is None
    assert is_up(folder)
    successor = EmbeddedPostgres(folder, exclusive=True, conf=FAST)
    successor.start()
    assert server_pid(folder) == os.getpid()
    with psycopg.connect(successor.dsn) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    successor.stop()
    assert not is_up(folder)


def test_killed_postgres_recovers_and_what_was_committed_is_there(folder: Path) -> None:
    embedded = EmbeddedPostgres(folder, conf=FAST)
    embedded.start()
    with psycopg.connect(embedded.dsn, autocommit=True) as connection:
        connection.execute("create table kept (n int); ")
        connection.execute("insert into kept values (42)")
    postmaster = int((embedded.pgdata / "postmaster.pid").read_text().splitlines()[0])
    os.kill(postmaster, signal.SIGKILL)
    embedded.stop()
    again = EmbeddedPostgres(folder, conf=FAST)
    again.start()
    with psycopg.connect(again.dsn, autocommit=True) as connection:
        assert connection.execute("select n from kept").fetchone() == (42,)
        connection.execute("drop table kept")
    again.stop()


def test_pid_file_that_names_a_stranger_does_not_stand_in_the_way(folder: Path) -> None:
    (folder / "postgres" / "postmaster.pid").write_text(
        f"{os.getpid()}\n{folder}/postgres\n1700000000\n5432\n{folder}/postgres\n\n 0 0\nready   \n"
    )
    embedded = EmbeddedPostgres(folder, conf=FAST)
    embedded.start()
    with psycopg.connect(embedded.dsn) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    embedded.stop()


def test_data_of_another_postgres_version_is_refused_with_words(folder: Path, short_tmp: Path) -> None:
    other = short_tmp / "old"
    (other / "postgres").mkdir(parents=True)
    (other / "postgres" / "PG_VERSION").write_text("14\n")
    with pytest.raises(ConfigurationError, match="PostgreSQL 14"):
        EmbeddedPostgres(other).start()


def test_path_that_a_shell_would_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="shell"):
        EmbeddedPostgres(tmp_path / "$(reboot)").start()


def test_folder_that_cannot_be_made_is_refused_with_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigurationError, match="cannot be made"):
        EmbeddedPostgres(tmp_path / "file" / "data").start()


def test_long_path_with_spaces_gets_its_socket_elsewhere_and_privately(short_tmp: Path) -> None:
    deep = short_tmp / ("a folder with spaces, 'quotes' and a comma " + "x" * SOCKET_PATH_LIMIT)
    embedded = EmbeddedPostgres(deep, conf=FAST)
    embedded.start()
    with psycopg.connect(embedded.dsn) as connection:
        assert connection.execute("select current_setting('data_directory')").fetchone() == (str(embedded.pgdata),)
        folder = connection.execute("select current_setting('unix_socket_directories')").fetchone()
    assert folder is not None
    socket_dir = Path(str(folder[0]).strip('"'))
    assert socket_dir != embedded.pgdata
    assert stat.S_IMODE(socket_dir.stat().st_mode) == 0o700
    embedded.stop()
    with contextlib.suppress(OSError):
        socket_dir.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as somebody else")
def test_folder_that_only_root_may_enter_is_opened_for_passing_not_for_listing(short_tmp: Path) -> None:
    private = short_tmp / "private"
    private.mkdir(mode=0o700)
    embedded = EmbeddedPostgres(private / "data", conf=FAST)
    embedded.start()
    assert stat.S_IMODE(private.stat().st_mode) == 0o701
    assert embedded.pgdata.stat().st_uid != 0
    embedded.stop()


async def test_open_store_sets_the_embedded_database_up_and_stops_it(folder: Path) -> None:
    settings = Settings(data_dir=folder, database_url=None, supabase_url=None, db_pool_size=2)
    store = await open_store(settings, exclusive=True)
    assert await store.call("get_schema_version") == expected_version()
    assert store.dsn is not None
    assert store.dbos_dsn is not None
    assert DBOS_DATABASE in store.dbos_dsn
    with pytest.raises(ConfigurationError) as caught:
        await open_store(settings, exclusive=True)
    assert caught.value.code == "data-dir-in-use"
    second = await open_store(settings)
    assert await second.call("count_users") == 0
    await second.close()
    with psycopg.connect(store.dsn, autocommit=True) as connection:
        connection.execute("update labelcrew.function_files set checksum = 'of another version' where name = 'base'")
    with pytest.raises(ConfigurationError) as caught:
        await open_store(settings)
    assert caught.value.code == "migrations-pending"
    assert "runs another version" in caught.value.detail
    await store.close()
    assert not is_up(folder)
