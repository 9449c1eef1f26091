"""The page on using the statistics in a notebook does what it says: its blocks run, in its order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "use-the-statistics.md"


def test_every_block_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 4
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), names)
    printed = capsys.readouterr().out
    assert "audited drafts were wrong" in printed
    assert "['yes', 'yes', 'no']" in printed or "['yes', 'no', 'no']" in printed


def test_every_name_in_the_page_exists() -> None:
    from importlib import import_module

    for module, names in re.findall(r"`(learning\.[a-z_.]+)\.([a-z_]+)`", PAGE.read_text(encoding="utf-8")):
        try:
            found = import_module(f"{module}.{names}")
        except ModuleNotFoundError:
            found = getattr(import_module(module), names)
        assert found is not None
