"""Who may do what, asked of the catalogue: a function that forgets its rights fails here, whoever wrote it."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.catalogue import rows

API = "p.pronamespace = 'labelcrew_api'::regnamespace"
OURS = "p.pronamespace in ('labelcrew_api'::regnamespace, 'labelcrew'::regnamespace)"


def names(dsn: str, query: str) -> list[str]:
    """First column of every row."""
    return [str(next(iter(row.values()))) for row in rows(dsn, query)]


def test_there_are_functions_to_ask_about(database_dsn: str) -> None:
    assert len(names(database_dsn, f"select p.proname from pg_proc p where {API}")) > 40


def test_every_api_function_is_security_definer_and_returns_one_json_value(database_dsn: str) -> None:
    wrong = f"""
        select p.proname from pg_proc p
        where {API} and not (p.prosecdef and p.prorettype in ('jsonb'::regtype, 'json'::regtype) and not p.proretset)
    """
    assert names(database_dsn, wrong) == []


def test_every_function_has_an_empty_search_path(database_dsn: str) -> None:
    """But helpers in SQL, which are only ever called from functions that have one, and can be inlined without."""
    wrong = f"""
        select p.oid::regprocedure from pg_proc p join pg_language l on l.oid = p.prolang
        where {OURS} and not (p.pronamespace = 'labelcrew'::regnamespace and l.lanname = 'sql')
          and not coalesce(p.proconfig @> array['search_path=""'], false)
    """
    assert names(database_dsn, wrong) == []


def test_no_api_function_is_overloaded(database_dsn: str) -> None:
    wrong = f"select p.proname from pg_proc p where {API} group by 1 having count(*) > 1"
    assert names(database_dsn, wrong) == []


def test_every_parameter_is_named_with_its_prefix(database_dsn: str) -> None:
    wrong = f"""
        select p.proname || '.' || a.name from pg_proc p
        cross join lateral unnest(coalesce(p.proargnames, array_fill(''::text, array[p.pronargs]))) a (name)
        where {API} and a.name not like 'p\\_%'
    """
    assert names(database_dsn, wrong) == []


@pytest.mark.parametrize("role", ["public", "anon", "authenticated"])
def test_nobody_else_may_execute_any_function(database_dsn: str, role: str) -> None:
    wrong = f"""
        select p.oid::regprocedure from pg_proc p where {OURS} and has_function_privilege('{role}', p.oid, 'execute')
    """
    assert names(database_dsn, wrong) == []


@pytest.mark.parametrize("role", ["labelcrew_service", "service_role"])
def test_service_may_execute_all_api_functions_and_no_helper(database_dsn: str, role: str) -> None:
    wrong = f"""
        select p.oid::regprocedure from pg_proc p
        where {OURS} and has_function_privilege('{role}', p.oid, 'execute')
          <> (p.pronamespace = 'labelcrew_api'::regnamespace)
    """
    assert names(database_dsn, wrong) == []


@pytest.mark.parametrize("role", ["labelcrew_service", "public", "anon", "authenticated", "service_role"])
def test_nobody_else_may_touch_a_table_or_a_sequence(database_dsn: str, role: str) -> None:
    wrong = f"""
        select c.oid::regclass from pg_class c
        where c.relnamespace = 'labelcrew'::regnamespace and (
          c.relkind in ('r', 'p', 'v', 'm')
            and has_table_privilege('{role}', c.oid, 'select, insert, update, delete, truncate')
          or c.relkind = 'S' and has_sequence_privilege('{role}', c.oid, 'usage, select, update'))
    """
    assert names(database_dsn, wrong) == []
    if role != "public":
        inside = f"select has_schema_privilege('{role}', 'labelcrew', 'usage')"
        assert names(database_dsn, inside) == ["False"]


APPEND_ONLY = ("events", "event_seals", "ledger_transactions", "ledger_entries")


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_nothing_in_the_database_changes_what_is_append_only(database_dsn: str, table: str) -> None:
    changing = rf"(update|delete\s+from|truncate|alter\s+table)\s+(only\s+)?labelcrew\.{table}\M"
    wrong = f"select p.oid::regprocedure from pg_proc p where {OURS} and p.prosrc ~* '{changing}'"
    assert names(database_dsn, wrong) == []
    guards = f"""
        select string_agg(pg_get_triggerdef(t.oid), ' ') from pg_trigger t
        where t.tgrelid = 'labelcrew.{table}'::regclass and t.tgenabled = 'O'
          and t.tgfoid = 'labelcrew.refuse_change'::regproc
    """
    [guard] = names(database_dsn, guards)
    assert "BEFORE DELETE OR UPDATE ON" in guard
    assert "BEFORE TRUNCATE ON" in guard


def test_direct_connections_may_read_no_table(database_dsn: str) -> None:
    with psycopg.connect(database_dsn) as connection:
        connection.execute("set role labelcrew_service")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select * from labelcrew.users")


def test_nothing_that_writes_is_declared_to_only_read(database_dsn: str) -> None:
    """What is declared ``stable``, the store runs a second time when a connection breaks."""
    writing = (
        "add|claim|control|create|delete|ensure|fail|finish|hit|progress|put|redeem|release|remove|renew|reserve|"
        "resolve|rollback|save|set|settle|start|submit|undo|update"
    )
    wrong = f"""
        select p.proname from pg_proc p
        where {API} and (p.provolatile <> 'v' and p.proname ~ '^({writing})_' or p.provolatile = 'i')
    """
    assert names(database_dsn, wrong) == []
