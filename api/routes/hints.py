"""Hints: what speaks for a label of one item, and whether hints help."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query
from pydantic import AwareDatetime
from starlette.responses import Response

from api.deps import Actor, DatasetId, Db, ItemId, Parts, answer
from api.limits import hints
from api.routes import resource
from schemas.guidance import Hint, HintEffect

router = resource("guidance")


@router.get("/items/{item_id}/hints", response_model=Hint, dependencies=[Depends(hints)], summary="Get a hint")
async def get_hint(
    parts: Parts,
    actor: Actor,
    item_id: ItemId,
    words: Annotated[bool, Query(description="Let the language model word it, if one is configured.")] = True,
) -> Response:
    """The likely label with its probability and why; verified items like this one; the guideline lines that apply; and
    the class that it is easily taken for. At most 30 in a minute for each user. Items that were drawn to be answered
    without help get none (`blind-item`). The hint is kept, to be compared with the answer."""
    from jobs.hints import hint_for  # brings the models' libraries

    return answer(await hint_for(parts.rpc, parts.settings, actor, item_id, worded=words))


@router.get("/datasets/{dataset_id}/hints/effect", response_model=HintEffect, summary="Whether hints help")
async def get_hint_effect(
    db: Db,
    actor: Actor,
    dataset_id: DatasetId,
    since: Annotated[AwareDatetime | None, Query(description="Only answers from then on.")] = None,
) -> Response:
    """First answers by what people had seen: a hint, a draft only, nothing on purpose. How fast they were, how often as
    suggested, and how often as others decided in the end. Needs the role reviewer."""
    return answer(await db.call("get_hint_effect", actor=actor, dataset=dataset_id, since=since))
