"""CoNLL: a token and its tags on each line, a blank line between sentences.

The last column is the entity tag, in any scheme of the BIO family (BIO, IOB1, BIOES, BILOU, BMES): B and S begin an
entity, I goes on with one of its class or begins one (that is IOB1), E ends it; see Ramshaw and Marcus 1995 and Tjong
Kim Sang and Veenstra 1999. A sentence's text is its tokens joined by single spaces, and spans count code points of that
text. ``-DOCSTART-`` lines are passed over. Comments (``# …`` before a sentence) too, but ``# id …`` and
``# sent_id = …`` name the item.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from formats.building import SeenIds
from formats.rows import MAX_ID_CHARS, ReadOptions, Ready, Rejected, Row, shorten
from formats.sources import Source
from schemas.errors import error_of

_BLANKS = re.compile(r"[ \t]+")
_TAG = re.compile(r"([BIESLUM])-(.+)")
_ID = re.compile(r"#\s*(?:sent_)?id\b\s*[=:]?\s*(\S+)")
_TOKEN = re.compile(r"\S+")


def read(source: Source, options: ReadOptions) -> Ready:
    """Open a CoNLL file."""
    source.look_through()
    return Ready(_rows(source, options.max_text_chars))


def _rows(source: Source, max_chars: int) -> Iterator[Row | Rejected]:
    seen = SeenIds()
    sentence = _Sentence()
    number = 0
    for batch in source.lines():
        for raw in batch:
            number += 1
            line = raw.strip(" \t\r\n")
            code = source.bad_lines.pop(number, None) if source.bad_lines else None
            if code is not None:
                sentence.refuse(number, f"line {number} is too long or not {source.encoding.upper()} text", code)
            elif line:
                sentence.add(number, line)
            elif sentence.begun:
                yield sentence.finish(max_chars, seen)
                sentence = _Sentence()
    if sentence.begun:
        yield sentence.finish(max_chars, seen)


class _Sentence:
    """One sentence while its lines come in."""

    def __init__(self) -> None:
        self._start = 0
        self._external_id: str | None = None
        self._tokens: list[str] = []
        self._tags: list[str] = []
        self._rejected: Rejected | None = None

    @property
    def begun(self) -> bool:
        return bool(self._tokens) or self._rejected is not None

    def refuse(self, number: int, reason: str, code: Any) -> None:
        self._rejected = self._rejected or Rejected(self._start or number, reason, code)

    def add(self, number: int, line: str) -> None:
        columns = line.split("\t") if "\t" in line else _BLANKS.split(line)
        tag = columns[-1].strip()
        valid = len(columns) > 1 and (tag == "O" or _TAG.fullmatch(tag) is not None)
        if not self._tokens:
            if columns[0] == "-DOCSTART-":
                return
            if line.startswith("#") and not valid:
                if found := _ID.match(line):
                    self._external_id = found[1]
                return
            self._start = number
        if len(columns) < 2:
            self.refuse(number, f"line {number} has no tag: {shorten(line)}", "bad-tag")
        elif not valid:
            self.refuse(number, f"line {number}: {shorten(tag)} is not a tag of the BIO family", "bad-tag")
        self._tokens.append(columns[0].strip())
        self._tags.append(tag)

    def finish(self, max_chars: int, seen: SeenIds) -> Row | Rejected:  # noqa: PLR0911 -- one return a check
        line = self._start
        if self._rejected is not None:
            return self._rejected
        text = " ".join(self._tokens)
        if not text.strip():
            return Rejected(line, "the text is empty", "empty-text")
        if len(text) > max_chars:
            return Rejected(line, f"the text has {len(text):,} characters, more than {max_chars:,}", "text-too-long")
        if "\0" in text or any("\0" in tag for tag in self._tags):
            return Rejected(line, "the sentence holds a NUL character, which cannot be stored", "nul-character")
        if self._external_id is not None:
            if len(self._external_id) > MAX_ID_CHARS:
                return Rejected(line, f"the id has more than {MAX_ID_CHARS} characters", "id-too-long")
            first = seen.first_line(self._external_id, line)
            if first is not None:
                shown = shorten(self._external_id)
                return Rejected(line, f"the id {shown} was given before, on line {first}", "duplicate-id")
        return Row(line, text, self._external_id, {}, None, spans_of(self._tokens, self._tags))


def spans_of(tokens: Sequence[str], tags: Sequence[str]) -> list[dict[str, Any]]:
    """``[{"start", "end", "label"}]`` in code points of ``" ".join(tokens)``, from tags of the BIO family."""
    spans: list[dict[str, Any]] = []
    current: dict[str, Any] | None = None
    at = 0
    for token, tag in zip(tokens, tags, strict=True):
        end = at + len(token)
        match = _TAG.fullmatch(tag)
        if match is None:
            current = None
        else:
            prefix, label = match.groups()
            if prefix in "BSU" or current is None or current["label"] != label:
                current = {"start": at, "end": end, "label": label}
                spans.append(current)
            current["end"] = end
            if prefix in "ESLU":
                current = None
        at = end + 1
    return spans


def tags_of(text: str, spans: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Tokens of ``text`` with BIO tags. Tokens are cut at white space and where a span begins or ends.

    Raises ``invalid`` for spans that overlap, which one column of tags cannot say.
    """
    ordered = sorted(spans, key=lambda span: (span["start"], span["end"]))
    if any(after["start"] < before["end"] for before, after in pairwise(ordered)):
        raise error_of("invalid", "spans that overlap cannot be written as CoNLL", hint="Export JSONL.")
    cuts = sorted({edge for span in ordered for edge in (span["start"], span["end"])})
    tagged: list[tuple[str, str]] = []
    position, fresh = 0, True
    for match in _TOKEN.finditer(text):
        first, last = match.span()
        inner = cuts[bisect_right(cuts, first) : bisect_left(cuts, last)]
        for start, end in pairwise([first, *inner, last]):
            while position < len(ordered) and ordered[position]["end"] <= start:
                position, fresh = position + 1, True
            if position < len(ordered) and ordered[position]["start"] <= start:
                tagged.append((text[start:end], f"{'B' if fresh else 'I'}-{ordered[position]['label']}"))
                fresh = False
            else:
                tagged.append((text[start:end], "O"))
    return tagged


class Encoder:
    """Rows as ``token TAB tag`` lines in BIO. Rows whose spans are None (nobody looked) are left out."""

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> bytes:
        """The bytes of ``rows``, each ended by a blank line."""
        lines: list[str] = []
        for row in rows:
            if row.get("spans") is None:
                continue
            lines += [f"{token}\t{tag}" for token, tag in tags_of(row["text"] or "", row["spans"])]
            lines.append("")
        return "".join([line + "\n" for line in lines]).encode()

    def finish(self) -> bytes:
        """Nothing: the last sentence has its blank line."""
        return b""
