"""Item texts as data inside a prompt: no text can end its block, start a line of its own, or fill in a template.

Every text is one JSON string on one line, so line breaks are escaped; ``<`` is escaped too, so the closing tag of a
block can stand only where we wrote it. So is the brace of ``{tools}`` and ``{tool_names}``, which CrewAI replaces
wherever it finds them. The result is the same for the same texts, so caches hit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import orjson

_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
_ESCAPES = str.maketrans({"\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029", "<": "\\u003c"})
_PLACEHOLDER = "{tool"


def quoted(value: Any) -> str:
    """JSON of a value on one line, without ``<``. A text has as many code points after as before."""
    if isinstance(value, str):
        value = _LONE_SURROGATE.sub("\ufffd", value)
    return orjson.dumps(value).decode().translate(_ESCAPES).replace(_PLACEHOLDER, "\\u007btool")


def numbered(texts: Iterable[Any]) -> str:
    """One line a text: its number from 1, and the text as a JSON string. Other values become JSON of their kind."""
    return "\n".join(f"{number}: {quoted(text)}" for number, text in enumerate(texts, 1))


def prose(text: str) -> str:
    """Words of ours or of an admin for a prompt of CrewAI, in which nothing is replaced either."""
    return text.replace(_PLACEHOLDER, "{ tool")
