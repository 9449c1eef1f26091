"""Real texts for the tests of statistics: a part of Banking77, embedded once a session."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from learning.arrays import Vectors
from learning.embedding import Embedder, load_embedder
from learning.zero_shot import class_vectors, words_of
from tests.support.shared_data import shared_path, shared_rows


@dataclass(frozen=True)
class Banking:
    """Twenty test texts a class of Banking77 and ten training texts a class, as vectors; ``names`` (77, 384)."""

    classes: list[str]
    names: Vectors
    few: Vectors
    few_y: NDArray[np.intp]
    test: Vectors
    test_y: NDArray[np.intp]


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    return load_embedder()


@pytest.fixture(scope="session")
def banking(embedder: Embedder) -> Banking:
    if not shared_path("text/banking77").exists():
        pytest.skip("the shared data set text/banking77 is not here")
    train, test = shared_rows("text/banking77/train.jsonl"), shared_rows("text/banking77/test.jsonl")
    classes = sorted({row["label"] for row in test})
    index = {label: c for c, label in enumerate(classes)}
    y, test_y = (np.array([index[row["label"]] for row in rows]) for rows in (train, test))
    rng = np.random.default_rng(0)
    few = np.concatenate([rng.permutation(np.flatnonzero(y == c))[:10] for c in range(len(classes))])
    asked = np.concatenate([rng.permutation(np.flatnonzero(test_y == c))[:20] for c in range(len(classes))])
    return Banking(
        classes,
        class_vectors([[words_of(label)] for label in classes], embedder),
        embedder.encode([train[i]["text"] for i in few]),
        y[few],
        embedder.encode([test[i]["text"] for i in asked]),
        test_y[asked],
    )
