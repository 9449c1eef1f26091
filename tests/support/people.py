"""People and datasets for tests, made through the same functions as in production."""

from __future__ import annotations

import itertools
from typing import Any

import psycopg

from store.rpc import Rpc

_numbers = itertools.count(1)


async def new_user(rpc: Rpc, name: str = "user") -> str:
    """The id of a new account with an email of its own."""
    user: dict[str, Any] = await rpc.call("create_user", email=f"{name}-{next(_numbers)}@example.org", name=name)
    return str(user["id"])


async def new_dataset(rpc: Rpc, admin: str, **params: Any) -> str:
    """The id of a new dataset that ``admin`` made. Unless told otherwise, no item is drawn to be answered unseen."""
    settings = {"blind_share": 0, **params.pop("settings", {})}
    made: dict[str, Any] = await rpc.call(
        "create_dataset", actor=admin, **{"name": f"dataset {next(_numbers)}", **params}, settings=settings
    )
    return str(made["id"])


async def new_member(rpc: Rpc, admin: str, dataset: str, role: str) -> str:
    """The id of a new account with ``role`` in ``dataset``."""
    email = f"{role}-{next(_numbers)}@example.org"
    user: dict[str, Any] = await rpc.call("create_user", email=email, name=role)
    await rpc.call("add_member", actor=admin, dataset=dataset, email=email, role=role)
    return str(user["id"])


def switch_off(dsn: str, user: str) -> None:
    """Switch an account off, as an operator does by hand."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("update labelcrew.users set active = false where id = %s", [user])
