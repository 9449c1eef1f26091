"""`labelcrew label` with the embedded model: its speed against the bare embedder's, and what it gets right.

Speed: all texts of Banking77 in one file. The yardstick is the same embedder over the same texts in the same minute,
each in a process of its own, turn about. Accuracy: the test part with nothing but its 77 class names, and with ten
labelled examples a class. The unlabelled texts of the file are used too, as they are for every file.
"""

from __future__ import annotations

import json
import random
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.tables import Table
from bench.world import apart, cli, machine
from tests.support.shared_data import shared_path

SHOTS = 10
RATIO, ZERO_SHOT, TEN_SHOT = 0.7, 0.60, 0.84


def run(quick: bool) -> list[Table]:
    """Two tables: speed and accuracy. Without the data set beside the project, a table that says so."""
    source = shared_path("text", "banking77")
    if not source.exists():
        note = "skipped: the data set banking77 does not lie beside the project"
        return [Table("Embedded labelling", ["what"], note=note)]
    with tempfile.TemporaryDirectory() as folder:
        return [_speed(source, Path(folder), quick), _accuracy(source, Path(folder), quick)]


def _speed(source: Path, folder: Path, quick: bool) -> Table:
    rows = [row for part in ("train", "test") for row in _rows(source / f"{part}.jsonl")]
    rows = rows[:2_000] if quick else rows
    file = folder / "all.jsonl"
    _write(file, [{"id": row["id"], "text": row["text"]} for row in rows])
    classes = ",".join(sorted({row["label"] for row in rows}))
    bare, whole, inside, bare_cpu, whole_cpu = [], [], [], [], []
    for _ in range(1 if quick else 3):
        seconds, cpu = apart(_embed, [row["text"] for row in rows])
        bare.append(len(rows) / seconds)
        bare_cpu.append(cpu / len(rows) * 1000)
        began, cpu = time.perf_counter(), _spent_by_commands()
        summary = _label(file, folder, "--classes", classes)
        whole.append(len(rows) / (time.perf_counter() - began))
        whole_cpu.append((_spent_by_commands() - cpu) / len(rows) * 1000)
        inside.append(float(summary["rows_per_second"]))
    table = Table(
        f"Embedded labelling of a file: {len(rows):,} texts, 77 classes",
        ["what", "texts/s", "of the bare embedder", "target", "reached", "CPU ms/text", "of the bare embedder, by CPU"],
    )
    table.add("bare embedder, loaded and warm", max(bare), 1.0, None, None, min(bare_cpu), 1.0)
    by_cpu = min(bare_cpu) / min(whole_cpu)
    for what, rates, cells in (
        ("labelcrew label, from start to exit", whole, [min(whole_cpu), round(by_cpu, 2)]),
        ("… from the first text, start-up left out", inside, [None, None]),
    ):
        ratio = statistics.median(rate / base for rate, base in zip(rates, bare, strict=True))
        table.add(what, max(rates), round(ratio, 2), f"≥ {RATIO}", _word(ratio >= RATIO), *cells)
    table.note = f"Rates are the best of {len(bare)}, ratios the median of rounds turn about. {machine()} "
    table.note += "On a busy machine the ratio by processor time is the one to trust."
    return table


def _accuracy(source: Path, folder: Path, quick: bool) -> Table:
    train, test = _rows(source / "train.jsonl"), _rows(source / "test.jsonl")
    table = Table(
        f"Banking77 by labelcrew label: {len(test):,} test texts, embedded model",
        ["told", "accuracy", "macro-F1", "ECE", "AUROC", "target", "reached"],
    )
    file = folder / "test.jsonl"
    _write(file, test)
    names = ",".join(sorted({row["label"] for row in test}))
    zero = _label(file, folder, "--classes", names, "--gold-column", "label")["scores"]
    _add(table, "77 class names", [zero], ZERO_SHOT)
    found = []
    for seed in range(1 if quick else 3):
        shots = folder / f"shots-{seed}.jsonl"
        _write(shots, _draw(train, seed))
        found.append(_label(file, folder, "--examples", str(shots), "--gold-column", "label")["scores"])
    _add(table, f"{SHOTS} examples a class, mean of {len(found)} draws", found, TEN_SHOT)
    table.note = "With a peer's plain logistic regression on the same vectors: .830 at 8 examples a class."
    return table


def _add(table: Table, told: str, scores: list[dict[str, float]], target: float) -> None:
    mean = {k: statistics.mean(score[k] for score in scores) for k in ("accuracy", "macro_f1", "ece", "auroc")}
    cells = [f"{value:.3f}" for value in mean.values()]
    table.add(told, *cells, f"≥ {target:.2f}", _word(mean["accuracy"] >= target))


def _draw(train: list[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    of_class: dict[str, list[dict[str, Any]]] = {}
    for row in random.Random(seed).sample(train, len(train)):
        of_class.setdefault(row["label"], []).append(row)
    return [row for rows in of_class.values() for row in rows[:SHOTS]]


def _label(file: Path, folder: Path, *options: str) -> dict[str, Any]:
    """Run the command; its JSON summary."""
    target = str(folder / "out.jsonl")
    printed = cli("label", file, "--model", "local/minilm-l6", "--out", target, "--force", "--json", *options)
    summary: dict[str, Any] = json.loads(printed.splitlines()[-1])
    if summary["failed"] or summary["rejected"]:
        raise RuntimeError(f"rows without a label: {summary}")
    return summary


def _embed(texts: list[str]) -> tuple[float, float]:
    """Seconds and processor seconds that the embedder alone takes for these texts, loaded and warm."""
    from learning.embedding import load_embedder

    embedder = load_embedder()
    embedder.encode(texts[:64])
    began, cpu = time.perf_counter(), time.process_time()
    embedder.encode(texts)
    return time.perf_counter() - began, time.process_time() - cpu


def _spent_by_commands() -> float:
    """Processor seconds of the commands that have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _word(reached: bool) -> str:
    return "yes" if reached else "no"
