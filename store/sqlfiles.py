"""The SQL that ships with the product, as text: numbered migrations, and the function files that follow them.

Two things are filled in when a file is read: ``@extensions@`` becomes the schema that holds pgvector, which differs
between installations, and ``@sqlstates@`` and ``@codes@`` the registry of errors, so that a code and its SQLSTATE stand
in one place.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from schemas.errors import REGISTRY

_MIGRATION = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_FUNCTION = re.compile(r"^create or replace function (labelcrew(?:_api)?)\.(\w+)\s*\(", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SqlFile:
    """One file: its name without the ending, its text as written, and the SHA-256 of what it means today."""

    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(_fill_errors(self.text).encode()).hexdigest()

    @property
    def version(self) -> int:
        """The number of a migration."""
        return int(self.name[:4])

    @property
    def functions(self) -> list[tuple[str, str]]:
        """(schema, name) of every function that the file defines."""
        return [(schema, name) for schema, name in _FUNCTION.findall(self.text)]

    def filled(self, extensions: str) -> str:
        """The text that Postgres runs; ``extensions`` is the quoted schema of pgvector."""
        return _fill_errors(self.text).replace("@extensions@", extensions)


def _fill_errors(text: str) -> str:
    entries = [entry for entry in REGISTRY.values() if entry.sqlstate]
    text = text.replace("@sqlstates@", "\n".join(f"    when '{e.code}' then '{e.sqlstate}'" for e in entries))
    return text.replace("@codes@", "\n".join(f"    when '{e.sqlstate}' then '{e.code}'" for e in entries))


@lru_cache(maxsize=1)
def migrations() -> tuple[SqlFile, ...]:
    """All migrations, in the order of their numbers, of which no two are the same."""
    found = _read("migrations")
    for before, file in zip([None, *found], found, strict=False):
        if not _MIGRATION.fullmatch(f"{file.name}.sql") or (before is not None and file.version <= before.version):
            raise RuntimeError(f"migration {file.name} should be named NNNN_verb_object.sql, with a number of its own")
    return found


@lru_cache(maxsize=1)
def function_files() -> tuple[SqlFile, ...]:
    """All function files: base first, the others by name."""
    return tuple(sorted(_read("functions"), key=lambda file: (file.name != "base", file.name)))


def _read(folder: str) -> tuple[SqlFile, ...]:
    entries = sorted(files("store").joinpath("sql", folder).iterdir(), key=lambda entry: entry.name)
    return tuple(SqlFile(e.name[:-4], e.read_text(encoding="utf-8")) for e in entries if e.name.endswith(".sql"))
