"""Which column holds the text, which the id, which the label, when nobody says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from formats.rows import ReadOptions, Table
from schemas.errors import error_of

TEXT_NAMES = (
    "text", "content", "message", "review", "review_text", "sentence", "body", "utterance", "question", "document",
    "comment", "tweet", "post", "abstract", "description", "query", "prompt", "input",
)  # fmt: skip
ID_NAMES = ("external_id", "id", "uid", "item_id", "_id", "uuid")
LABEL_NAMES = ("label", "labels", "category", "intent", "class", "target", "sentiment", "annotation")
SPAN_NAMES = ("spans", "entities")

EXPORT_COLUMNS = (
    "id", "external_id", "text", "labels", "spans", "boxes", "polygons", "segments", "state", "source", "probability",
    "confidence", "model", "rationale", "route", "route_reason", "labelset_version", "annotator", "lead_time_ms",
    "cost_usd", "created_at", "metadata",
)  # fmt: skip
"""The columns of our own exports."""
_SIGNATURE = frozenset({"id", "external_id", "text", "state", "source"})


@dataclass(slots=True)
class Chosen:
    """The columns that were chosen, by name."""

    text: str
    id: str | None = None
    label: str | None = None
    spans: str | None = None
    ignored: frozenset[str] = frozenset()
    """Columns left out of the metadata: what an export of ours says about its own rows."""
    notices: list[str] = field(default_factory=list)


def choose(table: Table, options: ReadOptions) -> Chosen:
    """Choose the columns of ``table``. Raises ``missing-column``, naming the columns that exist."""
    columns = table.columns
    text = _named(options.text_column, columns, "text")
    item_id = _named(options.id_column, columns, "id")
    label = _named(options.label_column, columns, "label")
    spans = None
    notices: list[str] = []
    item_id = item_id or _first(ID_NAMES, [c for c in columns if c not in (text, label)])
    if options.guess_label and label is None:
        free = [c for c in columns if c not in (text, item_id)]
        label, spans = _first(LABEL_NAMES, free), _first(SPAN_NAMES, free)
    elif label is not None and label.casefold() in SPAN_NAMES:
        label, spans = None, label
    if text is None:
        taken = {item_id, label, spans}
        free = [c for c in columns if c not in taken]
        text = _first(TEXT_NAMES, free)
        if text is None:
            text = _longest(table, free)
            if len(free) > 1:
                notices.append(f"No column is called text; {text!r} holds the longest ones and was taken.")
    ignored: frozenset[str] = frozenset()
    if set(columns) >= _SIGNATURE:
        ignored = frozenset(EXPORT_COLUMNS) - {"metadata"}
    return Chosen(text, item_id, label, spans, ignored, notices)


def _named(wanted: str | None, columns: Sequence[str], role: str) -> str | None:
    if wanted is None:
        return None
    if wanted in columns:
        return wanted
    alike = [c for c in columns if c.casefold() == wanted.strip().casefold()]
    if len(alike) == 1:
        return alike[0]
    exist = ", ".join(columns[:30]) + (", …" if len(columns) > 30 else "")
    raise error_of(
        "missing-column",
        f"there is no column {wanted!r} for the {role}; the columns are: {exist}",
        hint=f"Name the column that holds the {role}.",
        columns=list(columns[:200]),
    )


def _first(names: Sequence[str], columns: Sequence[str]) -> str | None:
    by_name = {c.casefold().replace(" ", "_").replace("-", "_"): c for c in reversed(columns)}
    return next((by_name[name] for name in names if name in by_name), None)


def _longest(table: Table, free: Sequence[str]) -> str:
    def length(column: str) -> float:
        position = table.columns.index(column)
        found = [
            record.get(column) if isinstance(record, Mapping) else record[position]
            for record in table.sample
            if isinstance(record, Mapping) or len(record) == len(table.columns)
        ]
        texts = [value for value in found if isinstance(value, str)]
        return sum(map(len, texts)) / len(found) if texts else -1.0

    best = max(free, key=length, default=None)
    if best is None or length(best) < 0:
        exist = ", ".join(table.columns[:30])
        raise error_of(
            "missing-column", f"no column holds texts; the columns are: {exist}", columns=table.columns[:200]
        )
    return best


def known_names() -> frozenset[str]:
    """Every column name that means something here: a row that holds one is a header."""
    more: tuple[Any, ...] = ("metadata", "title", "worker", "annotator", "score", "rating", "date", "item")
    return frozenset((*TEXT_NAMES, *ID_NAMES, *LABEL_NAMES, *SPAN_NAMES, *more))
