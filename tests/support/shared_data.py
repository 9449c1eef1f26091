"""The real data sets that lie beside the project on some machines; tests that want them are skipped elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

ROOT = Path(__file__).resolve().parents[2].parent / "shared" / "data"

Test = TypeVar("Test", bound=Callable[..., object])


def shared_path(*parts: str) -> Path:
    """A file or folder of the shared data; it need not exist."""
    return ROOT.joinpath(*parts)


def shared_data(name: str) -> Callable[[Test], Test]:
    """Marks a test that reads the data set ``name`` (a folder such as ``text/banking77``); skips it elsewhere."""
    missing = not shared_path(name).exists()

    def mark(test: Test) -> Test:
        marked = pytest.mark.skipif(missing, reason=f"the shared data set {name} is not here")(test)
        return pytest.mark.shared_data(marked)

    return mark


def shared_rows(*parts: str) -> list[dict[str, Any]]:
    """The rows of a JSONL file of the shared data."""
    with shared_path(*parts).open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]
