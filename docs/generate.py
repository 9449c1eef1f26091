"""Writes the pages of this folder that are made from code: ``python docs/generate.py``. A test tells stale ones."""

from __future__ import annotations

from collections import defaultdict
from http import HTTPStatus
from pathlib import Path

from api.errors import FRAMEWORK, status_of
from schemas.errors import REGISTRY, ErrorEntry

HERE = Path(__file__).resolve().parent

FRAMEWORK_WORDS = {
    "malformed": (
        "The body cannot be read as what its content type says.",
        "Send well-formed JSON.",
    ),
    "method-not-allowed": ("The address does not take this method.", "See /openapi.json."),
}

INTRODUCTION = """\
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
        by_status[status_of(entry.family)].append(_section(entry))
    for status, code in FRAMEWORK.items():
        if code not in REGISTRY:
            meaning, hint = FRAMEWORK_WORDS[code]
            by_status[status].append(f"### {code}\n\n{meaning} {hint}\n")
    parts = [INTRODUCTION]
    for status in sorted(by_status):
        parts.append(f"## {status} {HTTPStatus(status).phrase}\n")
        parts.extend(by_status[status])
    return "\n".join(parts)


def _section(entry: ErrorEntry) -> str:
    raised = f" In the database: SQLSTATE `{entry.sqlstate}`." if entry.sqlstate else ""
    return f"### {entry.code}\n\n{entry.meaning} {entry.hint}{raised}\n"


PAGES = {"errors.md": errors_page}


if __name__ == "__main__":
    for name, made in PAGES.items():
        (HERE / name).write_text(made())
