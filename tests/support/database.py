"""What tests do to the database behind the product's back: empty it, and move its clock."""

from __future__ import annotations

from datetime import timedelta

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
