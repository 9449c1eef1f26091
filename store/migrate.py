"""Brings a database to the state this program expects: every migration once, in order; every function file anew.

All of it is one transaction under an advisory lock: two processes that start at once do it once, and what fails leaves
nothing behind. A migration that was applied is never edited; its checksum is kept and compared. Functions are replaced
as a whole whenever the text of any file changed: those of ``labelcrew_api`` are dropped first, so none lives on that no
file defines.

:func:`render` prints the same SQL for pasting into Supabase's editor, where no direct connection is at hand.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import psycopg
from psycopg import sql

from schemas.errors import ConfigurationError, LabelCrewError, error_of
from store.errors import unavailable
from store.sqlfiles import SqlFile, function_files, migrations

LOCK = 7_305_244_109_115_310_963
"""The number of the advisory lock: any constant of our own."""

BOOTSTRAP = """\
create schema if not exists labelcrew;
create table if not exists labelcrew.migrations (
  version int primary key,
  name text not null,
  checksum text not null,
  applied_at timestamptz not null default statement_timestamp()
);
create table if not exists labelcrew.function_files (
  name text primary key,
  checksum text not null,
  functions text[] not null,
  applied_at timestamptz not null default statement_timestamp()
);
"""

DROP_API = """\
do $drop$
declare
  v_function text;
begin
  for v_function in
    select p.oid::regprocedure::text from pg_catalog.pg_proc p
    where p.pronamespace = pg_catalog.to_regnamespace('labelcrew_api')
  loop
    execute 'drop function ' || v_function;
  end loop;
end
$drop$;
"""

# Functions call each other across files: bodies are checked when all are there.
DEFER_CHECKS = "set local check_function_bodies = off;"
CHECK_BODIES = """\
set local check_function_bodies = on;
do $check$
begin
  perform case l.lanname
    when 'sql' then pg_catalog.fmgr_sql_validator(p.oid)::text
    when 'plpgsql' then pg_catalog.plpgsql_validator(p.oid)::text
  end
  from pg_catalog.pg_proc p join pg_catalog.pg_language l on l.oid = p.prolang
  where p.pronamespace in (pg_catalog.to_regnamespace('labelcrew'), pg_catalog.to_regnamespace('labelcrew_api'));
end
$check$;
"""

FORGET_FUNCTION_FILES = "delete from labelcrew.function_files;"

# What the last run's files defined and this run's did not touch: helpers that are gone, or that had other parameters.
DROP_STALE_HELPERS = """\
do $drop$
declare
  v_function text;
begin
  for v_function in
    select p.oid::regprocedure::text
    from pg_catalog.pg_proc p
    where p.pronamespace = pg_catalog.to_regnamespace('labelcrew')
      and p.proname in (select unnest(f.functions) from labelcrew.function_files f)
      and p.xmin <> pg_catalog.pg_current_xact_id()::xid
  loop
    execute 'drop function ' || v_function;
  end loop;
end
$drop$;
"""

GRANTS = """\
revoke all on all functions in schema labelcrew_api, labelcrew from public;
grant execute on all functions in schema labelcrew_api to labelcrew_service;
do $grant$
begin
  if exists (select from pg_catalog.pg_roles where rolname = 'service_role') then
    grant usage on schema labelcrew_api to service_role;
    grant execute on all functions in schema labelcrew_api to service_role;
  end if;
end
$grant$;
notify pgrst, 'reload schema';
"""


@dataclass(frozen=True, slots=True)
class Status:
    """Where a database stands. ``applied`` and ``pending`` are names of migrations."""

    applied: tuple[str, ...]
    pending: tuple[str, ...]
    changed: tuple[str, ...]
    """Migrations whose text is no longer what was applied."""
    unknown: tuple[str, ...]
    """Migrations that this program does not know: the database is newer."""
    stale_functions: tuple[str, ...]
    """Function files that differ from what was applied."""

    @property
    def current(self) -> bool:
        return not (self.pending or self.changed or self.unknown or self.stale_functions)


async def status(dsn: str) -> Status:
    """Compare a database with this program, changing nothing."""
    async with await _connect(dsn) as connection:
        return await _status(connection)


async def migrate(dsn: str) -> list[str]:
    """Bring the database up to date; returns the names of the migrations and function files that were applied.

    Raises :class:`ConfigurationError` when a migration was edited after it was applied, when the database is newer than
    this program, and when the account may not do what is needed; its hint then has the SQL for an account that may.
    """
    async with await _connect(dsn) as connection:
        try:
            async with connection.transaction():
                await connection.execute("select pg_advisory_xact_lock(%s)", [LOCK])
                return await _migrate(connection)
        except psycopg.errors.InsufficientPrivilege as refused:
            statements = _admin_sql(connection.info.user, connection.info.dbname)
            raise ConfigurationError(
                f"the account of DATABASE_URL may not set the database up: {refused.diag.message_primary}",
                hint=f"Let an administrator run this once, then try again:\n{statements}",
            ) from None


def render(extensions: str = "extensions", *, after: int = 0) -> str:
    """The same SQL as one script, e.g. for Supabase's SQL editor: everything, or what follows version ``after``.

    ``extensions`` is the schema that holds, or will hold, pgvector.
    """
    parts = ["begin;", *_extension_sql(extensions), BOOTSTRAP]
    for file in migrations()[after:]:
        parts += [f"-- {file.name}", file.filled(_quoted(extensions)), _note_migration(file)]
    parts += [DROP_API, DEFER_CHECKS]
    for file in function_files():
        parts += [f"-- {file.name}", file.filled(_quoted(extensions))]
    parts += [CHECK_BODIES, DROP_STALE_HELPERS, FORGET_FUNCTION_FILES]
    parts += [*map(_note_function_file, function_files()), GRANTS, "commit;"]
    return "\n".join(parts) + "\n"


def expected_version() -> dict[str, object]:
    """What ``get_schema_version`` answers on a database that is up to date."""
    together = "".join(sorted(f"{file.name}:{file.checksum};" for file in function_files()))
    return {"version": migrations()[-1].version, "functions": hashlib.md5(together.encode()).hexdigest()}  # noqa: S324


def pending_error(found: dict[str, object] | None) -> LabelCrewError:
    """``migrations-pending``, saying in which direction database and program differ."""
    expected = expected_version()
    if found is None:
        return error_of("migrations-pending", "the database has not been set up yet")
    if int(str(found["version"])) > int(str(expected["version"])):
        return error_of(
            "migrations-pending",
            f"the database is at version {found['version']}, newer than this program ({expected['version']})",
            hint="Use the newer LabelCrew that set it up.",
        )
    return error_of(
        "migrations-pending",
        f"the database is at version {found['version']}, this program needs {expected['version']} with its functions",
    )


async def _connect(dsn: str) -> psycopg.AsyncConnection:
    try:
        return await psycopg.AsyncConnection.connect(dsn, autocommit=True, connect_timeout=15)
    except psycopg.OperationalError as failure:
        raise unavailable(failure) from None


async def _status(connection: psycopg.AsyncConnection) -> Status:
    there = await (await connection.execute("select to_regclass('labelcrew.migrations') is not null")).fetchone()
    applied: dict[int, tuple[str, str]] = {}
    functions: dict[str, str] = {}
    if there and there[0]:
        rows = await connection.execute("select version, name, checksum from labelcrew.migrations order by version")
        applied = {version: (name, checksum) for version, name, checksum in await rows.fetchall()}
        rows = await connection.execute("select name, checksum from labelcrew.function_files")
        functions = dict(await rows.fetchall())
    known = {file.version: file for file in migrations()}
    wanted = {file.name: file.checksum for file in function_files()}
    return Status(
        applied=tuple(name for name, _ in applied.values()),
        pending=tuple(file.name for file in migrations() if file.version not in applied),
        changed=tuple(n for v, (n, checksum) in applied.items() if v in known and known[v].checksum != checksum),
        unknown=tuple(name for version, (name, _) in applied.items() if version not in known),
        stale_functions=tuple(
            sorted(name for name in wanted.keys() | functions.keys() if wanted.get(name) != functions.get(name))
        ),
    )


async def _migrate(connection: psycopg.AsyncConnection) -> list[str]:
    now = await _status(connection)
    if now.unknown:
        raise error_of(
            "migrations-pending",
            f"the database is newer than this program: it has {', '.join(now.unknown)}",
            hint="Use the newer LabelCrew that set it up.",
        )
    if now.changed:
        raise ConfigurationError(
            f"these migrations were edited after they had been applied: {', '.join(now.changed)}",
            hint="Restore their text; a change to the database is a new migration.",
        )
    extensions = await _extensions_schema(connection)
    if now.current:
        return []
    await _run(connection, BOOTSTRAP)
    for file in migrations():
        if file.name in now.pending:
            await _apply(connection, file, extensions)
            await _run(connection, _note_migration(file))
    await _run(connection, DROP_API)
    await _run(connection, DEFER_CHECKS)
    for file in function_files():
        await _apply(connection, file, extensions)
    await _run(connection, CHECK_BODIES)
    await _run(connection, DROP_STALE_HELPERS)
    await _run(connection, FORGET_FUNCTION_FILES)
    for file in function_files():
        await _run(connection, _note_function_file(file))
    await _run(connection, GRANTS)
    return [*now.pending, *now.stale_functions]


async def _extensions_schema(connection: psycopg.AsyncConnection) -> str:
    """The quoted schema that holds pgvector, which is installed if it is not there yet."""
    find = "select extnamespace::regnamespace::text from pg_extension where extname = 'vector'"
    found = await (await connection.execute(find)).fetchone()
    if found is not None:
        return str(found[0])
    try:
        for statement in _extension_sql("extensions"):
            await _run(connection, statement)
    except (psycopg.errors.UndefinedFile, psycopg.errors.FeatureNotSupported):
        raise ConfigurationError(
            "this Postgres has no pgvector",
            hint="Install the pgvector package on its server, or unset DATABASE_URL to use the embedded one.",
        ) from None
    return "extensions"


def _extension_sql(schema: str) -> list[str]:
    quoted = _quoted(schema)
    return [
        f"create schema if not exists {quoted};",
        f"create extension if not exists vector schema {quoted};",
    ]


def _admin_sql(user: str, database: str) -> str:
    return "\n".join([
        *_extension_sql("extensions"),
        "create role labelcrew_service nologin;",
        f"grant labelcrew_service to {_quoted(user)};",
        f"grant usage on schema extensions to {_quoted(user)};",
        f"grant create on database {_quoted(database)} to {_quoted(user)};",
    ])  # fmt: skip


def _note_migration(file: SqlFile) -> str:
    return (
        "insert into labelcrew.migrations (version, name, checksum) "  # noqa: S608 - quoted literals
        f"values ({file.version}, {_literal(file.name)}, {_literal(file.checksum)});"
    )


def _note_function_file(file: SqlFile) -> str:
    names = ", ".join(_literal(name) for schema, name in file.functions if schema == "labelcrew")
    return (
        "insert into labelcrew.function_files (name, checksum, functions) "  # noqa: S608 - quoted literals
        f"values ({_literal(file.name)}, {_literal(file.checksum)}, array[{names}]::text[]);"
    )


def _quoted(name: str) -> str:
    """As ``regnamespace::text`` would: quoted where it has to be."""
    return name if re.fullmatch("[a-z_][a-z0-9_]*", name) else sql.Identifier(name).as_string()


def _literal(text: str) -> str:
    return sql.Literal(text).as_string()


async def _apply(connection: psycopg.AsyncConnection, file: SqlFile, extensions: str) -> None:
    try:
        await _run(connection, file.filled(extensions))
    except psycopg.Error as failure:
        failure.add_note(f"in {file.name}.sql")
        raise


async def _run(connection: psycopg.AsyncConnection, text: str) -> None:
    """Run our own SQL, which is all this module ever runs, with several statements in one go."""
    await connection.execute(text.encode())
