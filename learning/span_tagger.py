"""Finds labelled stretches of text, once people have shown it some.

A conditional random field (:mod:`learning.crf`) reads the tokens of a text (:mod:`learning.tokens`). It knows nothing
but what was verified: without verified spans there is ``no-training-data``. Predicted spans never overlap, and begin
and end with a token.

From 100 texts on a quarter is held out first, to measure the F1 and to learn how the model's probabilities compare with
how often it is right; the tagger that is kept has learnt from all texts.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from learning.calibration import Calibration, fit_calibration
from learning.crf import OUTSIDE, Answer, Crf, Found, Place, Read, tags_of
from learning.embedding import Embedder, load_embedder
from learning.metrics import ece, span_score
from learning.tokens import align, tokenize
from schemas.errors import Invalid, error_of

FORMAT = "labelcrew-span-tagger"
VERSION = 1
BATCH = 256
ENOUGH_TO_HOLD_OUT = 100


@dataclass(frozen=True)
class SpanTagger:
    """A trained tagger for ``labels``. ``metrics`` are of the held-out quarter: ``f1``, ``precision``, ``recall``
    (strict), ``accuracy`` and ``ece`` of whole answers; empty below 100 texts."""

    labels: tuple[str, ...]
    crf: Crf
    trained_on: int
    spans: Calibration
    answers: Calibration
    metrics: dict[str, float] = field(default_factory=dict)

    @classmethod
    def fit(cls, texts: Sequence[str], spans: Sequence[Sequence[Place]], embedder: Embedder | None = None) -> Self:
        """Learn from ``texts`` and the verified spans of each: (start, end, label) in code points, or none.

        Takes about ten seconds for 1,000 short texts. Raises ``no-training-data`` when no text has a span,
        :class:`Invalid` for a span outside its text.
        """
        if len(texts) != len(spans):
            raise Invalid(f"{len(texts)} texts but {len(spans)} lists of spans")
        read = _read(texts, embedder or load_embedder())
        tags = [tags_of(one.text, places, one.tokens) for one, places in zip(read, spans, strict=True)]
        if all(tag == OUTSIDE for of_text in tags for tag in of_text):
            raise error_of("no-training-data", "No verified item has a span yet.", hint="Mark and verify some spans.")
        by_span, by_answer, metrics = _hold_out(read, spans, tags)
        labels = tuple(sorted({label for places in spans for *_, label in places}))
        return cls(labels, Crf.train(read, tags), len(read), by_span, by_answer, metrics)

    def predict(self, texts: Sequence[str], embedder: Embedder | None = None) -> list[list[Found]]:
        """For each text its spans (start, end, label, probability), by place; the probability is the span's own."""
        return [list(answer.spans) for answer in self.answer(texts, embedder)]

    def answer(self, texts: Sequence[str], embedder: Embedder | None = None) -> list[Answer]:
        """:meth:`predict`, with the probability that the whole answer is right: these spans and no others."""
        encoder = embedder or load_embedder()
        answers: list[Answer] = []
        for start in range(0, len(texts), BATCH):
            raw = self.crf.answer(_read(texts[start : start + BATCH], encoder))
            whole = self.answers.apply([answer.probability for answer in raw])
            each = iter(self.spans.apply([span[3] for answer in raw for span in answer.spans]))
            answers += [
                Answer(tuple((s, e, label, float(next(each))) for s, e, label, _ in answer.spans), float(probability))
                for answer, probability in zip(raw, whole, strict=True)
            ]
        return answers

    def to_bytes(self) -> bytes:
        """The tagger as an npz file, for :meth:`from_bytes`."""
        header = {
            "format": FORMAT,
            "version": VERSION,
            "labels": self.labels,
            "trained_on": self.trained_on,
            "spans": self.spans.to_dict(),
            "answers": self.answers.to_dict(),
            "metrics": self.metrics,
        }
        arrays: dict[str, NDArray[Any]] = {
            "header": np.frombuffer(json.dumps(header).encode(), dtype=np.uint8),
            "model": np.frombuffer(self.crf.model, dtype=np.uint8),
            "mean": self.crf.mean,
            "directions": self.crf.directions,
        }
        file = io.BytesIO()
        np.savez_compressed(file, allow_pickle=False, **arrays)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, blob: bytes) -> Self:
        """Read what :meth:`to_bytes` wrote; raises :class:`Invalid` for anything else. Never unpickles."""
        try:
            with np.load(io.BytesIO(blob), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            header = json.loads(bytes(arrays["header"]))
            if header["format"] != FORMAT or header["version"] != VERSION:
                raise ValueError(f"{header['format']} {header['version']}")
            crf = Crf(bytes(arrays["model"]), arrays["mean"], arrays["directions"])
            spans, answers = Calibration.from_dict(header["spans"]), Calibration.from_dict(header["answers"])
            labels = tuple(str(label) for label in header["labels"])
            return cls(labels, crf, int(header["trained_on"]), spans, answers, dict(header["metrics"]))
        except (ValueError, KeyError, TypeError, OSError, EOFError, BadZipFile) as error:
            detail = "these bytes are not a span tagger that this version can read"
            raise Invalid(detail, hint="Train it anew.") from error


def _hold_out(
    read: list[Read], spans: Sequence[Sequence[Place]], tags: list[list[str]]
) -> tuple[Calibration, Calibration, dict[str, float]]:
    """What a tagger that has not seen a quarter of the texts makes of it: calibration of spans and answers, scores."""
    held = np.random.default_rng(0).permutation(len(read)) % 4 == 0
    asked = [i for i, out in enumerate(held) if out]
    taught = [i for i, out in enumerate(held) if not out]
    if len(read) < ENOUGH_TO_HOLD_OUT or all(tag == OUTSIDE for i in taught for tag in tags[i]):
        untaught = fit_calibration([], [], methods=("platt",))
        return untaught, untaught, {}
    said = Crf.train([read[i] for i in taught], [tags[i] for i in taught]).answer([read[i] for i in asked])
    truth = [{tuple(place) for place in spans[i]} for i in asked]
    found = [[span[:3] for span in answer.spans] for answer in said]
    right = [span in true for places, true in zip(found, truth, strict=True) for span in places]
    exact = np.array([set(places) == true for places, true in zip(found, truth, strict=True)], dtype=np.float64)
    whole = [answer.probability for answer in said]
    by_span = fit_calibration([span[3] for answer in said for span in answer.spans], right, methods=("platt",))
    by_answer = fit_calibration(whole, exact, methods=("platt",))
    score = span_score([spans[i] for i in asked], found)
    metrics = {"f1": score.f1, "precision": score.precision, "recall": score.recall}
    return by_span, by_answer, metrics | {"accuracy": float(exact.mean()), "ece": ece(by_answer.apply(whole), exact)}


def _read(texts: Sequence[str], embedder: Embedder) -> list[Read]:
    tokens = [tokenize(text) for text in texts]
    vectors = [align(pieces, at) for pieces, at in zip(embedder.encode_tokens(texts), tokens, strict=True)]
    return [Read(text, at, seen) for text, at, seen in zip(texts, tokens, vectors, strict=True)]
