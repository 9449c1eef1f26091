"""CSV and TSV: rows of cells, quoted as RFC 4180 says, and the many files that say otherwise.

Reading is Python's csv module in strict mode over lines that we hand it one by one, so that we know on which physical
line each record began and how much a quote that nobody closed has swallowed. Such a quote costs its own row, not the
rest of the file: the lines behind it are read anew. csv.Sniffer guesses wrong on texts with many commas, so delimiter
and header are found by our own rules, see :func:`sniff` and :func:`is_header`.
"""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from formats.columns import known_names
from formats.guard import guard
from formats.rows import (
    MAX_CELL_CHARS,
    MAX_RECORD_CHARS,
    ReadOptions,
    Rejected,
    Table,
    shorten,
    unique_names,
)
from formats.sources import Source
from formats.values import cell_of, column_names
from schemas.errors import error_of

# the limit is the process's own; ours, on whole records, comes first
csv.field_size_limit(max(csv.field_size_limit(), 2 * MAX_RECORD_CHARS))

DELIMITERS = (",", ";", "\t", "|")
SAMPLE = 200
REREAD_BUDGET = 8
"""Lines behind stray quotes are read again, at most this many times the size of the largest record in all."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file separates and quotes. ``width`` is the number of cells of its first row."""

    delimiter: str
    width: int
    quoted: bool = True

    def reader(self, lines: Iterable[str], *, strict: bool) -> Iterator[list[str]]:
        """A csv reader in this dialect."""
        if self.quoted:
            return csv.reader(lines, delimiter=self.delimiter, strict=strict)
        return csv.reader(lines, delimiter=self.delimiter, quoting=csv.QUOTE_NONE)


def sniff(lines: Sequence[str], delimiters: Sequence[str] = DELIMITERS) -> Dialect:
    """The dialect of a file from its first lines.

    The first row decides how wide a row is. The delimiter under which most rows have that width wins, one that cuts
    known column names out of the first row before others, wider rows before narrow ones. A file whose first row no
    delimiter cuts has one column.
    """
    best: tuple[float, int] = (0.0, 0)
    found = Dialect(delimiters[0], 1)
    narrow: tuple[float, Dialect] = (-1.0, found)
    for delimiter in delimiters:
        dialect = Dialect(delimiter, 1)
        rows = _lenient_rows(dialect, lines)
        if not rows or not rows[0]:
            continue
        first = rows[0]
        width = len(first)
        if len(rows) > 2 or any("\n" in cell for cell in rows[-1]):
            rows.pop()  # the sample may end within it, or a stray quote have swallowed what follows
        share = sum(len(row) == width for row in rows) / max(1, len(rows))
        if width == 1:
            if share > narrow[0]:
                narrow = (share, Dialect(delimiter, 1))
        else:
            score = round(share, 1) + any(_plain_name(cell) in known_names() for cell in first)
            if score >= 0.6 and (score, width) > best:
                best, found = (score, width), Dialect(delimiter, width)
    if found.width == 1:
        found = narrow[1]
    return Dialect(found.delimiter, found.width, quoted=not _quotes_are_text(lines, found))


def _lenient_rows(dialect: Dialect, lines: Sequence[str]) -> list[list[str]]:
    """The rows of a sample; what is not CSV at all in this dialect is a row without cells."""
    rows: list[list[str]] = []
    reader = dialect.reader(lines, strict=False)
    while len(rows) < SAMPLE:
        try:
            row = next(reader, None)
        except csv.Error:
            rows.append([])
            continue
        if row is None:
            break
        if row:
            rows.append(row)
    return rows


def _quotes_are_text(lines: Sequence[str], dialect: Dialect) -> bool:
    """Whether the file never quotes: cells begin with a quote, and no such cell is a proper quoted one."""
    cells = [c for line in lines for c in line.rstrip("\r\n").split(dialect.delimiter) if c.startswith('"')]
    if not cells or any(re.fullmatch(r'"(?:[^"]|"")*"', cell) for cell in cells):
        return False
    if _is_proper(lines, dialect):
        return False
    plain = sum(line.count(dialect.delimiter) == dialect.width - 1 for line in lines if line.strip())
    return dialect.delimiter == "\t" and plain >= 0.9 * len(lines)


def _is_proper(lines: Sequence[str], dialect: Dialect) -> bool:
    """Whether the sample is whole and flawless when its quotes quote: a cell may then hold tabs and line ends."""
    try:
        return all(len(row) == dialect.width for row in dialect.reader(lines, strict=True) if row)
    except csv.Error:
        return False


def is_header(rows: Sequence[Sequence[str]], options: ReadOptions) -> bool:
    """Whether the first of ``rows`` names the columns.

    It does if it holds a name that was asked for or a usual one, or a name above numbers; or if its cells look like
    names, differ, and stand above cells that are longer or never repeat them.
    """
    first = [cell.strip() for cell in rows[0]]
    asked = {c for c in (options.text_column, options.id_column, options.label_column) if c}
    lowered = [_plain_name(cell) for cell in first]
    if asked & set(first) or set(lowered) & known_names():
        return True
    body = [row for row in rows[1:] if len(row) == len(first)]
    named = all(re.fullmatch(r"[^\W\d][\w .\-/()#]{0,40}", cell) and cell.count(" ") < 4 for cell in first)
    if not named or len(set(lowered)) < len(lowered) or not body:
        return False
    above_numbers = any(all(_number(row[i]) for row in body) for i in range(len(first)))
    repeated = any(row[i].strip() == first[i] for row in body for i in range(len(first)))
    longer = any(sum(len(row[i]) for row in body) > 2 * len(body) * len(first[i]) for i in range(len(first)))
    return above_numbers or (longer and not repeated)


def _plain_name(cell: str) -> str:
    return cell.strip().strip("\ufeff").casefold().replace(" ", "_")


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def read(source: Source, options: ReadOptions, *, delimiter: str | None = None) -> Table:
    """Open a delimited file; ``delimiter`` is the format's own, unless the options name one."""
    source.look_through()
    batches = source.lines()
    first: list[str] = []
    for batch in batches:
        first += batch
        if len(first) > SAMPLE:
            break
    delimiter = options.delimiter or delimiter
    if delimiter is not None and len(delimiter) != 1:
        raise error_of("invalid", f"a delimiter is one character, not {delimiter!r}")
    dialect = sniff(first[:SAMPLE], (delimiter,) if delimiter else DELIMITERS)
    if not dialect.quoted:
        source.notices.append("Quotes in this file are part of the texts; nothing in it is quoted.")
    records = Records(chain([first], batches), dialect, source)
    head = list(islice(records, SAMPLE))
    good = [i for i, record in enumerate(head) if not isinstance(record, Rejected)]
    rows = [record[1] for record in head if not isinstance(record, Rejected)]
    if not rows:
        raise error_of("empty-file", f"{source.name}: the file has no rows")
    header = is_header(rows, options) if options.header is None else options.header
    if header:
        columns = unique_names(rows[0])
        del head[good[0]]
        if not head:
            raise error_of("empty-file", f"{source.name}: the file has a header and no rows")
    else:
        columns = [f"column_{i}" for i in range(1, len(rows[0]) + 1)]
        if options.header is None:
            source.notices.append(f"The first row was taken as data; the columns are called {', '.join(columns[:6])}.")
    return Table(columns, rows[1:] if header else rows, chain(head, records), guarded=True)


class _TooLong(Exception):
    """A record has grown past the limit."""


class Records:
    """The records of a delimited file, with the line each begins on; see the module's story for stray quotes."""

    def __init__(self, batches: Iterable[list[str]], dialect: Dialect, source: Source) -> None:
        self._lines = chain.from_iterable(batches)
        self._dialect = dialect
        self._source = source
        self._again: deque[str] = deque()
        self._pending: list[str] = []
        self._budget = REREAD_BUDGET * MAX_RECORD_CHARS
        self._iterator = self._run()

    def __iter__(self) -> Iterator[tuple[int, list[str]] | Rejected]:
        return self._iterator

    def _feed(self) -> Iterator[str]:
        pending = self._pending
        again = self._again
        size = 0
        while again:
            line = again.popleft()
            pending.append(line)
            yield line
        for line in self._lines:
            if pending:
                size += len(line)
                if size > MAX_RECORD_CHARS:
                    pending.append(line)
                    raise _TooLong
            else:
                size = 0
            pending.append(line)
            yield line

    def _run(self) -> Iterator[tuple[int, list[str]] | Rejected]:
        pending, bad_lines = self._pending, self._source.bad_lines
        reader = self._dialect.reader(self._feed(), strict=True)
        line = 1
        while True:
            outcome: list[str] | Rejected
            try:
                outcome = next(reader)
            except StopIteration:
                return
            except (csv.Error, _TooLong) as error:
                outcome = self._mend(line, error)
                reader = self._dialect.reader(self._feed(), strict=True)
            start = line
            line += len(pending)
            if bad_lines and (rejected := self._bad(start, line)) is not None:
                outcome = rejected
            elif (len(pending) > 1 or len(pending[0]) > MAX_CELL_CHARS) and _overfull(outcome):
                outcome = _too_large(start)
            pending.clear()
            if outcome:
                yield outcome if isinstance(outcome, Rejected) else (start, outcome)

    def _bad(self, start: int, end: int) -> Rejected | None:
        for number in range(start, end):
            code = self._source.bad_lines.pop(number, None)
            if code == "cell-too-large":
                return _too_large(start)
            if code is not None:
                return Rejected(start, f"line {number} is not {self._source.encoding.upper()} text", code)
        return None

    def _mend(self, line: int, error: Exception) -> list[str] | Rejected:
        """What becomes of a record that is not proper CSV; leaves in ``pending`` the lines that it used up."""
        pending = self._pending
        if len(pending) == 1:
            if "unexpected end of data" in str(error):
                return _unclosed(line, pending[0])
            try:
                return next(self._dialect.reader(pending, strict=False))
            except csv.Error:
                return Rejected(line, f"the line is not CSV: {error}", "bad-row")
        stray = all(self._stands_alone(other) for other in pending[1:])
        if isinstance(error, _TooLong) and not stray:
            self._skip_record()
            return _too_large(line)
        if not stray and "unexpected end of data" not in str(error):
            cells = next(self._dialect.reader(pending, strict=False))
            if len(cells) == self._dialect.width:
                return cells
        self._budget -= sum(map(len, pending))
        if self._budget < 0:
            raise error_of(
                "unreadable-file",
                f"{self._source.name}: quotes are opened and not closed all over the file, first near line {line}",
                hint='A quote inside a quoted cell is written twice: "".',
            )
        self._again.extendleft(reversed(pending[1:]))
        del pending[1:]
        return _unclosed(line, pending[0])

    def _stands_alone(self, line: str) -> bool:
        """Whether a line by itself is a whole row of this file."""
        if self._dialect.width < 2:
            return False
        try:
            return len(next(self._dialect.reader([line], strict=True), [])) == self._dialect.width
        except csv.Error:
            return False

    def _skip_record(self) -> None:
        """Pass over the rest of a record that is too long, from inside its quotes, holding one line at a time."""
        kept = len(self._pending)
        inside = True
        for line in self._lines:
            kept += 1
            try:
                for _ in self._dialect.reader(['"' + line if inside else line], strict=True):
                    inside = False
            except csv.Error as error:
                inside = "unexpected end of data" in str(error)
            if not inside:
                break
        # only the number of lines matters from here on
        self._pending[:] = [""] * kept


def _overfull(outcome: list[str] | Rejected) -> bool:
    return isinstance(outcome, list) and any(len(cell) > MAX_CELL_CHARS for cell in outcome)


def _too_large(line: int) -> Rejected:
    return Rejected(line, f"a cell has more than {MAX_CELL_CHARS:,} characters", "cell-too-large")


def _unclosed(line: int, content: str) -> Rejected:
    return Rejected(line, f"a quote is opened here and not closed properly: {shorten(content)}", "unclosed-quote")


class Encoder:
    """Rows as CSV or TSV, UTF-8, CRLF line ends, spans and metadata as JSON, formulas guarded (``formats.guard``).

    The columns are those given, or those of the first batch. An empty cell stands for None.
    """

    def __init__(self, columns: Sequence[str] | None = None, *, delimiter: str = ",") -> None:
        self._columns = list(columns) if columns is not None else None
        self._delimiter = delimiter
        self._begun = False

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> bytes:
        """The bytes of ``rows``, after the header if they are the first."""
        if self._columns is None:
            self._columns = column_names(rows)
        text = io.StringIO(newline="")
        out = csv.writer(text, delimiter=self._delimiter, lineterminator="\r\n")
        columns = self._columns
        if not self._begun:
            self._begun = True
            out.writerow([guard(name) for name in columns])
        known = set(columns)
        for row in rows:
            if not row.keys() <= known:
                extra = next(name for name in row if name not in known)
                raise error_of("invalid", f"a row has a column {extra!r} that the file does not have")
            out.writerow([guard(c) if type(c := row.get(name)) is str else cell_of(c) for name in columns])
        return text.getvalue().encode()

    def finish(self) -> bytes:
        """What the file ends with: nothing, but a header if there were no rows."""
        return b"" if self._begun or self._columns is None else self.encode([])
