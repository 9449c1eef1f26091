"""The ledger under whatever people do, in any order, with every call repeated at will and clocks that jump.

Hypothesis invents the story. After every step the books are asked whether they contradict themselves, and compared with
a count of their own: what admins put in is what is in the accounts, and nobody was paid out more than their items earn.
"""

from __future__ import annotations

from typing import Any

import psycopg
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from psycopg.types.json import Jsonb

from schemas.errors import LabelCrewError
from store.errors import from_psycopg
from tests.support.database import clear
from tests.support.ledger_truth import contradictions

REFUSALS = frozenset({
    "escrow-empty", "insufficient-balance", "nothing-to-pay", "nothing-to-undo", "illegal-transition", "not-found",
    "illegal-pay-state", "stale-token", "lease-expired", "already-submitted", "forbidden", "own-work", "conflict",
})  # fmt: skip
"""What people may be told. Anything else is a bug."""

LARGEST = 9


class PayMachine(RuleBasedStateMachine):
    """The story; ``connection`` is set by the test."""

    connection: psycopg.Connection
    dsn: str

    def call(self, function: str, **params: Any) -> Any:
        names = ", ".join(f"p_{name} => %({name})s" for name in params)
        values = {k: Jsonb(v) if isinstance(v, dict | list) and k != "users" else v for k, v in params.items()}
        try:
            row = self.connection.execute(f"select labelcrew_api.{function}({names})".encode(), values).fetchone()
        except psycopg.Error as failure:
            raise from_psycopg(failure, function) from failure
        assert row is not None
        return row[0]

    def attempt(self, function: str, times: int = 1, refusals: frozenset[str] = REFUSALS, **params: Any) -> Any:
        """Call it, as often as a client that retries; None when it is refused for a reason that people may meet."""
        result = None
        for _ in range(times):
            try:
                result = self.call(function, **params)
            except LabelCrewError as refused:
                if refused.code not in refusals:
                    raise
                result = None
        return result

    @initialize(levels=st.integers(1, 3), overlap=st.integers(1, 2))
    def start(self, levels: int, overlap: int) -> None:
        clear(self.dsn)
        self.keys, self.funded, self.given = 0, 0, 0
        emails = [f"{name}@example.org" for name in ("admin", "a", "b", "c", "reviewer", "super")]
        self.admin, *people = (self.call("create_user", email=e, name="x")["id"] for e in emails)
        self.people: list[str] = people
        self.dataset = self.call("create_dataset", actor=self.admin, name="d", settings={
            "review_levels": levels, "overlap": overlap, "lease_seconds": 60,
        })["id"]  # fmt: skip
        roles = ["annotator", "annotator", "annotator", "reviewer", "super_reviewer"]
        for email, role in zip(emails[1:], roles, strict=True):
            self.call("add_member", actor=self.admin, dataset=self.dataset, email=email, role=role)
        classes = [{"name": "good"}, {"name": "bad"}]
        self.call("create_labelset", actor=self.admin, dataset=self.dataset, kind="classification", classes=classes)
        made = self.call(
            "create_items", actor=self.admin, dataset=self.dataset, rows=[{"text": f"t{n}"} for n in range(4)]
        )
        self.items = [row["id"] for row in made["results"]]
        self.call("set_currency", actor=self.admin, dataset=self.dataset, currency="EUR")
        self.call("set_prices", actor=self.admin, dataset=self.dataset, prices=[
            {"level": level, "per": "item", "amount": 5} for level in (1, 2, 3)
        ])  # fmt: skip

    people_at = st.integers(0, 4)
    items_at = st.integers(0, 3)
    times = st.integers(1, 2)
    labels = st.sampled_from(["good", "bad"])

    def key(self) -> str:
        self.keys += 1
        return f"k{self.keys}"

    # work -----------------------------------------------------------------------------------------------------------

    @rule(who=people_at, label=labels, times=times)
    def work(self, who: int, label: str, times: int) -> None:
        claims = self.attempt("claim_items", actor=self.people[who], dataset=self.dataset)
        for claim in claims or []:
            lease = claim["lease"]
            self.attempt(
                "submit_annotation", times, actor=self.people[who], item=lease["item_id"], payload={"labels": [label]},
                labelset_version=1, lease=lease["id"], token=lease["token"], key=self.key(),
            )  # fmt: skip

    @rule(who=people_at, item=items_at, label=labels)
    def answer_directly(self, who: int, item: int, label: str) -> None:
        self.attempt(
            "submit_annotation", actor=self.people[who], item=self.items[item], payload={"labels": [label]},
            labelset_version=1,
        )  # fmt: skip

    @rule(who=people_at)
    def take_back(self, who: int) -> None:
        self.attempt("undo_submit", actor=self.people[who], dataset=self.dataset)

    @rule(item=items_at)
    def send_back(self, item: int) -> None:
        self.attempt("return_item", actor=self.people[3], item=self.items[item])

    @rule(
        who=st.integers(3, 4),
        item=items_at,
        decision=st.sampled_from(["approved", "rejected", "corrected"]),
        label=labels,
    )
    def review(self, who: int, item: int, decision: str, label: str) -> None:
        corrected: dict[str, Any] = (
            {"payload": {"labels": [label]}, "labelset_version": 1} if decision == "corrected" else {}
        )
        same = frozenset({"invalid"}) if corrected else frozenset()  # a correction to what was answered is none
        self.attempt(
            "review_item", refusals=REFUSALS | same,
            actor=self.people[who], item=self.items[item], decision=decision, comment="why", **corrected,
        )  # fmt: skip

    @rule(who=people_at, item=items_at)
    def appeal(self, who: int, item: int) -> None:
        self.attempt("appeal_item", actor=self.people[who], item=self.items[item], comment="no")

    @rule(seconds=st.integers(10, 200))
    def time_passes(self, seconds: int) -> None:
        shift = "update labelcrew.clock set shift = shift + make_interval(secs => %s)"
        self.connection.execute(shift.encode(), [seconds])

    # money ----------------------------------------------------------------------------------------------------------

    @rule(amount=st.integers(-20, 40).filter(bool), times=times)
    def fund(self, amount: int, times: int) -> None:
        if self.attempt("fund_escrow", times, actor=self.admin, dataset=self.dataset, amount=amount, key=self.key()):
            self.funded += amount

    @rule(amount=st.integers(0, LARGEST))
    def reprice(self, amount: int) -> None:
        prices = [{"level": level, "per": "item", "amount": amount} for level in (1, 2)]
        self.call("set_prices", actor=self.admin, dataset=self.dataset, prices=prices)

    @rule(who=people_at, amount=st.integers(-6, 6).filter(bool), times=times)
    def adjust(self, who: int, amount: int, times: int) -> None:
        if self.attempt(
            "adjust_pay", times, actor=self.admin, dataset=self.dataset, user=self.people[who], amount=amount,
            key=self.key(), reason="",
        ):  # fmt: skip
            self.given += amount

    @rule(number=st.integers(0, 20), decision=st.sampled_from(["release", "refund"]), times=times)
    def decide(self, number: int, decision: str, times: int) -> None:
        holds = self.call("list_holds", actor=self.admin, dataset=self.dataset)
        if number < len(holds):
            self.attempt(
                "decide_hold",
                times,
                actor=self.admin,
                dataset=self.dataset,
                hold=holds[number]["id"],
                decision=decision,
            )

    @rule(times=times)
    def pay_out(self, times: int) -> None:
        self.attempt("create_payouts", times, actor=self.admin, dataset=self.dataset, key=self.key())

    @rule(batch=st.integers(0, 3), state=st.sampled_from(["paid", "failed"]), times=times)
    def settle(self, batch: int, state: str, times: int) -> None:
        batches = self.call("list_payouts", actor=self.admin, dataset=self.dataset)
        if batch < len(batches):
            self.attempt(
                "settle_payouts", times, actor=self.admin, dataset=self.dataset, batch=batches[batch]["id"], state=state
            )

    # what must hold -------------------------------------------------------------------------------------------------

    @invariant()
    def books_agree(self) -> None:
        assert contradictions(self.connection) == []
        pay = self.call("get_pay", actor=self.admin, dataset=self.dataset)
        assert pay["funded"] == self.funded
        assert sum(pay[account] for account in ("escrow", "held", "payable", "paying", "paid")) == self.funded

    @invariant()
    def nobody_earns_more_than_their_items_can(self) -> None:
        pay = self.call("get_pay", actor=self.admin, dataset=self.dataset)
        earned = pay["payable"] + pay["paying"] + pay["paid"]
        work = self.connection.execute(
            "select count(*) from (select item_id, user_id, level from labelcrew.annotations"
            " union select item_id, reviewer_id, level from labelcrew.reviews) x"
        ).fetchone()
        assert work is not None
        assert earned - self.given <= work[0] * LARGEST


def test_books_agree_whatever_people_do(clean_dsn: str) -> None:
    with psycopg.connect(clean_dsn, autocommit=True) as connection:

        class Machine(PayMachine):
            pass

        Machine.connection, Machine.dsn = connection, clean_dsn
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )
