"""What a service token may be used for: the one place that says which scope each operation takes.

What looks takes ``read``; what works on items as an annotator or a reviewer does, ``annotate``; everything else that
changes something, ``manage``. What hands out access, moves money or destroys a dataset takes a person who signed in:
with a token that leaked nobody makes themselves at home.
"""

from __future__ import annotations

from schemas.errors import error_of
from schemas.people import Scope

PEOPLE_ONLY = frozenset({
    "accept_invitation", "add_member", "adjust_pay", "create_dataset", "create_invitation", "create_payouts",
    "create_service_token", "deactivate_user", "decide_hold", "delete_dataset", "delete_invitation",
    "delete_service_token", "fund_escrow", "list_invitations", "list_service_tokens", "list_users", "reactivate_user",
    "remove_member", "renew_service_token", "set_currency", "set_payout_account", "set_prices", "settle_payouts",
})  # fmt: skip

ANNOTATE = frozenset({
    "ask_assistant", "claim_items", "delete_chat", "get_hint", "prelabel", "release_lease", "renew_lease",
    "resolve_conflict", "submit_annotation", "undo_submit",
})  # fmt: skip

READ = frozenset({"estimate_job"})
"""Operations that change nothing though their method may."""


def scope_of(operation: str, method: str) -> Scope | None:
    """The scope that an operation takes; None when it is for people alone."""
    if operation in PEOPLE_ONLY:
        return None
    if operation in ANNOTATE:
        return "annotate"
    return "read" if method in {"GET", "HEAD"} or operation in READ else "manage"


def check_scope(scopes: frozenset[str] | None, operation: str, method: str) -> None:
    """Raises ``missing-scope`` unless ``scopes`` are those of a person (None) or hold the one that is needed."""
    if scopes is None:
        return
    needed = scope_of(operation, method)
    if needed is None:
        raise error_of("missing-scope", "this is for people who sign in, not for service tokens", needed=None)
    if needed not in scopes:
        raise error_of("missing-scope", f"this needs the scope {needed}", needed=needed, scopes=sorted(scopes))
