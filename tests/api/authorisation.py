"""Who may do what: every route with the least role that it takes. Documentation and test data in one.

``ANYBODY`` needs no token, ``SIGNED_IN`` any account, ``OWNER`` the first account of the installation; the others are
roles in the dataset concerned, each of which may do what the ones before it may. To those without a role in a dataset it
does not exist: they get 404 where a member with too small a role gets 403. ``docs/reference/authorisation.md`` is made
from this table, ``test_authorisation.py`` asks the server whether it is true.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ANYBODY = "anybody"
SIGNED_IN = "signed in"
OWNER = "owner"
ANNOTATOR = "annotator"
REVIEWER = "reviewer"
ADMIN = "admin"


@dataclass(frozen=True)
class Rule:
    """A route, the least role that may use it, and a request that succeeds for it.

    Words in braces are filled in, in paths and bodies, with what ``places`` of test_authorisation.py makes.
    """

    operation: str
    method: str
    path: str
    least: str
    body: Any = None
    status: tuple[int, ...] = (200,)
    """What a success looks like; a conflict is one, because whoever gets it was let in."""
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.operation


LABELSET = {"classes": [{"name": "positive"}, {"name": "negative"}, {"name": "mixed"}]}
ANSWER = {"payload": {"labels": ["positive"]}, "labelset_version": 1}
INVITED = {"email": "guest@example.org", "role": "reviewer"}
SERVICE = {"name": "nightly import", "role": "admin", "scopes": ["read", "manage"]}
NO_WEBHOOK = {"params": {"webhook": "00000000-0000-4000-8000-000000000000"}}
FILE = {"file": ("reviews.csv", b"text\nA first row\n", "text/csv")}

RULES: tuple[Rule, ...] = (
    Rule("get_health", "GET", "/health", ANYBODY),
    Rule("get_ready", "GET", "/ready", ANYBODY),
    Rule("get_metrics", "GET", "/metrics", ANYBODY),
    Rule("create_token", "POST", "/v1/auth/token", ANYBODY, {"grant": "link", "token": "x" * 43}, (401,)),
    Rule("get_me", "GET", "/v1/auth/me", SIGNED_IN),
    Rule("list_models", "GET", "/v1/models", SIGNED_IN),
    Rule("list_datasets", "GET", "/v1/datasets", SIGNED_IN),
    Rule("create_dataset", "POST", "/v1/datasets", SIGNED_IN, {"name": "Another"}, (201,)),
    Rule("get_dataset", "GET", "/v1/datasets/{dataset}", ANNOTATOR),
    Rule("update_dataset", "PATCH", "/v1/datasets/{dataset}", ADMIN, {"guidelines": "Be kind."}),
    Rule("delete_dataset", "DELETE", "/v1/datasets/{dataset}", ADMIN, status=(204,)),
    Rule("list_labelsets", "GET", "/v1/datasets/{dataset}/labelsets", ANNOTATOR),
    Rule("create_labelset", "POST", "/v1/datasets/{dataset}/labelsets", ADMIN, LABELSET, (201,)),
    Rule("list_members", "GET", "/v1/datasets/{dataset}/members", ANNOTATOR),
    Rule(
        "add_member",
        "PUT",
        "/v1/datasets/{dataset}/members",
        ADMIN,
        {"email": "{email}", "role": "annotator"},
    ),
    Rule("remove_member", "DELETE", "/v1/datasets/{dataset}/members/{user}", ADMIN, status=(204,)),
    Rule("list_users", "GET", "/v1/users", OWNER),
    Rule("deactivate_user", "POST", "/v1/users/{user}/deactivate", OWNER),
    Rule("reactivate_user", "POST", "/v1/users/{user}/reactivate", OWNER),
    Rule("create_invitation", "POST", "/v1/datasets/{dataset}/invitations", ADMIN, INVITED, (201,)),
    Rule("list_invitations", "GET", "/v1/datasets/{dataset}/invitations", ADMIN),
    Rule("delete_invitation", "DELETE", "/v1/datasets/{dataset}/invitations/{invitation}", ADMIN),
    Rule("preview_invitation", "POST", "/v1/invitations/preview", ANYBODY, {"token": "x" * 43}, (409,)),
    Rule("accept_invitation", "POST", "/v1/invitations/accept", ANYBODY, {"token": "x" * 43}, (409,)),
    Rule("create_service_token", "POST", "/v1/datasets/{dataset}/tokens", ADMIN, SERVICE, (201,)),
    Rule("list_service_tokens", "GET", "/v1/datasets/{dataset}/tokens", ADMIN),
    Rule("renew_service_token", "POST", "/v1/datasets/{dataset}/tokens/{token}/renew", ADMIN, {}, (201,)),
    Rule("delete_service_token", "DELETE", "/v1/datasets/{dataset}/tokens/{token}", ADMIN),
    Rule("get_scorecard", "GET", "/v1/datasets/{dataset}/scorecards/me", ANNOTATOR),
    Rule("list_scorecards", "GET", "/v1/datasets/{dataset}/scorecards", ADMIN),
    Rule("list_activity", "GET", "/v1/datasets/{dataset}/activity", REVIEWER),
    Rule("create_items", "POST", "/v1/datasets/{dataset}/items", ADMIN, {"rows": [{"text": "a new text"}]}),
    Rule("import_file", "POST", "/v1/datasets/{dataset}/imports", ADMIN, status=(202,), options={"files": FILE}),
    Rule("list_items", "GET", "/v1/datasets/{dataset}/items", ANNOTATOR),
    Rule("get_item", "GET", "/v1/items/{item}", ANNOTATOR),
    Rule("list_history", "GET", "/v1/items/{item}/history", ANNOTATOR),
    Rule("claim_items", "POST", "/v1/datasets/{dataset}/claim", ANNOTATOR, {"count": 1}),
    Rule("renew_lease", "POST", "/v1/leases/{lease}/renew", ANNOTATOR, {"token": 1}, (200, 409)),
    Rule("release_lease", "POST", "/v1/leases/{lease}/release", ANNOTATOR, {"token": 1}, (200, 409)),
    Rule("submit_annotation", "PUT", "/v1/items/{item}/annotation", ANNOTATOR, ANSWER, (200, 403, 409)),
    Rule("undo_submit", "POST", "/v1/datasets/{dataset}/undo", ANNOTATOR, status=(200, 409)),
    Rule("claim_reviews", "POST", "/v1/datasets/{dataset}/reviews/claim", REVIEWER, {"level": 2}),
    Rule("review_item", "POST", "/v1/items/{item}/review", REVIEWER, {"decision": "approved"}, (200, 409)),
    Rule("list_reviews", "GET", "/v1/items/{item}/reviews", ANNOTATOR),
    Rule("appeal_item", "POST", "/v1/items/{item}/appeal", ANNOTATOR, {"comment": "It was right."}, (200, 409)),
    Rule("return_item", "POST", "/v1/items/{item}/return", REVIEWER, {"note": "look again"}, (200, 409)),
    Rule("take_back_skip", "POST", "/v1/items/{item}/unskip", ANNOTATOR, status=(200, 409)),
    Rule("set_gold", "PUT", "/v1/items/{item}/gold", REVIEWER, {"payload": {"labels": ["positive"]}}),
    Rule("clear_gold", "DELETE", "/v1/items/{item}/gold", REVIEWER),
    Rule("list_overdue", "GET", "/v1/datasets/{dataset}/overdue", REVIEWER),
    Rule(
        "order_bulk", "POST", "/v1/datasets/{dataset}/items/bulk", REVIEWER, {"action": "approve", "filter": {}}, (202,)
    ),
    Rule("undo_bulk", "POST", "/v1/jobs/{job}/undo", REVIEWER, status=(202, 403, 409)),
    Rule("list_refusals", "GET", "/v1/jobs/{job}/refusals", REVIEWER),
    Rule("prelabel", "POST", "/v1/items/{item}/prelabel", ANNOTATOR, {"model": "local/minilm-l6"}),
    Rule("list_similar", "GET", "/v1/items/{item}/similar", ANNOTATOR),
    Rule("get_hint", "GET", "/v1/items/{item}/hints", ANNOTATOR),
    Rule("ask_assistant", "POST", "/v1/datasets/{dataset}/chat", ANNOTATOR, {"message": "What is next?"}),
    Rule("list_chat", "GET", "/v1/datasets/{dataset}/chat", ANNOTATOR),
    Rule("delete_chat", "DELETE", "/v1/datasets/{dataset}/chat", ANNOTATOR, status=(204,)),
    Rule("get_hint_effect", "GET", "/v1/datasets/{dataset}/hints/effect", REVIEWER),
    Rule("get_job_file", "GET", "/v1/jobs/{job}/file", ANNOTATOR, status=(200, 409)),
    Rule("create_job", "POST", "/v1/datasets/{dataset}/jobs", ADMIN, {"kind": "embed"}, (202,)),
    Rule("estimate_job", "POST", "/v1/datasets/{dataset}/jobs/estimate", ANNOTATOR, {"kind": "prelabel"}),
    Rule("list_jobs", "GET", "/v1/datasets/{dataset}/jobs", ANNOTATOR),
    Rule("get_job", "GET", "/v1/jobs/{job}", ANNOTATOR),
    Rule("list_rejections", "GET", "/v1/jobs/{job}/rejections", ANNOTATOR),
    Rule("follow_job", "GET", "/v1/jobs/{job}/events", ANNOTATOR),
    Rule("pause_job", "POST", "/v1/jobs/{job}/pause", ADMIN, status=(200, 409)),
    Rule("resume_job", "POST", "/v1/jobs/{job}/resume", ADMIN, status=(200, 409)),
    Rule("cancel_job", "POST", "/v1/jobs/{job}/cancel", ADMIN, status=(200, 409)),
    Rule("get_learning", "GET", "/v1/datasets/{dataset}/metrics", ANNOTATOR),
    Rule("search_items", "GET", "/v1/datasets/{dataset}/search?q=text", ANNOTATOR),
    Rule("get_drift", "GET", "/v1/datasets/{dataset}/drift", ANNOTATOR),
    Rule("set_drift", "PUT", "/v1/datasets/{dataset}/drift", ADMIN, {"reference": {"first": 20}}, (200, 422)),
    Rule("get_agreement", "GET", "/v1/datasets/{dataset}/agreement", REVIEWER),
    Rule("get_consensus", "GET", "/v1/datasets/{dataset}/consensus", REVIEWER),
    Rule("get_licence", "GET", "/v1/datasets/{dataset}/licence", ANNOTATOR),
    Rule("revoke_licence", "POST", "/v1/datasets/{dataset}/licence/revoke", ADMIN, {"reason": "it was a trial"}),
    Rule("list_webhooks", "GET", "/v1/datasets/{dataset}/webhooks", ADMIN),
    Rule(
        "create_webhook",
        "POST",
        "/v1/datasets/{dataset}/webhooks",
        ADMIN,
        {"url": "https://192.0.2.1/", "kinds": ["item_verified"]},
        (422,),
    ),
    Rule("update_webhook", "PATCH", "/v1/datasets/{dataset}/webhooks", ADMIN, {"active": False}, (404,), NO_WEBHOOK),
    Rule("delete_webhook", "DELETE", "/v1/datasets/{dataset}/webhooks", ADMIN, None, (404,), NO_WEBHOOK),
    Rule("list_deliveries", "GET", "/v1/datasets/{dataset}/webhooks/deliveries", ADMIN, None, (404,), NO_WEBHOOK),
    Rule("replay_deliveries", "POST", "/v1/datasets/{dataset}/webhooks/replay", ADMIN, None, (404,), NO_WEBHOOK),
    Rule("list_own_earnings", "GET", "/v1/pay/earnings", SIGNED_IN),
    Rule("set_payout_account", "PUT", "/v1/pay/account", SIGNED_IN, {"provider": "stripe", "account": "acct_1"}),
    Rule("get_pay", "GET", "/v1/datasets/{dataset}/pay", ADMIN, status=(200, 409)),
    Rule("set_currency", "PUT", "/v1/datasets/{dataset}/pay", ADMIN, {"currency": "EUR"}),
    Rule("set_prices", "PUT", "/v1/datasets/{dataset}/pay/prices", ADMIN, {"prices": []}, (200, 409)),
    Rule("fund_escrow", "POST", "/v1/datasets/{dataset}/pay/funds", ADMIN, {"amount": 5, "key": "k"}, (200, 409)),
    Rule(
        "adjust_pay",
        "POST",
        "/v1/datasets/{dataset}/pay/adjustments",
        ADMIN,
        {"user_id": "00000000-0000-4000-8000-000000000000", "amount": 1, "key": "k", "reason": "a bonus"},
        (404, 409),
    ),
    Rule("list_holds", "GET", "/v1/datasets/{dataset}/pay/holds", ADMIN),
    Rule(
        "decide_hold",
        "POST",
        "/v1/datasets/{dataset}/pay/holds",
        ADMIN,
        {"hold_id": "00000000-0000-4000-8000-000000000000", "decision": "refund"},
        (404, 409),
    ),
    Rule("list_earnings", "GET", "/v1/datasets/{dataset}/pay/earnings", ADMIN),
    Rule("list_statement", "GET", "/v1/datasets/{dataset}/pay/statement", ANNOTATOR),
    Rule("list_ledger", "GET", "/v1/datasets/{dataset}/pay/ledger", ADMIN),
    Rule("create_payouts", "POST", "/v1/datasets/{dataset}/pay/payouts", ADMIN, {"key": "k"}, (201, 409)),
    Rule("list_payouts", "GET", "/v1/datasets/{dataset}/pay/payouts", ADMIN),
    Rule(
        "settle_payouts",
        "PATCH",
        "/v1/datasets/{dataset}/pay/payouts",
        ADMIN,
        {"batch_id": "00000000-0000-4000-8000-000000000000", "state": "paid"},
        (404, 409),
    ),
    Rule("get_audit", "GET", "/v1/datasets/{dataset}/audit", ADMIN),
    Rule("verify_audit", "GET", "/v1/datasets/{dataset}/audit/check", ADMIN),
    Rule("export_audit", "GET", "/v1/datasets/{dataset}/audit/export", ADMIN),
    Rule("list_conflicts", "GET", "/v1/datasets/{dataset}/conflicts", REVIEWER),
    Rule("get_conflict", "GET", "/v1/conflicts/{conflict}", REVIEWER),
    Rule("resolve_conflict", "POST", "/v1/conflicts/{conflict}/resolve", REVIEWER, {"action": "dismiss"}),
    Rule("export_items", "GET", "/v1/datasets/{dataset}/export", REVIEWER),
)
