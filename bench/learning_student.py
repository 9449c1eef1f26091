"""The student against a plain head: accuracy by the number of labels, skewed pools, calibration, spans, speed.

The *plain head* is what peers train: logistic regression on frozen vectors (C = 10). *names* adds the class names as
training examples; *pool* is the class names refined by the unlabelled pool, with the labels at hand, and its gate
forced open; *student* is the product's model. All see the same vectors and the same draws of labels.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bench.learning_sets import ROOT, TextSet, load
from bench.tables import Table
from crews.local import LocalModel
from learning.arrays import softmax, unit
from learning.calibration import fit_calibration, fit_temperature
from learning.checks import Floats, Ints
from learning.embedding import load_embedder
from learning.heads import fit_softmax_head
from learning.metrics import accuracy, auroc, ece, span_score
from learning.pool_mixture import fit_pool_mixture
from learning.span_tagger import SpanTagger
from learning.student import Student
from learning.zero_shot import zero_shot_from
from schemas.labeling import Example, PrelabelInput
from schemas.labelsets import Labelset
from schemas.payloads import Classification

SETS = ("banking77", "topics", "medical", "mentions", "disputes")
DISPUTES = (
    "declined_card_payment", "declined_cash_withdrawal", "declined_transfer",
    "pending_card_payment", "pending_cash_withdrawal", "pending_transfer",
)  # fmt: skip
LABELS_A_CLASS = (0, 1, 8, 10, 32, None)
SKEW = (0.80, 0.10, 0.05, 0.05)


def run(quick: bool = False) -> list[Table]:
    """All tables; one that says so where the shared data is not beside the project."""
    if not ROOT.exists():
        return [Table("The student: skipped", ["why"], [["the shared data sets are not beside the project"]])]
    seeds = 1 if quick else 3
    sets = [_set(name) for name in (SETS[1:3] if quick else SETS)]
    return [
        few_labels(sets, seeds),
        skewed_pools(sets, seeds + 1),
        calibration(sets, 2 if quick else 10),
        spans((200,) if quick else (500, 1000, 3394)),
        speed(sets[0], 500 if quick else 3_000),
    ]


def few_labels(sets: Sequence[TextSet], seeds: int) -> Table:
    """Test accuracy by labels a class, and the student's distance from the plain head."""
    table = Table(
        "Accuracy in % by labels a class",
        ["set", "labels a class", "plain head", "names", "pool", "student", "student - plain", "ECE", "train s"],
        note=f"Mean of {seeds} draws of labels; the whole training part is the pool. ECE of the student, in %.",
    )
    for data in sets:
        for each in LABELS_A_CLASS:
            draws = [_one_draw(data, each, seed) for seed in range(1 if each in (0, None) else seeds)]
            plain, names, pool, ours, error, seconds = np.mean(np.array(draws, dtype=float), axis=0)
            untaught = each == 0
            table.add(
                data.name,
                "all" if each is None else each,
                None if untaught else _percent(plain),
                *(_percent(share) for share in (names, pool, ours)),
                None if untaught else f"{100 * (ours - plain):+.1f}",
                _percent(error),
                float(seconds),
            )
    return table


def skewed_pools(sets: Sequence[TextSet], seeds: int) -> Table:
    """What soft rounds do to pools of four classes, even and at 80/10/5/5, with and without their gate."""
    table = Table(
        "Pools without any label: accuracy in % on the pool itself",
        ["set", "pool", "names", "pool, gate open", "pool, gated", "worst gated - names"],
        note=f"Mean of {seeds} draws of four classes.",
    )
    for data in sets:
        for kind, shares in (("even", (0.25,) * 4), ("80/10/5/5", SKEW)):
            rows = np.array([_one_pool(data, shares, seed) for seed in range(seeds)])
            names, opened, gated = rows.mean(axis=0)
            worst = f"{100 * (rows[:, 2] - rows[:, 0]).min():+.1f}"
            table.add(data.name, kind, _percent(names), _percent(opened), _percent(gated), worst)
    return table


def calibration(sets: Sequence[TextSet], draws: int) -> Table:
    """ECE of models of 8 labels a class, raw and after 200 verified answers, beside what chance alone would show."""
    table = Table(
        "Calibration error (ECE, 15 bins, in %) at 8 labels a class",
        ["set", "model", "raw", "temperature on 200", "chosen curve on 200", "chance alone", "AUROC"],
        note=f"Mean of {draws} draws of the 200 (a third of the test part where it is smaller), measured on the rest. "
        "Chance alone: the ECE of probabilities that are exactly right, on as many items. AUROC of the chosen curve.",
    )
    for data in sets:
        rows = _draw(data, 8, 0)
        head = fit_softmax_head(data.train[rows], np.eye(data.k)[data.y[rows]], np.ones(len(rows)), strength=10.0)
        student = _student(data, rows)
        models = {"plain head": np.exp(head.log_proba(data.test)), "student": student.predict_proba(data.test)}
        for name, found in models.items():
            sure, right = found.max(axis=1), found.argmax(axis=1) == data.test_y
            whole, curve, chance, ranks = [], [], [], []
            for seed in range(draws):
                order = np.random.default_rng(seed).permutation(len(right))
                cut = min(200, len(order) // 3)
                verified, rest = order[:cut], order[cut:]
                logs = np.log(np.maximum(found, 1e-12))
                cooled = softmax(logs[rest], fit_temperature(logs[verified], data.test_y[verified]))
                whole.append(ece(cooled.max(axis=1), cooled.argmax(axis=1) == data.test_y[rest]))
                said = fit_calibration(sure[verified], right[verified]).apply(sure[rest])
                curve.append(ece(said, right[rest]))
                chance.append(ece(said, np.random.default_rng(seed + 1000).random(len(said)) < said))
                ranks.append(auroc(said, right[rest]))
            figures = (ece(sure, right), np.mean(whole), np.mean(curve), np.mean(chance))
            table.add(data.name, name, *(_percent(v) for v in figures), f"{np.mean(ranks):.3f}")
    return table


def spans(sizes: Sequence[int]) -> Table:
    """Strict F1 of the span tagger on the test part of WNUT-17, and on its own held-out quarter."""
    table = Table(
        "Spans: WNUT-17, strict scores in %",
        ["training texts", "test F1", "precision", "recall", "held-out F1", "answer ECE", "train s", "texts/s"],
        note="The test part was drawn from other places and for rare entities; the held-out quarter is like the rest.",
    )
    train, test = (_wnut(part) for part in ("train", "test"))
    for size in sizes:
        began = time.perf_counter()
        tagger = SpanTagger.fit([text for text, _ in train[:size]], [places for _, places in train[:size]])
        trained = time.perf_counter() - began
        began = time.perf_counter()
        found = tagger.predict([text for text, _ in test])
        rate = len(test) / (time.perf_counter() - began)
        score = span_score([p for _, p in test], [[span[:3] for span in of_text] for of_text in found])
        table.add(
            size, _percent(score.f1), _percent(score.precision), _percent(score.recall),
            _percent(tagger.metrics["f1"]), _percent(tagger.metrics["ece"]), trained, rate,
        )  # fmt: skip
    return table


def speed(data: TextSet, count: int) -> Table:
    """Texts a second of the embedder and of the whole local model, in turns; seconds to train on 1,000 labels."""
    embedder = load_embedder()
    texts = _some_texts(count)
    labelset = Labelset.of(data.classes)
    rows = np.random.default_rng(0).permutation(len(data.y))[:1_000]
    examples = [
        Example(item_id=str(i), text="an example", payload=Classification(labels=(data.classes[data.y[i]],)))
        for i in rows
    ]
    began = time.perf_counter()
    student = _student(data, rows)
    trained = time.perf_counter() - began
    unlabelled = Student.fit([], [], data.classes, class_vectors=data.names, pool=data.train)
    models = {
        "no labels": LocalModel(labelset, embedder, student=unlabelled),
        "student of 1,000": LocalModel(
            labelset, embedder, student=student, examples=examples, example_vectors=data.train[rows]
        ),
    }
    items = [PrelabelInput(item_id=str(i), text=text) for i, text in enumerate(texts)]
    table = Table(
        "Speed",
        ["what", "texts/s", "share of the embedder"],
        note=f"Best of three turns, {len(texts):,} texts. Training on 1,000 labels, {data.k} classes: {trained:.2f} s.",
    )
    raw = min(_timed(lambda: embedder.encode(texts)) for _ in range(3))
    table.add("embedder", len(texts) / raw, 1.0)
    for name, model in models.items():
        took = min(_timed(lambda model=model: _draft_all(model, items)) for _ in range(3))  # type: ignore[misc]
        table.add(f"local model, {name}", len(texts) / took, raw / took)
    return table


def _set(name: str) -> TextSet:
    if name != "disputes":
        return load(name)
    whole = load("banking77")
    kept = [whole.classes.index(c) for c in DISPUTES]
    learn, ask = np.isin(whole.y, kept), np.isin(whole.test_y, kept)
    place = {c: i for i, c in enumerate(kept)}

    def fold(y: Ints) -> Ints:
        return np.array([place[c] for c in y.tolist()])

    return TextSet(
        name, list(DISPUTES), whole.train[learn], fold(whole.y[learn]), whole.test[ask], fold(whole.test_y[ask]),
        whole.names[kept],
    )  # fmt: skip


def _draw(data: TextSet, each: int | None, seed: int) -> Ints:
    rng = np.random.default_rng(seed)
    if each is None:
        return np.arange(len(data.y))
    return np.concatenate([rng.permutation(np.flatnonzero(data.y == c))[:each] for c in range(data.k)]).astype(np.int64)


def _student(data: TextSet, rows: Ints) -> Student:
    return Student.fit(data.train[rows], data.y[rows], data.classes, class_vectors=data.names, pool=data.train)


def _one_draw(data: TextSet, each: int | None, seed: int) -> tuple[float, ...]:
    """Accuracies of plain head, names, pool and student; ECE of the student and the seconds it took to train."""
    rows = _draw(data, each, seed)
    targets, weight, vectors = np.eye(data.k)[data.y[rows]], np.ones(len(rows)), data.train[rows]
    began = time.perf_counter()
    student = _student(data, rows)
    seconds = time.perf_counter() - began
    found = student.predict_proba(data.test)
    mixture = fit_pool_mixture(data.train, data.names, labelled=vectors, targets=targets, gate=1.0)
    if each == 0:
        plain, names = np.zeros_like(found), zero_shot_from(data.test, data.names)
    else:
        plain = fit_softmax_head(vectors, targets, weight, strength=10.0).log_proba(data.test)
        names = fit_softmax_head(vectors, targets, weight, data.names, strength=10.0).log_proba(data.test)
    scored = [accuracy(data.test_y, s.argmax(axis=1)) for s in (plain, names, mixture.scores(data.test), found)]
    return *scored, ece(found.max(axis=1), found.argmax(axis=1) == data.test_y), seconds


def _one_pool(data: TextSet, shares: Sequence[float], seed: int) -> tuple[float, float, float]:
    """Accuracies on a pool of four classes: names, soft rounds without a gate, with it."""
    rng = np.random.default_rng(seed)
    four = rng.permutation(data.k)[: len(shares)]
    members = [rng.permutation(np.flatnonzero(data.y == c)) for c in four]
    size = int(min(len(rows) / share for rows, share in zip(members, shares, strict=True)))
    pool = np.concatenate([rows[: max(1, int(size * s))] for rows, s in zip(members, shares, strict=True)])
    truth = np.array([four.tolist().index(c) for c in data.y[pool]])
    vectors, names = data.train[pool], unit(data.names[four])
    answers: list[Floats] = [
        vectors @ names.T,
        fit_pool_mixture(vectors, names, gate=1.0).scores(vectors),
        fit_pool_mixture(vectors, names).scores(vectors),
    ]
    first, second, third = (accuracy(truth, scores.argmax(axis=1)) for scores in answers)
    return first, second, third


def _wnut(part: str) -> list[tuple[str, list[tuple[int, int, str]]]]:
    with (ROOT / f"ner/wnut17/{part}.jsonl").open(encoding="utf-8") as file:
        rows: list[dict[str, Any]] = [json.loads(line) for line in file]
    return [(row["text"], [(e["start"], e["end"], e["label"]) for e in row["entities"]]) for row in rows]


def _some_texts(count: int) -> list[str]:
    with (ROOT / "text/banking77/test.jsonl").open(encoding="utf-8") as file:
        return [json.loads(line)["text"] for line in file][:count]


def _draft_all(model: LocalModel, items: Sequence[PrelabelInput]) -> None:
    for at in range(0, len(items), model.batch_size):
        model.draft_now(items[at : at + model.batch_size])


def _timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def _percent(share: float | np.floating[Any]) -> str:
    return f"{100 * share:.1f}"
