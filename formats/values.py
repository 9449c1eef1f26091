"""Values as they stand in cells: what CSV and Parquet make of labels, spans and metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from formats.guard import guard

JSON_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z


def json_of(value: Any) -> str:
    """``value`` as compact JSON."""
    return orjson.dumps(value, default=str, option=JSON_OPTIONS).decode()


def cell_of(value: Any) -> str:  # noqa: PLR0911 -- one return a type
    """A value that is not a string, as a cell. None is empty, one label stands bare, lists and objects are JSON."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case datetime():
            return value.isoformat()
        case [str() as only] if only and only[0] not in "[{":
            return guard(only)
        case Mapping() | list() | tuple():
            return json_of(value)
        case _:
            return str(value)


def column_names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names that ``rows`` have, in the order they come up."""
    return list(dict.fromkeys(name for row in rows for name in row))
