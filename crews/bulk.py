"""Many items at little cost: the pre-label agent drafts in batches; only what is in doubt goes to the crew.

A draft is in doubt when a check speaks against it or its probability is under the dataset's threshold. Doubtful items
of batches that run side by side gather for a moment, so that one kickoff serves ten of them.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence

from agents.checks import is_sure
from agents.prelabeler import BATCH_SIZE, Drafted, PrelabelAgent
from crews.prelabel import Doubtful, Table, deliberate
from schemas.errors import LabelCrewError
from schemas.labeling import Example, PrelabelInput, finished_drafts, with_finished
from schemas.world import Draft

GROUP = 10
LINGER_S = 0.25
"""A doubtful item waits this long for company."""

ExamplesFor = Callable[[Sequence[PrelabelInput]], Sequence[Example] | Awaitable[Sequence[Example]]]
"""Verified examples that help with these items; finding them is the caller's affair."""


class BulkLabeler:
    """Drafts with a language model, and with the crew where one answer alone does not convince."""

    def __init__(
        self,
        agent: PrelabelAgent,
        table: Table,
        *,
        threshold: float = 0.5,
        calibrate: Callable[[float], float] | None = None,
        examples_for: ExamplesFor | None = None,
        with_crew: bool = True,
    ) -> None:
        """``calibrate`` turns a claimed confidence into a probability, for which ``threshold`` then holds."""
        self._agent = agent
        self._threshold = threshold
        self._calibrate = calibrate
        self._examples_for = examples_for
        self._gathering = _Gathering(table, examples_for) if with_crew else None

    @property
    def name(self) -> str:
        """The model's name."""
        return self._agent.client.model

    @property
    def batch_size(self) -> int:
        """Items of one call."""
        return self._agent.batch_size

    async def draft(self, items: Sequence[PrelabelInput]) -> list[Draft]:
        """One draft for each item, in order. Raises what concerns the whole run, with the drafts done before it."""
        batches = [items[at : at + self.batch_size] for at in range(0, len(items), self.batch_size)]
        if len(batches) == 1:
            return await self._draft_batch(batches[0])
        results = await asyncio.gather(*(self._draft_batch(batch) for batch in batches), return_exceptions=True)
        drafts: list[Draft] = []
        errors: list[BaseException] = []
        for result in results:
            if isinstance(result, BaseException):
                errors.append(result)
                drafts += finished_drafts(result)
            else:
                drafts += result
        if errors:
            first = errors[0]
            raise with_finished(first, drafts) if isinstance(first, LabelCrewError) else first
        return drafts

    async def _draft_batch(self, items: Sequence[PrelabelInput]) -> list[Draft]:
        examples = await find_examples(self._examples_for, items)
        try:
            drafted = await self._agent.draft_with_doubts(items, examples)
        except LabelCrewError as error:
            raise with_finished(error, [self._calibrated(draft) for draft in finished_drafts(error)]) from None
        return list(await asyncio.gather(*(self._settle(i, d) for i, d in zip(items, drafted, strict=True))))

    async def _settle(self, item: PrelabelInput, drafted: Drafted) -> Draft:
        draft = self._calibrated(drafted.draft)
        if draft.payload is None:
            return draft
        doubts = [*drafted.doubts, *self._doubt_confidence(draft)]
        if not doubts:
            shown = _sureness(draft)
            reason = f"{draft.route_reason} Every check passed; {shown} reaches {self._threshold:.2f}."
            return draft.model_copy(update={"route_reason": reason})
        if self._gathering is None:
            reason = f"{draft.route_reason} In doubt, because {'; '.join(doubts)}; the crew is switched off."
            return draft.model_copy(update={"route_reason": reason})
        final = await self._gathering.join(Doubtful(item, draft, tuple(doubts)))
        return self._calibrated(final) if final.route == "crew" else final

    def _calibrated(self, draft: Draft) -> Draft:
        if self._calibrate is None or draft.confidence is None:
            return draft
        return draft.model_copy(update={"probability": self._calibrate(draft.confidence)})

    def _doubt_confidence(self, draft: Draft) -> list[str]:
        believed = draft.probability if draft.probability is not None else draft.confidence
        if believed is None or is_sure(believed, self._threshold):
            return []
        return [f"{_sureness(draft)} is under {self._threshold:.2f}"]


class CrewLabeler:
    """Every item goes to the crew: for one item at a time, while a person waits."""

    def __init__(
        self,
        table: Table,
        *,
        calibrate: Callable[[float], float] | None = None,
        examples_for: ExamplesFor | None = None,
    ) -> None:
        self._table = table
        self._calibrate = calibrate
        self._examples_for = examples_for

    @property
    def name(self) -> str:
        """The model's name."""
        return self._table.client.model

    @property
    def batch_size(self) -> int:
        """Items of one kickoff."""
        return GROUP

    async def draft(self, items: Sequence[PrelabelInput]) -> list[Draft]:
        """One draft for each item, in order. Raises what concerns the whole run."""
        drafts: list[Draft] = []
        for at in range(0, len(items), GROUP):
            group = items[at : at + GROUP]
            examples = await find_examples(self._examples_for, group)
            try:
                drafts += await deliberate(self._table, [Doubtful(item) for item in group], examples)
            except LabelCrewError as error:
                raise with_finished(error, drafts) from None
        if self._calibrate is None:
            return drafts
        return [
            d if d.confidence is None else d.model_copy(update={"probability": self._calibrate(d.confidence)})
            for d in drafts
        ]


async def find_examples(examples_for: ExamplesFor | None, items: Sequence[PrelabelInput]) -> Sequence[Example]:
    """The examples for these items, however they are found."""
    if examples_for is None:
        return ()
    found = examples_for(items)
    return await found if inspect.isawaitable(found) else found


class _Gathering:
    """Doubtful items wait here for company, then one kickoff answers them all."""

    def __init__(self, table: Table, examples_for: ExamplesFor | None) -> None:
        self._table = table
        self._examples_for = examples_for
        self._waiting: list[tuple[Doubtful, asyncio.Future[Draft]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._meetings: set[asyncio.Task[None]] = set()

    async def join(self, doubtful: Doubtful) -> Draft:
        """The draft that the crew settles on."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Draft] = loop.create_future()
        self._waiting.append((doubtful, future))
        if len(self._waiting) >= GROUP:
            self._begin()
        elif self._timer is None:
            self._timer = loop.call_later(LINGER_S, self._begin)
        return await future

    def _begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        group, self._waiting = self._waiting, []
        meeting = asyncio.get_running_loop().create_task(self._meet(group))
        self._meetings.add(meeting)
        meeting.add_done_callback(self._meetings.discard)

    async def _meet(self, group: list[tuple[Doubtful, asyncio.Future[Draft]]]) -> None:
        doubtful = [one for one, _ in group]
        try:
            examples = await find_examples(self._examples_for, [one.item for one in doubtful])
            drafts = await deliberate(self._table, doubtful, examples)
        except BaseException as error:
            for _, future in group:
                if not future.done():
                    future.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for (_, future), draft in zip(group, drafts, strict=True):
            if not future.done():
                future.set_result(draft)


def _sureness(draft: Draft) -> str:
    if draft.probability is not None:
        return f"its probability of {draft.probability:.2f}"
    return "no confidence" if draft.confidence is None else f"its confidence of {draft.confidence:.2f}"


__all__ = ["BATCH_SIZE", "BulkLabeler", "CrewLabeler", "ExamplesFor", "find_examples"]
