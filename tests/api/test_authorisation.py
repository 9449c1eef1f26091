"""Every route against everybody: the table of authorisation.py, row by row."""

from __future__ import annotations

from typing import Any

import pytest

from api.app import routes_of
from tests.api.authorisation import ANYBODY, RULES, SIGNED_IN, Rule
from tests.support.gateway import ROLES, House

UNKNOWN = "00000000-0000-4000-8000-000000000000"


async def places(house: House) -> dict[str, str]:
    """A dataset with an item, a lease of the annotator, a finished job and a member to remove."""
    dataset = await house.dataset()
    page = (await house.get("admin", f"/v1/datasets/{dataset}/items")).json()
    claimed = (await house.post("annotator", f"/v1/datasets/{dataset}/claim", {"count": 1})).json()["claims"][0]
    newcomer = await house.person("newcomer")
    member = {"email": newcomer.email, "role": "annotator"}
    await house.put("admin", f"/v1/datasets/{dataset}/members", member)
    job = await house.rpc.call("create_job", actor=house.people["admin"].id, dataset=dataset, kind="embed")
    await house.rpc.call("control_job", actor=house.people["admin"].id, job=job["id"], action="cancel")
    return {
        "dataset": dataset,
        "item": page["items"][1]["id"],
        "lease": claimed["lease"]["id"],
        "job": job["id"],
        "user": newcomer.id,
    }


async def ask(house: House, rule: Rule, who: str | None, where: dict[str, str]) -> Any:
    options = {**rule.options, **({"json": rule.body} if rule.body is not None else {})}
    return await house.ask(who, rule.method, rule.path.format(**where), **options)


def test_every_route_has_a_rule(house: House) -> None:
    assert sorted(r["operation"] for r in routes_of(house.app)) == sorted(rule.operation for rule in RULES)


@pytest.mark.parametrize("rule", RULES, ids=str)
async def test_route_lets_in_whom_it_should_and_nobody_else(house: House, rule: Rule) -> None:
    where = await places(house)
    anonymous = await ask(house, rule, None, where)
    if rule.least == ANYBODY:
        assert anonymous.status_code in rule.status
        return
    assert (anonymous.status_code, anonymous.json()["code"]) == (401, "unauthenticated")
    stranger = await ask(house, rule, "stranger", where)
    if rule.least == SIGNED_IN:
        assert stranger.status_code in rule.status
        return
    assert (stranger.status_code, stranger.json()["code"]) == (404, "not-found")
    for role in ROLES:
        answer = await ask(house, rule, role, where)
        if ROLES.index(role) < ROLES.index(rule.least):
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), f"{role}: {answer.text}"
        elif role == rule.least or rule.method == "GET":
            assert answer.status_code in rule.status, f"{role}: {answer.text}"


@pytest.mark.parametrize("rule", [r for r in RULES if "{" in r.path], ids=str)
async def test_what_does_not_exist_looks_like_what_belongs_to_others(house: House, rule: Rule) -> None:
    theirs = await ask(house, rule, "stranger", await places(house))
    nothing = await ask(house, rule, "stranger", dict.fromkeys(("dataset", "item", "lease", "job", "user"), UNKNOWN))
    assert (
        (theirs.status_code, theirs.json()["code"])
        == (nothing.status_code, nothing.json()["code"])
        == (404, "not-found")
    )
    assert theirs.json()["detail"] == nothing.json()["detail"]


@pytest.mark.parametrize("rule", [r for r in RULES if "{" in r.path], ids=str)
async def test_malformed_id_is_refused_with_invalid(house: House, rule: Rule) -> None:
    answer = await ask(house, rule, "admin", dict.fromkeys(("dataset", "item", "lease", "job", "user"), "7"))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
