"""`labelcrew user list | deactivate | reactivate`: all accounts of an installation, and switching them off and on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cli.console import out, say
from cli.opening import operator, with_store
from schemas.errors import error_of
from schemas.settings import Settings
from store.opening import Store


def run_list(*, data_dir: Path | None) -> None:
    """Print every account, oldest first."""

    async def work(_: Settings, store: Store) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await store.call("list_users", actor=await operator(store))
        return found

    for user in with_store(data_dir, work):
        notes = [
            *(["owner"] if user["is_owner"] else []),
            *(["service account"] if user["kind"] == "service" else []),
            *([] if user["active"] else ["switched off"]),
        ]
        out.print("\t".join([user["email"], user["name"], ", ".join(notes)]).rstrip(), markup=False, soft_wrap=True)


def run_deactivate(email: str, *, data_dir: Path | None) -> None:
    """Switch an account off; say what ended with it."""

    async def work(_: Settings, store: Store) -> dict[str, Any]:
        actor = await operator(store)
        ended: dict[str, Any] = await store.call("deactivate_user", actor=actor, user=await _id_of(store, email))
        return ended

    ended = with_store(data_dir, work)
    say(
        f"{email} is switched off: {ended['leases_released']} items back in the queue, {ended['tokens_revoked']} tokens"
        f" and {ended['invitations_revoked']} invitations ended"
    )
    if ended["datasets_taken_over"]:
        say(f"the owner is now admin of {len(ended['datasets_taken_over'])} datasets that had no other")


def run_reactivate(email: str, *, data_dir: Path | None) -> None:
    """Switch an account on again."""

    async def work(_: Settings, store: Store) -> None:
        actor = await operator(store)
        await store.call("reactivate_user", actor=actor, user=await _id_of(store, email))

    with_store(data_dir, work)
    say(f"{email} may come in again; old sessions and tokens may not")


async def _id_of(store: Store, email: str) -> str:
    found = await store.call("get_credentials", email=email)
    if found is None:
        raise error_of("not-found", f"there is no account for {email}")
    return str(found["user_id"])
