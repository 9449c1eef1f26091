"""Making datasets and labelsets: what a client left out is filled in, and classes that clash are refused in words."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from api.bodies import NewDataset, NewLabelset
from schemas.errors import LabelCrewError, error_of
from schemas.labelsets import PALETTE, Labelset
from store.rpc import Rpc


async def make_dataset(rpc: Rpc, actor: str, body: NewDataset) -> dict[str, Any]:
    """A dataset, with its labelset if one is given: both or neither."""
    labelset = labelset_params(body.labelset) if body.labelset else None
    created: dict[str, Any] = await rpc.call(
        "create_dataset",
        actor=actor,
        name=body.name,
        modality=body.modality,
        guidelines=body.guidelines,
        settings=body.settings.model_dump(exclude_unset=True) if body.settings else {},
    )
    if labelset is None:
        return created
    try:
        await rpc.call("create_labelset", actor=actor, dataset=created["id"], **labelset)
        created = await rpc.call("get_dataset", actor=actor, dataset=created["id"])
    except LabelCrewError:
        await rpc.call("delete_dataset", actor=actor, dataset=created["id"])
        raise
    return created


def labelset_params(body: NewLabelset) -> dict[str, Any]:
    """The parameters of ``create_labelset``. Classes without a colour get one by their place. A key that is left out
    stays out: the database gives a class of a known name its old key. Raises ``invalid-labelset``."""
    params = body.model_dump(mode="json", exclude_none=True)
    for index, label_class in enumerate(params["classes"]):
        label_class["color"] = label_class.get("color") or PALETTE[index % len(PALETTE)]
    try:
        Labelset.model_validate(params)
    except ValidationError as error:
        raise error_of("invalid-labelset", error.errors()[0]["msg"].removeprefix("Value error, ")) from error
    return params
