"""Item texts as data inside a prompt: no text can end its block, start a line of its own, or be read as a template.

Every text is one JSON string on one line, so line breaks are escaped; ``<`` is escaped too, so the closing tag of a
block can stand only where we wrote it. The result is the same for the same texts, so caches hit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import orjson

_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
_LINE_BREAKS = str.maketrans({"\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029", "<": "\\u003c"})
_BRACES = str.maketrans({"{": "\\u007b", "}": "\\u007d"})


def quoted(value: Any, *, braces: bool = True) -> str:
    """JSON of a value on one line, without ``<``. Code points stay as many as they were.

    ``braces=False`` escapes the braces inside a *string* too, for prompts that pass through somebody else's templates.
    """
    if isinstance(value, str):
        value = _LONE_SURROGATE.sub("\ufffd", value)
    text = orjson.dumps(value).decode().translate(_LINE_BREAKS)
    return text if braces else text.translate(_BRACES)


def numbered(texts: Iterable[str], *, braces: bool = True) -> str:
    """One line a text: its number from 1, and the text as a JSON string."""
    return "\n".join(f"{number}: {quoted(text, braces=braces)}" for number, text in enumerate(texts, 1))
