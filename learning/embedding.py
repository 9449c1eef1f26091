"""Texts become vectors: all-MiniLM-L6-v2 in 8-bit integers on onnxruntime, packaged with the product, no torch.

Everything that the product knows about the *meaning* of a text without paying anybody starts here: zero-shot labels,
the student, similar items, drift. The model reads at most 256 word pieces of a text (about 1,100 characters of
English); what comes after is not seen by :meth:`Embedder.encode`. :meth:`Embedder.encode_tokens` reads long texts in
windows.

The integer arithmetic scales each batch by its largest value, so the vector of a text depends a little on its batch
mates (median cosine .993 between a text alone and in company; accuracy is the same). Therefore batches are made from
the *set* of texts, sorted: the same set gives the same vectors bit for bit, in any order and with any repetition.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from schemas.errors import Invalid

MODEL_NAME = "all-MiniLM-L6-v2"
DIMENSIONS = 384
MAX_TOKENS = 256
BATCH = 32
MAX_CHARACTERS = 8_000
"""Only this much of a text is cut into word pieces for :meth:`Embedder.encode`: seven times what 256 pieces cover."""

MODEL_DIR = Path(__file__).parent / "models" / MODEL_NAME

Vectors = NDArray[np.float32]
TokenVectors = tuple[Vectors, list[tuple[int, int]]]


class Embedder(Protocol):
    """Turns texts into unit vectors, and tokens into context vectors."""

    @property
    def name(self) -> str:
        """The model's name, as stored with the vectors it made."""
        ...

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors (n, dim), float32, each of length 1. Any text is fine, the empty one too."""
        ...

    def encode_tokens(self, texts: Sequence[str]) -> list[TokenVectors]:
        """For each text its word pieces: vectors (t, dim) and t offsets (start, end) in code points, end exclusive."""
        ...


class MiniLmEmbedder:
    """The packaged model. Safe to share between threads.

    ``threads`` is the number of cores to use; all that this process may use by default.
    """

    name = MODEL_NAME
    dim = DIMENSIONS

    def __init__(self, model_dir: Path = MODEL_DIR, threads: int | None = None) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or _cores()
        options.log_severity_level = 3
        # threads that spin while they wait double the processor time, and halve the speed where cores are shared
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            str(model_dir / "model.int8.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_file(str(model_dir / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See :meth:`Embedder.encode`. Repeated texts are computed once."""
        distinct = sorted({_clean(text)[:MAX_CHARACTERS] for text in texts})
        row_of = {text: row for row, text in enumerate(distinct)}
        found = np.empty((len(distinct), DIMENSIONS), dtype=np.float32)
        encodings = self._tokenizer.encode_batch(distinct)
        for rows, output in self._run("sentence_embedding", [e.ids for e in encodings]):
            found[rows] = output
        return found[[row_of[_clean(text)[:MAX_CHARACTERS]] for text in texts]].reshape(len(texts), DIMENSIONS)

    def encode_tokens(self, texts: Sequence[str]) -> list[TokenVectors]:
        """See :meth:`Embedder.encode_tokens`. Long texts are read in windows of 256 pieces, one after the other."""
        distinct = sorted({_clean(text) for text in texts})
        windows = [
            (text, window)
            for text, first in zip(distinct, self._tokenizer.encode_batch(distinct), strict=True)
            for window in [first, *first.overflowing]
        ]
        vectors: list[Vectors] = [np.empty((0, DIMENSIONS), dtype=np.float32)] * len(windows)
        for rows, output in self._run("token_embeddings", [window.ids for _, window in windows]):
            for row, window_vectors in zip(rows, output, strict=True):
                # without the first and last piece, which are the model's own marks
                vectors[row] = window_vectors[1 : len(windows[row][1].ids) - 1]
        parts: dict[str, tuple[list[Vectors], list[tuple[int, int]]]] = {text: ([], []) for text in distinct}
        for (text, window), window_vectors in zip(windows, vectors, strict=True):
            parts[text][0].append(window_vectors)
            parts[text][1].extend(window.offsets[1:-1])
        whole = {text: (np.concatenate(pieces), offsets) for text, (pieces, offsets) in parts.items()}
        return [whole[_clean(text)] for text in texts]

    def _run(self, output: str, pieces: Sequence[Sequence[int]]) -> Iterator[tuple[NDArray[np.intp], NDArray[Any]]]:
        """Batches of like length: (row numbers, output of the model for these rows)."""
        lengths = np.array([len(ids) for ids in pieces], dtype=np.intp)
        order = np.argsort(lengths, kind="stable")
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            ids = np.zeros((len(rows), int(lengths[rows].max())), dtype=np.int64)
            mask = np.zeros_like(ids)
            for at, row in enumerate(rows):
                ids[at, : lengths[row]] = pieces[row]
                mask[at, : lengths[row]] = 1
            yield rows, self._session.run([output], {"input_ids": ids, "attention_mask": mask})[0]


_loading = threading.Lock()


def load_embedder() -> Embedder:
    """The packaged embedder, one for the process (first call about 0.3 s)."""
    with _loading:
        return _load()


@lru_cache(maxsize=1)
def _load() -> Embedder:
    return MiniLmEmbedder()


def _cores() -> int:
    """Cores that this process may use, where the system says so."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _clean(text: str) -> str:
    """The text as valid Unicode: a lone surrogate becomes "?", so that offsets stay as they were."""
    if not isinstance(text, str):
        raise Invalid(f"a text is needed to embed, not {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text
