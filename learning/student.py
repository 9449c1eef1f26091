"""The student: a classifier that starts from the class names and learns from every verified answer.

Three experts look at the frozen vector of an item: a logistic head whose training set includes the class names as
weighted examples (:mod:`learning.heads`), the class names refined by the unlabelled pool
(:mod:`learning.pool_mixture`), and the nearest labelled items (:mod:`learning.neighbours`). Their log-probabilities are
added; the weights are learnt from cross-validated answers and held near a prior in which the pool leads at one label a
class and fades as labels come in (:mod:`learning.blend`). So one model serves from no labels at all to thousands, and
its probabilities are calibrated by construction.

Where several labels may be given, the same three experts speak in log-odds, each class for itself.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learning import metrics as measure
from learning.arrays import Array, Vectors, as_targets, as_vectors, even_share, logit, one_thread, sigmoid
from learning.blend import blend_multi, blend_single, fit_blend, folds
from learning.heads import FEW_CLASSES, LinearHead, default_strength, fit_binary_heads, fit_softmax_head, strengths
from learning.neighbours import Neighbours, votes_among
from learning.pool_mixture import PoolMixture, fit_pool_mixture
from learning.zero_shot import multi_label_logits
from schemas.errors import Invalid, error_of

FORMAT = "labelcrew-student"
VERSION = 1
VOTE_FLOOR = 0.1
"""Share of the head's answer in the neighbours' votes, so that a class nobody near voted for is not impossible."""
USELESS = 0.01
"""An expert with less weight than this is dropped: it would cost time and change nothing."""
MANY_LABELS = 3_000
ENOUGH_TO_COMPARE = 6_000
"""Cross-validation looks at this many labels at most: more would double the time and change no choice."""
BLOCK = 4_096


@dataclass(frozen=True)
class Student:
    """A trained classifier. Columns of every result follow ``classes``.

    ``mix`` (3,) weighs head, pool and neighbours. ``metrics`` are cross-validated: ``accuracy``, ``ece``, ``log_loss``
    and ``macro_f1``, with ``folds``; empty when there were fewer than two labels a class on average.
    """

    classes: tuple[str, ...]
    head: LinearHead
    mix: Array
    pool: PoolMixture | None = None
    neighbours: Neighbours | None = None
    multi: bool = False
    trained_on: int = 0
    metrics: dict[str, float] = field(default_factory=dict)

    @classmethod
    def fit(
        cls,
        vectors: ArrayLike,
        y: ArrayLike,
        classes: Sequence[str],
        *,
        class_vectors: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        pool: ArrayLike | None = None,
        multi: bool = False,
        seed: int = 0,
    ) -> Self:
        """Learn from ``vectors`` (n, d) and labels ``y``: indexes or keys (n,), weights (n, k), or, with ``multi``,
        a list of lists of keys.

        ``class_vectors`` (k, d) are the classes in words (:func:`learning.zero_shot.class_vectors`): with them n may be
        0 and a class may be without labels. ``pool`` (m, d) are items without labels. Raises ``no-training-data`` with
        neither labels nor class vectors, :class:`Invalid` for inputs that do not fit together.
        """
        keys = tuple(classes)
        if not keys or len(set(keys)) != len(keys):
            raise Invalid("a student needs at least one class, and no class twice")
        names = None if class_vectors is None else as_vectors(class_vectors, what="class vectors")
        if names is not None and len(names) != len(keys):
            raise Invalid(f"{len(keys)} classes but {len(names)} class vectors")
        items = as_vectors(vectors, dim=None if names is None else names.shape[1])
        targets = as_targets(y, keys, multi=multi)
        weight = _weights(sample_weight, len(items))
        if len(targets) != len(items):
            raise Invalid(f"{len(items)} vectors but {len(targets)} labels")
        counted = weight > 0
        items, targets, weight = items[counted], targets[counted], weight[counted]
        if not len(items) and names is None:
            raise error_of("no-training-data")
        with one_thread():
            lesson = _Lesson(keys, items, targets, weight, names, _pool(pool, items, names), multi, seed)
            return cls(**lesson.learn())

    def predict_proba(self, vectors: ArrayLike) -> Array:
        """Calibrated probabilities (n, k); rows sum to 1 unless the student is a ``multi`` one."""
        items = as_vectors(vectors, dim=self.head.weights.shape[0])
        with one_thread():
            blocks = [self._answer(items[at : at + BLOCK]) for at in range(0, len(items), BLOCK)]
        return np.concatenate(blocks) if blocks else np.zeros((0, len(self.classes)))

    def _answer(self, items: Vectors) -> Array:
        experts, weights = self._experts(items), self.mix[self.mix > 0]
        return sigmoid(blend_multi(experts, weights)) if self.multi else np.exp(blend_single(experts, weights))

    def predict(self, vectors: ArrayLike) -> NDArray[np.intp]:
        """Index (n,) of the most likely class."""
        return np.asarray(self.predict_proba(vectors).argmax(axis=1))

    def confidence(self, vectors: ArrayLike) -> Array:
        """What the head alone claims, uncalibrated: probabilities (n, k) as :meth:`predict_proba`."""
        items = as_vectors(vectors, dim=self.head.weights.shape[0])
        with one_thread():
            return sigmoid(self.head.logits(items)) if self.multi else np.exp(self.head.log_proba(items))

    def _experts(self, items: Vectors) -> list[Array]:
        """The experts that have weight, in the order of ``mix``."""
        heard = self.mix > 0
        spoken = _head_says(self.head, items, self.multi)
        found = [spoken] if heard[0] else []
        if heard[1] and self.pool is not None:
            found.append(_pool_says(self.pool, items, self.multi))
        if heard[2] and self.neighbours is not None:
            found.append(_votes_say(self.neighbours.votes(items), spoken, self.multi))
        return found

    def to_bytes(self) -> bytes:
        """The student as an npz file, for :meth:`from_bytes`. About 1 MB for 1,000 labels."""
        arrays: dict[str, NDArray[Any]] = {
            "head_weights": self.head.weights,
            "head_bias": self.head.bias,
            "mix": self.mix,
        }
        header: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "classes": self.classes,
            "multi": self.multi,
            "trained_on": self.trained_on,
            "metrics": self.metrics,
        }
        if self.pool is not None:
            header["pool"] = {"gate": self.pool.gate, "smoothing": self.pool.smoothing}
            # the pool's items were rounded to half precision when they were drawn, so nothing is lost here
            half = self.pool.pool.astype(np.float16)
            arrays |= {"pool_names": self.pool.names, "pool_centres": self.pool.centres, "pool_items": half}
        if self.neighbours is not None:
            arrays |= {"neighbour_codes": self.neighbours.codes, "neighbour_targets": self.neighbours.targets}
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
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
            head = LinearHead(arrays["head_weights"], arrays["head_bias"])
            classes = tuple(str(key) for key in header["classes"])
            if head.weights.shape[1] != len(classes):
                raise ValueError("columns and classes differ")
            pool = neighbours = None
            if "pool" in header:
                pool = PoolMixture(
                    arrays["pool_names"],
                    arrays["pool_centres"],
                    arrays["pool_items"].astype(np.float32),
                    float(header["pool"]["gate"]),
                    float(header["pool"]["smoothing"]),
                )
            if "neighbour_codes" in arrays:
                neighbours = Neighbours(arrays["neighbour_codes"], arrays["neighbour_targets"])
            multi, count = bool(header["multi"]), int(header["trained_on"])
            return cls(classes, head, arrays["mix"], pool, neighbours, multi, count, dict(header["metrics"]))
        except (ValueError, KeyError, TypeError, OSError, EOFError, BadZipFile) as error:
            raise Invalid("these bytes are not a student that this version can read", hint="Train it anew.") from error


@dataclass
class _Lesson:
    """One training: the inputs of :meth:`Student.fit` once they are checked, ``weight`` all positive."""

    classes: tuple[str, ...]
    items: Vectors
    targets: Array
    weight: Array
    names: Vectors | None
    pool: Vectors
    multi: bool
    seed: int

    def learn(self) -> dict[str, Any]:
        """The fields of the student."""
        n, k, d = len(self.items), len(self.classes), self.items.shape[1]
        plain_pool = self._mixture(labels=False)
        strength, mix = default_strength(k), self._prior_mix()
        metrics: dict[str, float] = {}
        if n >= max(2 * k, 8):
            strength, mix, metrics = self._cross_validate(plain_pool)
        if n == 0:
            head, mix = LinearHead(np.zeros((d, k), np.float32), np.zeros(k, np.float32)), np.array([0.0, 1.0, 0.0])
        else:
            head = self._head(np.arange(n), strength)
        mix = np.where(mix < USELESS, 0.0, mix)
        return {
            "classes": self.classes,
            "head": head,
            "mix": mix,
            "pool": self._mixture(labels=True, like=plain_pool) if mix[1] > 0 else None,
            "neighbours": Neighbours.keep(self.items, self.targets, self.seed) if mix[2] > 0 else None,
            "multi": self.multi,
            "trained_on": n,
            "metrics": metrics,
        }

    def _prior_mix(self) -> Array:
        each = len(self.items) / len(self.classes)
        return np.array([1.0, 0.0 if self.names is None else 3 / (3 + each), 0.2 * each / (each + 10)])

    def _head(self, rows: NDArray[np.intp], strength: float) -> LinearHead:
        fit = fit_binary_heads if self.multi else fit_softmax_head
        return fit(self.items[rows], self.targets[rows], self.weight[rows], self.names, strength=strength)

    def _mixture(self, *, labels: bool, like: PoolMixture | None = None) -> PoolMixture | None:
        """The names refined by the pool; with ``labels`` for the final one, without for cross-validation."""
        if self.names is None:
            return None
        if self.multi:
            return like or PoolMixture(self.names, self.names, self.pool[:0], 0.0, 0.0)
        return fit_pool_mixture(
            self.pool,
            self.names,
            labelled=self.items if labels else None,
            targets=self.targets * self.weight[:, None] if labels else None,
            seed=self.seed,
        )

    def _cross_validate(self, pool: PoolMixture | None) -> tuple[float, Array, dict[str, float]]:
        """The best regularisation, the experts' weights, and how good their answers to unseen items were."""
        sample = even_share(len(self.items), ENOUGH_TO_COMPARE, self.seed)
        if len(sample) < len(self.items):
            smaller = replace(self, items=self.items[sample], targets=self.targets[sample], weight=self.weight[sample])
            return smaller._cross_validate(pool)
        count = 3 if len(self.items) >= MANY_LABELS else 4 if len(self.classes) > FEW_CLASSES else 5
        main = self.targets.argmax(axis=1)
        fold = folds(main, count, self.seed)
        vote, named = np.zeros_like(self.targets), np.zeros_like(self.targets)
        for part in range(count):
            asked, told = fold == part, fold != part
            vote[asked] = votes_among(self.items[asked], self.items[told], self.targets[told])
        if pool is not None:
            named = _pool_says(pool, self.items, self.multi)
        best: tuple[float, float, Array, Array] | None = None
        for strength in strengths(len(self.classes)):
            said = np.empty_like(self.targets)
            for part in range(count):
                head = self._head(np.flatnonzero(fold != part), strength)
                said[fold == part] = _head_says(head, self.items[fold == part], self.multi)
            experts = [said, named, _votes_say(vote, said, self.multi)]
            mix = fit_blend(experts, self.targets, self._prior_mix(), sample_weight=self.weight, multi=self.multi)
            mixed = (blend_multi if self.multi else blend_single)(experts, mix)
            loss = self._loss(mixed)
            if best is None or loss < best[0]:
                best = (loss, strength, mix, mixed)
        assert best is not None
        return best[1], best[2], {**self._scores(best[3]), "log_loss": best[0], "folds": float(count)}

    def _loss(self, mixed: Array) -> float:
        if self.multi:
            each = (np.logaddexp(0, mixed) - self.targets * mixed).sum(axis=1)
        else:
            each = -(self.targets * mixed).sum(axis=1)
        return float(np.average(each, weights=self.weight))

    def _scores(self, mixed: Array) -> dict[str, float]:
        if self.multi:
            likely, truth = sigmoid(mixed), self.targets >= 0.5
            given = likely >= 0.5
            sure = np.maximum(likely, 1 - likely).ravel()
            return {
                "accuracy": float((given == truth).all(axis=1).mean()),
                "ece": measure.ece(sure, (given == truth).ravel()),
                "macro_f1": float(np.mean([_f1(truth[:, c], given[:, c]) for c in range(truth.shape[1])])),
            }
        likely, main = np.exp(mixed), self.targets.argmax(axis=1)
        answer = likely.argmax(axis=1)
        return {
            "accuracy": measure.accuracy(main, answer),
            "ece": measure.ece(likely.max(axis=1), answer == main),
            "macro_f1": measure.macro_f1(main, answer),
        }


def _weights(sample_weight: ArrayLike | None, n: int) -> Array:
    if sample_weight is None:
        return np.ones(n)
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (n,) or not np.isfinite(weight).all() or (weight < 0).any():
        raise Invalid(f"sample weights must be {n} finite numbers, none negative")
    return weight


def _pool(pool: ArrayLike | None, items: Vectors, names: Vectors | None) -> Vectors:
    dim = items.shape[1] if names is None else names.shape[1]
    return np.zeros((0, dim), np.float32) if pool is None else as_vectors(pool, what="pool", dim=dim)


def _head_says(head: LinearHead, items: Vectors, multi: bool) -> Array:
    return np.asarray(head.logits(items), dtype=np.float64) if multi else head.log_proba(items)


def _pool_says(pool: PoolMixture, items: Vectors, multi: bool) -> Array:
    if multi:
        return multi_label_logits(items, pool.names)
    return np.asarray(np.log(np.maximum(pool.predict_proba(items), 1e-12)))


def _votes_say(vote: Array, head: Array, multi: bool) -> Array:
    """The votes in logarithms, with a floor from the head's answer."""
    if multi:
        return logit((1 - VOTE_FLOOR) * vote + VOTE_FLOOR * sigmoid(head), 1e-4)
    return np.asarray(np.log((1 - VOTE_FLOOR) * vote + VOTE_FLOOR * np.exp(head) + 1e-9))


def _f1(truth: NDArray[np.bool_], given: NDArray[np.bool_]) -> float:
    total = int(truth.sum() + given.sum())
    return 2 * int((truth & given).sum()) / total if total else 1.0
