"""The embedded text model: unit vectors, the same for the same texts, offsets in code points."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.embedding import DIMENSIONS, MAX_TOKENS, MODEL_DIR, Embedder, load_embedder
from schemas.errors import Invalid

TEXTS = ["My card has not arrived", "Where is my money?", "", "top up failed", "ein Satz auf Deutsch", "🙂" * 9]


def test_vectors_have_length_one_and_the_promised_shape(embedder: Embedder) -> None:
    vectors = embedder.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), embedder.dim) == (6, DIMENSIONS)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)


def test_no_texts_give_an_empty_matrix(embedder: Embedder) -> None:
    assert embedder.encode([]).shape == (0, DIMENSIONS)
    assert embedder.encode_tokens([]) == []


def test_order_and_repetition_do_not_change_a_vector(embedder: Embedder) -> None:
    vectors = embedder.encode(TEXTS)
    again = embedder.encode([*reversed(TEXTS), *TEXTS])
    assert (again[: len(TEXTS)][::-1] == vectors).all()
    assert (again[len(TEXTS) :] == vectors).all()


def test_like_meanings_lie_closer_than_unlike_ones(embedder: Embedder) -> None:
    lost, gone, weather = embedder.encode(["I lost my bank card", "My debit card has gone missing", "It rains in Oslo"])
    assert lost @ gone > lost @ weather + 0.3


def test_what_comes_after_the_window_is_not_seen(embedder: Embedder) -> None:
    start = "money " * MAX_TOKENS
    vectors = embedder.encode([start, start + "and now for something completely different"])
    assert (vectors[0] == pytest.approx(vectors[1], abs=0.02)) is True


def test_a_huge_text_is_read_at_its_beginning_only(embedder: Embedder) -> None:
    assert np.isfinite(embedder.encode(["word " * 2_000_000])).all()


def test_token_windows_cover_a_text_longer_than_one_window(embedder: Embedder) -> None:
    text = " ".join(f"word{i}" for i in range(400))
    vectors, offsets = embedder.encode_tokens([text])[0]
    assert len(vectors) == len(offsets) > MAX_TOKENS
    assert offsets[0][0] == 0
    assert offsets[-1][1] == len(text)
    starts = [start for start, _ in offsets]
    assert starts == sorted(starts)


def test_token_offsets_count_code_points(embedder: Embedder) -> None:
    text = "Hé́llo 👩‍🚀 𝒳 東京 naïve"
    vectors, offsets = embedder.encode_tokens([text])[0]
    pieces = [text[start:end] for start, end in offsets]
    assert vectors.shape == (len(pieces), DIMENSIONS)
    assert {"東", "京", "naïve", "𝒳"} <= set(pieces)


def test_an_empty_text_has_no_tokens(embedder: Embedder) -> None:
    vectors, offsets = embedder.encode_tokens([""])[0]
    assert vectors.shape == (0, DIMENSIONS)
    assert offsets == []


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=[]), max_size=40), max_size=4))
def test_any_text_even_broken_unicode_can_be_embedded(texts: list[str]) -> None:
    embedder = load_embedder()
    vectors = embedder.encode(texts)
    assert vectors.shape == (len(texts), DIMENSIONS)
    assert np.isfinite(vectors).all()
    for text, (_, offsets) in zip(texts, embedder.encode_tokens(texts), strict=True):
        assert all(0 <= start <= end <= len(text) for start, end in offsets)


def test_something_that_is_no_text_is_invalid(embedder: Embedder) -> None:
    with pytest.raises(Invalid, match="NoneType"):
        embedder.encode([None])  # type: ignore[list-item]


def test_the_embedder_is_loaded_once() -> None:
    assert load_embedder() is load_embedder()


def test_the_packaged_model_is_the_one_its_readme_describes() -> None:
    digest = hashlib.sha256((MODEL_DIR / "model.int8.onnx").read_bytes()).hexdigest()
    assert digest in (MODEL_DIR / "README.md").read_text(encoding="utf-8")
    assert "Apache License" in (MODEL_DIR / "LICENSE.txt").read_text(encoding="utf-8")


def test_importing_the_statistics_loads_nothing_heavy() -> None:
    modules = [
        "embedding", "zero_shot", "pool_mixture", "student", "calibration", "signals", "metrics", "span_tagger",
        "semi_supervised", "heads", "neighbours", "blend", "tokens", "crf",
    ]  # fmt: skip
    imports = "; ".join(f"import learning.{module}" for module in modules)
    heavy = (
        "[m for m in ('sklearn', 'scipy', 'onnxruntime', 'tokenizers', 'cleanlab', 'pycrfsuite') if m in sys.modules]"
    )
    said = subprocess.run(
        [sys.executable, "-c", f"import sys; {imports}; print({heavy})"], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "[]"
