"""`python -m bench [NAME …] [--quick]`: runs the benchmarks by name, or all, and prints a table of each.

A benchmark is a module of this folder with ``run(quick: bool) -> list[Table]``. Figures are ratios against a peer or a
limit measured in the same run wherever that is possible, because machines differ and shared ones are noisy.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import time
from pathlib import Path

import bench


def names() -> list[str]:
    """Every benchmark of this folder."""
    helpers = {"__main__", "learning_sets", "tables", "world"}
    return sorted(m.name for m in pkgutil.iter_modules(bench.__path__) if m.name not in helpers)


def main() -> int:
    """Run what was asked for; the exit status is 1 when a benchmark failed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names()))
    parser.add_argument("--quick", action="store_true", help="smaller sizes: shows that it runs, not what it reaches")
    parser.add_argument("--out", type=Path, help="also append the tables to this Markdown file")
    options = parser.parse_args()
    failed = []
    for name in options.names or names():
        started = time.monotonic()
        try:
            tables = importlib.import_module(f"bench.{name}").run(quick=options.quick)
        except Exception as error:
            failed.append(name)
            print(f"\n{name}: failed: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        for table in tables:
            print(f"\n{table.markdown()}", flush=True)
            if options.out:
                with options.out.open("a", encoding="utf-8") as handle:
                    handle.write(f"\n{table.markdown()}\n")
        print(f"\n({name}: {time.monotonic() - started:.0f} s)", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
