"""What the documentation says is so: generated pages are current, links lead somewhere, commands can be typed."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

from cli.main import app
from schemas.errors import REGISTRY
from schemas.settings import Settings
from tests.api.authorisation import RULES

ROOT = Path(__file__).parents[2]
NOT_OURS = {"node_modules", "models", "build", "out"}

OUTSIDE_THE_PROGRAM = {"LABELCREW_PROCESS"}
"""Variables that only railway.toml knows."""


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate = _generator()


def _pages() -> list[Path]:
    def walk(folder: Path) -> Iterator[Path]:
        for path in sorted(folder.iterdir()):
            if path.is_dir() and path.name not in NOT_OURS and not path.name.startswith("."):
                yield from walk(path)
            elif path.suffix == ".md":
                yield path

    return list(walk(ROOT))


PAGES = _pages()


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


# generated pages


@pytest.mark.parametrize("name", list(generate.PAGES))
def test_generated_page_is_what_the_code_says(name: str) -> None:
    written = (ROOT / "docs" / name).read_text()
    assert written == generate.PAGES[name](), "run `python docs/generate.py`"


def test_every_setting_is_documented_in_words() -> None:
    page = (ROOT / "docs/reference/settings.md").read_text()
    for name, field in Settings.model_fields.items():
        assert field.description, f"{name} has no description"
        assert f"`{generate.variable_of(name, field)}`" in page, name


def test_every_command_and_option_is_documented_in_words() -> None:
    page = (ROOT / "docs/reference/cli.md").read_text()
    for name, command in generate.commands():
        assert f"## {name}\n" in page
        assert command.help, f"{name} has no help"
        section = page.split(f"## {name}\n", 1)[1].split("\n## ", 1)[0]
        for parameter in command.params:
            if parameter.param_type_name == "option" and not parameter.hidden:
                assert parameter.help, f"{name} {parameter.opts} has no help"
                assert all(f"`{option}" in section for option in parameter.opts), f"{name} {parameter.opts}"


def test_every_error_code_is_documented_under_its_own_heading() -> None:
    page = (ROOT / "docs/errors.md").read_text()
    assert [code for code in REGISTRY if f"\n### {code}\n" not in page] == []


def _rows_of_routes() -> dict[tuple[str, str], str]:
    page = (ROOT / "docs/reference/http.md").read_text()
    rows = re.findall(r"^\| `([A-Z]+)` \| `(\S+)` \| .+ \| ([a-z_ ]+) \|$", page, re.M)
    return {(method, re.sub(r"\{(\w+?)_id\}", r"{\1}", path)): who for method, path, who in rows}


def test_every_route_is_documented_with_the_role_it_takes() -> None:
    documented = _rows_of_routes()
    words = {"annotator": "member"}
    expected = {(rule.method, rule.path.partition("?")[0]): words.get(rule.least, rule.least) for rule in RULES}
    assert documented == expected


# everything that people wrote


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", _without_code(page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            broken.append(target)
    assert broken == []


def _without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))


def _anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", _without_fences(page.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def _without_fences(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


def _command_lines(text: str) -> Iterator[tuple[str, bool]]:
    """Every line that begins with `labelcrew`, and whether it is whole: one named in a sentence may be short."""
    joined = re.sub(r"\\\n\s*", " ", text)
    prompt = r"(?:\$ )?(?:[A-Z_]+=\S+ +)*(?:\.venv/bin/)?(?=labelcrew )"
    for line in re.findall(rf"^(?:    |\t)?{prompt}(labelcrew .+)$", joined, re.M):
        yield line, True
    for line in re.findall(r"`(labelcrew [^`\n]+)`", _without_fences(text)):
        yield line, False


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_command_line_can_be_typed_as_written(page: Path) -> None:
    for line, whole in _command_lines(page.read_text()):
        if "[OPTIONS]" in line:
            continue
        words = shlex.split(line, comments=True)
        cut = next((i for i, word in enumerate(words) if word in {"|", ">", ">>", "2>", "&&", "&", ";"}), len(words))
        refused = _refusal(words[1:cut], whole=whole)
        assert refused is None, f"{line}: {refused}"


def _refusal(words: list[str], *, whole: bool) -> str | None:
    """Why the command line would not be understood; None when it would."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("labelcrew", [], resilient_parsing=True)
    while hasattr(command, "commands"):
        if not words or words[0] not in command.commands:
            return None if not words and not whole else f"no command {words[:1]}"
        command = command.commands[words[0]]
        words = words[1:]
    try:
        command.make_context(command.name, list(words), parent=context)
    except Exception as refused:
        if type(refused).__name__ == "MissingParameter" and not whole:
            return None
        if type(refused).__name__ == "Exit":
            return None
        return f"{type(refused).__name__}: {refused}"
    return None


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_variable_named_is_one_that_the_program_reads(page: Path) -> None:
    known = {generate.variable_of(name, field) for name, field in Settings.model_fields.items()}
    named = set(re.findall(r"\b(?:LABELCREW|SUPABASE|UPSTASH|OPENAI|DATABASE)_[A-Z_]+\b", page.read_text()))
    assert sorted(named - known - OUTSIDE_THE_PROGRAM) == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_make_target_named_is_in_the_makefile(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"(?:^(?:    |\$ )?|`)make (?:[A-Z_]+=\S+ )*([a-z]+)", page.read_text(), re.M))
    assert sorted(named - targets) == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_address_named_is_a_route(page: Path) -> None:
    routes = [re.compile(re.sub(r"\{\w+\}", "[^/]+", path) + "$") for _, path in _rows_of_routes()]
    named = set(re.findall(r"(/v1/[\w/{}$.-]+)", page.read_text()))
    unknown = [path for path in sorted(named) if not any(route.match(path.rstrip("/.")) for route in routes)]
    assert unknown == []


# what the tests above rest on


def test_a_misspelt_option_is_noticed() -> None:
    assert _refusal(["label", "reviews.csv", "--clases", "a,b"], whole=True) is not None
    assert _refusal(["label", "--classes", "a,b"], whole=True) is not None
    assert _refusal(["label", "--classes", "a,b"], whole=False) is None
    assert _refusal(["lable", "reviews.csv"], whole=True) is not None
    assert list(_command_lines("Text\n\n    labelcrew jobs list -d x\n")) == [("labelcrew jobs list -d x", True)]
    assert list(_command_lines("Use `labelcrew user link EMAIL`.")) == [("labelcrew user link EMAIL", False)]
