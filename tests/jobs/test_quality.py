"""Quality scans: what is planted is found and told, with a language model and without, and right after an answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from jobs.judging import NO_MODEL
from jobs.orders import check_order, estimate_order
from jobs.quality import CHECKS, look, read_snapshot
from jobs.quality_watch import scan_changes
from jobs.vectors import embed_missing
from schemas.errors import Invalid, LabelCrewError
from schemas.quality import KINDS
from schemas.settings import Settings
from store.rpc import Rpc
from tests.jobs.conftest import Bench, Working, eventually
from tests.support.judge_brain import JudgeBrain
from tests.support.openai_server import KEY, StandIn

WORDS = {"refund": "I want my money back", "delivery": "when does the parcel arrive", "size": "which size fits me"}


@pytest.fixture
async def server() -> AsyncIterator[StandIn]:
    async with StandIn() as running:
        running.brain = JudgeBrain()
        yield running


def with_model(settings: Settings, server: StandIn) -> Settings:
    """Settings of a process that has a language model."""
    return settings.model_copy(
        update={"openai_base_url": server.base_url, "openai_api_key": SecretStr(KEY), "default_model": "gpt-4.1-mini"}
    )


async def answered(bench: Bench, *rows: tuple[str, str]) -> list[str]:
    """Items with imported answers; their ids."""
    made = await bench.rpc.call(
        "create_items", actor=bench.admin, dataset=bench.dataset, want_results=True,
        rows=[{"text": text, "annotation": {"labels": [label]}} for text, label in rows],
    )  # fmt: skip
    return [row["id"] for row in made["results"]]


async def planted(bench: Bench) -> str:
    """Forty right answers a class, and one wrong: its id."""
    rows = [(f"{text}, order {n}", label) for n in range(40) for label, text in WORDS.items()]
    ids = await answered(bench, *rows, ("I want my money back, order 99!", "size"))
    return ids[-1]


async def conflicts(bench: Bench, **filters: Any) -> list[dict[str, Any]]:
    found = await bench.rpc.call(
        "list_conflicts", actor=bench.admin, dataset=bench.dataset, **{"limit": 200, **filters}
    )
    return list(found["conflicts"])


class TestScan:
    async def test_a_planted_error_is_found_without_any_language_model(
        self, bench: Bench, settings: Settings, working: Working
    ) -> None:
        wrong = await planted(bench)
        async with working(settings):
            done = await bench.until(await bench.order("quality_scan"))
        assert done["state"] == "done", done["error"]
        assert NO_MODEL in done["note"]
        assert done["result"]["judged"] == 0
        assert done["done"] == done["total"] >= 121 * len(CHECKS)
        about = [c for c in await conflicts(bench) if c["item_id"] == wrong]
        assert {"label_error", "neighbour_disagreement"} <= {c["kind"] for c in about}
        for conflict in about:
            assert conflict["proposal"]["payload"] == {"labels": ["refund"]}
            assert conflict["evidence"]["summary"]
            assert conflict["verdict"] is None
        others = {c["item_id"] for c in await conflicts(bench)} - {wrong}
        assert len(others) < 5

    async def test_relabelled_it_is_gone_with_the_next_scan_and_kept_it_never_returns(
        self, bench: Bench, settings: Settings, working: Working
    ) -> None:
        wrong = await planted(bench)
        async with working(settings):
            await bench.until(await bench.order("quality_scan", {"kinds": ["label_error", "neighbour_disagreement"]}))
            found = {c["kind"]: c["id"] for c in await conflicts(bench, item=wrong)}
            for conflict in found.values():
                await bench.rpc.call("resolve_conflict", actor=bench.admin, conflict=conflict, action="keep")
            await bench.until(await bench.order("quality_scan"))
            assert not {c["kind"] for c in await conflicts(bench, item=wrong)} & set(found)
            await bench.rpc.call(
                "submit_annotation", actor=bench.admin, item=wrong, payload={"labels": ["refund"]}, labelset_version=1
            )
            await bench.until(await bench.order("quality_scan"))
        assert await conflicts(bench, item=wrong) == []

    async def test_the_model_judges_the_worst_and_quotes_what_it_saw(
        self, bench: Bench, settings: Settings, working: Working, server: StandIn
    ) -> None:
        wrong = await planted(bench)
        await bench.rpc.call(
            "update_dataset", actor=bench.admin, dataset=bench.dataset, patch={"guidelines": "Money back is a refund."}
        )
        async with working(with_model(settings, server)):
            done = await bench.until(await bench.order("quality_scan", {"adjudicate": 3}, budget_usd=0.5))
        assert done["state"] == "done", done["error"]
        assert 0 < done["result"]["judged"] <= 3
        assert "gpt-4.1-mini judged" in done["note"]
        assert 0 < done["cost_usd"] <= 0.5
        assert done["reserved_usd"] == 0
        judged = [c for c in await conflicts(bench) if c["verdict"] is not None]
        assert wrong in {c["item_id"] for c in judged}
        verdict = next(c["verdict"] for c in judged if c["item_id"] == wrong)
        assert verdict["by"] == "gpt-4.1-mini"
        known = {item["id"] for item in await bench.items()}
        assert {quote["item_id"] for quote in verdict["quotes"]} <= known

    async def test_a_budget_too_small_for_one_call_ends_the_judging_and_not_the_scan(
        self, bench: Bench, settings: Settings, working: Working, server: StandIn
    ) -> None:
        await planted(bench)
        async with working(with_model(settings, server)):
            done = await bench.until(await bench.order("quality_scan", budget_usd=0.00001))
        assert (done["state"], done["result"]["judged"], done["cost_usd"]) == ("done", 0, 0)
        assert "budget ended it" in done["note"]
        assert server.chats == []

    async def test_nothing_answered_one_class_and_equal_texts_give_a_plain_answer(
        self, bench: Bench, settings: Settings, working: Working
    ) -> None:
        async with working(settings):
            assert "No conflict was found." in (await bench.until(await bench.order("quality_scan")))["note"]
            await answered(bench, *((f"order {n}", "refund") for n in range(30)))
            assert "No conflict was found." in (await bench.until(await bench.order("quality_scan")))["note"]
            ids = await answered(bench, ("🙂🙂", "size"), ("مرحبا بالعالم " * 4000, "size"))
            assert (await bench.until(await bench.order("quality_scan")))["state"] == "done"
        assert len(ids) == 2

    async def test_without_a_labelset_the_job_fails_with_its_code(
        self, pg_rpc: Rpc, bench: Bench, settings: Settings, working: Working
    ) -> None:
        from tests.support.people import new_dataset

        bare = Bench(pg_rpc, bench.admin, await new_dataset(pg_rpc, bench.admin))
        async with working(settings):
            failed = await bare.until(await bare.order("quality_scan"))
        assert (failed["state"], failed["error"]["code"]) == ("failed", "no-labelset")


class TestChecks:
    def test_every_kind_is_found_by_one_check(self) -> None:
        assert sorted(kind for kinds in CHECKS.values() for kind in kinds) == sorted(KINDS)

    async def test_drafts_are_doubted_beside_answers_and_weigh_less(self, bench: Bench) -> None:
        await planted(bench)
        [drafted] = await bench.add(["I want my money back, order 7?"])
        row = {
            "item_id": drafted, "payload": {"labels": ["size"]}, "confidence": 0.9, "probability": 0.9, "model": "m",
            "labelset_version": 1, "route": "llm",
        }  # fmt: skip
        await bench.rpc.call("save_predictions", actor=bench.admin, dataset=bench.dataset, rows=[row])
        while await embed_missing(bench.rpc, bench.admin, bench.dataset):
            pass
        snapshot = await read_snapshot(bench.rpc, bench.admin, bench.dataset)
        found = look(snapshot, "neighbours").findings["neighbour_disagreement"]
        by_source = {f.evidence["source"]: f for f in found}
        assert by_source["draft"].item_id == drafted
        assert by_source["draft"].severity <= 0.6 * by_source["answer"].severity + 0.05

    async def test_retired_classes_a_sure_model_and_people_who_differ_are_found(
        self, bench: Bench, pg_rpc: Rpc
    ) -> None:
        one, two = await answered(bench, ("I want my money back", "size"), ("which size", "size"))
        draft = {
            "item_id": one, "payload": {"labels": ["refund"]}, "confidence": 0.97, "probability": 0.97, "model": "gpt-x",
            "labelset_version": 1, "route": "llm",
        }  # fmt: skip
        await pg_rpc.call("save_predictions", actor=bench.admin, dataset=bench.dataset, rows=[draft])
        await pg_rpc.call(
            "create_labelset", actor=bench.admin, dataset=bench.dataset, kind="classification",
            classes=[{"name": "refund"}, {"name": "delivery"}],
        )  # fmt: skip
        snapshot = await read_snapshot(pg_rpc, bench.admin, bench.dataset)
        schema = look(snapshot, "schema").findings["schema_violation"]
        assert {f.item_id for f in schema} == {one, two}
        [model] = look(snapshot, "models").findings["model_disagrees"]
        assert (model.item_id, model.evidence["model"]) == (one, "gpt-x")
        for check in CHECKS:
            look(snapshot, check)


class TestOrders:
    def test_parameters_are_checked(self, settings: Settings) -> None:
        assert check_order(settings, "quality_scan", {})["adjudicate"] == 20
        for bad in ({"kinds": ["nonsense"]}, {"adjudicate": -1}, {"min_severity": 2}, {"depth": 1}):
            with pytest.raises(Invalid):
                check_order(settings, "quality_scan", bad)
        with pytest.raises(LabelCrewError, match="No server is configured"):
            check_order(settings, "quality_scan", {"model": "gpt-4.1-mini"})

    async def test_an_estimate_prices_the_judging_alone(
        self, bench: Bench, settings: Settings, server: StandIn
    ) -> None:
        await bench.add(["a text"])
        free = await estimate_order(bench.rpc, settings, bench.admin, bench.dataset, "quality_scan", {})
        assert (free.items, free.cost_usd, free.note) == (1, 0.0, NO_MODEL)
        priced = await estimate_order(
            bench.rpc, with_model(settings, server), bench.admin, bench.dataset, "quality_scan", {"adjudicate": 40}
        )
        assert priced.cost_usd is not None
        assert 0 < priced.cost_usd < 0.1
        assert priced.model == "gpt-4.1-mini"


class TestWatch:
    async def test_a_wrong_answer_is_noticed_within_seconds_and_forgotten_when_corrected(
        self, bench: Bench, settings: Settings, working: Working
    ) -> None:
        await planted(bench)
        async with working(settings):

            async def quiet() -> bool:
                return not await bench.rpc.call("list_stale_scans")

            await eventually(quiet)
            [new] = await bench.add(["when does the parcel arrive, order 777"])
            answer: dict[str, Any] = {"actor": bench.admin, "item": new, "labelset_version": 1}
            await bench.rpc.call("submit_annotation", **answer, payload={"labels": ["refund"]})

            async def noticed() -> bool:
                return bool(await conflicts(bench, item=new))

            await eventually(noticed)
            [found] = await conflicts(bench, item=new)
            assert found["kind"] == "neighbour_disagreement"
            await bench.rpc.call("submit_annotation", **answer, payload={"labels": ["delivery"]})

            async def forgotten() -> bool:
                return not await conflicts(bench, item=new)

            await eventually(forgotten)
        [closed] = await conflicts(bench, item=new, states=["resolved"])
        assert closed["resolution"] == "gone"

    async def test_two_copies_with_different_labels_are_noticed_and_gone_when_one_changes(self, bench: Bench) -> None:
        one, two = await answered(bench, ("Where is my refund?", "refund"), ("where is my refund", "delivery"))
        [stale] = await bench.rpc.call("list_stale_scans")
        done = await scan_changes(bench.rpc, stale["actor"], bench.dataset, None, stale["changed_at"])
        assert done == {"items": 2, "opened": 1, "gone": 0}
        [found] = await conflicts(bench)
        assert (found["kind"], found["item_id"]) == ("near_duplicates", max(one, two))
        await bench.rpc.call(
            "submit_annotation", actor=bench.admin, item=min(one, two), labelset_version=1,
            payload=found["evidence"]["given"],
        )  # fmt: skip
        [stale] = await bench.rpc.call("list_stale_scans")
        done = await scan_changes(bench.rpc, stale["actor"], bench.dataset, stale["since"], stale["changed_at"])
        assert (done["gone"], await conflicts(bench)) == (1, [])
