"""What tests do to the database behind the product's back: make and empty it, and move its clock."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import psycopg

EMPTY = """
do $$
declare
  v_table text;
  v_filled bool;
begin
  for v_table in
    select c.oid::regclass::text from pg_class c
    where c.relnamespace = 'labelcrew'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
      and c.relname not in ('migrations', 'function_files', 'clock')
  loop
    execute 'select exists (select from ' || v_table || ')' into v_filled;
    if v_filled then
      execute 'delete from ' || v_table;
    end if;
  end loop;
  update labelcrew.clock set shift = '0' where shift <> '0';
end
$$
"""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running Postgres, and the name for the session's database in it."""

    socket_dir: Path
    name: str

    def dsn_of(self, database: str) -> str:
        """Any of its databases, as its owner."""
        return f"postgresql://postgres@/{database}?host={quote(str(self.socket_dir), safe='')}"

    @contextlib.contextmanager
    def database(self, name: str) -> Iterator[str]:
        """A new database, gone afterwards."""
        with psycopg.connect(self.dsn_of("postgres"), autocommit=True) as connection:
            connection.execute(f'create database "{name}"')
            try:
                yield self.dsn_of(name)
            finally:
                connection.execute(f'drop database "{name}" with (force)')


def clear(dsn: str) -> None:
    """Delete every row of the product, past its triggers (the audit log refuses otherwise) and foreign keys."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute(EMPTY)


class Clock:
    """The database's clock, for tests that need an hour to pass."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def advance(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0, days: float = 0) -> None:
        """Move time forward, for every connection."""
        by = timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days)
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute("update labelcrew.clock set shift = shift + %s", [by])
