"""The workspace's sources: types hold against the OpenAPI document, nothing points outside."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

WEB = Path(__file__).resolve().parents[2] / "web"

needs_packages = pytest.mark.skipif(
    not (WEB / "node_modules" / ".package-lock.json").is_file(),
    reason="the workspace's packages are not installed (make web)",
)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, cwd=WEB, capture_output=True, text=True, timeout=150)


@needs_packages
def test_types_hold_against_the_openapi_document() -> None:
    checked = run("npm", "run", "--silent", "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_lock_names_no_registry() -> None:
    lock = (WEB / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert "://" not in re.sub(r'"url": "[^"]*"', "", lock)  # funding pages are named, nothing is fetched from them


def test_sources_fetch_nothing_from_elsewhere() -> None:
    sources = [
        p
        for folder in ("app", "components", "lib")
        for p in (WEB / folder).rglob("*")
        if p.suffix in {".ts", ".tsx", ".css"} and p.name != "schema.d.ts"  # types only, with the API's examples
    ]
    outside = {p.name: found for p in sources if (found := re.findall(r"https?://[^\s\"'`)]+", p.read_text()))}
    assert outside == {}
