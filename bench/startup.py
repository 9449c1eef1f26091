"""How long a person waits for the command's help, and for a server on a data folder that was used before."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable

from bench.tables import Table
from bench.world import COMMAND, data_folder, environment, machine, served

HELP_S = 0.5
READY_S = 4.0


def run(quick: bool) -> list[Table]:
    """Best of several starts; the first start of an empty folder beside it, once."""
    rounds = 2 if quick else 5
    table = Table("Starting", ["what", "best s", "CPU s", "target s", "reached"])
    bare, bare_cpu = _best(lambda: _timed([sys.executable, "-c", "pass"]), rounds)
    table.add("python -c pass", round(bare, 2), round(bare_cpu, 2), None, None)
    helped, helped_cpu = _best(lambda: _timed([*COMMAND, "--help"]), rounds)
    table.add("labelcrew --help", round(helped, 2), round(helped_cpu, 2), HELP_S, _word(helped <= HELP_S))
    with data_folder() as folder:
        with served(folder) as server:
            first = server.ready_s
        table.add("serve until /ready, first start of a folder", round(first, 2), None, None, None)
        waits = []
        for _ in range(rounds):
            with served(folder, workers=1) as server:
                waits.append((server.ready_s, sum(server.process.cpu_times()[:2])))
        warm, cpu = min(waits)
    table.add("serve until /ready, warm folder", round(warm, 2), round(cpu, 2), READY_S, _word(warm <= READY_S))
    table.note = f"Best of {rounds}. CPU is the process's own, without Postgres. {machine()}"
    return [table]


def _best(measure: Callable[[], tuple[float, float]], rounds: int) -> tuple[float, float]:
    return min(measure() for _ in range(rounds))


def _timed(command: list[str]) -> tuple[float, float]:
    """Wall and processor seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(command, env=environment(), stdout=subprocess.DEVNULL, check=True)
    took = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _word(reached: bool) -> str:
    return "yes" if reached else "no"
