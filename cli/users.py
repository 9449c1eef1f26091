"""`labelcrew user`: accounts, their sign-in links, tokens for scripts."""

from __future__ import annotations

from pathlib import Path

from cli.console import out, say
from cli.opening import with_store
from schemas.errors import ConfigurationError
from schemas.settings import Settings
from store.opening import Store


def run_add(email: str, *, name: str, ask_password: bool, data_dir: Path | None) -> None:
    """Create an account; print a link that signs it in once."""
    password = _ask_password() if ask_password else None

    async def work(configured: Settings, store: Store) -> str:
        from api.auth import hash_password
        from api.bootstrap import login_link_for

        _only_local(configured)
        await store.call(
            "create_user", email=email, name=name, password_hash=hash_password(password) if password else None
        )
        return await login_link_for(configured, store, email)

    link = with_store(data_dir, work)
    say(f"account {email} created; this link signs it in once, within a day:")
    out.print(link, markup=False, soft_wrap=True)


def run_link(email: str, *, data_dir: Path | None) -> None:
    """Print a fresh sign-in link."""

    async def work(configured: Settings, store: Store) -> str:
        from api.bootstrap import login_link_for

        _only_local(configured)
        return await login_link_for(configured, store, email)

    out.print(with_store(data_dir, work), markup=False, soft_wrap=True)


def run_token(email: str, *, hours: float, data_dir: Path | None) -> None:
    """Print a bearer token."""

    async def work(configured: Settings, store: Store) -> str:
        from api.auth import LocalTokens, active_user, local_secret
        from schemas.errors import error_of

        _only_local(configured)
        found = await store.call("get_credentials", email=email)
        if found is None:
            raise error_of("not-found", f"there is no account for {email}")
        user = await active_user(store, found["user_id"])
        token: str = LocalTokens(local_secret(configured), store, hours=hours).issue(user)["access_token"]
        return token

    out.print(with_store(data_dir, work), markup=False, soft_wrap=True)


def _only_local(configured: Settings) -> None:
    if configured.supabase_url:
        raise ConfigurationError("accounts are kept by Supabase here", hint="Add users in Supabase's dashboard.")


def _ask_password() -> str:
    import typer

    password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password
