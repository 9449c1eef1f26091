"""Every error the product raises on purpose: one registry, one exception, a few families.

An error has a stable ``code`` that programs may test for, a ``detail`` that says what happened here, and a ``hint`` that
says what the user can do. SQL functions raise the same errors by SQLSTATE (``LC`` and three characters, PostgreSQL's
"errors of our own" range, see https://www.postgresql.org/docs/current/errcodes-appendix.html); the store turns them into
these classes. The HTTP status of each family stands in ``api/errors.py``; ``docs/errors.md`` is generated from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ErrorEntry:
    """One line of the registry."""

    code: str
    sqlstate: str | None
    """Five characters, when SQL raises it; None when only Python does."""
    family: type[LabelCrewError]
    meaning: str
    hint: str


class LabelCrewError(Exception):
    """Base of all. ``code`` names the registry entry; ``data`` holds facts for programs (ids, limits, seconds)."""

    code: str = "internal"

    def __init__(self, detail: str = "", *, code: str | None = None, hint: str | None = None, **data: Any) -> None:
        if code is not None:
            self.code = code
        entry = REGISTRY.get(self.code)
        self.detail = detail or (entry.meaning if entry else self.code)
        self.hint = hint if hint is not None else (entry.hint if entry else "")
        self.data = data
        super().__init__(self.detail)

    def __str__(self) -> str:
        return f"{self.detail} {self.hint}".strip()


class Invalid(LabelCrewError):
    """What was sent cannot be taken as it is."""

    code = "invalid"


class InvalidPayload(Invalid):
    """An answer that the labelset does not allow."""

    code = "invalid-payload"


class Unauthenticated(LabelCrewError):
    """Nobody, or nobody we know, is asking."""

    code = "unauthenticated"


class Forbidden(LabelCrewError):
    """Known, a member, but without the role."""

    code = "forbidden"


class NotFound(LabelCrewError):
    """There is no such thing, or not for the one who asks: the two look the same on purpose."""

    code = "not-found"


class Conflict(LabelCrewError):
    """Somebody or something else got there first, or the state does not allow it."""

    code = "conflict"


class TooLarge(LabelCrewError):
    """Over a limit on size."""

    code = "too-large"


class RateLimited(LabelCrewError):
    """Too many requests; ``data["retry_after"]`` is in seconds."""

    code = "rate-limited"


class PaymentRequired(LabelCrewError):
    """A budget does not allow it."""

    code = "budget-exceeded"


class Unavailable(LabelCrewError):
    """A part that is needed does not answer: database, model, storage."""

    code = "unavailable"


class ModelError(Unavailable):
    """The language model refused, failed or answered nonsense."""

    code = "model-error"


class ConfigurationError(LabelCrewError):
    """A setting is missing or wrong; the process should not go on."""

    code = "configuration"


def _registry() -> dict[str, ErrorEntry]:
    e = ErrorEntry
    entries = [
        # families' own codes
        e("internal", None, LabelCrewError, "Something went wrong on our side.", "Try again; report the request id if it stays."),
        e("invalid", "LCINV", Invalid, "The request cannot be taken as it is.", "Correct what the detail names and send it again."),
        e("unauthenticated", "LCAUT", Unauthenticated, "You are not signed in.", "Sign in, or send a valid bearer token."),
        e("forbidden", "LCFBD", Forbidden, "Your role in this dataset does not allow this.", "Ask an admin of the dataset for the role named in the detail."),
        e("not-found", "LCNFD", NotFound, "There is no such thing, or it is not yours to see.", "Check the id."),
        e("conflict", "LCCNF", Conflict, "The state of things does not allow this now.", "Load it anew and try again."),
        e("too-large", "LCBIG", TooLarge, "That is larger than the limit.", "Send it in smaller parts."),
        e("rate-limited", "LCRAT", RateLimited, "Too many requests.", "Wait for the seconds named in Retry-After."),
        e("budget-exceeded", "LCBUD", PaymentRequired, "The budget does not allow this.", "Raise the budget, or choose a cheaper model."),
        e("unavailable", "LCUNA", Unavailable, "A part that is needed does not answer.", "Try again in a moment; see /ready for which part."),
        e("configuration", None, ConfigurationError, "A setting is missing or wrong.", "See docs/reference/settings.md."),
        # domain
        e("invalid-payload", "LCPAY", InvalidPayload, "The labelset does not allow this answer.", "Use the classes and the shape of the current labelset."),
        e("invalid-labelset", "LCLST", Invalid, "The labelset is not consistent.", "Give every class a name of its own; keep at least one class that is not retired."),
        e("no-labelset", "LCNLS", Conflict, "The dataset has no labelset yet.", "Create one: POST /v1/datasets/{id}/labelsets."),
        e("duplicate-name", "LCDUP", Conflict, "The name is taken.", "Choose another name."),
        e("last-admin", "LCLAD", Conflict, "A dataset keeps at least one admin.", "Make somebody else admin first."),
        e("lease-expired", "LCEXP", Conflict, "Your hold on this item has ended.", "Claim again; your answer was not stored."),
        e("stale-token", "LCSTL", Conflict, "Somebody else has taken this item since.", "Claim the next item; your answer was not stored."),
        e("already-submitted", "LCSUB", Conflict, "You have already answered this item.", "Open it to change your answer."),
        e("blind-item", "LCBLD", Conflict, "This item is to be answered without help.", "Answer it as you see it; hints, drafts and the assistant are back on the next one."),
        e("nothing-to-undo", "LCUND", Conflict, "There is nothing to take back.", "Only your own last answer can be undone, before anybody else acts on the item."),
        e("own-work", "LCOWN", Conflict, "Nobody reviews their own work.", "Leave this item to another reviewer."),
        e("daily-limit", "LCDAY", Conflict, "You have answered as many items as this dataset allows in a day.", "Go on tomorrow, or ask an admin to raise max_per_day."),
        e("illegal-transition", "LCTRN", Conflict, "The item cannot go from its state to that one.", "Load the item anew; its state has changed."),
        e("already-resolved", "LCRSV", Conflict, "This conflict was settled before.", "Load it anew to see how."),
        e("illegal-job-state", "LCJOB", Conflict, "The job is not in a state that allows this.", "See the job's state."),
        e("wrong-password", "LCPWD", Unauthenticated, "Email or password is wrong.", "Try again, or ask an admin for a new link."),
        e("link-used", "LCLNK", Unauthenticated, "This sign-in link was used or has expired.", "Restart the server or run `labelcrew user link` for a new one."),
        e("user-inactive", "LCOFF", Unauthenticated, "This account is switched off.", "Ask an admin."),
        e("invitation-over", "LCIVO", Conflict, "This invitation was used or withdrawn, or has expired.", "Ask an admin of the dataset for a new one."),
        e("account-exists", "LCACX", Conflict, "There is an account with this email already.", "Sign in first, then open the invitation again."),
        e("missing-scope", None, Forbidden, "The token's scopes do not allow this.", "Use a token with the scope named in the detail."),
        # webhooks
        e("webhook-address", None, Invalid, "This address must not be called from here.", "Use a public https address, or have the operator allow its network: LABELCREW_WEBHOOK_NETWORKS."),
        # money
        e("no-wallet", "LCNWL", Conflict, "Nothing is paid in this dataset.", "Choose its currency first: PUT /v1/datasets/{id}/pay."),
        e("currency-fixed", "LCCUR", Conflict, "The currency cannot change any more.", "Use another dataset for another currency."),
        e("escrow-empty", "LCESC", PaymentRequired, "The dataset's escrow does not hold that much.", "An admin can fund it: POST /v1/datasets/{id}/pay/funds."),
        e("insufficient-balance", "LCBAL", Conflict, "That is more than may be taken back.", "Take back no more than adjustments have given; refund single holds instead."),
        e("money-held", "LCMHD", Conflict, "There is money in this dataset.", "Pay out what is owed, decide open holds, and withdraw the rest of the escrow."),
        e("illegal-pay-state", "LCPST", Conflict, "It was decided otherwise already.", "Load it anew."),
        e("nothing-to-pay", "LCNPY", Conflict, "Nobody has anything to be paid.", "Wait until items are verified."),
        e("no-payout-account", "LCNPA", Conflict, "This person has no account to be paid to.", "They can name one: PUT /v1/pay/account."),
        # files
        e("unreadable-file", None, Invalid, "The file cannot be read.", "Check its format and encoding."),
        e("unknown-format", None, Invalid, "The format of the file is not known.", "Use csv, tsv, jsonl, json, parquet, txt or conll, or name it with --format."),
        e("missing-column", None, Invalid, "A column is missing.", "Name the column that holds the text."),
        e("empty-file", None, Invalid, "The file has no rows.", "Choose a file with at least one row."),
        e("decompression-bomb", None, TooLarge, "The file unpacks to far more than it may.", "Unpack it yourself and send parts."),
        e("disk-full", "LCDSK", Unavailable, "The disk is full.", "Free some room; nothing was half-written."),
        # models
        e("model-error", None, ModelError, "The model failed.", "Try again, or choose another model."),
        e("model-auth", None, ModelError, "The model's server refused the key.", "Check OPENAI_API_KEY and OPENAI_BASE_URL."),
        e("model-unreachable", None, ModelError, "The model's server does not answer.", "Check OPENAI_BASE_URL and the network."),
        e("model-rate-limited", None, ModelError, "The model's server keeps refusing for rate or quota.", "Lower --concurrency or raise the quota."),
        e("model-refused", None, ModelError, "The model refused to answer for this item.", "Label it by hand."),
        e("model-malformed", None, ModelError, "The model's answer did not fit the schema.", "Label it by hand, or choose a model with structured output."),
        e("context-overflow", None, ModelError, "The item is too long for the model.", "Shorten it, or choose a model with a longer context."),
        e("answer-cut", None, ModelError, "The model's answer was longer than it may be.", "Shorten the item, or choose another model."),
        e("model-timeout", None, ModelError, "The model's server took too long.", "Raise LABELCREW_LLM_TIMEOUT_S, or choose a faster model."),
        e("content-filtered", None, ModelError, "The provider's content filter stopped the answer.", "Label it by hand."),
        e("unknown-model", None, Invalid, "No such model is configured.", "Use local/minilm-l6, or set OPENAI_API_KEY or OPENAI_BASE_URL."),
        e("unknown-price", None, Invalid, "The price of this model is not known, so a budget cannot be kept.", "Give one in LABELCREW_PRICES, or leave the budget out."),
        e("no-training-data", None, Conflict, "There is nothing to learn from yet.", "Verify some items first."),
        # processes
        e("data-dir-in-use", None, ConfigurationError, "Another LabelCrew server uses this data folder.", "Stop it, or choose another folder with --data-dir."),
        e("port-in-use", None, ConfigurationError, "The port is taken.", "Stop what uses it, or choose another with --port."),
        e("migrations-pending", None, ConfigurationError, "The database is older or newer than this program.", "Run `labelcrew db migrate`."),
        e("network-forbidden", None, ConfigurationError, "Calls to the network are switched off here.", "Unset LABELCREW_FORBID_NETWORK."),
    ]  # fmt: skip
    return {entry.code: entry for entry in entries}


REGISTRY: dict[str, ErrorEntry] = {}
REGISTRY.update(_registry())

BY_SQLSTATE: dict[str, ErrorEntry] = {entry.sqlstate: entry for entry in REGISTRY.values() if entry.sqlstate}


def error_of(code: str, detail: str = "", *, hint: str | None = None, **data: Any) -> LabelCrewError:
    """The exception of a registered code, in its family's class."""
    entry = REGISTRY[code]
    return entry.family(detail, code=code, hint=hint, **data)
