"""Students: when there is something new to learn, and what was learnt."""

from __future__ import annotations

import base64

from store.rpc import Rpc
from tests.support.teams import Team, refusal


async def test_stamp_moves_when_a_verified_answer_comes_changes_or_goes(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=2)
    one = (await team.items())[0]["id"]
    empty = await rpc.call("training_stamp", dataset=team.dataset)
    assert empty == {"verified": 0, "last_change": None}

    await team.submit(team.admin, one, "good")
    first = await rpc.call("training_stamp", dataset=team.dataset)
    assert first["verified"] == 1
    await team.submit(team.admin, one, "bad")
    second = await rpc.call("training_stamp", dataset=team.dataset)
    assert (second["verified"], second["last_change"] > first["last_change"]) == (1, True)
    await rpc.call("return_item", actor=team.admin, item=one)
    third = await rpc.call("training_stamp", dataset=team.dataset)
    assert (third["verified"], third["last_change"] > second["last_change"]) == (0, True)
    await team.call("save_predictions", rows=[])
    await team.claim(team.admin, 2)
    assert await rpc.call("training_stamp", dataset=team.dataset) == third


async def test_dataset_is_stale_until_a_student_has_seen_its_answers(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=2)
    await Team.of(rpc, items=1)
    [one, two] = [item["id"] for item in await team.items()]

    async def stale() -> list[str]:
        return [row["dataset_id"] for row in await rpc.call("list_stale_students")]

    assert await stale() == []
    await team.submit(team.admin, one)
    assert await rpc.call("list_stale_students") == [{"dataset_id": team.dataset, "actor": team.admin}]
    seen = (await rpc.call("training_stamp", dataset=team.dataset))["last_change"]
    await team.submit(team.admin, two)
    student = {"dataset": team.dataset, "labelset_version": 1, "model": "m", "metrics": {}, "blob": "", "trained_on": 1}
    await rpc.call("save_student", **student, seen_change=seen)
    assert await stale() == [team.dataset]
    await rpc.call("save_student", **student)
    assert await stale() == []
    await team.labelset()
    assert await stale() == [team.dataset]


async def test_training_rows_are_the_verified_items_newest_answer_first(rpc: Rpc) -> None:
    team = await Team.of(rpc, items=3)
    ids = [item["id"] for item in await team.items()]
    for item, label in [(ids[2], "good"), (ids[0], "bad"), (ids[2], "ugly")]:
        await team.submit(team.admin, item, label)
    rows = await team.call("list_training_rows")
    assert [(r["item_id"], r["payload"]["labels"], r["vector"]) for r in rows] == [
        (ids[2], ["ugly"], None), (ids[0], ["bad"], None),
    ]  # fmt: skip
    assert len(await team.call("list_training_rows", limit=1)) == 1


async def test_student_comes_back_as_it_was_saved(rpc: Rpc) -> None:
    team = await Team.of(rpc)
    assert await rpc.call("get_student", dataset=team.dataset) is None
    blob = base64.b64encode(bytes(range(256)) * 50).decode()
    for version in (1, 2):
        saved = await rpc.call(
            "save_student", dataset=team.dataset, labelset_version=1, model=f"m{version}",
            metrics={"accuracy": 0.5}, blob=blob, trained_on=10 * version,
        )  # fmt: skip
        assert saved == {"version": version}
    newest = await rpc.call("get_student", dataset=team.dataset)
    assert (newest["version"], newest["model"], newest["blob"], newest["metrics"]) == (2, "m2", blob, {"accuracy": 0.5})
    assert (await rpc.call("get_student", dataset=team.dataset, version=1))["trained_on"] == 10


async def test_weights_of_old_students_are_dropped_and_their_metrics_kept(rpc: Rpc) -> None:
    team = await Team.of(rpc)
    for _ in range(6):
        await rpc.call(
            "save_student",
            dataset=team.dataset,
            labelset_version=1,
            model="m",
            metrics={"n": 1},
            blob="aGk=",
            trained_on=1,
        )
    old = await rpc.call("get_student", dataset=team.dataset, version=1)
    assert (old["blob"], old["metrics"]) == ("", {"n": 1})
    assert (await rpc.call("get_student", dataset=team.dataset, version=2))["blob"] == "aGk="


async def test_student_of_no_dataset_is_refused_with_not_found(rpc: Rpc) -> None:
    team = await Team.of(rpc)
    student = {"labelset_version": 1, "model": "m", "metrics": {}, "blob": "", "trained_on": 1}
    await refusal(rpc.call("save_student", dataset=team.admin, **student), "not-found")
