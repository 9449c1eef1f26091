"""Reads prompt files and refuses those that do not say what they mean.

A variable that a section uses and the front matter does not declare, or the other way round, is an error when the file
is read; a value that is missing or superfluous is an error when the prompt is rendered.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import yaml

from schemas.errors import LabelCrewError, error_of

if TYPE_CHECKING:
    from langchain_core.prompts.prompt import PromptTemplate

FOLDER = Path(__file__).parent
CHAT = ("system", "user")
NOTE = ("system",)
AGENT = ("role", "goal", "backstory", "description", "expected_output")

_FRONT = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
_HEADING = re.compile(r"^# (part )?([a-z_]+)\n", re.MULTILINE)


class Message(TypedDict):
    """A message as OpenAI's protocol takes it."""

    role: str
    content: str


class Prompt:
    """One prompt file. ``hash`` is the first 12 hex digits of the SHA-256 of the file, stored with every draft."""

    def __init__(self, name: str, source: str) -> None:
        """Read ``source``. Raises ConfigurationError that says what is wrong with the file."""
        self.name = name
        self.hash = hashlib.sha256(source.encode()).hexdigest()[:12]
        front = _FRONT.match(source)
        if front is None:
            raise self._error("must open with front matter between two lines of ---")
        declared = yaml.safe_load(front[1])
        if not isinstance(declared, dict) or set(declared) != {"about", "variables"}:
            raise self._error("must declare 'about' and 'variables' in its front matter, and nothing else")
        self.about: str = declared["about"]
        self.variables = frozenset(declared["variables"])
        self._sections: dict[str, PromptTemplate] = {}
        self._parts: dict[str, PromptTemplate] = {}
        self._read_sections(source[front.end() :])
        self._check_variables()

    def fill(self, **values: str) -> dict[str, str]:
        """Every section with its variables filled in. Raises ConfigurationError unless exactly they are given."""
        if set(values) != self.variables:
            missing = sorted(self.variables - set(values))
            extra = sorted(set(values) - self.variables)
            raise self._error(f"was rendered without {missing}" if missing else f"takes no {extra}")
        shown = dict(values)
        for name, part in self._parts.items():
            shown[name] = part.format(**_only(values, part)) if values[name] else ""
        return {name: section.format(**_only(shown, section)) for name, section in self._sections.items()}

    def render(self, **values: str) -> list[Message]:
        """The messages of a chat prompt, in order."""
        return [{"role": name, "content": text} for name, text in self.fill(**values).items()]

    def _read_sections(self, body: str) -> None:
        from langchain_core.prompts.prompt import PromptTemplate

        headings = list(_HEADING.finditer(body))
        if not headings or body[: headings[0].start()].strip():
            raise self._error("must start with a heading after its front matter")
        for heading, following in zip(headings, [*headings[1:], None], strict=True):
            is_part, name = bool(heading[1]), heading[2]
            text = body[heading.end() : following.start() if following else None].strip("\n")
            target = self._parts if is_part else self._sections
            if name in target:
                raise self._error(f"has two sections {name!r}")
            try:
                target[name] = PromptTemplate.from_template(text + ("\n\n" if is_part else ""))
            except ValueError as error:
                raise self._error(f"section {name!r} is not a template: {error}") from error
        if tuple(self._sections) not in (CHAT, NOTE, AGENT):
            raise self._error(f"must have the sections {', '.join(CHAT)} or {', '.join(AGENT)}, in this order")

    def _check_variables(self) -> None:
        templates = [*self._sections.values(), *self._parts.values()]
        used = {variable for template in templates for variable in template.input_variables}
        if used != self.variables:
            odd = sorted(used ^ self.variables)
            raise self._error(
                f"variable {odd[0]!r} is {'not declared' if odd[0] in used else 'declared, but not used'}"
            )
        in_sections = {variable for template in self._sections.values() for variable in template.input_variables}
        for name, part in self._parts.items():
            if name not in in_sections or part.input_variables != [name]:
                raise self._error(f"part {name!r} must introduce the variable {name!r} of a section, and no other")

    def _error(self, problem: str) -> LabelCrewError:
        return error_of("configuration", f"The prompt {self.name} {problem}.", hint="See prompts/__init__.py.")


def _only(values: Mapping[str, str], template: PromptTemplate) -> dict[str, str]:
    return {name: values[name] for name in template.input_variables}


@lru_cache(maxsize=64)
def load_prompt(name: str) -> Prompt:
    """The prompt in ``prompts/<name>.md``. Raises ConfigurationError."""
    path = FOLDER / f"{name}.md"
    if not re.fullmatch(r"[a-z_]+", name) or not path.is_file():
        raise error_of(
            "configuration", f"There is no prompt {name!r}.", hint=f"Use one of: {', '.join(prompt_names())}"
        )
    return Prompt(name, path.read_text(encoding="utf-8"))


def joint_hash(*prompts: Prompt) -> str:
    """One hash for an answer that several prompts had a part in."""
    return hashlib.sha256("".join(prompt.hash for prompt in prompts).encode()).hexdigest()[:12]


def prompt_names() -> list[str]:
    """The prompts there are."""
    return sorted(path.stem for path in FOLDER.glob("*.md"))
