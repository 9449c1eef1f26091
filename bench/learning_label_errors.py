"""Finding wrong labels: 10 % of Banking77's training labels flipped, who ranks them first?

Three kinds of flips: to any other class, to one of the three most similar classes, and always to *the* most similar
class (by the classes' centres), which is the hardest. cleanlab's rankings use the same out-of-sample probabilities.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.random import Generator

from bench.learning_sets import TextSet, load
from bench.tables import Table
from learning.checks import Bools, Floats, Ints
from learning.label_errors import neighbour_votes, out_of_sample_proba, rank_label_errors


def flip(data: TextSet, kind: str, rng: Generator, share: float = 0.1) -> tuple[Ints, Bools]:
    """Labels (n,) of which ``share`` are wrong, and which."""
    n = len(data.y)
    wrong = rng.choice(n, round(n * share), replace=False)
    centres = np.stack([data.train[data.y == c].mean(axis=0) for c in range(data.k)])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    alike = centres @ centres.T - 2 * np.eye(data.k)
    order = np.argsort(-alike, axis=1)
    given = data.y.copy()
    if kind == "any class":
        given[wrong] = (data.y[wrong] + rng.integers(1, data.k, len(wrong))) % data.k
    else:
        depth = 1 if kind == "the most similar" else min(3, data.k - 1)
        given[wrong] = order[data.y[wrong], rng.integers(depth, size=len(wrong))]
    return given, given != data.y


def run(quick: bool) -> list[Table]:
    """Average precision, precision at 100 and seconds, for each kind of flip."""
    from cleanlab.rank import get_label_quality_scores
    from sklearn.metrics import average_precision_score

    data = load("medical" if quick else "banking77")
    kinds = ("any class", "one of three similar", "the most similar")
    draws = 1 if quick else 3
    figures: dict[str, dict[str, list[tuple[float, float, float]]]] = {}
    for kind in kinds:
        for draw in range(draws):
            given, wrong = flip(data, kind, np.random.default_rng(draw))
            proba = out_of_sample_proba(data.train, given, data.k, np.random.default_rng(draw))

            def peers(proba: Floats = proba, given: Ints = given) -> dict[str, Floats]:
                near = (proba + neighbour_votes(data.train, given, data.k)) / 2
                scores = {f"cleanlab {m}": -get_label_quality_scores(given, proba, method=m) for m in METHODS}
                for method in METHODS[:2]:
                    name = f"cleanlab {method}, head + 20 neighbours"
                    scores[name] = -get_label_quality_scores(given, near, method=method)
                return scores

            started = time.perf_counter()
            ours = rank_label_errors(given, proba, data.train)
            seconds = time.perf_counter() - started
            alone = rank_label_errors(given, proba)
            every = {"this ranking": ours.score, "… from the probabilities alone": alone.score, **peers()}
            for name, score in every.items():
                hits = wrong[np.argsort(-score, kind="stable")[:100]].mean()
                took = seconds if name == "this ranking" else float("nan")
                found = (float(average_precision_score(wrong, score)), float(hits), took)
                figures.setdefault(name, {}).setdefault(kind, []).append(found)
    table = Table(
        f"Label errors, {data.name}, 10 % flipped, {draws} draws",
        ["ranking", *(f"{kind}: {what}" for kind in kinds for what in ("AP", "precision@100")), "s per 10,000"],
    )
    for name, by_kind in figures.items():
        means = {kind: np.mean(runs, axis=0) for kind, runs in by_kind.items()}
        took = float(np.mean([m[2] for m in means.values()])) * 10_000 / len(data.y)
        cells = [float(means[kind][i]) for kind in kinds for i in (0, 1)]
        table.add(name, *cells, None if np.isnan(took) else took)
    return [table]


METHODS = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")
