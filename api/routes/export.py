"""Taking the labels out, as a file that is written while it is sent."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query
from starlette.responses import StreamingResponse

from api.deps import Actor, DatasetId, Parts
from api.exporting import export_stream
from api.routes import resource
from schemas.world import ItemState

router = resource("export")

Probability = Annotated[float | None, Query(ge=0, le=1)]


@router.get(
    "/datasets/{dataset_id}/export",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The file, as an attachment.",
            "content": {
                media: {"schema": {"type": "string"}}
                for media in ("application/x-ndjson", "text/csv", "text/plain", "application/vnd.apache.parquet")
            },
        }
    },
    summary="Export a dataset",
)
async def export_items(
    parts: Parts,
    actor: Actor,
    dataset_id: DatasetId,
    format: Annotated[Literal["jsonl", "csv", "parquet", "conll"], Query(description="Of the file.")] = "jsonl",
    state: Annotated[list[ItemState] | None, Query(description="Only items in these states.")] = None,
    label: Annotated[
        list[str] | None, Query(max_length=100, description="Only items with one of these labels.")
    ] = None,
    source: Annotated[list[str] | None, Query(max_length=20, description="Only answers by these routes.")] = None,
    min_probability: Probability = None,
    max_probability: Probability = None,
    provenance: Annotated[bool, Query(description="Add columns that say where each label comes from.")] = True,
) -> StreamingResponse:
    """All items that match, with the answer that counts, or else the newest draft. Needs the role reviewer."""
    filters = {
        "states": state,
        "labels": label,
        "sources": source,
        "min_probability": min_probability,
        "max_probability": max_probability,
    }
    given = {key: value for key, value in filters.items() if value is not None}
    return await export_stream(parts, actor, dataset_id, format, given, provenance=provenance)
