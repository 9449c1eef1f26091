"""What every model looks like to the rest of the house: something that drafts labels for a batch of items.

The embedded model, a language model, and a crew that deliberates all are a :class:`Labeler`; the command line, the jobs
and the gateway know no more about them than this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from schemas.errors import LabelCrewError
from schemas.payloads import Payload
from schemas.world import Draft


class PrelabelInput(BaseModel):
    """One item to draft a label for. ``vector`` is its embedding (384 floats) where one is at hand."""

    model_config = ConfigDict(frozen=True)

    item_id: str
    text: str
    vector: tuple[float, ...] | None = None


class Example(BaseModel):
    """A verified item, shown to a model as an example."""

    model_config = ConfigDict(frozen=True)

    item_id: str
    text: str
    payload: Payload


class Labeler(Protocol):
    """Drafts labels. One bad item never fails its batch: it comes back as a draft with ``error`` set."""

    @property
    def name(self) -> str:
        """The model's name, as stored with every draft: ``gpt-4.1-mini``, ``local/minilm-l6``."""
        ...

    @property
    def batch_size(self) -> int:
        """How many items one call takes: callers that want results early hand over this many at a time."""
        ...

    async def draft(self, items: Sequence[PrelabelInput]) -> list[Draft]:
        """One draft for each item, in the same order.

        Raises a LabelCrewError that concerns the whole run (a refused key, an unreachable server, a used-up budget);
        drafts that were paid for before it are with the error: :func:`finished_drafts`.
        """
        ...


def with_finished(error: LabelCrewError, drafts: Sequence[Draft]) -> LabelCrewError:
    """``error``, with the drafts that were done before it, in place of any it had."""
    error.__dict__["finished"] = list(drafts)
    return error


def finished_drafts(error: BaseException) -> list[Draft]:
    """The drafts that a labeler had done before it raised ``error``."""
    return list(error.__dict__.get("finished", ()))
