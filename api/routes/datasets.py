"""Datasets, their labelsets and their audit log."""

from __future__ import annotations

from starlette.responses import Response

from api.bodies import DatasetPatch, NewDataset, NewLabelset
from api.deps import Actor, DatasetId, Db, answer
from api.making import labelset_params, make_dataset
from api.routes import resource
from schemas.labelsets import Labelset
from schemas.world import Dataset

router = resource("datasets", "/v1/datasets")


@router.get("", response_model=list[Dataset], summary="List datasets")
async def list_datasets(db: Db, actor: Actor) -> Response:
    """The datasets that you are a member of, newest first."""
    return answer(await db.call("list_datasets", actor=actor))


@router.post("", response_model=Dataset, status_code=201, summary="Create a dataset")
async def create_dataset(db: Db, actor: Actor, body: NewDataset) -> Response:
    """Make a dataset, with its first labelset if one is given. You become its admin."""
    return answer(await make_dataset(db, actor, body), 201)


@router.get("/{dataset_id}", response_model=Dataset, summary="Get a dataset")
async def get_dataset(db: Db, actor: Actor, dataset_id: DatasetId) -> Response:
    """A dataset with its newest labelset, its settings, and how many items are in each state."""
    return answer(await db.call("get_dataset", actor=actor, dataset=dataset_id))


@router.patch("/{dataset_id}", response_model=Dataset, summary="Change a dataset")
async def update_dataset(db: Db, actor: Actor, dataset_id: DatasetId, patch: DatasetPatch) -> Response:
    """Change the name, the guidelines or the settings. Needs the role admin."""
    given = patch.model_dump(exclude_unset=True)
    changes = {name: value for name, value in given.items() if value is not None}
    return answer(await db.call("update_dataset", actor=actor, dataset=dataset_id, patch=changes))


@router.delete("/{dataset_id}", status_code=204, summary="Delete a dataset")
async def delete_dataset(db: Db, actor: Actor, dataset_id: DatasetId) -> Response:
    """Delete a dataset with all that is in it. Needs the role admin. The audit log stays."""
    await db.call("delete_dataset", actor=actor, dataset=dataset_id, timeout=300)
    return Response(status_code=204)


@router.get("/{dataset_id}/labelsets", response_model=list[Labelset], summary="List labelsets")
async def list_labelsets(db: Db, actor: Actor, dataset_id: DatasetId) -> Response:
    """Every version of the labelset, newest first."""
    return answer(await db.call("list_labelsets", actor=actor, dataset=dataset_id))


@router.post(
    "/{dataset_id}/labelsets",
    response_model=Labelset,
    status_code=201,
    summary="Create a labelset version",
)
async def create_labelset(db: Db, actor: Actor, dataset_id: DatasetId, body: NewLabelset) -> Response:
    """Change the classes or rules: a new version, from now on in force. Classes that are left out are retired, and
    answers that use them stay. A class keeps its ``key`` when it is renamed. Needs the role admin."""
    return answer(await db.call("create_labelset", actor=actor, dataset=dataset_id, **labelset_params(body)), 201)
