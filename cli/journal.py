"""The journal of a labelling run: drafts on disk as they come; an interruption costs only the calls under way."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import orjson

from schemas.errors import Invalid, error_of
from schemas.world import Draft

Drafts = dict[int, Draft]
"""Drafts by the position of their row in the file, from 0."""


@dataclass
class Journal:
    """Drafts on disk while a run goes on: a line that says of which run, then a line a draft."""

    target: Path
    _handle: IO[bytes] | None = field(default=None, repr=False)

    @property
    def path(self) -> Path:
        """Beside the output, so that it is found again and is on the same disk."""
        return self.target.with_name(f".{self.target.name}.journal")

    @property
    def exists(self) -> bool:
        """Whether a run was interrupted here."""
        return self.path.exists()

    def open(self, fingerprint: str) -> Drafts:
        """Start or go on; returns what is done. Raises when the journal is of a different run."""
        done: Drafts = {}
        if self.exists:
            done = self._read(fingerprint)
        self._handle = self.path.open("ab")
        if not self._handle.tell():
            self._handle.write(orjson.dumps({"labelcrew": 1, "run": fingerprint}) + b"\n")
            self._handle.flush()
        return done

    def _read(self, fingerprint: str) -> Drafts:
        done: Drafts = {}
        whole = 0
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines):
                if not line.endswith(b"\n"):
                    break  # cut off in the middle of a write
                record = orjson.loads(line)
                if number == 0 and record.get("run") != fingerprint:
                    raise Invalid(
                        "an interrupted run with another file, model, labelset or examples is waiting here",
                        hint="Add --force to start over, or name another output with --out.",
                    )
                if number > 0:
                    draft = Draft.model_validate(record)
                    done[int(draft.item_id)] = draft
                whole += len(line)
        with self.path.open("r+b") as handle:
            handle.truncate(whole)
        return done

    def append(self, drafts: Drafts) -> None:
        """Keep these drafts."""
        assert self._handle is not None, "open() comes first"
        try:
            self._handle.write(b"".join(orjson.dumps(d.model_dump(mode="json")) + b"\n" for d in drafts.values()))
            self._handle.flush()
        except OSError as failure:
            raise error_of("disk-full", f"{self.path}: {failure.strerror}") from None

    def close(self) -> None:
        """Nothing more comes."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None

    def remove(self) -> None:
        """The run is complete, or to be forgotten."""
        self.close()
        self.path.unlink(missing_ok=True)
