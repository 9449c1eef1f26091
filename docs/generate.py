"""Writes the pages of this folder that are made from code: ``python docs/generate.py``.

``--check`` writes nothing and ends with status 1 when a page is not what the code says; a test does the same.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, get_args

from pydantic.fields import FieldInfo

from api.errors import FRAMEWORK, status_of
from schemas.errors import REGISTRY, ErrorEntry
from schemas.settings import Settings

HERE = Path(__file__).resolve().parent

# errors.md ------------------------------------------------------------------------------------------------------------

FRAMEWORK_WORDS = {
    "malformed": (
        "The body cannot be read as what its content type says.",
        "Send well-formed JSON.",
    ),
    "method-not-allowed": ("The address does not take this method.", "See /openapi.json."),
}

ERRORS_INTRODUCTION = """\
# Errors

<!-- Made by docs/generate.py from schemas/errors.py and api/errors.py: change those. -->

Every error, over HTTP, on the command line and in a job, has a **code** that never changes and that programs may test
for. Over HTTP it is a problem document (RFC 9457, `application/problem+json`):

```json
{
  "type": "https://github.com/labelcrew/labelcrew/blob/main/docs/errors.md#stale-token",
  "title": "Conflict",
  "status": 409,
  "code": "stale-token",
  "detail": "the item was handed to somebody else 40 s ago",
  "hint": "Claim the next item; your answer was not stored.",
  "request_id": "5f0c6e2b9d1a4c77"
}
```

`detail` says what happened this time, `hint` what to do about it; further fields hold facts for programs, such as
`retry_after` in seconds. `request_id` is also the header `X-Request-ID` of the answer and stands in the server's log.

Something that does not exist and something that is not yours to see look the same: `not-found`.
"""


def errors_page() -> str:
    """docs/errors.md, by HTTP status."""
    by_status: dict[int, list[str]] = defaultdict(list)
    for entry in REGISTRY.values():
        by_status[status_of(entry.family)].append(_error_section(entry))
    for status, code in FRAMEWORK.items():
        if code not in REGISTRY:
            meaning, hint = FRAMEWORK_WORDS[code]
            by_status[status].append(f"### {code}\n\n{meaning} {hint}\n")
    parts = [ERRORS_INTRODUCTION]
    for status in sorted(by_status):
        parts.append(f"## {status} {HTTPStatus(status).phrase}\n")
        parts.extend(by_status[status])
    return "\n".join(parts)


def _error_section(entry: ErrorEntry) -> str:
    raised = f" In the database: SQLSTATE `{entry.sqlstate}`." if entry.sqlstate else ""
    return f"### {entry.code}\n\n{entry.meaning} {entry.hint}{raised}\n"


# reference/settings.md ------------------------------------------------------------------------------------------------

SETTINGS_INTRODUCTION = """\
# Settings

<!-- Made by docs/generate.py from schemas/settings.py: change that. -->

LabelCrew is set up by environment variables and nothing else; a `.env` file is never read by itself. None needs to be
set. An option of the command line wins over its variable. Keys, passwords and connection strings are never logged.
"""

SETTINGS_SECTIONS = {"data_dir": "Where things live", "openai_api_key": "The language model", "host": "The server"}
"""Headings, each before the setting that it stands over."""


def variable_of(name: str, field: FieldInfo) -> str:
    """The environment variable of a setting."""
    return field.alias or f"{Settings.model_config['env_prefix']}{name}".upper()


def settings_page() -> str:
    """docs/reference/settings.md, in the order of the class."""
    parts = [SETTINGS_INTRODUCTION]
    for name, field in Settings.model_fields.items():
        if name in SETTINGS_SECTIONS:
            parts.append(
                f"\n## {SETTINGS_SECTIONS[name]}\n\n| variable | default | takes | what it does |\n|---|---|---|---|\n"
            )
        cells = (f"`{variable_of(name, field)}`", _default(field), _takes(field), _cell(field.description or ""))
        parts.append(f"| {' | '.join(cells)} |\n")
    return "".join(parts)


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is None or value == []:
        return "not set"
    return f"`{str(value).lower() if isinstance(value, bool) else f'{value:g}' if isinstance(value, float) else value}`"


def _takes(field: FieldInfo) -> str:
    types = [t for t in get_args(field.annotation) if t is not type(None)] or [field.annotation]
    if all(isinstance(t, str) for t in types):
        return ", ".join(f"`{t}`" for t in types)
    if field.annotation is bool:
        return "`true` or `false`"
    if field.annotation not in (int, float):
        words = {"Path": "a path", "SecretStr": "a secret"}
        return words.get(getattr(types[0], "__name__", ""), "text")
    limits = {
        key: value for m in field.metadata for key in ("ge", "gt", "le") if (value := getattr(m, key, None)) is not None
    }
    words_of = {"ge": "from {:g}", "gt": "more than {:g}", "le": "to {:g}"}
    kind = "a whole number" if field.annotation is int else "a number"
    return " ".join([kind, *(words_of[key].format(limits[key]) for key in words_of if key in limits)])


# reference/cli.md -----------------------------------------------------------------------------------------------------

CLI_INTRODUCTION = """\
# The command line

<!-- Made by docs/generate.py from cli/main.py: change that. -->

Results go to standard output, progress and notes to standard error; colours are left out when piped. A command ends
with status 0 when it did what it was asked, 1 with an error (what happened, then what to do), 2 when the command itself
was not understood, 3 when `label` stopped because its budget is used up, and 130 when interrupted.

The commands `import`, `prelabel`, `export`, `jobs`, `user` and `db` open the database themselves, beside a running
server or without one, and act as its first account. Whoever may run them on the server's machine is its operator.
"""


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its full name, groups opened, hidden ones left out."""
    import typer

    from cli.main import app

    def walk(name: str, command: Any) -> Iterator[tuple[str, Any]]:
        if not hasattr(command, "commands"):
            yield name, command
            return
        for child in command.commands.values():
            if not child.hidden:
                yield from walk(f"{name} {child.name}", child)

    return walk("labelcrew", typer.main.get_command(app))


def cli_page() -> str:
    """docs/reference/cli.md, in the order of ``--help``."""
    parts = [CLI_INTRODUCTION]
    for name, command in commands():
        shown = [p for p in command.params if not getattr(p, "hidden", False)]
        arguments = [p for p in shown if p.param_type_name == "argument"]
        options = [p for p in shown if p.param_type_name == "option"]
        usage = [name, *(_metavar(a) for a in arguments), *("[OPTIONS]" for _ in options[:1])]
        parts.append(f"## {name}\n\n{_plain(command.help)}\n\n    {' '.join(usage)}\n")
        rows = [f"| `{_metavar(a)}` | required | {_cell(a.help or '')} |" for a in arguments]
        rows += [f"| {_spelled(o)} | {_option_default(o)} | {_cell(o.help or '')} |" for o in options]
        if rows:
            parts.append("\n".join(["| option | default | what it is |", "|---|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def _metavar(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _spelled(option: Any) -> str:
    value = "" if option.is_flag else f" {_metavar_of_option(option)}"
    return ", ".join(f"`{name}{value if name.startswith('--') else ''}`" for name in reversed(option.opts))


def _metavar_of_option(option: Any) -> str:
    taken = option.type_descriptor.annotation
    if taken in (int, float):
        return "N"
    last_word = option.name.rpartition("_")[2].upper()
    return "FILE" if taken is Path and last_word != "DIR" else last_word


def _option_default(option: Any) -> str:
    if option.required:
        return "required"
    if option.is_flag:
        return "off"
    if isinstance(option.show_default, str):
        guessed = " " in option.show_default or option.show_default == "guessed"
        return option.show_default if guessed else f"`{option.show_default}`"
    return f"`{option.default}`" if option.default not in (None, "", []) else "not set"


def _plain(text: str | None) -> str:
    return " ".join((text or "").split())


# reference/http.md ----------------------------------------------------------------------------------------------------

HTTP_INTRODUCTION = """\
# HTTP

<!-- Made by docs/generate.py from the OpenAPI document: change the routes in api/routes/. -->

The server describes itself at `/openapi.json`: every route with its parameters, bodies and answers. This page is its
table of contents.

Send `Authorization: Bearer <token>`. A token comes from `POST /v1/auth/token`, from `labelcrew user token EMAIL` for
scripts, or from Supabase Auth. Bodies and answers are JSON, errors are [problem documents](../errors.md), times are
UTC, ids are UUIDs. A list that may be long comes in pages: send `next_cursor` of one page as `cursor` of the next.

The last column says who may: *anybody*, whoever is *signed in*, every *member* of the dataset concerned, or members
with at least that role (annotator, reviewer, super_reviewer, admin). Who is no member gets 404. *owner* is the first
account of the installation. The whole table, everybody against everything, is [here](authorisation.md).
"""


def http_page() -> str:
    """docs/reference/http.md, by tag, in the order of the OpenAPI document."""
    from api.app import create_app

    document = create_app(Settings()).openapi()
    by_tag: dict[str, list[str]] = defaultdict(list)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            row = f"| `{method.upper()}` | `{path}` | {_cell(operation['summary'])} | {_who(path, operation)} |"
            by_tag[operation["tags"][-1]].append(row)
    parts = [HTTP_INTRODUCTION]
    for tag in document["tags"]:
        parts.append(f"## {tag['name']}\n\n{tag['description']}\n")
        parts.append(
            "\n".join(["| | path | what it does | who may |", "|---|---|---|---|", *by_tag.pop(tag["name"])]) + "\n"
        )
    assert not by_tag, f"tags that api/openapi.py does not describe: {sorted(by_tag)}"
    return "\n".join(parts)


def _who(path: str, operation: dict[str, Any]) -> str:
    if "security" not in operation:
        return "anybody"
    needed = re.search(r"[Nn]eeds the role (\w+)", _plain(operation.get("description")))
    if needed:
        return needed[1]
    if "or the owner of the installation" in _plain(operation.get("description")):
        return "owner"
    return "member" if "{" in path else "signed in"


# reference/authorisation.md -------------------------------------------------------------------------------------------

AUTHORISATION_INTRODUCTION = """\
# Who may do what

<!-- Made by docs/generate.py from tests/api/authorisation.py and api/scopes.py: change those. -->

Every route and everybody who may knock: nobody in particular, somebody with an account who is no member of the dataset
(a stranger), and members by their role. A number is the HTTP status of the refusal. For strangers what belongs to others
does not exist. The same table is asked of a running server by `tests/api/test_authorisation.py`, row by row.

The last column is the scope by which a [service token](../howto/invite-people.md#programs) may use the route, within its
account's role; where it says *people*, none may. *owner* is the first account of the installation.

A role opens the door; what lies behind it can still be somebody's own, such as a lease or an answer.
"""

COLUMNS = ("annotator", "reviewer", "super_reviewer", "admin")


def authorisation_page() -> str:
    """docs/reference/authorisation.md, in the order of the table."""
    sys.path.insert(0, str(HERE.parent))
    from api.scopes import scope_of
    from tests.api.authorisation import RULES

    head = "| | path | anonymous | stranger | annotator | reviewer | super reviewer | admin | scope |\n"
    rows = [AUTHORISATION_INTRODUCTION, "\n", head, "|---" * 9, "|\n"]
    for rule in RULES:
        scope = "" if rule.least == "anybody" else scope_of(rule.operation, rule.method) or "*people*"
        cells = [f"`{rule.method}`", f"`{rule.path.partition('?')[0]}`", *_answers(rule.least), scope]
        rows.append(f"| {' | '.join(cells)} |\n")
    return "".join(rows)


def _answers(least: str) -> list[str]:
    if least == "anybody":
        return ["yes"] * 6
    if least == "signed in":
        return ["401", *["yes"] * 5]
    if least == "owner":
        return ["401", *["*owner*"] * 5]
    allowed = COLUMNS.index(least)
    return ["401", "404", *("yes" if place >= allowed else "403" for place in range(len(COLUMNS)))]


# all ------------------------------------------------------------------------------------------------------------------


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|")


PAGES = {
    "errors.md": errors_page,
    "reference/settings.md": settings_page,
    "reference/cli.md": cli_page,
    "reference/http.md": http_page,
    "reference/authorisation.md": authorisation_page,
}


def stale() -> list[str]:
    """The pages that are not what the code says."""
    return [name for name, made in PAGES.items() if not (HERE / name).is_file() or (HERE / name).read_text() != made()]


def main() -> int:
    """Write the pages that changed, or only name them."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--check", action="store_true", help="write nothing; status 1 when a page is stale")
    check = options.parse_args().check
    found = stale()
    for name in found:
        print(f"docs/{name}", "is stale" if check else "written")
        if not check:
            (HERE / name).parent.mkdir(exist_ok=True)
            (HERE / name).write_text(PAGES[name]())
    return 1 if check and found else 0


if __name__ == "__main__":
    sys.exit(main())
