"""The labelled texts that the learning benchmarks share, as vectors; computed once and kept in the temporary folder.

``banking77`` and ``medical`` as they lie beside the project; ``topics``: Banking77 with its 77 intents folded into seven
topics, which makes the classes uneven and wide; ``mentions``: the entities of WNUT-17 in their sentences, to be told by
type, split at random because the set's own test part is of another time and place.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from learning.arrays import Vectors
from learning.checks import Ints
from learning.embedding import load_embedder
from learning.zero_shot import class_vectors, words_of

ROOT = Path(__file__).resolve().parents[1].parent / "shared" / "data"

TOPICS = {
    "top up": ("top", "topping"),
    "cash withdrawal": ("cash", "atm"),
    "bank transfer": ("transfer", "beneficiary", "receiving"),
    "identity verification": ("identity", "verify_source", "personal_details", "age_"),
    "currency exchange": ("exchange", "fiat", "currencies"),
    "card payment": ("payment", "charged_twice", "refund", "statement", "debit"),
    "cards": ("",),
}


@dataclass(frozen=True)
class TextSet:
    """A data set in vectors: ``train`` (n, 384) with ``y`` (n,), ``test`` with ``test_y``; ``names`` (k, 384)."""

    name: str
    classes: list[str]
    train: Vectors
    y: Ints
    test: Vectors
    test_y: Ints
    names: Vectors

    @property
    def k(self) -> int:
        """How many classes."""
        return len(self.classes)


def load(name: str) -> TextSet:
    """One of banking77, medical, topics, mentions."""
    train, test = {"banking77": _banking, "medical": _medical, "topics": _topics, "mentions": _mentions}[name]()
    classes = sorted({label for _, label in train})
    index = {label: i for i, label in enumerate(classes)}
    return TextSet(
        name,
        classes,
        encode([text for text, _ in train]),
        np.array([index[label] for _, label in train]),
        encode([text for text, _ in test]),
        np.array([index[label] for _, label in test]),
        class_vectors([[words_of(label)] for label in classes], load_embedder()),
    )


def texts_of(name: str) -> list[str]:
    """The training texts of a set, in the order of its vectors."""
    train, _ = {"banking77": _banking, "medical": _medical, "topics": _topics, "mentions": _mentions}[name]()
    return [text for text, _ in train]


def labelled(name: str) -> Rows:
    """All texts of banking77 or medical with their labels, the training part first."""
    train, test = {"banking77": _banking, "medical": _medical}[name]()
    return train + test


def encode(texts: Sequence[str]) -> Vectors:
    """Vectors of the texts, from the temporary folder when they were computed before."""
    digest = hashlib.sha256("\x00".join(texts).encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / "labelcrew-bench" / f"{digest}.npy"
    if path.exists():
        kept: Vectors = np.load(path)
        return kept
    vectors = load_embedder().encode(texts)
    path.parent.mkdir(exist_ok=True)
    np.save(path, vectors)
    return vectors


Rows = list[tuple[str, str]]


def _lines(path: str) -> Iterator[dict[str, object]]:
    with (ROOT / path).open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _texts(path: str) -> Rows:
    return [(str(row["text"]), str(row["label"])) for row in _lines(path)]


def _banking() -> tuple[Rows, Rows]:
    return _texts("text/banking77/train.jsonl"), _texts("text/banking77/test.jsonl")


def _medical() -> tuple[Rows, Rows]:
    return _texts("text/medical_abstracts/train.jsonl"), _texts("text/medical_abstracts/test.jsonl")


def _topics() -> tuple[Rows, Rows]:
    def fold(rows: Rows) -> Rows:
        return [
            (text, next(t for t, words in TOPICS.items() if any(w in label.lower() for w in words)))
            for text, label in rows
        ]

    train, test = _banking()
    return fold(train), fold(test)


def _mentions() -> tuple[Rows, Rows]:
    rows: Rows = []
    for part in ("train", "dev", "test"):
        for row in _lines(f"ner/wnut17/{part}.jsonl"):
            entities = row["entities"]
            assert isinstance(entities, list)
            rows += [(f"{entity['text']}: {row['text']}", str(entity["label"])) for entity in entities]
    order = np.random.default_rng(17).permutation(len(rows))
    mixed = [rows[i] for i in order]
    return mixed[: len(mixed) * 3 // 4], mixed[len(mixed) * 3 // 4 :]
