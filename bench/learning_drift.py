"""Drift on real texts: how often a stream without drift raises an alarm, and how soon one with drift does.

A reference of 1,000 items is drawn, then a stream that somebody asks about after every ten items; a look is spent at
75, 150, 300 and 600. False alarms are counted over 200 resamplings and over the whole stream. Of shifts it is told
after how many items the alarm came (median, and the slowest of ten), and how many were caught within 300.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from bench.learning_sets import TextSet, load
from bench.tables import Table
from learning.checks import Floats, Ints
from learning.drift import look_for_drift, next_look, watch_calibration, watch_rate

ALPHA = 0.05
REFERENCE = 1000
STREAM = 600
LOOK_EVERY = 10


@dataclass(frozen=True)
class Pool:
    """Vectors (n, d) and class indices (n,) to draw from; the sets' own train and test parts together."""

    vectors: Floats
    y: Ints
    classes: list[str]

    @classmethod
    def of(cls, data: TextSet) -> Pool:
        """Everything of a set."""
        return cls(np.concatenate([data.train, data.test]), np.concatenate([data.y, data.test_y]), data.classes)

    @property
    def mix(self) -> Floats:
        """Shares of the classes."""
        return np.bincount(self.y, minlength=len(self.classes)) / len(self.y)


def alarm_after(pool: Pool, reference: Ints, stream: Floats, labels: Ints | None, rng: Generator) -> int | None:
    """After how many items of the stream the alarm came; None without one. Without ``labels`` by texts alone."""
    looks, size = 0, 0
    one_hot = np.eye(len(pool.classes), dtype=np.float32)
    for seen in range(LOOK_EVERY, len(stream) + 1, LOOK_EVERY):
        if seen < next_look(size):
            continue
        looks, size = looks + 1, seen
        found = look_for_drift(
            pool.vectors[reference],
            stream[:seen],
            reference_labels=None if labels is None else one_hot[pool.y[reference]],
            current_labels=None if labels is None else one_hot[labels[:seen]],
            classes=pool.classes if labels is not None else (),
            look=looks,
            alpha=ALPHA,
            rng=rng,
        )
        if found.alarm:
            return seen
    return None


def draw(pool: Pool, mix: Floats, size: int, taken: Ints, rng: Generator) -> Ints:
    """Items of the pool, none of ``taken``, whose classes are mixed by ``mix``."""
    free = np.setdiff1d(np.arange(len(pool.y)), taken)
    counts = rng.multinomial(size, mix / mix.sum())
    found = [rng.permutation(free[pool.y[free] == c])[:n] for c, n in enumerate(counts)]
    return rng.permutation(np.concatenate(found))


def to_one_class(mix: Floats, rng: Generator) -> Floats:
    """A class grows by a fifth of everything, at the others' expense."""
    grown = int(rng.integers(len(mix)))
    shifted = mix - 0.2 * mix / (1 - mix[grown])
    shifted[grown] = mix[grown] + 0.2
    return shifted


def from_the_largest(mix: Floats, rng: Generator) -> Floats:
    """A fifth of all items leaves the largest class for the others."""
    largest = int(mix.argmax())
    shifted = mix + 0.2 * mix / (1 - mix[largest])
    shifted[largest] = max(mix[largest] - 0.2, 0.0)
    return shifted


def between_halves(mix: Floats, rng: Generator) -> Floats:
    """A fifth of all items goes from one random half of the classes to the other."""
    order = rng.permutation(len(mix))
    up, down = order[: len(mix) // 2], order[len(mix) // 2 :]
    shifted = mix.copy()
    shifted[up] *= (mix[up].sum() + 0.2) / mix[up].sum()
    shifted[down] *= max(mix[down].sum() - 0.2, 0.0) / mix[down].sum()
    return shifted


Shift = Callable[[Floats, Generator], Floats]
Stream = Callable[[Pool, Ints, Generator], tuple[Floats, Ints | None]]

SHIFTS: dict[str, Shift] = {
    "to one class": to_one_class,
    "away from the largest class": from_the_largest,
    "from half of the classes to the other half": between_halves,
}


def run(quick: bool) -> list[Table]:
    """False alarms, shifts of the class mix, changes of topic; then people and models."""
    pools = {name: Pool.of(load(name)) for name in ("banking77", "topics", "medical")}
    names = {"banking77": "Banking77, 77 classes", "topics": "Banking77, 7 topics", "medical": "medical abstracts, 5"}
    return [
        _false_alarms(pools, names, 20 if quick else 200),
        _shifts(pools, names, 3 if quick else 10),
        _outcomes(40 if quick else 200),
    ]


def _false_alarms(pools: dict[str, Pool], names: dict[str, str], draws: int) -> Table:
    table = Table(
        f"No drift: false alarms over {draws} resamplings, α = {ALPHA:g}",
        ["data", "stream", "texts and labels", "texts"],
    )
    for name, pool in pools.items():
        alarms = {True: 0, False: 0}
        for seed in range(draws):
            order = np.random.default_rng(seed).permutation(len(pool.y))
            reference, stream = order[:REFERENCE], order[REFERENCE : REFERENCE + STREAM]
            for labelled in alarms:
                rng = np.random.default_rng(seed)
                labels = pool.y[stream] if labelled else None
                alarms[labelled] += alarm_after(pool, reference, pool.vectors[stream], labels, rng) is not None
        table.add(names[name], STREAM, alarms[True] / draws, alarms[False] / draws)
    return table


def _shifts(pools: dict[str, Pool], names: dict[str, str], draws: int) -> Table:
    table = Table(
        f"Drift: items until the alarm, {draws} draws",
        ["data", "what changes", "median", "slowest", "within 300", "within 300 by texts alone"],
    )

    def tell(name: str, what: str, make: Stream) -> None:
        pool = pools[name]
        after: dict[bool, list[float]] = {True: [], False: []}
        for seed in range(draws):
            rng = np.random.default_rng(1000 + seed)
            reference = rng.permutation(len(pool.y))[:REFERENCE]
            stream, labels = make(pool, reference, rng)
            for labelled in (True, False) if labels is not None else (False,):
                found = alarm_after(pool, reference, stream, labels if labelled else None, rng)
                after[labelled].append(np.inf if found is None else found)
        best = np.array(after[True] or after[False])
        shown = ["never" if not np.isfinite(v) else int(v) for v in (np.median(best), best.max())]
        table.add(names[name], what, *shown, float((best <= 300).mean()), float((np.array(after[False]) <= 300).mean()))

    for name in pools:
        for what, shift in SHIFTS.items():
            if name == "banking77" and shift is from_the_largest:
                continue  # the largest of 77 classes is no fifth of anything

            tell(name, f"20 % of the mix, {what}", mixed_by(shift))

    for name in ("banking77", "medical"):
        tell(name, "the topic: every text from another set", _other_texts(pools, 1.0))
        tell(name, "the topic: one text in five from another set", _other_texts(pools, 0.2))
    return table


def mixed_by(shift: Shift) -> Stream:
    """A stream of the pool's own items with its classes mixed anew."""

    def make(pool: Pool, reference: Ints, rng: Generator) -> tuple[Floats, Ints | None]:
        stream = draw(pool, shift(pool.mix, rng), STREAM, reference, rng)
        return pool.vectors[stream], pool.y[stream]

    return make


def _other_texts(pools: dict[str, Pool], share: float) -> Stream:
    def make(pool: Pool, reference: Ints, rng: Generator) -> tuple[Floats, Ints | None]:
        other = pools["medical" if pool is not pools["medical"] else "banking77"]
        own = pool.vectors[draw(pool, pool.mix, STREAM, reference, rng)]
        foreign = rng.random(len(own)) < share
        own[foreign] = other.vectors[rng.permutation(len(other.vectors))[: foreign.sum()]]
        return own, None

    return make


def _outcomes(draws: int) -> Table:
    table = Table(
        f"People and models, looked at after every answer, {draws} draws of 600 answers, δ = {ALPHA:g}",
        ["what", "alarms", "median answers until the alarm"],
    )
    cases: dict[str, Callable[[Generator], int | None]] = {
        "disagreement stays at 10 %": lambda r: watch_rate(r.random(300) < 0.1, r.random(600) < 0.1).alarm_at,
        "disagreement goes from 10 to 30 %": lambda r: watch_rate(r.random(300) < 0.1, r.random(600) < 0.3).alarm_at,
        "a calibrated model": lambda r: _calibrated(r, 0.0),
        "a model 15 points too sure": lambda r: _calibrated(r, 0.15),
    }
    for what, case in cases.items():
        found = [case(np.random.default_rng(seed)) for seed in range(draws)]
        alarms = [at + 1 for at in found if at is not None]
        table.add(what, len(alarms) / draws, float(np.median(alarms)) if alarms else None)
    return table


def _calibrated(rng: Generator, surplus: float) -> int | None:
    claimed = rng.uniform(0.5, 1.0, 600)
    return watch_calibration(claimed, rng.random(600) < claimed - surplus).alarm_at
