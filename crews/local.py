"""The model that needs no key: ``local/minilm-l6``, the embedded text model with a student on top.

It answers for classification from the class names alone, better from a pool of unlabelled items, and better still from
verified answers; for spans it needs some verified ones first, and says so. It costs nothing, and its reason is the
verified item, or the class text, that the item is most like.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from schemas.errors import error_of
from schemas.labeling import Example, PrelabelInput
from schemas.labelsets import Labelset
from schemas.payloads import Classification, Payload, Span, Spans
from schemas.settings import LOCAL_MODEL
from schemas.world import Alternative, Draft, DraftError, Route, Usage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from learning.embedding import Embedder
    from learning.span_tagger import SpanTagger
    from learning.student import Student

    Vectors = NDArray[np.float32]

BATCH = 512
SHOWN_ALTERNATIVES = 5
QUOTED_CHARACTERS = 90
NO_SPANS_YET = "The embedded model marks spans as soon as some are verified; mark a few by hand first."


class LocalModel:
    """A labeler of this machine. Make it with :func:`local_model`, or from a student that was trained before."""

    def __init__(
        self,
        labelset: Labelset,
        embedder: Embedder,
        *,
        student: Student | None = None,
        tagger: SpanTagger | None = None,
        examples: Sequence[Example] = (),
        example_vectors: Vectors | None = None,
        known: Mapping[str, Vectors] | None = None,
    ) -> None:
        """``student`` for classification, ``tagger`` for spans (None: nothing to learn from yet). ``examples`` with
        their ``example_vectors`` (n, 384) are verified items to give as reasons. ``known`` are vectors (384,) of texts
        that were embedded before, so that they are not embedded again."""
        self._labelset = labelset
        self._embedder = embedder
        self._student = student
        self._tagger = tagger
        self._examples = list(examples)
        self._example_vectors = example_vectors
        self._known = known or {}
        self._reasons = _Reasons(labelset, embedder)

    @property
    def name(self) -> str:
        """Always ``local/minilm-l6``."""
        return LOCAL_MODEL

    @property
    def batch_size(self) -> int:
        """Enough items of like length to embed them fast, few enough to see progress: under a second's work."""
        return BATCH

    async def draft(self, items: Sequence[PrelabelInput]) -> list[Draft]:
        """One draft for each item, in order; computed in a thread."""
        return await asyncio.to_thread(self.draft_now, items)

    def draft_now(self, items: Sequence[PrelabelInput]) -> list[Draft]:
        """:meth:`draft` in this thread."""
        if self._labelset.kind not in ("classification", "spans"):
            raise error_of("invalid", f"the embedded model drafts classes and spans, not {self._labelset.kind}")
        if not items:
            return []
        began = time.perf_counter()
        drafts = self._spans(items) if self._labelset.kind == "spans" else self._classes(items)
        latency = (time.perf_counter() - began) * 1000 / len(items)
        return [draft.model_copy(update={"usage": Usage(latency_ms=round(latency, 3))}) for draft in drafts]

    # classification -------------------------------------------------------------------------------------------------

    def _classes(self, items: Sequence[PrelabelInput]) -> list[Draft]:
        if self._student is None:
            raise error_of("no-training-data", "the embedded model was made without a student")
        import numpy as np

        vectors = self._vectors(items)
        likely = self._student.predict_proba(vectors)
        claimed = self._student.confidence(vectors) if self._student.trained_on else likely
        order = np.argsort(-likely, axis=1, kind="stable")[:, :SHOWN_ALTERNATIVES]
        reasons = self._explain(vectors, likely)
        keys = self._student.classes
        drafts = []
        for row, item in enumerate(items):
            payload, probability, confidence = self._choose(keys, likely[row], claimed[row])
            ranked = [Alternative(label=keys[c], probability=_rounded(likely[row, c])) for c in order[row]]
            drafts.append(self._draft(item, payload, probability, confidence, reasons[row], ranked))
        return drafts

    def _choose(self, keys: Sequence[str], likely: Any, claimed: Any) -> tuple[Payload, float, float]:
        """The answer, the probability that it is right, and what the head alone claims for it."""
        if not self._labelset.multi:
            best = int(likely.argmax())
            return Classification(labels=(keys[best],)), float(likely[best]), float(claimed[best])
        import numpy as np

        given = likely >= 0.5
        right = float(np.prod(np.where(given, likely, 1 - likely)))
        claim = float(np.prod(np.where(given, claimed, 1 - claimed)))
        return Classification(labels=tuple(k for k, yes in zip(keys, given, strict=True) if yes)), right, claim

    def _vectors(self, items: Sequence[PrelabelInput]) -> Vectors:
        import numpy as np

        vectors = np.empty((len(items), self._embedder.dim), dtype=np.float32)
        missing = []
        for row, item in enumerate(items):
            given = np.asarray(item.vector or self._known.get(item.text, ()), dtype=np.float32)
            # a vector of another model, or a broken one, must not fail the batch: the text is at hand
            if given.shape == (self._embedder.dim,) and np.isfinite(given).all():
                vectors[row] = given
            else:
                missing.append(row)
        if missing:
            vectors[missing] = self._embedder.encode([items[row].text for row in missing])
        return vectors

    def _explain(self, vectors: Vectors, likely: Any) -> list[str]:
        if self._example_vectors is None or not self._examples:
            return self._reasons.by_class_text(vectors, likely.argmax(axis=1))
        from learning.arrays import one_thread

        with one_thread():
            similar = vectors @ self._example_vectors.T
        nearest = similar.argmax(axis=1)
        return [
            f"Most like the verified {_quote(self._examples[n].text)} → {self._names(self._examples[n].payload)} "
            f"(similarity {similar[row, n]:.2f})."
            for row, n in enumerate(nearest)
        ]

    def _names(self, payload: Payload) -> str:
        if isinstance(payload, Classification):
            return ", ".join(self._labelset.name_of(key) for key in payload.labels) or "none"
        return "other"

    # spans ----------------------------------------------------------------------------------------------------------

    def _spans(self, items: Sequence[PrelabelInput]) -> list[Draft]:
        if self._tagger is None:
            error = DraftError(code="no-training-data", detail=NO_SPANS_YET)
            return [
                Draft(
                    item_id=item.item_id, payload=None, model=LOCAL_MODEL, labelset_version=self._labelset.version,
                    route="local", route_reason=NO_SPANS_YET, error=error,
                )
                for item in items
            ]  # fmt: skip
        drafts = []
        answers = self._tagger.answer([item.text for item in items], self._embedder)
        for item, answer in zip(items, answers, strict=True):
            found = answer.spans
            spans = tuple(Span(start=start, end=end, label=label) for start, end, label, _ in found)
            weakest = min((probability for *_, probability in found), default=answer.probability)
            said = "; ".join(f"{_quote(item.text[s:e])} {self._labelset.name_of(k)} {p:.2f}" for s, e, k, p in found)
            reason = f"Marked by the tagger: {said}." if found else "The tagger found nothing to mark."
            drafts.append(self._draft(item, Spans(spans=spans), answer.probability, weakest, reason, []))
        return drafts

    def _draft(
        self, item: PrelabelInput, payload: Payload, probability: float, confidence: float, reason: str,
        ranked: list[Alternative],
    ) -> Draft:  # fmt: skip
        route, why = self._route()
        return Draft(
            item_id=item.item_id,
            payload=payload,
            confidence=_rounded(confidence),
            probability=_rounded(probability),
            alternatives=ranked,
            rationale=reason,
            model=LOCAL_MODEL,
            labelset_version=self._labelset.version,
            route=route,
            route_reason=why,
        )

    def _route(self) -> tuple[Route, str]:
        if self._tagger is not None:
            return "student", "The tagger trained on this dataset's verified spans answers alone, at no cost."
        taught = self._student.trained_on if self._student else 0
        if taught:
            return "student", f"The student trained on {taught:,} verified items answers alone, at no cost."
        return "local", "No answer is verified yet: the embedded model goes by the class names, at no cost."


class _Reasons:
    """Before anything is verified, the reason is the class text that the item is nearest to."""

    def __init__(self, labelset: Labelset, embedder: Embedder) -> None:
        self._labelset = labelset
        self._embedder = embedder
        self._known: list[tuple[list[str], Any]] = []

    def by_class_text(self, vectors: Vectors, chosen: Any) -> list[str]:
        """One sentence an item: the text of its class that it is most like."""
        import numpy as np

        if not self._known:
            from learning.zero_shot import class_texts

            texts = class_texts(self._labelset.active)
            encoded = self._embedder.encode([text for of_class in texts for text in of_class])
            ends = np.cumsum([len(of_class) for of_class in texts])[:-1]
            self._known = list(zip(texts, np.split(encoded, ends), strict=True))
        sentences = []
        for vector, c in zip(vectors, chosen, strict=True):
            texts, known = self._known[c]
            similar = known @ vector
            best = int(similar.argmax())
            sentences.append(f"Nearest class text: {_quote(texts[best])} (similarity {similar[best]:.2f}).")
        return sentences


def local_model(
    labelset: Labelset,
    *,
    examples: Sequence[Example] = (),
    pool_texts: Sequence[str] = (),
    pool_limit: int = 4_000,
) -> LocalModel:
    """The embedded model, taught by ``examples`` and by the unlabelled ``pool_texts``. Heavy: call it in a thread."""
    from learning.embedding import load_embedder

    embedder = load_embedder()
    if labelset.kind != "classification":
        return LocalModel(labelset, embedder, tagger=_tagger(examples), examples=examples)
    from learning.arrays import even_share
    from learning.student import Student
    from learning.zero_shot import class_texts, class_vectors

    pool = [pool_texts[i] for i in even_share(len(pool_texts), pool_limit)]
    pooled = embedder.encode(pool)
    vectors = embedder.encode([example.text for example in examples])
    answers = [list(e.payload.labels) for e in examples if isinstance(e.payload, Classification)]
    y: Any = answers if labelset.multi else [labels[0] for labels in answers]
    student = Student.fit(
        vectors, y, labelset.keys, class_vectors=class_vectors(class_texts(labelset.active), embedder),
        pool=pooled, multi=labelset.multi,
    )  # fmt: skip
    known = dict(zip(pool, pooled, strict=True))
    return LocalModel(labelset, embedder, student=student, examples=examples, example_vectors=vectors, known=known)


def _tagger(examples: Sequence[Example]) -> SpanTagger | None:
    marked = [
        (e.text, [(s.start, s.end, s.label) for s in e.payload.spans]) for e in examples if isinstance(e.payload, Spans)
    ]
    if not any(spans for _, spans in marked):
        return None
    from learning.span_tagger import SpanTagger

    return SpanTagger.fit([text for text, _ in marked], [spans for _, spans in marked])


def _quote(text: str) -> str:
    flat = " ".join(text.split())
    return f"«{flat}»" if len(flat) <= QUOTED_CHARACTERS else f"«{flat[: QUOTED_CHARACTERS - 1]}…»"


def _rounded(value: Any) -> float:
    return round(min(1.0, max(0.0, float(value))), 4)
