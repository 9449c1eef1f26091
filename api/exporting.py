"""An export, streamed: a page of rows from the database, put into the file's format in a thread, sent, forgotten."""

from __future__ import annotations

import re
import unicodedata
from typing import Any
from urllib.parse import quote

from starlette.responses import StreamingResponse

from api.deps import Gateway


async def export_stream(
    parts: Gateway, actor: str, dataset: str, format: str, filters: dict[str, Any], *, provenance: bool
) -> StreamingResponse:
    raise RuntimeError


def disposition(name: str, suffix: str) -> str:
    """The Content-Disposition header (RFC 6266) of an attachment named after a dataset."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-.")[:80] or "export"
    full = quote(f"{name}.{suffix}".replace("/", "-"), safe="")
    return f"attachment; filename=\"{safe}.{suffix}\"; filename*=UTF-8''{full}"
