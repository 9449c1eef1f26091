"""The unlabelled pool teaches what the classes look like: class names refined by the items themselves.

Two ways, and a gate between them.

*Soft rounds.* Starting from the class names, every item is shared among the classes by softmax, and every class centre
moves to the mean of its shares (EM for a mixture of von Mises–Fisher distributions; Banerjee et al., "Clustering on the
Unit Hypersphere using von Mises-Fisher Distributions", JMLR 6, 2005), held back by its name. Where classes are about
evenly frequent this adds 5 to 15 points of accuracy; where one class fills the pool, the others creep into it and it
costs 20 and more.

*Smoothing.* An item's cosines to the class names are averaged with those of its nearest neighbours in the pool. No
centre moves, so skew does little harm; it adds 1 to 10 points.

*The gate* says how far to trust the soft rounds: the product of two estimates of how even the classes are (each the
effective number of classes, e to the entropy, as a share of all). The first re-estimates class frequencies from the
zero-shot probabilities alone (Saerens, Latinne, Decaestecker, "Adjusting the Outputs of a Classifier to New a Priori
Probabilities", Neural Computation 14, 2002); the second lets a mixture with free frequencies run and looks whether it
runs away. On 356 pools of every skew, cut from three corpora, soft rounds lose more than a point against the names on
40 % of the pools with a product below .5 and on 7 % of those above .58 (at sixty classes and more the limits are .42
and .50). Gated: 4.0 points gained on average, more than a point lost on 5 % of the pools; gate open: 3.5 and 19 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learning.arrays import Array, Floats, Vectors, as_vectors, even_share, one_thread, softmax, unit
from learning.zero_shot import NAME_TEMPERATURE

POOL_TEMPERATURE = 0.06
"""Turns :meth:`PoolMixture.scores` into probabilities; NAME_TEMPERATURE where the scores are the names' own."""
SHARE_TEMPERATURE = 0.015
ANCHOR = 0.1
"""How many items a class name weighs, as a share of the average class."""
ROUNDS = 5
NAME_SHARE = 1 / 3
"""Share of the names' scores beside the moved centres'."""
FREE_TEMPERATURE, FREE_ANCHOR, FREE_ROUNDS = 0.03, 0.3, 10
NEIGHBOURS = 5
MOST_SMOOTHING = 0.6
MAX_POOL = 4_000
MAX_GATE_POOL = 2_500
MAX_NEIGHBOUR_POOL = 2_000
BLOCK = 1_024


@dataclass(frozen=True)
class PoolMixture:
    """Scores items against classes whose names were refined by a pool.

    ``names`` and ``centres`` are (k, d); ``pool`` (m, d) holds the items to smooth with, empty when they are not
    needed; ``gate`` 0..1 is the trust in the centres, ``smoothing`` 0..1 the weight of the neighbours.
    """

    names: Vectors
    centres: Vectors
    pool: Vectors
    gate: float
    smoothing: float

    def scores(self, vectors: Floats) -> Vectors:
        """Scores (n, k) on the scale of cosines: the highest is the most likely class."""
        items = as_vectors(vectors, dim=self.names.shape[1])
        with one_thread():
            plain = items @ self.names.T
            if self.gate >= 1.0:
                return np.asarray((1 - NAME_SHARE) * (items @ self.centres.T) + NAME_SHARE * plain)
            smooth = self._smooth(items, plain)
            if self.gate <= 0.0:
                return smooth
            moved = (1 - NAME_SHARE) * (items @ self.centres.T) + NAME_SHARE * smooth
            return np.asarray(self.gate * moved + (1 - self.gate) * smooth)

    def predict_proba(self, vectors: Floats) -> Array:
        """Probabilities (n, k), by the temperature that fits most sets before anything is verified."""
        learnt = max(self.gate, self.smoothing)
        return softmax(self.scores(vectors), learnt * POOL_TEMPERATURE + (1 - learnt) * NAME_TEMPERATURE)

    def _smooth(self, items: Vectors, plain: Vectors) -> Vectors:
        if self.smoothing <= 0.0 or not len(self.pool):
            return plain
        known = self.pool @ self.names.T
        around = np.empty_like(plain)
        # a block at a time: the similarities of a large batch with the whole pool would fill the memory
        for at in range(0, len(items), BLOCK):
            near = nearest(items[at : at + BLOCK] @ self.pool.T, NEIGHBOURS)
            around[at : at + BLOCK] = known[near].mean(axis=1)
        return np.asarray((1 - self.smoothing) * plain + self.smoothing * around)


def fit_pool_mixture(
    pool: Floats,
    names: Floats,
    *,
    labelled: Floats | None = None,
    targets: Floats | None = None,
    label_weight: float = 0.3,
    gate: float | None = None,
    seed: int = 0,
) -> PoolMixture:
    """Refine class vectors ``names`` (k, d) by the items ``pool`` (n, d); no label is needed.

    Labels at hand help: ``labelled`` (m, d) with weights ``targets`` (m, k) pull their class's name and centre, each as
    much as ``label_weight`` names, and so let the gate judge by better names. ``gate`` overrides the measured trust.
    At most 4,000 items of the pool are read, about 0.1 s for 77 classes.
    """
    known = as_vectors(names, what="class vectors")
    items = as_vectors(pool, what="pool", dim=known.shape[1])
    items = items[even_share(len(items), MAX_POOL, seed)]
    k, n = len(known), len(items)
    if k < 2 or n < 2:
        return PoolMixture(known, known, items[:0], 0.0, 0.0)
    # centres of a dozen items a class are those items themselves: such a pool would only confirm its own guesses
    enough = float(np.clip((n / k - 10) / 10, 0, 1))
    with one_thread():
        pull = np.zeros_like(known)
        if labelled is not None and targets is not None and len(labelled):
            pull = label_weight * (np.asarray(targets, np.float32).T @ as_vectors(labelled, dim=known.shape[1]))
            known = unit(known + pull)
        trust = pool_gate(items, known) * enough if gate is None else float(gate)
        pull = pull + ANCHOR * n / k * known
        centres = _soft_rounds(items, known, pull, SHARE_TEMPERATURE, ROUNDS)[0] if trust > 0 else known
    # neighbours say something once a class has about ten items in the pool
    smoothing = MOST_SMOOTHING * float(np.clip((n / k - 8) / 12, 0, 1))
    kept = items[even_share(n, MAX_NEIGHBOUR_POOL, seed)] if trust < 1 and smoothing > 0 else items[:0]
    # stored in half precision: rounded here, so that a stored mixture answers exactly like this one
    kept = kept.astype(np.float16).astype(np.float32)
    return PoolMixture(known, centres, kept, trust, smoothing)


def pool_gate(pool: Floats, names: Floats) -> float:
    """How far soft rounds may be trusted on ``pool`` (n, d) with class vectors ``names`` (k, d): 0 not, 1 wholly."""
    items = np.asarray(pool, dtype=np.float32)
    items = items[even_share(len(items), MAX_GATE_POOL)]
    known = np.asarray(names, dtype=np.float32)
    k, n = len(known), len(items)
    claimed = evenness(class_frequencies(softmax(items @ known.T, FREE_TEMPERATURE)))
    _, free = _soft_rounds(items, known, FREE_ANCHOR * n / k * known, FREE_TEMPERATURE, FREE_ROUNDS, free=True)
    many = float(np.clip(np.log(k / 9) / np.log(60 / 9), 0, 1))
    lowest = 0.50 - 0.08 * many
    return float(np.clip((claimed * evenness(free) - lowest) / 0.08, 0, 1))


def class_frequencies(probabilities: Floats, rounds: int = 100) -> Array:
    """Class frequencies (k,) that explain ``probabilities`` (n, k) made under even ones; one pseudo-count a class."""
    given = np.asarray(probabilities, dtype=np.float64)
    n, k = given.shape
    frequencies = np.full(k, 1 / k)
    for _ in range(rounds):
        shares = given * frequencies
        shares /= shares.sum(axis=1, keepdims=True)
        renewed = (shares.sum(axis=0) + 1) / (n + k)
        settled = np.abs(renewed - frequencies).max() < 1e-6
        frequencies = renewed
        if settled:
            break
    return frequencies


def evenness(frequencies: Floats) -> float:
    """Effective number of classes as a share of all: 1 when all are equally frequent, 1/k when there is only one."""
    p = np.asarray(frequencies, dtype=np.float64)
    p = p[p > 0] / p.sum()
    return float(np.exp(-(p * np.log(p)).sum()) / len(frequencies))


def nearest(similarities: Floats, count: int) -> NDArray[np.intp]:
    """Columns (n, count) of the highest ``similarities`` (n, m) of each row, in no order."""
    columns = similarities.shape[1]
    count = min(count, columns)
    return np.argpartition(similarities, columns - count, axis=1)[:, columns - count :]


def _soft_rounds(
    items: Vectors, start: Vectors, pull: Floats, temperature: float, rounds: int, *, free: bool = False
) -> tuple[Vectors, Array]:
    """Centres (k, d) and class frequencies (k,) after ``rounds``; ``free`` lets frequencies differ."""
    centres, k = start, len(start)
    frequencies = np.full(k, 1 / k)
    for _ in range(rounds):
        logits = items @ centres.T / np.float32(temperature)
        if free:
            logits = logits + np.log(frequencies).astype(np.float32)
        logits -= logits.max(axis=1, keepdims=True)
        shares = np.exp(logits, out=logits)
        shares /= shares.sum(axis=1, keepdims=True)
        centres = unit(shares.T @ items + pull)
        frequencies = (shares.sum(axis=0, dtype=np.float64) + 1) / (len(items) + k)
    return centres, frequencies
