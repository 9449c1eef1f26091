"""One truth from many annotators: accuracy against gold, on real crowds and, with texts, on a simulated one.

Real crowds: weather (5 classes), polarity (2), and the tokens of tweets marked as entities or not (each judgement is
about one entity type). With all answers, and with 5, 3 and 2 drawn for each item. Dawid–Skene, GLAD and MACE are this
project's own, after the papers.

Simulated crowd over real texts: 50 annotators, right in about 70 of 100 (20 to 95), half of the slips to one of the
three most similar classes, half to any; two answers an item. CROWDLAB is cleanlab's, with a logistic head trained on
majority votes.
"""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.random import Generator

from bench.learning_sets import ROOT, TextSet, load
from bench.tables import Table
from learning.checks import Floats, Ints
from learning.consensus import (
    METHODS,
    consensus,
    consensus_with_model,
    consensus_with_proba,
    crowdlab,
)
from learning.frames import Answers, from_long
from learning.heads import default_strength
from learning.label_errors import out_of_sample_proba

CROWD = ROOT / "crowd"


def rated(name: str) -> tuple[Answers, Ints]:
    """A set of labels.csv and gold.csv."""

    def rows(file: Path) -> list[dict[str, str]]:
        with file.open(encoding="utf-8", newline="") as handle:
            return list(csv.DictReader(handle))

    labels, gold = rows(CROWD / name / "labels.csv"), rows(CROWD / name / "gold.csv")
    classes = sorted({row["label"] for row in [*labels, *gold]})
    answers = from_long(labels, task="item", classes=classes)
    truth_of = {row["item"]: classes.index(row["label"]) for row in gold}
    return answers, np.array([truth_of.get(str(task), -1) for task in answers.tasks])


def marked_tokens() -> tuple[Answers, Ints]:
    """Each token of each tweet for each entity type asked: marked or not."""

    def rows(name: str) -> list[dict[str, object]]:
        with (CROWD / "btc_e_ner" / name).open(encoding="utf-8") as handle:
            return [json.loads(line) for line in handle]

    tags = {str(row["id"]): [str(tag) for tag in _list(row["gold_tags"])] for row in rows("items.jsonl")}
    judgements = rows("judgments.jsonl")
    truth: dict[tuple[str, str, int], int] = {}
    table: list[dict[str, object]] = []
    for row in judgements:
        item, kind, chosen = str(row["item"]), str(row["entity_type"]), _list(row["token_indices"])
        for token, tag in enumerate(tags[item]):
            truth[item, kind, token] = int(tag.endswith(f"-{kind}"))
            table.append({"task": (item, kind, token), "worker": row["worker"], "label": int(token in chosen)})
    answers = from_long(table, classes=[0, 1], repeated="refuse")
    return answers, np.array(list(truth.values()))


def _list(value: object) -> list[object]:
    assert isinstance(value, list)
    return value


def thinned(answers: Answers, most: int, rng: Generator) -> Answers:
    """At most ``most`` answers an item, drawn at random."""
    order = rng.permutation(len(answers))
    order = order[np.argsort(answers.task[order], kind="stable")]
    ranked = answers.task[order]
    kept = order[np.arange(len(ranked)) - np.searchsorted(ranked, ranked) < most]
    return replace(answers, task=answers.task[kept], worker=answers.worker[kept], label=answers.label[kept])


def accuracy(labels: Ints, truth: Ints) -> float:
    """Per cent of the items with gold."""
    known = truth >= 0
    return 100.0 * float((labels[known] == truth[known]).mean())


def real_crowds(draws: int) -> list[Table]:
    """A table for each number of answers an item."""
    sets = {
        "weather": rated("weather_sentiment_amt"),
        "polarity": rated("sentiment_polarity_amt"),
        "tokens": marked_tokens(),
    }
    tables = []
    for most in (None, 5, 3, 2):
        names = [name for name in sets if most != 5 or name != "tokens"]  # tokens have five answers at most
        title = "all answers" if most is None else f"{most} answers an item, {draws} draws"
        table = Table(f"Consensus, accuracy in %, {title}", ["method", *names, "mean", "worst against majority"])
        base: list[float] = []
        for method in ["majority", *(m for m in METHODS if m != "majority")]:
            found = []
            for name in names:
                votes, truth = sets[name]
                thin = (
                    [votes] if most is None else [thinned(votes, most, np.random.default_rng(s)) for s in range(draws)]
                )
                found.append(float(np.mean([accuracy(consensus(t, method).labels, truth) for t in thin])))
            base = base or found
            worst = min(ours - theirs for ours, theirs in zip(found, base, strict=True))
            table.add(method, *(f"{f:.2f}" for f in found), f"{np.mean(found):.2f}", f"{worst:+.2f}")
        tables.append(table)
    return tables


def simulated(truth: Ints, vectors: Floats, k: int, rng: Generator, workers: int = 50, each: int = 2) -> Answers:
    """``each`` answers an item by a crowd of mixed skill."""
    centres = np.stack([vectors[truth == c].mean(axis=0) for c in range(k)])
    near = np.argsort(-(centres @ centres.T - 9 * np.eye(k)), axis=1)[:, : min(3, k - 1)]
    skill = np.clip(rng.normal(0.7, 0.15, workers), 0.2, 0.95)
    item = np.repeat(np.arange(len(truth)), each)
    worker = np.concatenate([rng.choice(workers, each, replace=False) for _ in truth])
    label = truth[item].copy()
    slips = np.flatnonzero(rng.random(len(item)) > skill[worker])
    similar = near[label[slips], rng.integers(near.shape[1], size=len(slips))]
    other = (label[slips] + rng.integers(1, k, size=len(slips))) % k
    label[slips] = np.where(rng.random(len(slips)) < 0.5, similar, other)
    return Answers(tuple(range(len(truth))), tuple(range(workers)), tuple(range(k)), item, worker, label)


def with_texts(quick: bool) -> Table:
    """Two answers an item, and embeddings of the items."""
    sets: list[tuple[TextSet, Floats, Ints]] = []
    for name in ["medical"] if quick else ["banking77", "medical"]:
        data = load(name)
        sets.append((data, data.test, data.test_y) if name == "banking77" else (data, data.train, data.y))
    draws = 1 if quick else 3
    title = f"Consensus with a text model, simulated crowd, 2 answers an item, accuracy in %, {draws} draws"
    table = Table(title, ["method", *(data.name for data, _, _ in sets), "mean"])
    found: dict[str, list[list[float]]] = {}
    for column, (data, vectors, truth) in enumerate(sets):
        for seed in range(draws):
            rng = np.random.default_rng(seed)
            votes = simulated(truth, vectors, data.k, rng)
            voted = consensus(votes, "majority").labels
            proba = out_of_sample_proba(vectors, voted, data.k, rng, strength=default_strength(data.k))
            answers: dict[str, Ints] = {
                "majority": voted,
                "pooled-dawid-skene": consensus(votes).labels,
                "the model alone": proba.argmax(axis=1),
                "CROWDLAB": crowdlab(votes, proba).labels,
                "pooled, with CROWDLAB's model": consensus_with_proba(votes, proba).labels,
                "pooled, with a refitted model": consensus_with_model(
                    votes, vectors, np.random.default_rng(seed)
                ).labels,
            }
            for way, labels in answers.items():
                found.setdefault(way, [[] for _ in sets])[column].append(accuracy(labels, truth))
    for way, columns in found.items():
        means = [float(np.mean(figures)) for figures in columns]
        table.add(way, *(f"{m:.2f}" for m in means), f"{np.mean(means):.2f}")
    return table


def run(quick: bool) -> list[Table]:
    """The real crowds, and the simulated one with texts."""
    return [*real_crowds(1 if quick else 5), with_texts(quick)]
