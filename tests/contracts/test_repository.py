"""Rules about the whole repository that no linter knows."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def _texts() -> list[tuple[Path, str]]:
    found = []
    for path in _tracked():
        if path.stat().st_size < 1_000_000:
            try:
                found.append((path, path.read_text(encoding="utf-8")))
            except UnicodeDecodeError:
                continue
    return found


def test_no_file_is_over_a_megabyte_but_the_model() -> None:
    large = [str(p.relative_to(ROOT)) for p in _tracked() if p.stat().st_size > 1_000_000]
    assert [name for name in large if not name.endswith("model.int8.onnx")] == []
    for name in large:
        assert (ROOT / name).with_name("README.md").is_file(), f"{name} has no README beside it"


def test_no_file_names_a_registry_address() -> None:
    address = re.compile(
        r'"resolved":\s*"https?://|registry\s*=\s*"?https?://|^--(?:extra-)?index-url|pypi\.org/simple|registry\.npmjs',
        re.M,
    )
    assert [str(p) for p, text in _texts() if p != Path(__file__) and address.search(text)] == []


def test_lock_files_pin_every_package_by_hash() -> None:
    for name in ("requirements.lock", "requirements-dev.lock", "requirements-setup.lock"):
        pins = re.split(r"\n(?=[a-zA-Z0-9])", (ROOT / name).read_text())
        unpinned = [pin.splitlines()[0] for pin in pins if "==" in pin and "--hash=sha256:" not in pin]
        assert unpinned == [], name


def test_every_dependency_is_locked_and_justified_in_a_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[\[;<>=\s]", requirement)[0] for requirement in project["dependencies"]}
    locked = {line.split("==")[0] for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line}
    reasons = (ROOT / "docs/decisions/dependencies.md").read_text()
    assert names - {name.split("[")[0] for name in locked} == set()
    assert [name for name in sorted(names) if not re.search(rf"\b{re.escape(name)}\b", reasons)] == []


def test_openai_agents_stays_out_because_its_import_name_is_ours() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        assert "openai-agents==" not in (ROOT / name).read_text()


def test_only_settings_reads_the_environment() -> None:
    rooms = (
        "agents",
        "api",
        "cli",
        "crews",
        "formats",
        "integrations",
        "jobs",
        "learning",
        "prompts",
        "schemas",
        "store",
    )
    reads = re.compile(r"os\.environ(?!\.setdefault|\[\"[A-Z_]+\"\] = )|os\.getenv")
    offenders = [
        str(path.relative_to(ROOT))
        for path, text in _texts()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in rooms and reads.search(text)
    ]
    allowed = {
        "schemas/settings.py",
        "agents/engine.py",  # tells CrewAI where to keep its files and to send nothing home; reads nothing
        "cli/serve.py",  # asks whether there is a screen
    }
    assert set(offenders) - allowed == set()
