"""The session of the judge: the worst first, within the budget, with what was ruled before it ended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from agents.adjudicator import Case
from crews.quality import adjudicate, case_of, estimate_session
from schemas.labelsets import Labelset
from schemas.payloads import Classification
from tests.support.judge_brain import JudgeBrain
from tests.support.model import Budget, client_of
from tests.support.openai_server import StandIn

BANK = Labelset.of(["lost card", "top up"])
NOW = "2026-01-01T00:00:00Z"


@pytest.fixture
async def server() -> AsyncIterator[StandIn]:
    async with StandIn() as running:
        running.brain = JudgeBrain()
        yield running


def cases(count: int) -> list[Case]:
    return [Case(f"c{n}", f"lost card {n}", Classification(labels=("top up",)), "doubted") for n in range(count)]


async def test_many_cases_are_ruled_in_batches_and_told_by_conflict(server: StandIn) -> None:
    session = await adjudicate(client_of(server), BANK, "", cases(10))
    assert set(session.rulings) == {f"c{n}" for n in range(10)}
    assert {ruling.verdict for ruling in session.rulings.values()} == {"relabel"}
    assert (len(server.chats), session.unusable, session.stopped) == (3, 0, None)


async def test_when_the_budget_ends_what_was_ruled_stays(server: StandIn) -> None:
    budget = Budget(0.004)
    session = await adjudicate(client_of(server), BANK, "", cases(60), spend=budget, at_once=1)
    assert session.stopped is not None
    assert session.stopped.code == "budget-exceeded"
    assert 0 < len(session.rulings) < 60
    assert "c0" in session.rulings
    assert budget.most <= budget.limit


async def test_no_cases_cost_nothing(server: StandIn) -> None:
    session = await adjudicate(client_of(server), BANK, "", [])
    assert (session.rulings, server.chats) == ({}, [])


def conflict(**more: Any) -> dict[str, Any]:
    def item(name: str, text: str, label: str | None) -> dict[str, Any]:
        answer = {
            "id": "a", "item_id": name, "user_id": "u", "payload": {"labels": [label]}, "labelset_version": 1, "revision": 1,
            "created_at": NOW,
        }  # fmt: skip
        return {
            "id": name, "dataset_id": "d", "seq": 1, "text": text, "state": "verified", "created_at": NOW,
            "updated_at": NOW, "annotation": answer if label else None,
        }  # fmt: skip

    return {
        "id": "c", "dataset_id": "d", "item_id": "i", "kind": "label_error", "severity": 0.9, "state": "open",
        "created_at": NOW, "updated_at": NOW, "item": item("i", "lost card", "top up"),
        "evidence": {"summary": "ranked 1", "given": {"labels": ["top up"]}},
        "others": [item("o1", "my lost card", "lost card"), item("o2", "gone", "retired"), item("o3", "new", None)], **more,
    }  # fmt: skip


def test_a_case_is_made_of_the_evidence_and_its_answered_items() -> None:
    case = case_of(conflict(), BANK)
    assert case is not None
    assert (case.text, case.doubt, case.given) == ("lost card", "ranked 1", Classification(labels=("top up",)))
    assert [example.item_id for example in case.examples] == ["o1"]
    assert case_of(conflict(item=None), BANK) is None
    assert case_of(conflict(evidence={}), BANK) is None


async def test_the_estimate_grows_with_the_cases(server: StandIn) -> None:
    client = client_of(server)
    few, many = (estimate_session(client, BANK, "rules", ["a text"], count) for count in (10, 100))
    assert 0 < few < many
