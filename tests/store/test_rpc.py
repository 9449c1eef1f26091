"""The door itself: what goes in, what comes out, and what is raised, the same over both transports."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import psycopg
import pytest

from schemas.errors import ConfigurationError, Forbidden, Invalid, LabelCrewError, NotFound, Unavailable
from store.migrate import expected_version, migrate
from store.postgres import PostgresRpc
from store.rpc import Rpc
from store.supabase import SupabaseRpc
from tests.support import postgrest
from tests.support.people import new_dataset, new_member, new_user
from tests.support.wire import Wire


class TestCalling:
    async def test_function_returns_decoded_json(self, rpc: Rpc) -> None:
        assert await rpc.call("get_schema_version") == expected_version()

    async def test_scalar_and_null_results_come_back_as_such(self, rpc: Rpc) -> None:
        assert await rpc.call("count_users") == 0
        assert await rpc.call("get_credentials", email="nobody@example.org") is None

    async def test_json_arrays_and_objects_survive_the_way_there_and_back(self, rpc: Rpc) -> None:
        value = {"text": 'quote " back \\ Zürich 🌍 \u2028', "list": [1, 2.5, None, True], "nested": {"a": []}}
        await rpc.call("put_completions", rows=[{"key": "k", "value": value}])
        assert await rpc.call("get_completions", keys=["k", "absent", 'odd,"{}']) == {"k": value}

    async def test_empty_array_is_taken_for_an_array_parameter(self, rpc: Rpc) -> None:
        assert await rpc.call("get_completions", keys=[]) == {}

    async def test_uuid_and_datetime_objects_are_taken(self, rpc: Rpc) -> None:
        id_ = uuid.uuid4()
        user = await rpc.call("create_user", email="a@example.org", name="A", id=id_)
        assert user["id"] == str(id_)
        when = datetime(2030, 1, 2, tzinfo=UTC)
        await rpc.call("put_completions", rows=[{"key": "when", "value": {"at": when, "by": id_}}])
        stored = (await rpc.call("get_completions", keys=["when"]))["when"]
        assert stored == {"at": "2030-01-02T00:00:00+00:00", "by": str(id_)}

    async def test_times_are_utc_with_a_zone(self, rpc: Rpc) -> None:
        user = await rpc.call("create_user", email="a@example.org", name="A")
        assert datetime.fromisoformat(user["created_at"]).utcoffset() == UTC.utcoffset(None)

    async def test_two_hundred_calls_at_once_share_the_pool(self, rpc: Rpc) -> None:
        answers = await asyncio.gather(*(rpc.call("count_users") for _ in range(200)))
        assert set(answers) == {0}


class TestErrors:
    async def test_domain_error_keeps_code_words_hint_and_facts(self, rpc: Rpc) -> None:
        admin = await new_user(rpc)
        dataset = await new_dataset(rpc, admin)
        annotator = await new_member(rpc, admin, dataset, "annotator")
        with pytest.raises(Forbidden) as caught:
            await rpc.call("add_member", actor=annotator, dataset=dataset, email="x@example.org", role="reviewer")
        assert caught.value.code == "forbidden"
        assert caught.value.detail == "this needs the role admin; yours is annotator"
        assert caught.value.data == {"needed": "admin", "role": "annotator"}
        assert "Ask an admin" in caught.value.hint

    async def test_hint_of_the_function_replaces_the_registered_one(self, rpc: Rpc) -> None:
        admin = await new_user(rpc)
        dataset = await new_dataset(rpc, admin)
        with pytest.raises(NotFound) as caught:
            await rpc.call("add_member", actor=admin, dataset=dataset, email="nobody@example.org", role="reviewer")
        assert "sign in once" in caught.value.hint

    async def test_malformed_uuid_is_invalid(self, rpc: Rpc) -> None:
        with pytest.raises(Invalid):
            await rpc.call("get_user", actor="not-a-uuid")

    @pytest.mark.parametrize("text", ["nul \x00", "half a pair \ud800"])
    async def test_text_that_postgres_cannot_hold_is_invalid(self, rpc: Rpc, text: str) -> None:
        with pytest.raises(Invalid):
            await rpc.call("put_completions", rows=[{"key": "k", "value": {"text": text}}])
        with pytest.raises(Invalid):
            await rpc.call("get_credentials", email=text)

    async def test_unknown_function_says_the_database_is_of_another_version(self, rpc: Rpc) -> None:
        with pytest.raises(ConfigurationError) as caught:
            await rpc.call("get_unicorns", colour="white")
        assert caught.value.code == "migrations-pending"
        assert "get_unicorns(colour)" in caught.value.detail

    async def test_unknown_parameter_says_the_database_is_of_another_version(self, rpc: Rpc) -> None:
        with pytest.raises(ConfigurationError) as caught:
            await rpc.call("count_users", colour="white")
        assert caught.value.code == "migrations-pending"

    async def test_name_that_is_sql_is_only_a_name(self, rpc: Rpc) -> None:
        with pytest.raises(ConfigurationError):
            await rpc.call('count_users"; drop schema labelcrew cascade; --')
        with pytest.raises(ConfigurationError):
            await rpc.call("count_users", **{'x"); drop schema labelcrew cascade; --': 1})
        assert await rpc.call("count_users") == 0


SLOW_FUNCTIONS = """
create function labelcrew_api.read_slowly(p_seconds float8) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
begin perform pg_catalog.pg_sleep(p_seconds); return 'true'; end $$;
create table labelcrew.slow_writes (n int);
create function labelcrew_api.count_writes() returns jsonb
language sql stable security definer set search_path = '' as $$
select pg_catalog.to_jsonb(pg_catalog.count(*)) from labelcrew.slow_writes $$;
create function labelcrew_api.write_slowly(p_seconds float8) returns jsonb
language plpgsql volatile security definer set search_path = '' as $$
begin
  insert into labelcrew.slow_writes values (1);
  perform pg_catalog.pg_sleep(p_seconds); return 'true';
end $$;
create sequence labelcrew.tries;
create function labelcrew_api.fail_twice(p_sqlstate text) returns jsonb
language plpgsql volatile security definer set search_path = '' as $$
begin
  if pg_catalog.nextval('labelcrew.tries') <= 2 then
    raise exception 'again' using errcode = p_sqlstate;
  end if;
  return pg_catalog.to_jsonb(pg_catalog.currval('labelcrew.tries'));
end $$;
"""


@pytest.fixture
async def own_rpc(new_database: str) -> AsyncIterator[PostgresRpc]:
    await migrate(new_database)
    async with await psycopg.AsyncConnection.connect(new_database, autocommit=True) as connection:
        await connection.execute(SLOW_FUNCTIONS)
        await connection.execute("grant execute on all functions in schema labelcrew_api to labelcrew_service")
    rpc = await PostgresRpc.open(new_database, pool_size=3)
    yield rpc
    await rpc.close()


async def cut_connections(dsn: str) -> int:
    """End every other connection to the database, as a restart does; returns how many."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        cursor = await connection.execute(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid() and application_name = 'labelcrew'"
        )
        row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


class TestTrouble:
    async def test_pool_survives_the_loss_of_all_idle_connections(
        self, own_rpc: PostgresRpc, new_database: str
    ) -> None:
        await asyncio.gather(*(own_rpc.call("read_slowly", seconds=0.05) for _ in range(3)))
        assert await cut_connections(new_database) >= 1
        await own_rpc.call("create_user", email="a@example.org", name="a")
        assert await own_rpc.call("count_users") == 1

    async def test_read_is_run_again_when_its_connection_is_lost(self, own_rpc: PostgresRpc, new_database: str) -> None:
        reading = asyncio.create_task(own_rpc.call("read_slowly", seconds=0.5))
        await asyncio.sleep(0.2)
        assert await cut_connections(new_database) >= 1
        assert await reading is True

    async def test_write_is_run_again_when_the_server_says_that_it_was_rolled_back(
        self, own_rpc: PostgresRpc, new_database: str
    ) -> None:
        writing = asyncio.create_task(own_rpc.call("write_slowly", seconds=0.5))
        await asyncio.sleep(0.2)
        assert await cut_connections(new_database) >= 1
        assert await writing is True
        assert await own_rpc.call("count_writes") == 1

    async def test_write_is_not_run_again_when_nobody_knows_whether_it_was_committed(
        self, own_rpc: PostgresRpc, new_database: str
    ) -> None:
        async with Wire(new_database) as wire:
            far = await PostgresRpc.open(wire.dsn, pool_size=2)
            writing = asyncio.create_task(far.call("write_slowly", seconds=0.4))
            await asyncio.sleep(0.2)
            wire.cut()
            with pytest.raises(Unavailable):
                await writing
            await far.close()
        await asyncio.sleep(0.5)
        assert await own_rpc.call("count_writes") == 1

    @pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
    async def test_transaction_that_lost_a_race_is_run_again(self, own_rpc: PostgresRpc, sqlstate: str) -> None:
        assert await own_rpc.call("fail_twice", sqlstate=sqlstate) == 3

    async def test_full_disk_is_named(self, own_rpc: PostgresRpc) -> None:
        with pytest.raises(Unavailable) as caught:
            await own_rpc.call("fail_twice", sqlstate="53100")
        assert caught.value.code == "disk-full"

    async def test_unforeseen_error_is_internal(self, own_rpc: PostgresRpc) -> None:
        with pytest.raises(LabelCrewError) as caught:
            await own_rpc.call("fail_twice", sqlstate="XX000")
        assert caught.value.code == "internal"

    async def test_timeout_of_a_call_ends_it_as_unavailable(self, own_rpc: PostgresRpc) -> None:
        with pytest.raises(Unavailable):
            await own_rpc.call("read_slowly", seconds=20, timeout=0.1)
        assert await own_rpc.call("read_slowly", seconds=0) is True

    async def test_unreachable_database_is_unavailable_and_keeps_the_password_to_itself(self) -> None:
        with pytest.raises(Unavailable) as caught:
            await PostgresRpc.open("postgresql://user:hunter2@127.0.0.1:1/none")
        assert "hunter2" not in str(caught.value)

    async def test_empty_database_says_migrations_pending(self, new_database: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            await PostgresRpc.open(new_database)
        assert caught.value.code == "migrations-pending"


class TestSupabase:
    async def test_other_roles_keys_may_not_call(self, supabase_url: str, clean_dsn: str) -> None:
        for role in ("anon", "authenticated"):
            rpc = await SupabaseRpc.open(supabase_url, postgrest.token(role))
            with pytest.raises(LabelCrewError):
                await rpc.call("count_users")
            await rpc.close()

    async def test_key_of_another_project_is_a_configuration_error(self, supabase_url: str) -> None:
        key = postgrest.token("service_role")
        rpc = await SupabaseRpc.open(supabase_url, key[:-4] + "AAAA")
        with pytest.raises(ConfigurationError) as caught:
            await rpc.call("count_users")
        assert caught.value.code == "configuration"
        assert key[:-4] not in str(caught.value)
        await rpc.close()

    async def test_server_that_is_not_there_is_unavailable(self) -> None:
        rpc = await SupabaseRpc.open("http://127.0.0.1:1", postgrest.token("service_role"))
        with pytest.raises(Unavailable):
            await rpc.call("count_users", timeout=1)
        await rpc.close()

    async def test_timeout_of_a_call_ends_it_as_unavailable(self) -> None:
        server = await asyncio.start_server(lambda _r, _w: asyncio.sleep(3600), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        rpc = await SupabaseRpc.open(f"http://127.0.0.1:{port}", postgrest.token("service_role"))
        with pytest.raises(Unavailable):
            await rpc.call("count_users", timeout=0.2)
        await rpc.close()
        server.close()
