"""Labels from class names alone: the nearest class text, in the space of the embedder.

A class is described by texts (its name in words, its description, its examples); the mean of their vectors stands for
it. Cosines become probabilities by a softmax whose temperature, 0.07, is the rounded median of the best ones on seven
data sets (0.06 to 0.09; MiniLM), so that "0.8" means about four in five before anybody has verified anything.

Where several labels may be given each class is judged by itself: against a threshold half way between an absolute one
and the item's own average over the classes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from learning.arrays import Array, Floats, Vectors, as_vectors, sigmoid, softmax, unit
from learning.common_classes import SENTENCES
from learning.embedding import Embedder
from schemas.errors import Invalid
from schemas.labelsets import LabelClass

NAME_TEMPERATURE = 0.07
MULTI_TEMPERATURE = 0.07
MULTI_COSINE = 0.35
MULTI_ABOVE_MEAN = 0.15

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_JOINTS = re.compile(r"[_\-./\\|:;,?!]+|\s+")


def words_of(name: str) -> str:
    """A class name as words: ``card_arrival`` → ``card arrival``, ``cardArrival`` → ``card Arrival``."""
    words = _JOINTS.sub(" ", _CAMEL.sub(" ", name)).strip()
    return words or name


def class_texts(classes: Sequence[LabelClass]) -> list[list[str]]:
    """For each class the texts that describe it: name in words, description, examples. A class that has only a name,
    and a common one, is described by what such names usually mean (:mod:`learning.common_classes`)."""
    texts = []
    for label_class in classes:
        name = words_of(label_class.name)
        description = label_class.description.strip()
        described = [f"{name}: {description}"] if description else []
        own = [*described, *(example for example in label_class.examples if example.strip())]
        texts.append([name, *(own or SENTENCES.get(name.lower(), ()))])
    return texts


def class_vectors(texts: Sequence[Sequence[str]], embedder: Embedder) -> Vectors:
    """One unit vector a class (k, d): the mean of its texts' vectors. A class without texts is :class:`Invalid`."""
    if not all(texts):
        raise Invalid("a class has no text that describes it", hint="Give every class a name.")
    encoded = embedder.encode([text for of_class in texts for text in of_class])
    ends = np.cumsum([len(of_class) for of_class in texts])
    return unit(
        np.array([part.mean(axis=0) for part in np.split(encoded, ends[:-1])]).reshape(len(texts), embedder.dim)
    )


def zero_shot(
    vectors: Floats,
    texts: Sequence[Sequence[str]],
    embedder: Embedder,
    *,
    temperature: float = NAME_TEMPERATURE,
) -> Array:
    """Probabilities (n, k) of the classes that ``texts`` (k lists of texts) describe, for ``vectors`` (n, d)."""
    return zero_shot_from(vectors, class_vectors(texts, embedder), temperature=temperature)


def zero_shot_from(vectors: Floats, classes: Floats, *, temperature: float = NAME_TEMPERATURE) -> Array:
    """:func:`zero_shot` when the class vectors (k, d) are at hand."""
    return softmax(cosines(vectors, classes), temperature)


def multi_label_logits(vectors: Floats, classes: Floats) -> Array:
    """Log-odds (n, k) that each class applies, each for itself."""
    similar = cosines(vectors, classes).astype(np.float64)
    if not similar.shape[1]:
        return similar
    threshold = (MULTI_COSINE + similar.mean(axis=1, keepdims=True) + MULTI_ABOVE_MEAN) / 2
    return np.asarray((similar - threshold) / MULTI_TEMPERATURE)


def zero_shot_multi(vectors: Floats, classes: Floats) -> Array:
    """Probabilities (n, k) that each class applies; rows need not sum to 1."""
    return sigmoid(multi_label_logits(vectors, classes))


def cosines(vectors: Floats, classes: Floats) -> Vectors:
    """Cosines (n, k) of unit ``vectors`` (n, d) with unit ``classes`` (k, d)."""
    known = as_vectors(classes, what="class vectors")
    return np.asarray(as_vectors(vectors, dim=known.shape[1]) @ known.T)
