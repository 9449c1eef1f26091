"""What a database's catalogue says about the product's two schemas, to compare installations and check rights."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

QUERIES = {
    "columns": """
        select table_name, column_name, data_type, udt_name, is_nullable, column_default, is_identity
        from information_schema.columns where table_schema = 'labelcrew' order by 1, 2
    """,
    "constraints": """
        select conrelid::regclass::text as on_table, conname, pg_get_constraintdef(oid) as definition
        from pg_constraint where connamespace = 'labelcrew'::regnamespace order by 1, 2
    """,
    "indexes": "select indexname, indexdef from pg_indexes where schemaname = 'labelcrew' order by 1",
    "triggers": """
        select tgname, pg_get_triggerdef(oid) as definition from pg_trigger
        where not tgisinternal and tgrelid::regclass::text like 'labelcrew.%' order by 1
    """,
    "functions": """
        select p.oid::regprocedure::text as signature, pg_get_functiondef(p.oid) as definition, p.proacl::text as acl
        from pg_proc p
        where p.pronamespace in ('labelcrew'::regnamespace, 'labelcrew_api'::regnamespace) order by 1
    """,
    "rights": """
        select c.relname, c.relacl::text as acl from pg_class c
        where c.relnamespace = 'labelcrew'::regnamespace and c.relkind in ('r', 'S', 'v', 'p') order by 1
    """,
    "files": "select name, checksum from labelcrew.function_files order by 1",
    "migrations": "select version, name, checksum from labelcrew.migrations order by 1",
}


def snapshot(dsn: str) -> dict[str, list[dict[str, Any]]]:
    """Everything that makes two installations the same, by kind."""
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        return {kind: connection.execute(query.encode()).fetchall() for kind, query in QUERIES.items()}


def rows(dsn: str, query: str) -> list[dict[str, Any]]:
    """Rows of any question to the catalogue."""
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        return connection.execute(query.encode()).fetchall()
