"""An export, streamed: a page of rows from the database, put into the file's format in a thread, sent, forgotten."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

from starlette.responses import FileResponse, StreamingResponse

from api.deps import Gateway
from schemas.errors import error_of
from schemas.labelsets import Labelset
from schemas.settings import Settings

PAGE = 2000


def exported_file(settings: Settings, job: dict[str, Any]) -> FileResponse:
    """What an export job wrote. Raises ``illegal-job-state`` if it has not, ``not-found`` when it was deleted."""
    if job["kind"] != "export" or job["state"] != "done":
        raise error_of("illegal-job-state", f"the job is a {job['kind']} that is {job['state']}: it has no file")
    path = settings.data_path / "exports" / f"{job['id']}.{job['result']['format']}"
    if not path.is_file():
        raise error_of("not-found", "the file of this export is no longer here", hint="Export again.")
    return FileResponse(path, media_type="application/octet-stream", filename=f"export.{job['result']['format']}")


async def export_stream(
    parts: Gateway,
    actor: str,
    dataset: str,
    format_name: str,
    filters: dict[str, Any],
    *,
    provenance: bool,
) -> StreamingResponse:
    """The response that carries the file. What can be refused is refused before the first byte; a database that fails
    later breaks the connection off, so that a part is never taken for the whole."""
    from formats.exporting import RowExporter, check_export, export_columns  # brings pyarrow
    from formats.registry import format_of
    from formats.writing import WriteOptions, encoder

    found = await parts.rpc.call("get_dataset", actor=actor, dataset=dataset)
    if found["labelset"] is None:
        raise error_of("no-labelset")
    labelset = Labelset.model_validate(found["labelset"])
    check_export(format_name, labelset)
    shape = RowExporter(labelset, provenance=provenance)
    encode = encoder(format_name, WriteOptions(columns=export_columns(labelset, provenance=provenance)))

    async def page(after: int) -> dict[str, Any]:
        answer: dict[str, Any] = await parts.rpc.call(
            "export_items", actor=actor, dataset=dataset, filters=filters, after=after, limit=PAGE, compact=True
        )
        return answer

    async def content(first: dict[str, Any]) -> AsyncIterator[bytes]:
        current = first
        while True:
            following = asyncio.create_task(page(current["next"])) if current["next"] is not None else None
            try:
                piece = await asyncio.to_thread(_encode, encode, shape, current)
                if piece:
                    yield piece
                if following is None:
                    break
                current = await following
            finally:
                if following is not None:
                    following.cancel()
        if piece := await asyncio.to_thread(encode.finish):
            yield piece

    media = format_of(format_name)
    return StreamingResponse(
        content(await page(0)),
        media_type=media.media_type,
        headers={"Content-Disposition": disposition(found["name"], media.extension)},
    )


def _encode(encode: Any, shape: Any, page: dict[str, Any]) -> bytes:
    piece: bytes = encode.encode(shape.page(page))
    return piece


def disposition(name: str, extension: str) -> str:
    """The Content-Disposition header (RFC 6266) of an attachment named after a dataset."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-.")[:80] or "export"
    full = quote(f"{name}{extension}".replace("/", "-"), safe="")
    return f"attachment; filename=\"{safe}{extension}\"; filename*=UTF-8''{full}"
