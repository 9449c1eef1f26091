"""Labelset files: YAML that people write, with classes, their descriptions and examples, and the guidelines.

kind: classification        # or spans
multi: false
guidelines: |
  One intent a message: the one that decides who answers it.
classes:
  - name: refund
    description: Money back for something bought.
    examples: ["where is my refund"]
  - complaint               # a bare name is enough
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from schemas.errors import error_of
from schemas.labelsets import LabelClass, Labelset

MAX_BYTES = 2_000_000
KNOWN = {"kind", "multi", "allow_overlap", "guidelines", "classes", "name", "description"}


def read_labelset(path: Path) -> tuple[Labelset, str]:
    """The labelset and the guidelines (Markdown, may be empty) of a YAML or JSON file.

    Raises ``unreadable-file`` when it is no such file and ``invalid-labelset`` when the classes are not consistent.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise error_of("too-large", f"{path.name} is larger than {MAX_BYTES // 1_000_000} MB")
        raw = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as failure:
        raise error_of("unreadable-file", f"{path}: {failure.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as failure:
        raise error_of("unreadable-file", f"{path.name} is not YAML: {failure}") from None
    return parse_labelset(raw, path.name)


def parse_labelset(raw: object, name: str = "labelset") -> tuple[Labelset, str]:
    """The same from a value that is read already."""
    if not isinstance(raw, dict) or not isinstance(raw.get("classes"), list):
        raise error_of(
            "invalid-labelset", f"{name} has no list of classes", hint="Write `classes:` with one name a line."
        )
    unknown = sorted(set(map(str, raw)) - KNOWN)
    if unknown:
        raise error_of("invalid-labelset", f"{name} has the unknown key {unknown[0]!r}", hint=f"Known: {sorted(KNOWN)}")
    classes: list[Any] = [c if isinstance(c, dict) else {"name": str(c)} for c in raw["classes"]]
    try:
        labelset = Labelset(
            kind=raw.get("kind", "classification"),
            multi=raw.get("multi", False),
            allow_overlap=raw.get("allow_overlap", False),
            classes=[LabelClass.model_validate(c) for c in classes],
        )
    except ValidationError as failure:
        first = failure.errors()[0]
        where = "".join(f"{part}: " for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        raise error_of("invalid-labelset", f"{name}: {where}{said}") from None
    return labelset, str(raw.get("guidelines") or "")
