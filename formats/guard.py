"""Cells that a spreadsheet would run as a formula, made harmless, and back.

Excel, LibreOffice and Google Sheets execute a cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or a line break
(OWASP, "CSV Injection", https://owasp.org/www-community/attacks/CSV_Injection; the full-width forms count in East Asian
locales). An apostrophe in front makes it plain text. The guard can be undone: a cell that already begins with
apostrophes and such a character gets one more, and reading takes exactly one away.
"""

from __future__ import annotations

import re

_RISKY = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_FIRST = frozenset("'=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
_GUARDED = re.compile("'" + _RISKY.pattern)


def guard(cell: str) -> str:
    """``cell`` as it may stand in a CSV file that somebody opens in a spreadsheet."""
    if cell and cell[0] in _FIRST and _RISKY.match(cell):
        return "'" + cell
    return cell


def unguard(cell: str) -> str:
    """The cell that :func:`guard` was given."""
    return cell[1:] if _GUARDED.match(cell) else cell
