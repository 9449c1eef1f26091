"""The sequence model of the span tagger: a linear-chain conditional random field over described tokens.

Lafferty, McCallum, Pereira, "Conditional Random Fields", ICML 2001, through python-crfsuite. Each token is described by
its form (shape, affixes, case, neighbours) and by its context vector in the embedder, turned onto the 64 directions in
which the training tokens differ most: on WNUT-17 these double the F1 of the word features alone. Tags are decoded one
by one from their marginal probabilities with "no span" discounted, which finds more spans than the single best path.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from learning.arrays import Vectors, one_thread
from learning.tokens import Offset
from schemas.errors import Invalid

DIRECTIONS = 64
OUTSIDE = "O"
OUTSIDE_DISCOUNT = 3.0
TRAINING = {"c1": 0.05, "c2": 0.1, "max_iterations": 60}

Place = tuple[int, int, str]
Found = tuple[int, int, str, float]
Features = dict[str, float]


class Read(NamedTuple):
    """A text as the model reads it: its ``tokens`` and their context ``vectors`` (t, d)."""

    text: str
    tokens: list[Offset]
    vectors: Vectors


@dataclass(frozen=True)
class Answer:
    """The spans (start, end, label, probability) of one text, and how probable it is that they are exactly right."""

    spans: tuple[Found, ...]
    probability: float


@dataclass(frozen=True)
class Crf:
    """``model`` as crfsuite stores it; ``mean`` (d,) and ``directions`` (d, 64) turn token vectors into features."""

    model: bytes
    mean: Vectors
    directions: Vectors

    @classmethod
    def train(cls, texts: Sequence[Read], tags: Sequence[list[str]]) -> Crf:
        """Learn from texts and the tag of each of their tokens.

        The model passes through a temporary file, the only thing that crfsuite can write to.
        """
        import pycrfsuite

        mean, directions = _directions(np.concatenate([read.vectors for read in texts]))
        trainer = pycrfsuite.Trainer(verbose=False)
        trainer.set_params(TRAINING)
        for read, of_text in zip(texts, tags, strict=True):
            if read.tokens:
                trainer.append(pycrfsuite.ItemSequence(_describe(read, mean, directions)), of_text)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model"
            trainer.train(str(path))
            return cls(path.read_bytes(), mean, directions)

    def answer(self, texts: Sequence[Read]) -> list[Answer]:
        """The spans of each text, with the model's own probabilities."""
        import pycrfsuite

        tagger = pycrfsuite.Tagger()  # one a call: a tagger keeps the last text as state, so threads cannot share it
        tagger.open_inmemory(self.model)
        names = tagger.labels()
        answers = []
        for read in texts:
            if not read.tokens:
                answers.append(Answer((), 1.0))
                continue
            tagger.set(pycrfsuite.ItemSequence(_describe(read, self.mean, self.directions)))
            likely = np.array([[tagger.marginal(name, at) for name in names] for at in range(len(read.tokens))])
            spans = tuple(_decode(read.tokens, likely, names))
            path = tags_of(read.text, [span[:3] for span in spans], read.tokens)
            whole = float(tagger.probability(path)) if set(path) <= set(names) else 0.0
            answers.append(Answer(spans, min(max(whole, 0.0), 1.0)))
        return answers


def tags_of(text: str, places: Sequence[Place], tokens: Sequence[Offset]) -> list[str]:
    """B-, I- and O tags of the tokens. A token belongs to a span it touches; of overlapping spans the longer counts."""
    tags = [OUTSIDE] * len(tokens)
    for start, end, label in sorted(places, key=lambda place: (place[0] - place[1], place)):
        if not 0 <= start < end <= len(text):
            raise Invalid(f"a span from {start} to {end} lies outside its text of {len(text)} characters")
        inside = [i for i, (first, last) in enumerate(tokens) if first < end and last > start]
        if inside and all(tags[i] == OUTSIDE for i in inside):
            for i in inside:
                tags[i] = f"{'B' if i == inside[0] else 'I'}-{label}"
    return tags


def _directions(vectors: Vectors) -> tuple[Vectors, Vectors]:
    """Mean (d,) and principal directions (d, 64) of token vectors, scaled so that each varies by about 1."""
    with one_thread():
        mean = vectors.mean(axis=0)
        centred = vectors - mean
        spread, axes = np.linalg.eigh(centred.T @ centred / max(len(vectors), 1))
        top = axes[:, ::-1][:, :DIRECTIONS]
        deviation = np.sqrt(np.maximum(spread[::-1][:DIRECTIONS], 1e-6))
        # an axis may point either way; fix it, so that the same texts make the same model
        top = top * np.where(top[np.abs(top).argmax(axis=0), np.arange(top.shape[1])] < 0, -1, 1)
    return mean.astype(np.float32), (top / deviation).astype(np.float32)


def _decode(tokens: Sequence[Offset], likely: NDArray[np.float64], names: Sequence[str]) -> Iterator[Found]:
    """Spans from tag probabilities (t, tags): discounted best tags, then one probability for each run.

    A span's probability is that it opens here, goes on as far as its least sure token, and does not go on after.
    """
    column = {name: index for index, name in enumerate(names)}
    weighed = likely.copy()
    if OUTSIDE in column:
        weighed[:, column[OUTSIDE]] /= OUTSIDE_DISCOUNT
    best = [names[index] for index in weighed.argmax(axis=1)]
    opens = [tag[0] == "B" or (tag[0] == "I" and (i == 0 or best[i - 1][2:] != tag[2:])) for i, tag in enumerate(best)]
    run = np.cumsum(opens)
    for _, group in groupby((i for i, tag in enumerate(best) if tag != OUTSIDE), key=lambda i: run[i]):
        inside = list(group)
        label, first, last = best[inside[0]][2:], inside[0], inside[-1]
        begin, go_on = column.get(f"B-{label}"), column.get(f"I-{label}")
        probability = float(likely[first, begin]) if begin is not None else 0.0
        if go_on is not None:
            if last > first:
                probability *= float(likely[first + 1 : last + 1, go_on].min())
            if last + 1 < len(tokens):
                probability *= 1 - float(likely[last + 1, go_on])
        yield tokens[first][0], tokens[last][1], label, min(max(probability, 0.0), 1.0)


def _describe(read: Read, mean: Vectors, directions: Vectors) -> list[Features]:
    """What is known of each token: its form, its neighbours, its place among the directions."""
    words = [read.text[start:end] for start, end in read.tokens]
    lower = [word.lower() for word in words]
    shapes = [_shape(word) for word in words]
    shouted = float(sum(word.isupper() for word in words) > 0.6 * len(words))
    with one_thread():
        turned: list[list[Any]] = ((read.vectors - mean) @ directions).tolist()
    described: list[Features] = []
    for i, word in enumerate(lower):
        known: Features = {"bias": 1.0, f"w={word}": 1.0, f"shape={shapes[i]}": 1.0, "shouted": shouted}
        for size in range(1, min(5, len(word))):
            known[f"starts={word[:size]}"] = known[f"ends={word[-size:]}"] = 1.0
        for away in (-2, -1, 1, 2):
            if 0 <= i + away < len(words):
                known[f"{away}:w={lower[i + away]}"] = known[f"{away}:shape={shapes[i + away]}"] = 1.0
            else:
                known[f"{away}:edge"] = 1.0
        if i:
            known[f"pair={lower[i - 1]}|{word}"] = 1.0
        known.update((f"v{direction}", value) for direction, value in enumerate(turned[i]))
        described.append(known)
    return described


_UPPER, _LOWER, _DIGIT = re.compile(r"[A-ZÀ-ÖØ-ÞΑ-ΩА-Я]+"), re.compile(r"[^\W\d_X]+"), re.compile(r"\d+")


def _shape(word: str) -> str:
    """``McDonald's`` → ``XxXx'x``: runs of capitals, small letters and digits, each as one sign."""
    return _DIGIT.sub("9", _LOWER.sub("x", _UPPER.sub("X", word)))
