"""What to label next: how many labels each strategy needs, and what picking costs.

A simulated annotator answers with the gold label, 50 items at a time, from no labels at all; after each batch the model
is trained anew and tested. Every strategy is shown with two models: the *plain head* (logistic regression on frozen
vectors, C = 10, as peers use it) and the *student* (class names, the pool and neighbours besides). The share is of the
labels that random picking needs with the same model to the same accuracy. Where modAL is installed (``pip install
modAL-python``; it is no dependency) its margin sampling is shown beside ours.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.random import Generator

from bench.learning_sets import TextSet, load
from bench.tables import Table
from learning.arrays import one_thread
from learning.checks import Floats, Ints
from learning.heads import fit_softmax_head
from learning.strategies import STRATEGIES, Pool, pick
from learning.student import Student

BATCH = 50
PEER = "modAL margin"
Model = Callable[[Floats], Floats]


def plain_head(data: TextSet, labelled: Ints) -> Model | None:
    """Logistic regression on the labelled vectors alone; none before two classes are seen."""
    y = data.y[labelled]
    if len(np.unique(y)) < 2:
        return None
    head = fit_softmax_head(data.train[labelled], np.eye(data.k)[y], np.ones(len(y)), strength=10.0)
    return lambda vectors: np.exp(head.log_proba(vectors))


def student(data: TextSet, labelled: Ints) -> Model:
    """The product's own model, which starts from the class names and the pool."""
    fitted = Student.fit(
        data.train[labelled], data.y[labelled], data.classes, class_vectors=data.names, pool=data.train
    )
    return fitted.predict_proba


MODELS = {"plain head": plain_head, "student": student}


def simulate(data: TextSet, strategy: str, model: str, most: int, seed: int) -> tuple[Floats, Floats]:
    """Label ``most`` items in batches: the numbers of labels (b,) and the test accuracy after each batch (b,)."""
    rng = np.random.default_rng(seed)
    labelled = np.zeros(0, dtype=np.int64)
    fitted = MODELS[model](data, labelled) if model == "student" else None
    sizes, accuracy = [], []
    if fitted is not None:
        sizes.append(0)
        accuracy.append(_accuracy(fitted, data))
    # Random picking looks at no model, so it need not be trained after every batch to be measured.
    step = 4 * BATCH if strategy == "random" else BATCH
    while len(labelled) < most:
        proba = fitted(data.train) if fitted is not None and strategy != "random" else None
        pool = Pool(data.train, proba, labelled, data.y[labelled], data.names if model == "student" else None)
        labelled = np.concatenate([labelled, choose(strategy, pool, BATCH, rng)])
        if len(labelled) % step and len(labelled) > 4 * BATCH:
            continue
        fitted = MODELS[model](data, labelled)
        if fitted is not None:
            sizes.append(len(labelled))
            accuracy.append(_accuracy(fitted, data))
    return np.array(sizes, dtype=float), np.array(accuracy)


def choose(strategy: str, pool: Pool, count: int, rng: Generator) -> Ints:
    """What a strategy of ours, or the peer's, picks."""
    if strategy != PEER:
        return pick(strategy, pool, count, rng)
    if pool.proba is None:
        return pick("random", pool, count, rng)
    proba = pool.proba[pool.unlabelled]

    class Fitted:
        def predict_proba(self, _: Floats) -> Floats:
            return proba

    found = import_module("modAL.uncertainty").margin_sampling(
        Fitted(), pool.vectors[pool.unlabelled], n_instances=count
    )
    rows = found[0] if isinstance(found, tuple) else found
    return pool.unlabelled[np.asarray(rows, dtype=np.int64)]


def peers() -> list[str]:
    """The peer's strategy, where it is installed."""
    return [PEER] if find_spec("modAL") else []


def _accuracy(fitted: Model, data: TextSet) -> float:
    return float((fitted(data.test).argmax(axis=1) == data.test_y).mean())


def labels_to(sizes: Floats, accuracy: Floats, target: float) -> float:
    """Labels at which ``target`` is first reached, between batches by a straight line; infinite if never."""
    reached = np.flatnonzero(accuracy >= target)
    if not len(reached):
        return float("inf")
    i = int(reached[0])
    if i == 0:
        return float(sizes[0])
    part = (target - accuracy[i - 1]) / (accuracy[i] - accuracy[i - 1])
    return float(sizes[i - 1] + part * (sizes[i] - sizes[i - 1]))


def area(sizes: Floats, accuracy: Floats, most: int) -> float:
    """Mean accuracy over 50 to ``most`` labels."""
    return float(np.interp(np.arange(BATCH, most + 1, BATCH), sizes, accuracy).mean())


def curves(name: str, model: str, strategies: list[str], most: int, farther: int, seeds: int) -> Table:
    """One table: a data set and a model, a row a strategy. Random goes on to ``farther`` labels."""
    data = load(name)
    full = MODELS[model](data, np.arange(len(data.y)))
    assert full is not None
    best = _accuracy(full, data)
    targets = [0.95 * best, 0.90] if name == "banking77" else [0.95 * best, 0.98 * best]
    table = Table(
        f"{name}, {model} (full accuracy {best:.3f}), {seeds} draws",
        ["strategy", *(c for t in targets for c in (f"labels to {t:.3f}", "of random's")),
         "area to 1,000", "over random", "area to 1,500", "over random"],
    )  # fmt: skip
    base: list[float] = []
    for strategy in ["random", *strategies]:
        runs = [simulate(data, strategy, model, farther if strategy == "random" else most, s) for s in range(seeds)]
        needed = [float(np.median([labels_to(*run, t) for run in runs])) for t in targets]
        areas = [float(np.mean([area(*run, limit) for run in runs])) for limit in (1000, 1500)]
        base = base or [*needed, *areas]
        row: list[str | float | None] = [strategy]
        for found, random in zip(needed, base, strict=False):
            row += [found, found / random] if np.isfinite(found) else ["not reached", None]
        for found, random in zip(areas, base[2:], strict=True):
            row += [found, found / random]
        table.rows.append(row)
    return table


def picking(n: int = 100_000, d: int = 384, k: int = 77) -> Table:
    """Seconds and extra megabytes to pick 100 of ``n`` items, 1,000 of them labelled."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(k, d)).astype(np.float32)
    vectors = centres[rng.integers(k, size=n)] + 0.8 * rng.normal(size=(n, d)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    proba = np.exp(12 * vectors @ (centres / np.linalg.norm(centres, axis=1, keepdims=True)).T)
    proba /= proba.sum(axis=1, keepdims=True)
    labelled = rng.choice(n, 1000, replace=False)
    labels = proba[labelled].argmax(axis=1)
    answers = np.full((n, 5), np.nan)
    answers[labelled, 0], answers[labelled[:300], 1] = labels, labels[:300]
    table = Table(f"Picking 100 of {n:,} × {d}", ["strategy", "seconds, best of 3", "worst of 3", "extra MB"])
    for strategy in [*STRATEGIES, *peers()]:
        pool = Pool(vectors, proba, labelled, labels, answers=answers if strategy == "activelab" else None)
        choose(strategy, Pool(vectors[:2000], proba[:2000]), 10, rng)  # imports are not counted
        before, seconds = resident(), []
        with Peak() as peak:
            for seed in range(3):
                started = time.perf_counter()
                choose(strategy, pool, 100, np.random.default_rng(seed))
                seconds.append(time.perf_counter() - started)
        table.add(strategy, min(seconds), max(seconds), max(0, round(peak.most - before)))
    return table


def resident() -> float:
    """Megabytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


class Peak:
    """The most memory seen while inside the block, sampled every few milliseconds."""

    def __enter__(self) -> Peak:
        self.most, self._stop = resident(), threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        return self

    def _watch(self) -> None:
        while not self._stop.wait(0.003):
            self.most = max(self.most, resident())

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._watcher.join()


def run(quick: bool) -> list[Table]:
    """Learning curves on four sets, and the cost of picking."""
    ours, seeds = ["adaptive"], 1 if quick else 3
    every = [*(s for s in STRATEGIES if s not in {"adaptive", "random"}), *peers()]
    tables = [picking(20_000 if quick else 100_000)]
    with one_thread():
        if quick:
            return [*tables, curves("medical", "student", ours, 300, 600, 1)]
        tables.append(curves("banking77", "plain head", ours + every, 1500, 4000, seeds))
        tables.append(curves("banking77", "student", ["adaptive", "cluster-margin", "margin"], 1500, 4000, seeds))
        for name in ("topics", "medical", "mentions"):
            most = 1500 if name == "topics" else 1000
            tables.append(curves(name, "plain head", ["adaptive", "cluster-margin", "margin"], most, 1500, seeds))
            tables.append(curves(name, "student", ["adaptive", "cluster-margin", "margin"], most, 1500, seeds))
    return tables
