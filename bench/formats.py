"""How fast files are read and written, and that memory does not grow with them.

Each case runs in a process of its own: its peak memory is then its own. Rates are by processor time, which others on
the machine do not change much. Python's bare csv module and orjson over the same rows are the yardsticks: they only
parse.
"""

from __future__ import annotations

import csv
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bench.tables import Table

_PLAIN = "card refund payment please late order the my is wrong, arrived not again"
WORDS = (*_PLAIN.split(" "), "'why'", '"q"', "grüße", "你好")
FORMATS = ("csv", "tsv", "jsonl", "json", "parquet")


def rows_of(count: int) -> Iterator[dict[str, Any]]:
    """Rows of about a dozen words, as an export has them."""
    draw = random.Random(7)
    stock = [" ".join(draw.choices(WORDS, k=12)) for _ in range(5000)]
    for i in range(count):
        yield {
            "external_id": f"r{i:07}",
            "text": stock[i % 5000],
            "labels": [("positive", "negative", "neutral")[i % 3]],
            "language": "en",
        }


def _write(path: Path, count: int) -> None:
    from formats.writing import writer

    with path.open("wb") as sink, writer(path.suffix[1:], sink) as out:
        out.write(rows_of(count))


def _read(path: Path, count: int) -> None:
    from formats.reading import open_rows
    from formats.rows import ReadOptions, Row

    taken = sum(type(row) is Row for row in open_rows(path, ReadOptions(guess_label=True)))
    if taken != count:
        raise AssertionError(f"{path.name}: {taken} rows of {count}")


def _bare_csv(path: Path, count: int) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        sum(1 for _ in csv.reader(file))


def _bare_orjson(path: Path, count: int) -> None:
    import orjson

    with path.open("rb") as file:
        sum(orjson.loads(line) is not None for line in file)


def _generate(path: Path, count: int) -> None:
    sum(1 for _ in rows_of(count))


def _measure(case: str, path: str, count: int, sink: Any) -> None:
    started = time.process_time()
    globals()[case](Path(path), count)
    seconds = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sink.put((seconds, peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)))


def _apart(case: str, path: Path, count: int) -> tuple[float, float]:
    """Seconds and peak megabytes of one case in a fresh process."""
    context = get_context("spawn")
    sink = context.Queue()
    process = context.Process(target=_measure, args=(case, str(path), count, sink))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{case} {path.name} failed")
    seconds, peak = sink.get()
    return seconds, peak


def run(quick: bool) -> list[Table]:
    """One table: rows a second and peak memory, at two sizes."""
    sizes = (5_000, 20_000) if quick else (100_000, 1_000_000)
    small, large = (f"peak MB at {size:,}" for size in sizes)
    table = Table(
        "Files", ["case", "rows a CPU second", small, large], note="Peak memory of the whole process, Python included."
    )
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: [Path(folder, f"{size}.{name}") for size in sizes] for name in FORMATS}
        cases = [(f"write {name}", "_write", name) for name in FORMATS]
        cases += [(f"read {name}", "_read", name) for name in FORMATS]
        cases += [("bare csv.reader", "_bare_csv", "csv"), ("bare orjson.loads", "_bare_orjson", "jsonl")]
        cases += [("making the rows to write", "_generate", "csv")]
        for title, case, name in cases:
            (_, low), (seconds, high) = (_apart(case, p, n) for p, n in zip(paths[name], sizes, strict=True))
            table.add(title, float(sizes[1] / seconds), low, high)
    return [table]
