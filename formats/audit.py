"""Checks an exported audit log by itself: no database, nothing but SHA-256.

The file is what `labelcrew audit export` wrote: a line an event, and after each run of events the line of its seal. A
seal's hash covers its own line without that hash, a line feed, and the SHA-256 of each of its events' lines; its line
names the hash of the seal before. So a line that is changed, missing or added makes its seal wrong, and a seal that is
changed makes the next one wrong.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from schemas.errors import error_of

_SEAL = re.compile(rb', "hash": "([0-9a-f]{64})"\}$')
FIRST = hashlib.sha256(b"").hexdigest()
"""What the first seal names as the one before."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a file's chain amounts to. ``broken`` is a sentence about the first thing that is wrong, or None."""

    events: int
    seals: int
    unsealed: int
    """Events after the last seal: nothing vouches for them yet."""
    head: str | None
    broken: str | None
    heads: frozenset[str] = frozenset()
    """The hash of every seal."""


def check_export(lines: Iterable[bytes]) -> Checked:
    """Follow the chain in ``lines``. Raises ``unreadable-file`` for a line that is no JSON object."""
    events = seals = 0
    head: str | None = None
    heads: set[str] = set()
    pending: list[tuple[int, int, bytes]] = []
    for number, raw in enumerate(lines, start=1):
        line = raw.rstrip(b"\r\n")
        if not line:
            continue
        found = _object(line, number)
        if "seal" not in found:
            pending.append((number, int(found.get("id", 0)), line))
            continue
        broken = _broken(found, line, pending, head, seals)
        if broken is not None:
            return Checked(events, seals, len(pending), head, broken, frozenset(heads))
        seals, events, head = seals + 1, events + len(pending), str(found["hash"])
        heads.add(head)
        pending = []
    return Checked(events, seals, len(pending), head, None, frozenset(heads))


def _object(line: bytes, number: int) -> dict[str, Any]:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise error_of("unreadable-file", f"line {number} is not a JSON object")
    return found


def _broken(
    seal: dict[str, Any], line: bytes, pending: list[tuple[int, int, bytes]], head: str | None, seals: int
) -> str | None:
    """What is wrong with a seal and the events before it."""
    where = f"seal {seal['seal']}"
    if seal["seal"] != seals + 1:
        return f"{where} follows seal {seals}: one is missing or was added"
    if seal["previous"] != (head or FIRST):
        return f"{where} does not follow the seal before it"
    signed = _SEAL.search(line)
    if signed is None:
        return f"{where} has no hash"
    digest = hashlib.sha256(line[: signed.start()] + b"}\n")
    for _, _, event in pending:
        digest.update(hashlib.sha256(event).digest())
    if digest.hexdigest().encode() == signed[1]:
        return None
    if len(pending) != seal["count"]:
        return f"{where} covers {seal['count']} events and the file has {len(pending)} for it"
    span = f"lines {pending[0][0]} to {pending[-1][0]} (events {pending[0][1]} to {pending[-1][1]})"
    return f"{where} or one of its events was changed: {span}"
