"""Plain text: every line that is not blank is an item."""

from __future__ import annotations

from collections.abc import Iterator

from formats.rows import ReadOptions, Ready, Rejected, Row
from formats.sources import Source


def read(source: Source, options: ReadOptions) -> Ready:
    """Open a text file."""
    source.look_through()
    return Ready(_rows(source, options.max_text_chars))


def _rows(source: Source, max_chars: int) -> Iterator[Row | Rejected]:
    bad_lines, has_nul = source.bad_lines, source.has_nul
    number = 0
    for batch in source.lines():
        for line in batch:
            number += 1
            text = line.rstrip("\r\n")
            if bad_lines and (code := bad_lines.pop(number, None)) is not None:
                yield Rejected(number, f"the line is too long or not {source.encoding.upper()} text", code)
            elif not text or text.isspace():
                continue
            elif len(text) > max_chars:
                yield Rejected(
                    number, f"the line has {len(text):,} characters, more than {max_chars:,}", "text-too-long"
                )
            elif has_nul and "\0" in text:
                yield Rejected(number, "the line holds a NUL character, which cannot be stored", "nul-character")
            else:
                yield Row(number, text)
