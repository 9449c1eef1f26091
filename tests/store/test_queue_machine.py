"""The queue against a model of itself: whatever people do, in any order, with clocks that jump, both agree.

Hypothesis invents what three annotators and a reviewer do to four items. The model below says in plain Python what each
call must answer; after every step the states agree, and the tables do not contradict themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from psycopg.types.json import Jsonb

from schemas.errors import LabelCrewError
from store.errors import from_psycopg
from tests.support.database import clear
from tests.support.queue_truth import contradictions

OPEN = {"new", "drafted", "returned"}
LEASE, JUMP = 60, 100
"""Seconds. A jump is longer than a lease by more than any example takes."""
LIMIT = 3
"""Leases that may run out on an item before it is for reviewers only."""


@dataclass
class Answer:
    """One answer. ``number`` orders all answers."""

    user: str
    item: Thing
    number: int
    level: int
    state_before: str
    replaces: Answer | None
    withdrawn: bool = False


@dataclass
class Hold:
    """One lease. ``ended`` is how."""

    id: str
    token: int
    user: str
    item: Thing
    expires: int
    ended: str | None = None


@dataclass(eq=False)
class Thing:
    """One item."""

    id: str
    state: str = "new"
    drafted: bool = False
    token: int = 0
    expiries: int = 0
    standing: dict[str, Answer] = field(default_factory=dict)
    holds: list[Hold] = field(default_factory=list)

    def answered_by(self) -> list[str]:
        return [user for user, answer in self.standing.items() if answer.level == 1]

    def open_holds(self) -> list[Hold]:
        return [hold for hold in self.holds if hold.ended is None]

    def end_holds(self, why: str, user: str | None = None) -> None:
        for hold in self.open_holds():
            if user in (None, hold.user):
                hold.ended = why


class QueueMachine(RuleBasedStateMachine):
    """The rules; ``connection`` is set by the test."""

    connection: psycopg.Connection
    dsn: str

    # calling ------------------------------------------------------------------------------------------------------

    def call(self, function: str, **params: Any) -> Any:
        """Call a function of the product, as its service role would."""
        names = ", ".join(f"p_{name} => %({name})s" for name in params)
        values = {k: Jsonb(v) if isinstance(v, dict | list) else v for k, v in params.items()}
        try:
            row = self.connection.execute(f"select labelcrew_api.{function}({names})".encode(), values).fetchone()
        except psycopg.Error as failure:
            raise from_psycopg(failure, function) from failure
        assert row is not None
        return row[0]

    def refused(self, code: str | None, function: str, **params: Any) -> Any:
        """The call is refused with ``code``; returns its result when ``code`` is None."""
        if code is None:
            return self.call(function, **params)
        with pytest.raises(LabelCrewError) as raised:
            self.call(function, **params)
        assert raised.value.code == code, (raised.value, code)
        return None

    @initialize(overlap=st.integers(1, 3))
    def start(self, overlap: int) -> None:
        clear(self.dsn)
        self.overlap, self.now, self.stored = overlap, 0, 0
        self.answers: list[Answer] = []
        self.keys: dict[str, tuple[Hold, str]] = {}
        emails = [f"{name}@example.org" for name in ("admin", "a", "b", "c", "reviewer")]
        admin, *users, self.reviewer = (self.call("create_user", email=e, name="x")["id"] for e in emails)
        self.users: list[str] = users
        self.dataset = self.call("create_dataset", actor=admin, name="d", settings={
            "overlap": overlap, "lease_seconds": LEASE, "expiry_limit": LIMIT,
        })["id"]  # fmt: skip
        for email in emails[1:]:
            role = "reviewer" if email.startswith("reviewer") else "annotator"
            self.call("add_member", actor=admin, dataset=self.dataset, email=email, role=role)
        classes = [{"name": "good"}, {"name": "bad"}]
        self.call("create_labelset", actor=admin, dataset=self.dataset, kind="classification", classes=classes)
        rows = [{"text": f"text {n}"} for n in range(4)]
        made = self.call("create_items", actor=admin, dataset=self.dataset, rows=rows)
        self.items = [Thing(row["id"]) for row in made["results"]]

    # the model ----------------------------------------------------------------------------------------------------

    def live(self, hold: Hold) -> bool:
        return hold.ended is None and hold.expires > self.now

    def fault(self, hold: Hold) -> str | None:
        """The code with which a lease that no longer holds is refused."""
        if self.live(hold):
            return None
        if hold.ended == "submitted":
            return "already-submitted"
        if hold.ended in {"released", "skipped"}:
            return "lease-expired"
        return "stale-token" if hold.ended == "closed" or hold.item.token > hold.token else "lease-expired"

    def free_for(self, user: str) -> list[Thing]:
        """What ``user`` may be handed, in order."""
        return [
            item for item in self.items
            if item.state in OPEN and user not in item.answered_by()
            and not any(self.live(hold) and hold.user == user for hold in item.holds)
            and len(item.answered_by()) + sum(self.live(hold) for hold in item.holds) < self.overlap
            and item.expiries + self.ran_out(item) < LIMIT
        ]  # fmt: skip

    def ran_out(self, item: Thing) -> int:
        """Leases that have run out without anybody having noticed."""
        return sum(not self.live(hold) for hold in item.open_holds())

    def handed_out(self, item: Thing, user: str, lease: dict[str, Any]) -> None:
        if item.state in OPEN:
            item.expiries += self.ran_out(item)
        for hold in item.open_holds():
            if not self.live(hold) or hold.user == user:
                hold.ended = "expired"
        item.token += 1
        assert (lease["item_id"], lease["token"]) == (item.id, item.token)
        item.holds.append(Hold(lease["id"], item.token, user, item, self.now + LEASE))

    def settle(self, item: Thing, reopen: str = "new") -> None:
        decided = any(answer.level > 1 for answer in item.standing.values())
        if decided or len(item.answered_by()) >= self.overlap:
            item.state = "verified"
            item.end_holds("closed")
            return
        if item.state not in OPEN | {"skipped"}:
            item.state = reopen
        if item.state == "new" and item.drafted:
            item.state = "drafted"

    def answered(self, item: Thing, user: str, level: int = 1) -> None:
        self.stored += 1
        answer = Answer(user, item, self.stored, level, item.state, item.standing.get(user))
        self.answers.append(answer)
        item.standing[user] = answer
        item.expiries = 0
        item.end_holds("submitted", user)
        self.settle(item)

    # what people do -----------------------------------------------------------------------------------------------

    users_at = st.integers(0, 2)
    items_at = st.integers(0, 3)
    holds_at = st.integers(0, 40)
    held = precondition(lambda self: any(item.holds for item in self.items))
    labels = st.sampled_from(["good", "bad"])

    @rule(who=users_at, count=st.integers(1, 3))
    def claim_some(self, who: int, count: int) -> None:
        self.claim(who, count)

    @rule(who=users_at)
    def claim_one(self, who: int) -> None:
        self.claim(who, 1)

    @rule(who=users_at, label=labels)
    def work(self, who: int, label: str) -> None:
        self.claim(who, 1)
        mine = [hold for item in self.items for hold in item.holds if self.live(hold) and hold.user == self.users[who]]
        if mine:
            self.hand_in(mine[0], label)

    @rule(who=users_at, label=labels, which=items_at)
    def work_and_think_again(self, who: int, label: str, which: int) -> None:
        self.work(who, label)
        if self.users[who] in self.items[which].standing:
            self.change(who, which, label)
        self.undo(who)

    def claim(self, who: int, count: int) -> None:
        user = self.users[who]
        own = [hold for item in self.items for hold in item.holds if self.live(hold) and hold.user == user][:count]
        new = self.free_for(user)[: count - len(own)]
        claims = self.call("claim_items", actor=user, dataset=self.dataset, count=count)
        assert [c["item"]["id"] for c in claims] == [hold.item.id for hold in own] + [item.id for item in new]
        for hold, claim in zip(own, claims, strict=False):
            assert (claim["lease"]["id"], claim["lease"]["token"]) == (hold.id, hold.token)
            hold.expires = max(hold.expires, self.now + LEASE)
        for item, claim in zip(new, claims[len(own) :], strict=True):
            self.handed_out(item, user, claim["lease"])

    def some_hold(self, at: int) -> Hold:
        """Any lease there ever was, those that hold first."""
        holds = [hold for item in self.items for hold in item.holds]
        return sorted(holds, key=lambda hold: not self.live(hold))[at % len(holds)]

    @held
    @rule(at=holds_at)
    def renew(self, at: int) -> None:
        hold = self.some_hold(at)
        code = self.fault(hold)
        self.refused(code, "renew_lease", actor=hold.user, lease=hold.id, token=hold.token)
        if code is None:
            hold.expires = max(hold.expires, self.now + LEASE)

    @held
    @rule(at=holds_at, skip=st.booleans())
    def release(self, at: int, skip: bool) -> None:
        hold = self.some_hold(at)
        how = "skipped" if skip else "released"
        repeated = hold.ended == how
        code = None if repeated else self.fault(hold)
        if code is None and not repeated and skip and hold.item.state not in OPEN | {"skipped"}:
            code = "illegal-transition"
        reason = "because" if skip else None
        self.refused(code, "release_lease", actor=hold.user, lease=hold.id, token=hold.token, skip_reason=reason)
        if code is None and not repeated:
            hold.ended = how
            if skip:
                hold.item.state = "skipped"

    def give(self, code: str | None, user: str, item: Thing, label: str, **params: Any) -> Any:
        return self.refused(
            code,
            "submit_annotation",
            actor=user,
            item=item.id,
            payload={"labels": [label]},
            labelset_version=1,
            **params,
        )

    @held
    @rule(at=holds_at, label=labels)
    def submit(self, at: int, label: str) -> None:
        self.hand_in(self.some_hold(at), label)

    def hand_in(self, hold: Hold, label: str) -> None:
        code, key = self.fault(hold), f"key {len(self.keys)}"
        done = self.give(code, hold.user, hold.item, label, lease=hold.id, token=hold.token, key=key)
        if code is None:
            assert done["created"]
            self.answered(hold.item, hold.user)
            self.keys[key] = (hold, done["annotation"]["id"])

    @precondition(lambda self: self.keys)
    @rule(at=holds_at, label=labels)
    def submit_once_more(self, at: int, label: str) -> None:
        key = sorted(self.keys)[at % len(self.keys)]
        hold, annotation = self.keys[key]
        done = self.give(None, hold.user, hold.item, label, lease=hold.id, token=hold.token, key=key)
        assert (done["created"], done["annotation"]["id"]) == (False, annotation)

    @held
    @rule(at=holds_at, wrong=st.sampled_from([-2, -1, 1, 2]), label=labels)
    def submit_with_another_token(self, at: int, wrong: int, label: str) -> None:
        hold = self.some_hold(at)
        self.give("stale-token", hold.user, hold.item, label, lease=hold.id, token=hold.token + wrong)

    @precondition(lambda self: self.answers)
    @rule(who=users_at, which=items_at, label=labels)
    def change(self, who: int, which: int, label: str) -> None:
        user, item = self.users[who], self.items[which]
        code = None
        if user not in item.standing:
            code = "forbidden"
        elif self.reviewer in item.standing:
            code = "illegal-transition"
        self.give(code, user, item, label)
        if code is None:
            self.answered(item, user)

    @precondition(lambda self: self.stored > 2)
    @rule(which=items_at, label=labels)
    def decide(self, which: int, label: str) -> None:
        self.give(None, self.reviewer, self.items[which], label)
        self.answered(self.items[which], self.reviewer, level=2)

    @precondition(lambda self: any(item.state not in OPEN for item in self.items))
    @rule(which=items_at)
    def send_back(self, which: int) -> None:
        item = self.items[which]
        code = "illegal-transition" if item.state in OPEN else None
        self.refused(code, "return_item", actor=self.reviewer, item=item.id)
        if code is None:
            if item.state != "skipped":
                item.standing.clear()
                item.end_holds("closed")
            item.state = "returned"
            item.expiries = 0

    @precondition(lambda self: self.answers)
    @rule(who=users_at)
    def undo(self, who: int) -> None:
        user = self.users[who]
        mine = [answer for answer in self.answers if answer.user == user and not answer.withdrawn]
        last = mine[-1] if mine else None
        if last is None or last.item.standing.get(user) is not last or any(
            other.item is last.item and other.user != user and other.number > last.number and not other.withdrawn
            for other in self.answers
        ):  # fmt: skip
            self.refused("nothing-to-undo", "undo_submit", actor=user, dataset=self.dataset)
            return
        back = self.call("undo_submit", actor=user, dataset=self.dataset)
        last.withdrawn = True
        del last.item.standing[user]
        if last.replaces is not None:
            last.item.standing[user] = last.replaces
        self.settle(last.item, last.state_before)
        self.handed_out(last.item, user, back["lease"])

    @rule(which=items_at)
    def draft(self, which: int) -> None:
        item = self.items[which]
        row = {"item_id": item.id, "payload": {"labels": ["good"]}, "model": "m", "labelset_version": 1, "route": "llm"}
        self.call("save_predictions", actor=self.users[0], dataset=self.dataset, rows=[row])
        item.drafted = True
        if item.state == "new":
            item.state = "drafted"

    @rule(back=st.sampled_from([False, False, True]))
    def let_time_jump(self, back: bool) -> None:
        self.now += -JUMP if back else JUMP
        self.connection.execute("update labelcrew.clock set shift = make_interval(secs => %s)", [self.now])

    # what must hold -----------------------------------------------------------------------------------------------

    @invariant()
    def tables_agree_with_each_other_and_with_the_model(self) -> None:
        if not hasattr(self, "items"):
            return
        assert contradictions(self.connection) == []
        found = self.connection.execute("select id::text, state, token from labelcrew.items order by seq").fetchall()
        assert found == [(item.id, item.state, item.token) for item in self.items]
        standing = self.connection.execute(
            "select item_id::text, user_id::text from labelcrew.annotations where current"
        ).fetchall()
        assert sorted(standing) == sorted((item.id, user) for item in self.items for user in item.standing)
        assert self.connection.execute("select count(*) from labelcrew.annotations").fetchone() == (self.stored,)
        for item in self.items:
            people = {hold.user for hold in item.holds if self.live(hold)} | set(item.answered_by())
            assert item.state not in OPEN or len(people) <= self.overlap


def test_queue_and_its_model_agree_whatever_people_do(clean_dsn: str) -> None:
    with psycopg.connect(clean_dsn, autocommit=True) as connection:
        QueueMachine.connection, QueueMachine.dsn = connection, clean_dsn
        run_state_machine_as_test(
            QueueMachine,
            settings=settings(
                max_examples=35, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )
