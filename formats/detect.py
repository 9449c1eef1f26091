"""Which format a file is in, from what it holds first and from its name second.

Names lie (an Excel workbook called .csv, JSON lines called .json), so content that is unmistakable wins.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import get_args

from formats.delimited import sniff
from formats.rows import FormatName
from formats.sources import BOMS, Source
from schemas.errors import error_of

EXTENSIONS: dict[str, FormatName] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".txt": "txt",
    ".text": "txt",
    ".conll": "conll",
    ".bio": "conll",
    ".iob": "conll",
    ".iob2": "conll",
    ".bioes": "conll",
}

_FOREIGN = (
    (b"PK\x03\x04", "an Excel workbook or ZIP archive", "Save the sheet as CSV, or unpack the archive."),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word document", "Save it as CSV."),
    (b"%PDF", "a PDF document", "Extract its text first."),
    (b"SQLite format 3", "a SQLite database", "Export the table as CSV."),
    (b"BZh", "packed with bzip2", "Unpack it, or pack it with gzip."),
    (b"\xfd7zXZ\x00", "packed with xz", "Unpack it, or pack it with gzip."),
    (b"\x28\xb5\x2f\xfd", "packed with Zstandard", "Unpack it, or pack it with gzip."),
    (b"\x1f\x8b", "packed twice", "Unpack it once."),
    (b"ARROW1", "an Arrow file", "Save it as Parquet."),
    (b"\x89PNG", "a PNG image", "Choose a file of texts."),
    (b"\xff\xd8\xff", "a JPEG image", "Choose a file of texts."),
)

TAG = re.compile(r"^(?:O|[BIESLUM]-\S+)$")
"""Tags of the BIO family; L, U and M are the E, S and I of BILOU and BMES."""


def detect_format(source: Source) -> FormatName:
    """The format of ``source``. Raises ``unknown-format`` and ``empty-file``."""
    wanted = source.options.format
    if wanted is not None and wanted not in get_args(FormatName):
        raise error_of("unknown-format", f"{wanted!r} is not a format that can be read")
    head = source.head()
    if not head:
        raise error_of("empty-file", f"{source.name}: the file is empty")
    for magic, what, hint in _FOREIGN:
        if head.startswith(magic):
            raise error_of("unknown-format", f"{source.name}: this is {what}", hint=hint)
    if head.startswith(b"PAR1"):
        return "parquet"
    found = wanted or _by_content(_peek(head), named_format(source.name))
    if found is None:
        raise error_of("unknown-format", f"{source.name}: neither the name nor the content tells the format")
    return found


def _by_content(text: str, named: FormatName | None) -> FormatName | None:
    start = text.lstrip()[:1]
    if named in ("json", "jsonl", None) and start in ("[", "{"):
        if start == "{" and (named == "jsonl" or _is_json_lines(text)):
            return "jsonl"
        return "json"
    if named in ("txt", None) and looks_like_conll(text):
        return "conll"
    if named is None and sniff(text.splitlines(keepends=True)).width > 1:
        return "csv"
    return named


def named_format(name: str) -> FormatName | None:
    """The format that a file name claims; ``.gz`` behind it does not matter."""
    path = PurePath(name.lower())
    if path.suffix == ".gz":
        path = PurePath(path.stem)
    return EXTENSIONS.get(path.suffix)


def _peek(head: bytes) -> str:
    for mark, encoding in BOMS:
        if head.startswith(mark):
            return head[len(mark) :].decode(encoding, "replace")
    if b"\0" in head[:64]:
        return head.replace(b"\0", b"").decode("latin-1")
    return head.decode("utf-8", "replace")


def _is_json_lines(text: str) -> bool:
    """Whether objects stand one to a line, rather than one object over many lines."""
    first, _, rest = text.lstrip().partition("\n")
    return first.rstrip().endswith("}") or not rest.strip()


def looks_like_conll(text: str) -> bool:
    """Whether every line of the beginning is blank, or columns that end in a tag."""
    lines = text.split("\n")[:200]
    if len(lines) > 1:
        lines.pop()  # may be cut off
    rows = [re.split(r"[ \t]+", line.strip()) for line in lines if line.strip() and not line.startswith("# ")]
    return bool(rows) and all(len(row) > 1 and TAG.match(row[-1]) for row in rows)
