"""What can go wrong between us and a model's server, sorted by what to do about it.

*Transient*: try again (rate limits, server errors, cut connections, timeouts). *Unsupported*: ask again without the
parameter. Everything else is an error of the registry; some concern the item that was sent, the others the whole run
(:func:`concerns_run`), which should stop: a refused key is refused for every item.
"""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from schemas.errors import LabelCrewError, error_of

if TYPE_CHECKING:
    import openai

RUN_CODES = frozenset(
    {
        "model-auth", "model-unreachable", "model-rate-limited", "unknown-model", "unknown-price", "budget-exceeded",
        "network-forbidden", "configuration",
    }
)  # fmt: skip

LONGEST_WAIT_S = 120.0
TRIES_AFTER_TIMEOUT = 2
TRIES_BEFORE_FIRST_ANSWER = 3
FAILURES_IN_A_ROW = 20
"""Calls that were given up, without one answer in between, before the run is stopped."""

_OVERFLOW = re.compile(
    r"context[ _](length|window|size)|maximum context|too many (input )?tokens|prompt is too long|input is too long"
    r"|reduce the length",
    re.IGNORECASE,
)
_KEY = re.compile(r"\b(sk|pk|gsk|hf|key)[-_][\w*.-]{2,}", re.IGNORECASE)
_FORMAT = re.compile(r"response_format|json_schema|structured output|guided", re.IGNORECASE)
_PARAMETERS = ("max_completion_tokens", "max_tokens", "logprobs", "temperature", "stream_options", "tools")


class Transient(Exception):
    """Worth another try. ``error`` is what to raise when tries run out; ``retry_after`` is in seconds."""

    def __init__(self, error: LabelCrewError, *, retry_after: float | None = None) -> None:
        super().__init__(error.code)
        self.error = error
        self.retry_after = retry_after


class Unsupported(Exception):
    """The server does not take a parameter that was sent; ``named`` are those that its answer mentions."""

    def __init__(self, named: Sequence[str], error: LabelCrewError) -> None:
        super().__init__(", ".join(named))
        self.named = named
        self.error = error


def concerns_run(error: LabelCrewError) -> bool:
    """Whether the next item would fail the same way."""
    return error.code in RUN_CODES


def sort_failure(error: openai.APIError) -> Exception:
    """The exception to raise for what the SDK raised."""
    import httpx
    import openai

    if isinstance(error, openai.APITimeoutError) and not isinstance(error.__cause__, httpx.ConnectTimeout):
        return Transient(error_of("model-timeout"))
    if isinstance(error, openai.APIStatusError):
        return _sort_status(error.status_code, error.response.headers, error.response.text)
    return Transient(error_of("model-unreachable"))


def _sort_status(status: int, headers: Mapping[str, str], text: str) -> Exception:  # noqa: PLR0911 — one a kind
    said = _KEY.sub("***", text)[:300]
    if status == 429:
        if "insufficient_quota" in text:
            return error_of("model-rate-limited", "The account at the model's provider has no quota left.")
        return Transient(error_of("model-rate-limited"), retry_after=retry_after(headers))
    if status in (408, 409, 425) or status >= 500:
        return Transient(
            error_of("model-error", f"The model's server failed ({status})."), retry_after=retry_after(headers)
        )
    if status == 402:
        return error_of("model-rate-limited", "The account at the model's provider has no credit left.")
    if status == 404:
        return error_of("unknown-model", "The model's server does not know this model, or the address is wrong.")
    if status == 413 or _OVERFLOW.search(text):
        return error_of("context-overflow")
    if "content_filter" in text:
        return error_of("content-filtered")
    refused = error_of("model-error", f"The model's server refused the request ({status}): {said}")
    if status in (400, 403, 422):
        named = [parameter for parameter in _PARAMETERS if parameter in text]
        if _FORMAT.search(text):
            named.append("response_format")
        if named:
            return Unsupported(named, refused)
    if status in (401, 403):
        return error_of("model-auth")
    return refused


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait (RFC 9110: seconds or a date; or milliseconds), at most two minutes."""
    seconds: float | None = None
    try:
        if headers.get("retry-after-ms"):
            seconds = float(headers["retry-after-ms"]) / 1000
        elif headers.get("retry-after"):
            seconds = float(headers["retry-after"])
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time()
        except ValueError:
            return None
    return None if seconds is None else min(max(seconds, 0.0), LONGEST_WAIT_S)
