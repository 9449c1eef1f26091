"""Auto-accept from order to revocation: people answer a blind random audit, statistics decide, and go on watching."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from jobs.auto_accepting import AuditOrder, decide_audit, plan_audit, watch_licence
from schemas.settings import Settings
from tests.jobs.conftest import CLASSES, Bench, Working, eventually
from tests.support.teams import refusal

Truth = dict[str, str]


async def _drafted(bench: Bench, n: int = 200, error: float = 0.0, seed: int = 0) -> Truth:
    """``n`` items with drafts of which a share of ``error`` is wrong; what is right, by item."""
    rng = np.random.default_rng(seed)
    ids = await bench.add([f"order {i}" for i in range(n)])
    truth: Truth = {}
    rows = []
    for item in ids:
        label, probability = str(rng.choice(CLASSES)), float(rng.beta(60, 1))
        wrong = rng.random() < error
        truth[item] = str(rng.choice([c for c in CLASSES if c != label])) if wrong else label
        rows.append(
            {
                "item_id": item, "payload": {"labels": [label]}, "confidence": probability, "probability": probability,
                "model": "gpt-test", "labelset_version": 1, "route": "llm",
            }
        )  # fmt: skip
    await bench.rpc.call("save_predictions", actor=bench.admin, dataset=bench.dataset, rows=rows)
    return truth


async def _answer_audit(bench: Bench, truth: Truth, most: int = 100) -> int:
    """Claims the head of the queue and answers the audit items there by the truth; how many."""
    claims = await bench.rpc.call("claim_items", actor=bench.admin, dataset=bench.dataset, count=most)
    answered = 0
    for claim in claims:
        item, lease = claim["item"], claim["lease"]
        held = {"actor": bench.admin, "lease": lease["id"], "token": lease["token"]}
        if item["arm"] != "audit":
            await bench.rpc.call("release_lease", **held)
            continue
        assert item["draft"] is None, "an audit item is answered without sight of its draft"
        answer = {"labels": [truth[item["id"]]]}
        await bench.rpc.call("submit_annotation", item=item["id"], payload=answer, labelset_version=1, **held)
        answered += 1
    return answered


async def _licences(bench: Bench) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await bench.rpc.call("list_licences", actor=bench.admin, dataset=bench.dataset)
    return found


async def _plan(bench: Bench, **order: Any) -> dict[str, Any]:
    job = await bench.order("auto_accept")
    return (await plan_audit(bench.rpc, bench.admin, bench.dataset, job, AuditOrder(**{"alpha": 0.2, **order})))[0]


async def test_good_drafts_are_licensed_once_people_have_answered_the_audit(
    bench: Bench, settings: Settings, working: Working
) -> None:
    truth = await _drafted(bench, error=0.0)
    async with working(settings):
        job = await bench.until(await bench.order("auto_accept", {"alpha": 0.2, "audit_size": 40, "audit_share": 0.05}))
        assert job["state"] == "done", job["error"]
        assert "40 drafts were drawn at random" in job["note"]
        again = await bench.until(await bench.order("auto_accept"))
        assert again["note"] == "0 of 40 audit items are answered; 40 are to go."
        assert await _answer_audit(bench, truth) == 40

        async def decided() -> bool:
            return (await _licences(bench))[0]["state"] != "auditing"

        await eventually(decided)
    [licence] = await _licences(bench)
    assert licence["state"] == "granted", licence["reason"]
    assert licence["bound"] <= 0.2
    accepted = await bench.items(states=["auto_accepted"])
    assert len(accepted) == licence["accepted"] > 100
    assert {item["licence_id"] for item in accepted} == {licence["id"]}
    assert all(item["annotation"] is None for item in accepted)
    wrong = sum(truth[item["id"]] != item["draft"]["payload"]["labels"][0] for item in accepted)
    assert wrong / len(accepted) <= 0.2
    watched = [item for item in await bench.items(states=["drafted"]) if item["arm"] == "audit"]
    assert len(watched) == licence["watch"]["drawn"] == -(-len(accepted + watched) * 5 // 100)
    kinds = {
        e["kind"] for e in await bench.rpc.call("list_events", actor=bench.admin, dataset=bench.dataset, limit=1000)
    }
    assert {"audit_planned", "licence_granted"} <= kinds


async def test_drafts_that_are_worse_than_they_claim_are_refused_with_the_reason(bench: Bench) -> None:
    truth = await _drafted(bench, error=0.4)
    licence = await _plan(bench, audit_size=40)
    assert await _answer_audit(bench, truth) == 40
    decided = await decide_audit(bench.rpc, bench.admin, licence["id"])
    assert decided["state"] == "refused"
    assert "above the target of 20.0%" in decided["reason"]
    assert await bench.items(states=["auto_accepted"]) == []


async def test_audit_too_small_for_its_promise_says_how_many_labels_it_needs(bench: Bench) -> None:
    await _drafted(bench, 50)
    licence = await _plan(bench, audit_size=5)
    assert licence["state"] == "refused"
    assert "an audit of 5" in licence["reason"]
    assert all(item["arm"] is None for item in await bench.items())


async def test_without_drafts_the_job_fails_and_says_what_to_do_first(
    bench: Bench, settings: Settings, working: Working
) -> None:
    await bench.add(["one text", "another"])
    async with working(settings):
        failed = await bench.until(await bench.order("auto_accept"))
    assert (failed["state"], failed["error"]["code"]) == ("failed", "no-training-data")
    assert "prelabel" in failed["error"]["detail"]


async def test_audit_is_drawn_at_random_among_the_surest_drafts_only(bench: Bench) -> None:
    await _drafted(bench)
    licence = await _plan(bench, audit_size=40)
    threshold = licence["regions"][-1]["threshold"]
    audited = [item for item in await bench.items() if item["arm"] == "audit"]
    assert len(audited) == 40
    assert all(item["draft"]["probability"] >= threshold for item in audited)
    ranked = await bench.items(sort="priority")
    assert {item["id"] for item in ranked[:40]} == {item["id"] for item in audited}


async def test_licence_speaks_about_the_drafts_it_was_planned_on_not_about_newer_ones(bench: Bench) -> None:
    truth = await _drafted(bench)
    licence = await _plan(bench, audit_size=40, audit_share=0)  # what is drawn to be watched stays a draft
    redrafted = next(item for item in await bench.items(states=["drafted"], sort="-probability") if item["arm"] is None)
    before = redrafted["draft"]["payload"]
    newer = {**redrafted["draft"], "payload": {"labels": [c for c in CLASSES if c not in before["labels"]][:1]}}
    await bench.rpc.call("save_predictions", actor=bench.admin, dataset=bench.dataset, rows=[newer])
    await _answer_audit(bench, truth)
    assert (await decide_audit(bench.rpc, bench.admin, licence["id"]))["state"] == "granted"
    item = await bench.rpc.call("get_item", actor=bench.admin, item=redrafted["id"])
    assert item["draft"]["payload"] == before


async def test_early_decision_uses_the_answers_so_far_and_is_final(
    bench: Bench, settings: Settings, working: Working
) -> None:
    truth = await _drafted(bench)
    async with working(settings):
        await bench.until(await bench.order("auto_accept", {"alpha": 0.2, "audit_size": 60}))
        assert await _answer_audit(bench, truth, most=40) == 40
        done = await bench.until(await bench.order("auto_accept", {"decide": True}))
    [licence] = await _licences(bench)
    assert licence["state"] == "granted", done
    assert licence["audit_size"] <= 40
    assert done["note"].startswith("Granted")
    assert all(item["arm"] != "audit" or item["priority"] < 11 for item in await bench.items(states=["drafted"]))


async def test_second_audit_of_a_dataset_waits_for_the_first(bench: Bench) -> None:
    await _drafted(bench)
    await _plan(bench, audit_size=40)
    await refusal(_plan(bench, audit_size=40), "conflict")


async def test_licence_is_revoked_when_the_watch_finds_too_much_wrong_and_its_items_are_drafts_again(
    bench: Bench, settings: Settings, working: Working
) -> None:
    truth = await _drafted(bench)
    licence = await _plan(bench, audit_size=40, audit_share=0.3)
    await _answer_audit(bench, truth)
    granted = await decide_audit(bench.rpc, bench.admin, licence["id"])
    assert granted["state"] == "granted"
    lies = {item: CLASSES[(CLASSES.index(label) + 1) % 3] for item, label in truth.items()}
    async with working(settings):
        await _answer_audit(bench, lies, most=30)

        async def revoked() -> bool:
            return (await _licences(bench))[0]["state"] == "revoked"

        await eventually(revoked)
    assert await bench.items(states=["auto_accepted"]) == []
    [ended] = await _licences(bench)
    assert "no longer credible" in ended["reason"]
    assert ended["watch_test"]["evidence"] >= 20
    assert not [item for item in await bench.items(states=["drafted"]) if item["arm"] or item["licence_id"]]


async def test_watch_that_finds_little_wrong_leaves_the_licence(bench: Bench) -> None:
    truth = await _drafted(bench)
    licence = await _plan(bench, audit_size=40, audit_share=0.1)
    await _answer_audit(bench, truth)
    await decide_audit(bench.rpc, bench.admin, licence["id"])
    right = {
        i["id"]: i["draft"]["payload"]["labels"][0] for i in await bench.items() if i["arm"] == "audit" and i["draft"]
    }
    watched = await _answer_audit(bench, right)
    assert [r["state"] for r in await bench.rpc.call("list_ripe_licences")] == ["granted"]
    found = await watch_licence(bench.rpc, bench.admin, licence["id"])
    assert (found["state"], found["watch_test"]["tested"]) == ("granted", watched)
    assert await bench.rpc.call("list_ripe_licences") == []


async def test_licences_by_class_hold_for_their_class(bench: Bench) -> None:
    truth = await _drafted(bench, 240)
    job = await bench.order("auto_accept")
    order = AuditOrder(by_class=True, audit_size=96, alpha=0.3)
    made = await plan_audit(bench.rpc, bench.admin, bench.dataset, job, order)
    assert len(made) > 1
    assert all(len(one["classes"]) == 1 for one in made)
    await _answer_audit(bench, truth)
    for one in made:
        decided = await decide_audit(bench.rpc, bench.admin, one["id"])
        assert decided["state"] == "granted", decided["reason"]
        of_class = [i for i in await bench.items(states=["auto_accepted"]) if i["licence_id"] == one["id"]]
        assert {i["draft"]["payload"]["labels"][0] for i in of_class} <= set(one["classes"])


async def test_auto_accepted_labels_are_exported_as_what_they_are(bench: Bench) -> None:
    truth = await _drafted(bench)
    licence = await _plan(bench, audit_size=40)
    await _answer_audit(bench, truth)
    await decide_audit(bench.rpc, bench.admin, licence["id"])
    page = await bench.rpc.call("export_items", actor=bench.admin, dataset=bench.dataset, limit=1000)
    accepted = [row for row in page["rows"] if row["state"] == "auto_accepted"]
    assert accepted
    assert all(row["source"] == "llm" and row["annotator"] is None for row in accepted)
    verified = await bench.rpc.call(
        "export_items", actor=bench.admin, dataset=bench.dataset, filters={"states": ["verified"]}, limit=1000
    )
    assert {row["source"] for row in verified["rows"]} == {"human"}
    assert len(verified["rows"]) == 40


async def test_two_workers_that_decide_at_once_accept_once(bench: Bench) -> None:
    truth = await _drafted(bench)
    licence = await _plan(bench, audit_size=40)
    await _answer_audit(bench, truth)
    both = await asyncio.gather(*(decide_audit(bench.rpc, bench.admin, licence["id"]) for _ in range(2)))
    assert both[0]["accepted"] == both[1]["accepted"] > 0
