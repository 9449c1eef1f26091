"""What a stored row says in a file: names instead of keys, and columns in one order for every format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from schemas.errors import error_of
from schemas.labelsets import Labelset

_BASE = ("id", "external_id", "text")
_STATE = ("state", "source", "probability")
_PROVENANCE = (
    "confidence", "model", "rationale", "route", "route_reason", "labelset_version", "annotator", "lead_time_ms",
    "cost_usd", "created_at",
)  # fmt: skip
_SHAPE = {
    "classification": "labels",
    "spans": "spans",
    "boxes": "boxes",
    "polygons": "polygons",
    "segments": "segments",
}


def export_columns(labelset: Labelset, *, provenance: bool = False) -> list[str]:
    """The columns of an export, in order: the columns of ``WriteOptions``."""
    return [*_BASE, _SHAPE[labelset.kind], *_STATE, *(_PROVENANCE if provenance else ()), "metadata"]


class RowExporter:
    """Turns rows as the database's export gives them into rows for a file."""

    def __init__(self, labelset: Labelset, *, provenance: bool = False) -> None:
        self._columns = export_columns(labelset, provenance=provenance)
        self._shape = _SHAPE[labelset.kind]
        self._names = {c.key: c.name for c in labelset.classes}

    def __call__(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """One row with the columns of :func:`export_columns`; labels are names, None where there is no answer."""
        return self._labelled({name: stored.get(name) for name in self._columns}, stored.get("payload"))

    def page(self, stored: Mapping[str, Any]) -> list[dict[str, Any]]:
        """A compact page of ``export_items``: ``rows`` are lists of values in the order of ``columns``. A page of
        objects would take twice as long to read and to turn."""
        columns: Sequence[str] = stored["columns"]
        place = {name: at for at, name in enumerate(columns)}
        payload = place["payload"]
        # the labels' own column is filled in afterwards: until then the payload holds its place
        take = itemgetter(*(payload if name == self._shape else place[name] for name in self._columns))
        return [
            self._labelled(dict(zip(self._columns, take(row), strict=True)), row[payload]) for row in stored["rows"]
        ]

    def _labelled(self, row: dict[str, Any], payload: Mapping[str, Any] | None) -> dict[str, Any]:
        names = self._names
        if payload is None or self._shape not in payload:
            row[self._shape] = None
        elif self._shape == "labels":
            row["labels"] = [names.get(key, key) for key in payload["labels"]]
        else:
            row[self._shape] = [
                {**shape, "label": names.get(shape["label"], shape["label"])} for shape in payload[self._shape]
            ]
        return row


def check_export(format_name: str, labelset: Labelset) -> None:
    """Raise ``invalid`` if a dataset of this labelset cannot be written in this format at all."""
    if format_name == "conll" and (labelset.kind != "spans" or labelset.allow_overlap):
        why = "spans that may overlap" if labelset.kind == "spans" else labelset.kind
        raise error_of(
            "invalid",
            f"CoNLL holds spans that do not overlap; this dataset has {why}",
            hint="Export jsonl, csv or parquet.",
        )
