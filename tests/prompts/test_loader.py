"""A prompt file that does not say what it means is refused when it is read."""

from __future__ import annotations

import pytest

from prompts import Prompt, joint_hash, load_prompt, prompt_names
from schemas.errors import ConfigurationError

CHAT = """---
about: A test.
variables: [name, notes]
---
# system
Be kind.
# user
{notes}Hello {name}.
# part notes
Notes:
{notes}
"""


def test_a_chat_prompt_renders_its_sections_as_messages() -> None:
    messages = Prompt("t", CHAT).render(name="Ada", notes="short")
    assert messages == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Notes:\nshort\n\nHello Ada."},
    ]


def test_a_part_of_an_empty_variable_disappears_with_its_heading() -> None:
    assert Prompt("t", CHAT).render(name="Ada", notes="")[1]["content"] == "Hello Ada."


@pytest.mark.parametrize("value", ["{name}", "{{x}}", "{0.__class__}", "%s {", "}{"])
def test_braces_in_a_value_stay_braces(value: str) -> None:
    assert Prompt("t", CHAT).render(name=value, notes="")[1]["content"] == f"Hello {value}."


def test_the_hash_changes_with_the_words_and_only_with_them() -> None:
    assert Prompt("t", CHAT).hash == Prompt("other", CHAT).hash
    assert Prompt("t", CHAT).hash != Prompt("t", CHAT.replace("kind", "brief")).hash
    assert len(Prompt("t", CHAT).hash) == 12


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("variables: [name, notes]", "variables: [name]"), "not declared"),
        (("variables: [name, notes]", "variables: [name, notes, more]"), "not used"),
        (("about: A test.\n", ""), "'about'"),
        (("---\nabout", "about"), "front matter"),
        (("# user", "# assistant"), "must have the sections"),
        (("# user\n", "# system\n"), "two sections"),
        (("{name}.", "{name."), "not a template"),
        (("{name}.", "{name.__class__}."), "not a template"),
        (("# system", "Dear model,\n# system"), "heading"),
        (("# part notes", "# part other"), "must introduce"),
    ],
)
def test_a_file_that_is_not_consistent_is_refused(change: tuple[str, str], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        Prompt("t", CHAT.replace(*change))


def test_a_missing_value_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="without \\['notes'\\]"):
        Prompt("t", CHAT).render(name="Ada")


def test_a_superfluous_value_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="takes no \\['mood'\\]"):
        Prompt("t", CHAT).render(name="Ada", notes="", mood="good")


@pytest.mark.parametrize("name", prompt_names())
def test_every_prompt_that_is_shipped_loads(name: str) -> None:
    prompt = load_prompt(name)
    filled = prompt.fill(**dict.fromkeys(prompt.variables, "VALUE"))
    assert all(text.strip() for text in filled.values())
    assert prompt.about


@pytest.mark.parametrize("name", ["no_such_prompt", "../schemas/errors", "Prelabel", ""])
def test_an_unknown_name_is_refused_with_the_names_there_are(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_prompt(name)
    assert "prelabel_classification" in caught.value.hint


@pytest.mark.parametrize("name", [n for n in prompt_names() if n.startswith(("prelabel", "deliberate", "inspect"))])
def test_what_stays_the_same_stands_before_what_changes(name: str) -> None:
    prompt = load_prompt(name)
    marks = {variable: f"<<{variable}>>" for variable in prompt.variables}
    whole = "".join(prompt.fill(**marks).values())
    assert whole.index("<<guidelines>>") < whole.index("<<classes>>") < whole.index("<<examples>>")
    assert whole.index("<<examples>>") < whole.index("<<items>>")


def test_the_joint_hash_depends_on_every_prompt() -> None:
    one, other = load_prompt("prelabel_classification"), load_prompt("prelabel_spans")
    assert len({joint_hash(one), joint_hash(one, other), joint_hash(other, one)}) == 3
