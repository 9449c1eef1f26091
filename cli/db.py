"""`labelcrew db`: the database's version."""

from __future__ import annotations

import asyncio
from pathlib import Path

from cli.console import out, say, table
from cli.opening import quiet_logs, settings_with
from schemas.errors import ConfigurationError
from schemas.settings import Settings


def run_migrate(*, print_sql: bool, data_dir: Path | None) -> None:
    """Apply what is pending, or print all of it."""
    from store.migrate import migrate, render

    if print_sql:
        out.print(render(), markup=False, soft_wrap=True)
        return
    configured = settings_with(data_dir=data_dir)
    quiet_logs(configured)
    with _dsn(configured) as dsn:
        applied = asyncio.run(migrate(dsn))
    say(f"applied: {', '.join(applied)}" if applied else "the database is up to date")


def run_status(*, data_dir: Path | None) -> None:
    """A line a migration."""
    from store.migrate import status

    configured = settings_with(data_dir=data_dir)
    quiet_logs(configured)
    with _dsn(configured) as dsn:
        found = asyncio.run(status(dsn))
    rows = [[name, "applied"] for name in found.applied if name not in (*found.changed, *found.unknown)]
    rows += [[name, "pending"] for name in found.pending]
    rows += [[name, "edited after it was applied"] for name in found.changed]
    rows += [[name, "unknown to this program"] for name in found.unknown]
    rows += [[f"functions/{name}", "pending"] for name in found.stale_functions]
    table("", ["migration", "state"], rows)


class _dsn:
    """A direct connection string, with the embedded Postgres running while it is used."""

    def __init__(self, configured: Settings) -> None:
        from store.embedded import EmbeddedPostgres

        self._own = configured.database_url.get_secret_value() if configured.database_url else None
        if self._own is None and configured.supabase_url:
            raise ConfigurationError(
                "migrating Supabase needs a direct connection",
                hint="Set DATABASE_URL, or paste the output of `labelcrew db migrate --sql` into the SQL editor.",
            )
        self._embedded = None if self._own else EmbeddedPostgres(configured.data_path)

    def __enter__(self) -> str:
        return self._own or (self._embedded.start() if self._embedded else "")

    def __exit__(self, *_: object) -> None:
        if self._embedded:
            self._embedded.stop()
