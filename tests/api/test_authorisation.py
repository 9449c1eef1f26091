"""Every route against everybody: the table of authorisation.py, row by row."""

from __future__ import annotations

import re
from itertools import count
from typing import Any

import pytest

from api.app import routes_of
from api.scopes import ANNOTATE, PEOPLE_ONLY, READ, scope_of
from schemas.people import Scope
from tests.api.authorisation import ANYBODY, OWNER, RULES, SIGNED_IN, Rule
from tests.support.gateway import ROLES, House, Person

UNKNOWN = "00000000-0000-4000-8000-000000000000"
SCOPES: tuple[Scope, ...] = ("read", "annotate", "manage")
EVERYBODY = (*ROLES, "stranger")

_numbers = count(1)


async def places(house: House) -> dict[str, str]:
    """A dataset with an item, a lease of the annotator, a finished job, a member to remove, an invitation and a service
    token."""
    number = next(_numbers)
    dataset = await house.dataset(f"Reviews {number}")
    page = (await house.get("admin", f"/v1/datasets/{dataset}/items")).json()
    claimed = (await house.post("annotator", f"/v1/datasets/{dataset}/claim", {"count": 1})).json()["claims"][0]
    newcomer = await house.person(f"newcomer-{number}")
    member = {"email": newcomer.email, "role": "annotator"}
    await house.put("admin", f"/v1/datasets/{dataset}/members", member)
    admin = house.people["admin"].id
    job = await house.rpc.call("create_job", actor=admin, dataset=dataset, kind="embed")
    await house.rpc.call("control_job", actor=admin, job=job["id"], action="cancel")
    invited = {"email": "invited@example.org", "role": "annotator"}
    invitation = (await house.post("admin", f"/v1/datasets/{dataset}/invitations", invited)).json()
    service = {"name": "script", "role": "annotator", "scopes": ["read"]}
    token = (await house.post("admin", f"/v1/datasets/{dataset}/tokens", service)).json()
    finding = {
        "kind": "label_error",
        "severity": 0.9,
        "fingerprint": "f",
        "item_id": page["items"][1]["id"],
        "evidence": {},
    }
    await house.rpc.call("save_findings", dataset=dataset, kinds=["label_error"], rows=[finding])
    conflicts = (await house.get("admin", f"/v1/datasets/{dataset}/conflicts")).json()["conflicts"]
    return {
        "dataset": dataset,
        "conflict": conflicts[0]["id"],
        "item": page["items"][1]["id"],
        "lease": claimed["lease"]["id"],
        "job": job["id"],
        "user": newcomer.id,
        "email": newcomer.email,
        "invitation": invitation["id"],
        "token": token["id"],
    }


def filled(value: Any, where: dict[str, str]) -> Any:
    """``value`` with its words in braces replaced, however deep they stand."""
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda found: where.get(found[1], found[0]), value)
    if isinstance(value, dict):
        return {key: filled(part, where) for key, part in value.items()}
    return [filled(part, where) for part in value] if isinstance(value, list) else value


async def ask(house: House, rule: Rule, who: str | None, where: dict[str, str]) -> Any:
    options = {**rule.options, **({"json": filled(rule.body, where)} if rule.body is not None else {})}
    return await house.ask(who, rule.method, filled(rule.path, where), **options)


def nowhere(rule: Rule, value: str) -> dict[str, str]:
    return dict.fromkeys(re.findall(r"\{(\w+)\}", rule.path), value)


IN_DATASETS = [rule for rule in RULES if "{" in rule.path and rule.least != OWNER]


def test_every_route_has_a_rule(house: House) -> None:
    assert sorted((r["operation"], r["method"], re.sub(r"\{\w+\}", "{}", r["path"])) for r in routes_of(house.app)) == (
        sorted((rule.operation, rule.method, re.sub(r"\{\w+\}", "{}", rule.path.partition("?")[0])) for rule in RULES)
    )


def test_what_the_scopes_name_are_routes() -> None:
    assert (ANNOTATE | PEOPLE_ONLY | READ) - {rule.operation for rule in RULES} == set()


@pytest.mark.parametrize("rule", RULES, ids=str)
async def test_route_lets_in_whom_it_should_and_nobody_else(house: House, rule: Rule) -> None:
    where = await places(house)
    anonymous = await ask(house, rule, None, where)
    if rule.least == ANYBODY:
        assert anonymous.status_code in rule.status
        return
    assert (anonymous.status_code, anonymous.json()["code"]) == (401, "unauthenticated")
    if rule.least in {SIGNED_IN, OWNER}:
        for who in EVERYBODY:
            answer = await ask(house, rule, who, where)
            if rule.least == SIGNED_IN or who == house.owner:
                assert answer.status_code in rule.status, f"{who}: {answer.text}"
            else:
                assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), f"{who}: {answer.text}"
        return
    stranger = await ask(house, rule, "stranger", where)
    assert (stranger.status_code, stranger.json()["code"]) == (404, "not-found")
    used = False
    for role in ROLES:
        if used and rule.method != "GET":
            where = await places(house)  # what the role before did can be done once
        answer = await ask(house, rule, role, where)
        if ROLES.index(role) < ROLES.index(rule.least):
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), f"{role}: {answer.text}"
            continue
        # A lease is its holder's own, whatever the role.
        if role == "annotator" or "{lease}" not in rule.path:
            assert answer.status_code in rule.status, f"{role}: {answer.text}"
        used = True


@pytest.mark.parametrize("rule", IN_DATASETS, ids=str)
async def test_what_does_not_exist_looks_like_what_belongs_to_others(house: House, rule: Rule) -> None:
    where = await places(house)
    theirs = await ask(house, rule, "stranger", where)
    nothing = await ask(house, rule, "stranger", {**where, **nowhere(rule, UNKNOWN)})
    assert (
        (theirs.status_code, theirs.json()["code"])
        == (nothing.status_code, nothing.json()["code"])
        == (404, "not-found")
    )
    assert theirs.json()["detail"] == nothing.json()["detail"]


@pytest.mark.parametrize("rule", [r for r in RULES if "{" in r.path], ids=str)
async def test_malformed_id_is_refused_with_invalid(house: House, rule: Rule) -> None:
    answer = await ask(house, rule, "admin", {**await places(house), **nowhere(rule, "7")})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


@pytest.mark.parametrize("rule", [r for r in RULES if r.least != ANYBODY], ids=str)
async def test_service_token_is_let_in_by_the_one_scope_and_no_other(house: House, rule: Rule) -> None:
    where = await places(house)
    needed = scope_of(rule.operation, rule.method)
    for scopes in ([scope for scope in SCOPES if scope != needed], [needed] if needed else []):
        if not scopes:
            continue
        body = {"name": "script", "role": "admin", "scopes": scopes}
        made = (await house.post("admin", f"/v1/datasets/{where['dataset']}/tokens", body)).json()
        house.people["script"] = Person(made["user_id"], made["email"], made["token"])
        answer = await ask(house, rule, "script", where)
        if needed is not None and needed in scopes:
            let_in = (*rule.status, 404) if "{lease}" in rule.path else rule.status
            assert answer.status_code in let_in, answer.text
        else:
            assert (answer.status_code, answer.json()["code"]) == (403, "missing-scope"), answer.text
