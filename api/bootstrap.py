"""The first start: an admin's account, and the one link that signs them in.

Whoever can read the server's terminal is its owner. The link works once and for a day; ``labelcrew user link`` makes
another. With Supabase the accounts are Supabase's, and there is nothing to do.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from api.auth import make_login_link
from schemas.errors import error_of
from schemas.settings import Settings
from store.rpc import Rpc

ADMIN_EMAIL = "admin@localhost"
ADDRESS_FILE = "server.address"


async def first_login_link(settings: Settings, rpc: Rpc, *, email: str = ADMIN_EMAIL) -> str | None:
    """Make the first account if there is none, and return the address that signs it in; else None."""
    if settings.supabase_url or await rpc.call("count_users") > 0:
        return None
    user = await rpc.call("create_user", email=email, name="Admin")
    return login_address(settings, await make_login_link(rpc, user["id"]))


async def login_link_for(settings: Settings, rpc: Rpc, email: str) -> str:
    """A fresh address that signs an existing account in once, at the server that runs on the data folder if one does.
    Raises ``not-found``."""
    found = await rpc.call("get_credentials", email=email)
    if found is None:
        raise error_of("not-found", f"there is no account for {email}")
    token = await make_login_link(rpc, found["user_id"])
    running = None if settings.public_url else running_address(settings)
    return login_address(settings.model_copy(update={"public_url": running}) if running else settings, token)


def login_address(settings: Settings, token: str) -> str:
    """Where the browser redeems ``token``. It stands behind a #, which browsers keep to themselves."""
    return f"{public_address(settings)}/login/#token={token}"


def public_address(settings: Settings) -> str:
    """Where people reach the server."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::", ""} else settings.host  # noqa: S104 — compared, not bound
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


@contextlib.contextmanager
def noted_address(settings: Settings) -> Iterator[None]:
    """While the block runs, commands beside this server find in the data folder where people reach it."""
    note = settings.data_path / ADDRESS_FILE
    with contextlib.suppress(OSError):  # a server without a folder to write in serves all the same
        note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        note.write_text(f"{os.getpid()}\n{public_address(settings)}\n")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if note.read_text().startswith(f"{os.getpid()}\n"):
                note.unlink()


def running_address(settings: Settings) -> str | None:
    """Where people reach the server that runs on this data folder; None when none does, or it does not say."""
    try:
        pid, address = (settings.data_path / ADDRESS_FILE).read_text().split()
        alive = _is_alive(int(pid))
    except (OSError, ValueError):
        return None
    return address if alive else None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:  # somebody else's
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True
