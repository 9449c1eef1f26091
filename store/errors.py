"""What a database says when it refuses, in the product's own words: one translation for both transports."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
import psycopg

from schemas.errors import BY_SQLSTATE, Invalid, LabelCrewError, Unavailable, error_of

_INVALID = {
    "22P02", "22P05", "22021", "22003", "22007", "22008", "22023", "22001", "22000", "22012", "22025", "2201B",
    "23502", "23503", "23514", "22030", "22032", "PGRST102",
}  # fmt: skip
"""Values that do not fit their type or a constraint: what was sent is at fault."""

_UNAVAILABLE = {
    "53300": "the database has no connection free",
    "57014": "the database took too long and gave up",
    "57P01": "the database is shutting down",
    "57P02": "the database crashed",
    "57P03": "the database is starting",
    "PGRST000": "the database does not answer",
    "PGRST001": "the database does not answer",
    "PGRST002": "the database does not answer",
    "PGRST003": "the database has no connection free",
    "53200": "the database is out of memory",
    "55P03": "the database took too long to get a lock",
}

_OUT_OF_DATE = {"42883", "PGRST202", "3F000", "PGRST106", "42P01"}

TRANSIENT = {"40001", "40P01"}
"""Serialization failure and deadlock: the transaction did nothing and may simply be run again."""

TURNED_AWAY = {"57P01", "57P03"}
"""Shutting down, starting up. A server that says so has not committed: it answers a query before it commits it."""


def translated(  # noqa: PLR0911 - a table of cases
    sqlstate: str | None, message: str, *, detail: str | None = None, hint: str | None = None, function: str = ""
) -> LabelCrewError:
    """The product's error for a SQLSTATE (or a PostgREST code) and the words that came with it.

    Errors that the SQL functions raise on purpose keep their words, hint and facts. Of all others only those about what
    was sent keep their words; the rest may hold people's data, or mean nothing to them.
    """
    entry = BY_SQLSTATE.get(sqlstate or "")
    if entry is not None:
        return error_of(entry.code, message, hint=hint or None, **_facts(detail))
    if sqlstate == "53100":
        return error_of("disk-full")
    if sqlstate in _INVALID:
        return Invalid(message, sqlstate=sqlstate)
    if sqlstate in _UNAVAILABLE:
        return Unavailable(_UNAVAILABLE[sqlstate], sqlstate=sqlstate)
    if sqlstate in _OUT_OF_DATE:
        return unknown_function(function, ())
    if sqlstate in TRANSIENT:
        return Unavailable("the database was too busy with the same rows", sqlstate=sqlstate)
    return LabelCrewError(f"the database refused {function or 'a call'}: {message}", sqlstate=sqlstate)


def from_psycopg(failure: psycopg.Error, function: str = "") -> LabelCrewError:
    """The product's error for one that psycopg raised."""
    if failure.sqlstate is None:  # psycopg's own: a value that it cannot send, or a connection that broke
        return Invalid(str(failure)) if isinstance(failure, psycopg.DataError) else unavailable(failure)
    diag = failure.diag
    return translated(
        failure.sqlstate,
        diag.message_primary or "",
        detail=diag.message_detail,
        hint=diag.message_hint,
        function=function,
    )


def unknown_function(function: str, params: Iterable[str]) -> LabelCrewError:
    """The database has no such function, or not with these parameters: it is older or newer than the program."""
    return error_of("migrations-pending", f"the database does not know the function {function}({', '.join(params)})")


def unavailable(failure: Exception) -> Unavailable:
    """The database cannot be reached. Only the kind of failure is told: its words may hold the password of a DSN."""
    return Unavailable(f"the database does not answer ({type(failure).__name__})")


def _facts(detail: str | None) -> dict[str, Any]:
    try:
        facts = orjson.loads(detail or "{}")
    except orjson.JSONDecodeError:
        return {}
    return {k: v for k, v in facts.items() if k not in {"code", "detail", "hint"}} if isinstance(facts, dict) else {}
