"""The audit log's chain as it crosses a border; its events are :class:`schemas.world.Event`."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from schemas.world import World


class AuditState(World):
    """How far a chain has come."""

    dataset_id: str | None
    """None for the chain of what belongs to no dataset: accounts."""
    seals: int
    sealed: int
    """Events under a seal."""
    unsealed: int
    """Events that no seal covers yet: those of the last seconds, while a worker runs."""
    head: str | None
    """The last seal's hash, in hexadecimal; None before the first."""
    sealed_at: datetime | None


class Broken(World):
    """The first thing that is not as it was sealed."""

    seal: int
    problem: Literal["changed", "missing", "added", "unchained"]
    """With an event: what became of it. Without one: what became of the seal itself; ``unchained`` does not name the
    hash of the one before."""
    event_id: int | None


class AuditCheck(World):
    """The result of checking some seals."""

    seals: int
    """How many were checked and found whole."""
    events: int
    broken: Broken | None
    head: str | None
    """Hash of the last seal that was checked."""
    next: int | None
    """The seal to go on after; None when the chain is through."""
