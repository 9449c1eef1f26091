"""Vectors of items: computed once by the embedded model, kept in the database, and read back in a compact form."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from store.rpc import Rpc

if TYPE_CHECKING:
    from learning.embedding import Embedder

Vectors = NDArray[np.float32]
EMBED_CHUNK = 512


async def embedder() -> Embedder:
    """The embedded text model; loaded once, in a thread."""
    from learning.embedding import load_embedder

    return await asyncio.to_thread(load_embedder)


async def embed_texts(texts: list[str]) -> Vectors:
    """Vectors (n, 384) of texts, computed in a thread."""
    model = await embedder()
    return await asyncio.to_thread(model.encode, texts)


async def embed_missing(rpc: Rpc, actor: str, dataset: str, *, limit: int = EMBED_CHUNK) -> int:
    """Embed and keep up to ``limit`` items that have no vector yet; how many there were."""
    model = await embedder()
    rows: list[dict[str, Any]] = await rpc.call(
        "list_unembedded", actor=actor, dataset=dataset, model=model.name, limit=limit
    )
    if rows:
        vectors = await embed_texts([row["text"] or "" for row in rows])
        await save_vectors(rpc, actor, dataset, [row["id"] for row in rows], vectors)
    return len(rows)


async def save_vectors(rpc: Rpc, actor: str, dataset: str, ids: list[str], vectors: Vectors) -> None:
    """Keep the vectors of items."""
    model = await embedder()
    rounded = np.round(vectors.astype(np.float64), 5)
    rows = [{"id": item, "vector": vector} for item, vector in zip(ids, rounded.tolist(), strict=True)]
    await rpc.call("save_embeddings", actor=actor, dataset=dataset, model=model.name, rows=rows, timeout=120)


def unpack_vector(packed: str) -> Vectors:
    """One vector (384,) from the database's compact form: base64 of big-endian half floats."""
    return np.frombuffer(base64.b64decode(packed), dtype=">f2").astype(np.float32)


def unpack_vectors(packed: str, count: int) -> Vectors:
    """Vectors (count, 384) that stand one after another in that form."""
    return np.frombuffer(base64.b64decode(packed), dtype=">f2").astype(np.float32).reshape(count, -1)
