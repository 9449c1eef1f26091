"""Jobs: their states, their progress, their money."""

from __future__ import annotations

import asyncio
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from schemas.errors import Conflict, Forbidden, Invalid, LabelCrewError, NotFound
from schemas.world import Job
from store.rpc import Rpc
from tests.support.database import Clock
from tests.support.people import new_dataset, new_member, new_user


async def new_job(rpc: Rpc, **params: Any) -> dict[str, Any]:
    """A job of a dataset and an admin of its own."""
    admin = await new_user(rpc)
    dataset = await new_dataset(rpc, admin)
    job: dict[str, Any] = await rpc.call(
        "create_job", actor=admin, dataset=dataset, **{"kind": "prelabel", "params": {}, **params}
    )
    return job


async def act(rpc: Rpc, job: dict[str, Any], action: str) -> dict[str, Any]:
    """One transition, by the name of what is done."""
    id_, admin = job["id"], job["created_by"]
    calls: dict[str, tuple[str, dict[str, Any]]] = {
        "start": ("start_job", {"job": id_}),
        "finish": ("finish_job", {"job": id_, "result": {"n": 1}}),
        "fail": ("fail_job", {"job": id_, "code": "model-error", "detail": "it broke"}),
        **{a: ("control_job", {"actor": admin, "job": id_, "action": a}) for a in ("pause", "resume", "cancel")},
    }
    function, params = calls[action]
    done: dict[str, Any] = await rpc.call(function, **params)
    return done


TRANSITIONS: dict[str, dict[str, str]] = {
    "queued": {"start": "running", "fail": "failed", "pause": "paused", "resume": "queued", "cancel": "cancelled"},
    "running": {
        "start": "running",
        "finish": "done",
        "fail": "failed",
        "pause": "paused",
        "resume": "running",
        "cancel": "cancelled",
    },
    "paused": {"finish": "done", "fail": "failed", "pause": "paused", "resume": "queued", "cancel": "cancelled"},
    "done": {"finish": "done"},
    "failed": {"fail": "failed"},
    "cancelled": {"cancel": "cancelled"},
}
"""State, action, next state; what is not here is refused."""

ROAD_TO: dict[str, list[str]] = {
    "queued": [],
    "running": ["start"],
    "paused": ["start", "pause"],
    "done": ["start", "finish"],
    "failed": ["start", "fail"],
    "cancelled": ["cancel"],
}


class TestCreating:
    async def test_new_job_is_queued_and_has_the_shape_of_a_job(self, rpc: Rpc) -> None:
        made = await new_job(rpc, params={"model": "m"}, budget_usd=1.5)
        job = Job.model_validate(made)
        assert (job.state, job.params, job.budget_usd, job.done, job.cost_usd) == ("queued", {"model": "m"}, 1.5, 0, 0)
        assert made["created"] is True

    async def test_same_key_again_gives_the_same_job_even_when_ten_come_at_once(self, rpc: Rpc) -> None:
        admin = await new_user(rpc)
        dataset = await new_dataset(rpc, admin)
        calls = (rpc.call("create_job", actor=admin, dataset=dataset, kind="prelabel", key="k") for _ in range(10))
        jobs = await asyncio.gather(*calls)
        assert len({job["id"] for job in jobs}) == 1
        assert sum(job["created"] for job in jobs) == 1

    async def test_only_admins_create_and_control(self, rpc: Rpc) -> None:
        admin = await new_user(rpc)
        dataset = await new_dataset(rpc, admin)
        reviewer = await new_member(rpc, admin, dataset, "super_reviewer")
        job = await rpc.call("create_job", actor=admin, dataset=dataset, kind="prelabel")
        with pytest.raises(Forbidden):
            await rpc.call("create_job", actor=reviewer, dataset=dataset, kind="prelabel")
        with pytest.raises(Forbidden):
            await rpc.call("control_job", actor=reviewer, job=job["id"], action="pause")
        assert (await rpc.call("get_job", actor=reviewer, job=job["id"]))["id"] == job["id"]

    async def test_job_of_another_dataset_is_not_found(self, rpc: Rpc) -> None:
        job = await new_job(rpc)
        stranger = await new_user(rpc)
        for function, params in (("get_job", {}), ("control_job", {"action": "cancel"})):
            for id_ in (job["id"], str(uuid.uuid4())):
                with pytest.raises(NotFound):
                    await rpc.call(function, actor=stranger, job=id_, **params)

    @pytest.mark.parametrize("params", [{"kind": "nonsense"}, {"budget_usd": -1}, {"params": []}])
    async def test_what_makes_no_job_is_invalid(self, rpc: Rpc, params: dict[str, Any]) -> None:
        with pytest.raises(Invalid):
            await new_job(rpc, **params)

    async def test_list_is_newest_first_and_open_jobs_are_oldest_first(self, rpc: Rpc) -> None:
        admin = await new_user(rpc)
        dataset = await new_dataset(rpc, admin)
        jobs = [await rpc.call("create_job", actor=admin, dataset=dataset, kind="prelabel") for _ in range(4)]
        ids = [job["id"] for job in jobs]
        assert [job["id"] for job in await rpc.call("list_jobs", actor=admin, dataset=dataset)] == ids[::-1]
        assert [job["id"] for job in await rpc.call("list_jobs", actor=admin, dataset=dataset, limit=1)] == ids[-1:]
        await act(rpc, jobs[0], "cancel")
        await act(rpc, jobs[1], "start")
        await act(rpc, jobs[2], "pause")
        assert [job["id"] for job in await rpc.call("list_open_jobs")] == [ids[1], ids[3]]


class TestStates:
    @pytest.mark.parametrize("state", list(TRANSITIONS))
    @pytest.mark.parametrize("action", ["start", "finish", "fail", "pause", "resume", "cancel"])
    async def test_every_action_in_every_state_moves_on_or_is_refused(self, rpc: Rpc, state: str, action: str) -> None:
        job = await new_job(rpc)
        for step in ROAD_TO[state]:
            await act(rpc, job, step)
        wanted = TRANSITIONS[state].get(action)
        if wanted is None:
            with pytest.raises(Conflict) as caught:
                await act(rpc, job, action)
            assert caught.value.code == "illegal-job-state"
            assert caught.value.data == {"job": job["id"], "state": state}
        else:
            assert (await act(rpc, job, action))["state"] == wanted
        now = Job.model_validate(await rpc.call("find_job", job=job["id"]))
        assert now.state == (wanted or state)
        assert (now.finished_at is not None) == (now.state in {"done", "failed", "cancelled"})
        assert (now.error is not None) == (now.state == "failed")

    async def test_action_that_does_not_exist_is_invalid(self, rpc: Rpc) -> None:
        job = await new_job(rpc)
        with pytest.raises(Invalid):
            await rpc.call("control_job", actor=job["created_by"], job=job["id"], action="explode")

    async def test_failure_and_result_are_kept(self, rpc: Rpc) -> None:
        failed = await new_job(rpc)
        job = await rpc.call("fail_job", job=failed["id"], code="model-auth", detail="no key")
        assert job["error"] == {"code": "model-auth", "detail": "no key"}
        done = await new_job(rpc)
        await act(rpc, done, "start")
        job = await rpc.call("finish_job", job=done["id"], result={"rows": 3}, note="the budget is used up")
        assert (job["result"], job["note"]) == ({"rows": 3}, "the budget is used up")


class TestProgress:
    async def test_progress_adds_up_also_when_many_report_at_once(self, rpc: Rpc) -> None:
        job = await new_job(rpc)
        await rpc.call("start_job", job=job["id"], total=100)
        await asyncio.gather(
            *(rpc.call("progress_job", job=job["id"], done=4, failed=1, cost_usd=0.01) for _ in range(20))
        )
        now = await rpc.call("find_job", job=job["id"])
        assert (now["done"], now["failed"], now["total"], now["cost_usd"]) == (80, 20, 100, 0.2)

    async def test_step_that_is_reported_twice_counts_once(self, rpc: Rpc) -> None:
        job = await new_job(rpc)
        await act(rpc, job, "start")
        for _ in range(3):
            await rpc.call("progress_job", job=job["id"], done=5, key="chunk-1")
        assert (await rpc.call("progress_job", job=job["id"], done=5, key="chunk-2"))["done"] == 10

    async def test_what_was_in_flight_still_counts_after_a_pause_and_a_cancel(self, rpc: Rpc) -> None:
        job = await new_job(rpc)
        await act(rpc, job, "start")
        for action in ("pause", "cancel"):
            await act(rpc, job, action)
            await rpc.call("progress_job", job=job["id"], done=1)
        assert (await rpc.call("find_job", job=job["id"]))["done"] == 2

    async def test_progress_of_a_finished_job_is_refused(self, rpc: Rpc) -> None:
        job = await new_job(rpc)
        await act(rpc, job, "start")
        await act(rpc, job, "finish")
        with pytest.raises(Conflict):
            await rpc.call("progress_job", job=job["id"], done=1)

    async def test_rate_and_time_left_follow_the_last_half_minute(self, rpc: Rpc, clock: Clock) -> None:
        job = await new_job(rpc)
        await rpc.call("start_job", job=job["id"], total=1000)
        for _ in range(12):  # a slow minute: 1 a second
            clock.advance(seconds=5)
            await rpc.call("progress_job", job=job["id"], done=5)
        for _ in range(6):  # then 20 a second
            clock.advance(seconds=5)
            now = await rpc.call("progress_job", job=job["id"], done=100)
        assert now["rate"] == pytest.approx(20, rel=0.05)
        assert now["eta_seconds"] == pytest.approx((1000 - 660) / 20, rel=0.05)
        clock.advance(minutes=5)
        assert (await rpc.call("find_job", job=job["id"]))["rate"] is None

    async def test_job_that_waits_has_no_rate(self, rpc: Rpc, clock: Clock) -> None:
        job = await new_job(rpc)
        await rpc.call("start_job", job=job["id"], total=10)
        clock.advance(seconds=5)
        await rpc.call("progress_job", job=job["id"], done=5)
        paused = await act(rpc, job, "pause")
        assert (paused["rate"], paused["eta_seconds"]) == (None, None)


class TestBudget:
    async def test_reservations_stop_at_the_budget_and_settling_frees_what_was_not_used(self, rpc: Rpc) -> None:
        job = await new_job(rpc, budget_usd=1)
        first = await rpc.call("reserve_budget", job=job["id"], usd=0.7)
        assert (first["granted"], first["remaining"]) == (True, pytest.approx(0.3))
        assert (await rpc.call("reserve_budget", job=job["id"], usd=0.4))["granted"] is False
        settled = await rpc.call("settle_budget", job=job["id"], reserved=0.7, actual=0.2)
        assert (settled["reserved_usd"], settled["cost_usd"]) == (0, 0.2)
        assert (await rpc.call("reserve_budget", job=job["id"], usd=0.8))["granted"] is True

    async def test_without_a_budget_everything_is_granted(self, rpc: Rpc) -> None:
        job = await new_job(rpc)
        assert await rpc.call("reserve_budget", job=job["id"], usd=1e6) == {"granted": True, "remaining": None}

    async def test_thirty_who_reserve_at_once_never_pass_the_budget(self, rpc: Rpc) -> None:
        job = await new_job(rpc, budget_usd=1)
        answers = await asyncio.gather(*(rpc.call("reserve_budget", job=job["id"], usd=0.1) for _ in range(30)))
        assert sum(answer["granted"] for answer in answers) == 10

    async def test_step_that_reserves_and_settles_twice_pays_once(self, rpc: Rpc) -> None:
        job = await new_job(rpc, budget_usd=1)
        for _ in range(2):
            assert (await rpc.call("reserve_budget", job=job["id"], usd=0.9, key="chunk-1"))["granted"] is True
        for _ in range(2):
            now = await rpc.call("settle_budget", job=job["id"], reserved=0.9, actual=0.5, key="chunk-1")
        assert (now["reserved_usd"], now["cost_usd"]) == (0, 0.5)

    async def test_cost_that_arrives_after_the_end_is_booked(self, rpc: Rpc) -> None:
        job = await new_job(rpc, budget_usd=1)
        await rpc.call("reserve_budget", job=job["id"], usd=0.5)
        await act(rpc, job, "cancel")
        with pytest.raises(Conflict):
            await rpc.call("reserve_budget", job=job["id"], usd=0.1)
        now = await rpc.call("settle_budget", job=job["id"], reserved=0.5, actual=0.4)
        assert (now["reserved_usd"], now["cost_usd"]) == (0, 0.4)

    @pytest.mark.parametrize(
        ("function", "params"),
        [
            ("reserve_budget", {"usd": -0.1}),
            ("settle_budget", {"reserved": -1, "actual": 0}),
            ("settle_budget", {"reserved": 0, "actual": -1}),
        ],
    )
    async def test_negative_money_is_invalid(self, rpc: Rpc, function: str, params: dict[str, float]) -> None:
        job = await new_job(rpc, budget_usd=1)
        with pytest.raises(Invalid):
            await rpc.call(function, job=job["id"], **params)

    @given(
        budget=st.integers(0, 500),
        workers=st.lists(
            st.lists(st.tuples(st.integers(0, 200), st.integers(0, 100)), max_size=6), min_size=1, max_size=5
        ),
    )
    @examples(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    async def test_whatever_workers_do_at_once_the_books_balance(
        self, pg_rpc: Rpc, budget: int, workers: list[list[tuple[int, int]]]
    ) -> None:
        """Every worker reserves cents and settles a share of them; spent and set aside never pass the budget."""
        job = (await new_job(pg_rpc, budget_usd=budget / 100))["id"]
        spent: list[Decimal] = []

        async def work(steps: list[tuple[int, int]]) -> None:
            for cents, share in steps:
                usd = Decimal(cents) / 100
                if (await pg_rpc.call("reserve_budget", job=job, usd=usd))["granted"]:
                    actual = usd * share / 100
                    now = await pg_rpc.call("settle_budget", job=job, reserved=usd, actual=actual)
                    assert now["cost_usd"] + now["reserved_usd"] <= budget / 100 + 1e-9
                    spent.append(actual)

        await asyncio.gather(*(work(steps) for steps in workers))
        now = await pg_rpc.call("find_job", job=job)
        assert now["reserved_usd"] == 0
        assert now["cost_usd"] == pytest.approx(float(sum(spent, Decimal(0))))

    @given(actions=st.lists(st.sampled_from(["start", "finish", "fail", "pause", "resume", "cancel"]), max_size=12))
    @examples(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    async def test_any_sequence_of_actions_follows_the_table(self, pg_rpc: Rpc, actions: list[str]) -> None:
        job = await new_job(pg_rpc)
        state = "queued"
        for action in actions:
            try:
                found = (await act(pg_rpc, job, action))["state"]
            except LabelCrewError:
                found = state
            state = TRANSITIONS[state].get(action, state)
            assert found == state
