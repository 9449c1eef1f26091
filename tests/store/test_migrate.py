"""Bringing databases up to date: once, in order, all or nothing, and never past what the program knows."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Iterator

import psycopg
import pytest
from pydantic import SecretStr

from schemas.errors import REGISTRY, ConfigurationError
from schemas.settings import Settings
from store import migrate as migrating
from store import open_store
from store.migrate import expected_version, migrate, render, status
from store.sqlfiles import SqlFile, function_files, migrations
from tests.support.catalogue import rows, snapshot
from tests.support.database import Cluster


def execute(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement.encode())


@pytest.fixture
def second_database(cluster: Cluster) -> Iterator[str]:
    with cluster.database(f"t_{os.urandom(6).hex()}") as dsn:
        yield dsn


@pytest.fixture
def other_functions(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[SqlFile]]:
    """The function files, to be changed by a test as the next version of the program would."""
    files = list(function_files())
    monkeypatch.setattr(migrating, "function_files", lambda: tuple(files))
    return files


class TestFreshInstall:
    async def test_everything_is_applied_and_the_status_is_current(self, new_database: str) -> None:
        before = await status(new_database)
        assert before.pending == tuple(file.name for file in migrations())
        assert not before.current
        applied = await migrate(new_database)
        assert applied == [*(file.name for file in migrations()), *sorted(file.name for file in function_files())]
        assert (await status(new_database)).current

    async def test_two_fresh_installations_are_the_same(self, new_database: str, second_database: str) -> None:
        await migrate(new_database)
        await migrate(second_database)
        assert snapshot(new_database) == snapshot(second_database)

    async def test_rendered_script_makes_the_same_database(self, new_database: str, second_database: str) -> None:
        await migrate(new_database)
        execute(second_database, render())
        assert snapshot(second_database) == snapshot(new_database)
        assert (await status(second_database)).current
        assert await migrate(second_database) == []

    async def test_pgvector_is_found_in_whatever_schema_it_is(self, new_database: str) -> None:
        execute(new_database, 'create schema "My Extensions"; create extension vector schema "My Extensions"')
        await migrate(new_database)
        found = rows(
            new_database, "select extnamespace::regnamespace::text as s from pg_extension where extname = 'vector'"
        )
        assert found == [{"s": '"My Extensions"'}]

    async def test_two_processes_at_once_do_it_once(self, new_database: str) -> None:
        first, second = await asyncio.gather(migrate(new_database), migrate(new_database))
        assert sorted([len(first), len(second)])[0] == 0
        assert (await status(new_database)).current


class TestUpgrade:
    async def test_second_run_changes_nothing(self, new_database: str) -> None:
        await migrate(new_database)
        before = snapshot(new_database)
        assert await migrate(new_database) == []
        assert snapshot(new_database) == before

    async def test_upgrade_from_the_first_version_gives_the_same_database(
        self, new_database: str, second_database: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(migrating, "migrations", lambda: migrations()[:1])
            patch.setattr(migrating, "function_files", lambda: ())
            await migrate(new_database)
        await migrate(new_database)
        await migrate(second_database)
        assert snapshot(new_database) == snapshot(second_database)

    async def test_edited_migration_is_refused_and_named(self, new_database: str) -> None:
        await migrate(new_database)
        execute(new_database, "update labelcrew.migrations set checksum = 'other' where version = 1")
        with pytest.raises(ConfigurationError, match="0001_create_base") as caught:
            await migrate(new_database)
        assert "new migration" in caught.value.hint

    async def test_newer_database_is_refused_and_left_alone(self, new_database: str) -> None:
        await migrate(new_database)
        execute(new_database, "insert into labelcrew.migrations values (9999, '9999_future', 'x')")
        before = snapshot(new_database)
        with pytest.raises(ConfigurationError, match="newer") as caught:
            await migrate(new_database)
        assert caught.value.code == "migrations-pending"
        assert snapshot(new_database) == before

    async def test_failing_file_leaves_nothing_behind_and_is_named(
        self, new_database: str, other_functions: list[SqlFile]
    ) -> None:
        await migrate(new_database)
        before = snapshot(new_database)
        other_functions.append(SqlFile("zz_broken", "create table labelcrew.half (n int); select no_such_function();"))
        with pytest.raises(psycopg.Error) as caught:
            await migrate(new_database)
        assert "zz_broken" in "".join(caught.value.__notes__)
        assert snapshot(new_database) == before

    async def test_function_with_a_broken_body_is_refused(
        self, new_database: str, other_functions: list[SqlFile]
    ) -> None:
        other_functions.append(
            SqlFile(
                "zz_broken",
                "create or replace function labelcrew.broken() returns int\n"
                "language sql as $$ select n from labelcrew.no_such_table $$;",
            )
        )
        with pytest.raises(psycopg.errors.UndefinedTable):
            await migrate(new_database)
        assert not rows(new_database, "select 1 from pg_namespace where nspname = 'labelcrew'")

    async def test_functions_that_no_file_defines_any_more_are_dropped(
        self, new_database: str, other_functions: list[SqlFile]
    ) -> None:
        template = (
            "create or replace function {schema}.zz_gone(p_n int) returns jsonb\n"
            "language sql security definer set search_path = '' as $$ select to_jsonb(p_n) $$;\n"
        )
        text = template.format(schema="labelcrew") + template.format(schema="labelcrew_api")
        other_functions.append(SqlFile("zz_next", text))
        await migrate(new_database)
        found = "select p.oid::regprocedure::text as f from pg_proc p where p.proname = 'zz_gone' order by 1"
        assert [row["f"] for row in rows(new_database, found)] == [
            "labelcrew.zz_gone(integer)",
            "labelcrew_api.zz_gone(integer)",
        ]
        other_functions[-1] = dataclasses.replace(other_functions[-1], text=text.replace("int)", "text)"))
        assert await migrate(new_database) == ["zz_next"]
        assert [row["f"] for row in rows(new_database, found)] == [
            "labelcrew.zz_gone(text)",
            "labelcrew_api.zz_gone(text)",
        ]
        other_functions.pop()
        assert await migrate(new_database) == ["zz_next"]
        assert rows(new_database, found) == []
        assert (await status(new_database)).current


class TestRights:
    async def test_account_that_may_not_create_roles_gets_the_sql_for_one_that_may(
        self, cluster: Cluster, new_database: str
    ) -> None:
        name = new_database.split("/")[3].split("?", maxsplit=1)[0]
        admin = cluster.dsn_of("postgres")
        execute(admin, f"create role plain_{name} login")
        execute(admin, f"alter database {name} owner to plain_{name}")
        plain = new_database.replace("postgres@", f"plain_{name}@", 1)
        execute(new_database, "alter role labelcrew_service rename to labelcrew_service_hidden")
        try:
            with pytest.raises(ConfigurationError) as caught:
                await migrate(plain)
            assert "create role labelcrew_service" in caught.value.hint
            assert f"grant labelcrew_service to plain_{name}" in caught.value.hint
            execute(new_database, "alter role labelcrew_service_hidden rename to labelcrew_service")
            for statement in caught.value.hint.split("\n", 1)[1].split(";"):
                if statement.strip() and "create role" not in statement:
                    execute(new_database, statement)
            assert await migrate(plain) != []
            settings = Settings(database_url=SecretStr(plain), supabase_url=None, db_pool_size=1)
            store = await open_store(settings)
            assert await store.call("count_users") == 0
            await store.close()
        finally:
            execute(
                new_database,
                "do $$ begin alter role labelcrew_service_hidden rename to labelcrew_service;"
                " exception when undefined_object then null; end $$",
            )
            execute(admin, f"drop database {name} with (force)")
            execute(admin, f"create database {name}")
            execute(admin, f"revoke labelcrew_service from plain_{name}")
            execute(admin, f"drop role plain_{name}")


class TestOpening:
    async def test_database_of_ones_own_that_is_empty_says_migrations_pending(self, new_database: str) -> None:
        settings = Settings(database_url=SecretStr(new_database), supabase_url=None, db_pool_size=1)
        with pytest.raises(ConfigurationError) as caught:
            await open_store(settings)
        assert caught.value.code == "migrations-pending"
        assert "labelcrew db migrate" in caught.value.hint

    @pytest.mark.parametrize(
        ("change", "word"),
        [
            ("insert into labelcrew.migrations values (9999, '9999_future', 'x')", "newer"),
            ("delete from labelcrew.migrations where version > 1", "this program needs"),
            ("update labelcrew.function_files set checksum = 'x' where name = 'base'", "this program needs"),
        ],
    )
    async def test_database_of_another_version_says_migrations_pending(
        self, new_database: str, change: str, word: str
    ) -> None:
        await migrate(new_database)
        execute(new_database, change)
        settings = Settings(database_url=SecretStr(new_database), supabase_url=None, db_pool_size=1)
        with pytest.raises(ConfigurationError, match=word) as caught:
            await open_store(settings)
        assert caught.value.code == "migrations-pending"

    async def test_supabase_url_opens_the_same_database(self, clean_dsn: str, supabase_url: str) -> None:
        from tests.support import postgrest

        key = SecretStr(postgrest.token("service_role"))
        settings = Settings(supabase_url=supabase_url, supabase_service_role_key=key, database_url=None)
        store = await open_store(settings)
        assert await store.call("get_schema_version") == expected_version()
        assert store.dsn is None
        await store.close()

    async def test_supabase_without_its_key_is_a_configuration_error(self) -> None:
        settings = Settings(supabase_url="http://127.0.0.1:1", supabase_service_role_key=None, database_url=None)
        with pytest.raises(ConfigurationError, match="SUPABASE_SERVICE_ROLE_KEY"):
            await open_store(settings)


def test_migrations_are_numbered_without_a_gap() -> None:
    assert [file.version for file in migrations()] == list(range(1, len(migrations()) + 1))


def test_every_function_statement_is_seen_by_the_bookkeeping() -> None:
    for file in function_files():
        assert file.text.count("create or replace function") == len(file.functions), file.name


def test_every_sqlstate_is_five_characters_and_used_once() -> None:
    states = [entry.sqlstate for entry in REGISTRY.values() if entry.sqlstate]
    assert all(len(state) == 5 and state.startswith("LC") for state in states)
    assert len(set(states)) == len(states)
