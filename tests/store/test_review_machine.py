"""Everything people can do to each other's work, in any order, with clocks that jump: foretold from the tables, then done.

Where test_queue_machine.py keeps a model of the queue beside it, this reads the tables before each call and says in plain
Python what the call must answer: which items a claim hands out, in which order, and with which code a review, an appeal,
an answer by an old lease is refused. After every step the tables do not contradict themselves.
"""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from schemas.errors import LabelCrewError
from store.errors import from_psycopg
from tests.support.database import clear
from tests.support.queue_truth import contradictions

OPEN = {"new", "drafted", "returned"}
LEASE, REVIEW, RETURN, APPEAL, LIMIT = 60, 90, 300, 500, 3
ITEMS = 5

ITEM = """
    select i.id::text, i.state, i.tags, i.gold_payload is not null as gold, i.token, i.expiries, i.annotation_id::text,
      i.reserved_for::text, i.reserved_until > labelcrew.now() as is_reserved, i.reviewer_id::text,
      coalesce(i.reviewer_until > labelcrew.now(), true) as waits, i.answered_by::text[], i.reviewed_by::text[],
      array(select h.user_id::text from unnest(i.held) h where h.until > labelcrew.now()) as live,
      (select count(*) from unnest(i.held) h where h.until <= labelcrew.now())::int as ran_out,
      (select a.user_id::text from labelcrew.annotations a where a.id = i.annotation_id) as author,
      array(select a.user_id::text from labelcrew.annotations a
        where a.item_id = i.id and a.source = 'human' and a.withdrawn_at is null) as authors,
      array(select a.user_id::text from labelcrew.annotations a
        where a.item_id = i.id and a.source = 'human' and a.withdrawn_at is null and a.level = 1) as first_authors,
      array(select g.user_id::text from labelcrew.gold_answers g
        where g.item_id = i.id and g.withdrawn_at is null) as gold_authors
    from labelcrew.items i order by i.seq
"""


class ReviewMachine(RuleBasedStateMachine):
    """The rules; ``connection`` is set by the test."""

    connection: psycopg.Connection
    dsn: str

    def call(self, function: str, **params: Any) -> Any:
        """Call a function of the product, as its service role would."""
        names = ", ".join(f"p_{name} => %({name})s" for name in params)
        values = {k: Jsonb(v) if isinstance(v, dict) else v for k, v in params.items()}
        try:
            row = self.connection.execute(f"select labelcrew_api.{function}({names})".encode(), values).fetchone()
        except psycopg.Error as failure:
            raise from_psycopg(failure, function) from failure
        assert row is not None
        return row[0]

    def told(self, code: str | None, function: str, **params: Any) -> Any:
        """The call is refused with ``code``, or succeeds when that is None."""
        if code is None:
            return self.call(function, **params)
        with pytest.raises(LabelCrewError) as raised:
            self.call(function, **params)
        assert raised.value.code == code, (raised.value, code)
        return None

    def rows(self, query: str, *params: Any) -> list[dict[str, Any]]:
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query.encode(), params).fetchall()

    @initialize(
        levels=st.integers(1, 3), overlap=st.integers(1, 2), gold=st.booleans(), share=st.sampled_from([0.0, 0.5, 1.0])
    )
    def start(self, levels: int, overlap: int, gold: bool, share: float) -> None:
        clear(self.dsn)
        self.levels, self.overlap, self.now = levels, overlap, 0
        self.leases: list[dict[str, Any]] = []
        names = ("admin", "a", "b", "polyglot", "r", "s", "judge")
        made = {n: self.call("create_user", email=f"{n}@example.org", name=n)["id"] for n in names}
        self.admin = made["admin"]
        self.dataset = self.call("create_dataset", actor=self.admin, name="d", settings={
            "review_levels": levels, "overlap": overlap, "lease_seconds": LEASE, "review_lease_seconds": REVIEW,
            "return_seconds": RETURN, "appeal_seconds": APPEAL, "expiry_limit": LIMIT, "blind_share": 0.3,
            "gold_share": 0.4 if gold else 0, "review_trusted_after": 2, "review_share_trusted": share,
        })["id"]  # fmt: skip
        roles = {"r": "reviewer", "s": "reviewer", "judge": "super_reviewer"}
        for name in names[1:]:
            role = roles.get(name, "annotator")
            self.call("add_member", actor=self.admin, dataset=self.dataset, email=f"{name}@example.org", role=role)
        self.connection.execute("update labelcrew.members set skills = '{fr}' where user_id = %s", [made["polyglot"]])
        self.everybody = [made[n] for n in names[1:]]
        self.rank = {made[n]: {"reviewer": 2, "super_reviewer": 3}.get(roles.get(n, ""), 1) for n in names[1:]}
        self.skills = {user: {"fr"} if user == made["polyglot"] else set() for user in self.everybody}
        classes = [{"name": "good"}, {"name": "bad"}, {"name": "ugly"}]
        self.call_list("create_labelset", kind="classification", classes=classes)
        rows = [{"text": f"text {n}", "metadata": {"tags": ["fr"] if n == 1 else []}} for n in range(ITEMS)]
        self.call_list("create_items", rows=rows)
        if gold:
            last = self.rows(ITEM)[-1]["id"]
            self.call("set_gold", actor=self.admin, item=last, payload={"labels": ["good"]})

    def call_list(self, function: str, **params: Any) -> Any:
        given = {k: Jsonb(v) if isinstance(v, list) else v for k, v in params.items()}
        return self.call(function, actor=self.admin, dataset=self.dataset, **given)

    # what people do ---------------------------------------------------------------------------------------------------

    people_at = st.integers(0, 5)
    reviewers_at = st.sampled_from([0, 3, 4, 5, 5])
    items_at = st.integers(0, ITEMS - 1)
    holds_at = st.integers(0, 30)
    labels = st.sampled_from(["good", "bad", "ugly"])
    decisions = st.sampled_from(["approved", "approved", "corrected", "rejected"])

    def claimable(self, user: str) -> list[str]:
        """What the next claim may hand to ``user`` besides gold, in order: what is reserved, then by pools."""
        items = self.rows(ITEM)
        free = [
            item for item in items
            if item["state"] in OPEN and not item["gold"] and user not in item["answered_by"] + item["reviewed_by"]
            and user not in item["live"] and len(item["answered_by"]) + len(item["live"]) < self.overlap
            and (self.rank[user] > 1 or item["expiries"] + item["ran_out"] < LIMIT)
            and (item["reserved_for"] in (None, user) or not item["is_reserved"])
        ]  # fmt: skip
        mine = [item["id"] for item in free if item["reserved_for"] == user and item["is_reserved"]]
        fit = [item for item in free if item["id"] not in mine and set(item["tags"]) <= self.skills[user]]
        heads: dict[tuple[str, ...], int] = {}
        for place, item in enumerate(items):
            if item["state"] in OPEN:
                heads.setdefault(tuple(item["tags"]), place)
        return mine + [item["id"] for item in sorted(fit, key=lambda item: heads[tuple(item["tags"])])]

    @rule(who=people_at, count=st.integers(1, 3))
    def claim(self, who: int, count: int) -> None:
        user = self.everybody[who]
        held = {lease["id"] for lease in self.live(user, level=1)}
        expected = self.claimable(user)
        gold = {item["id"] for item in self.rows(ITEM) if item["gold"] and user not in item["gold_authors"]}
        claims = self.call("claim_items", actor=user, dataset=self.dataset, count=count)
        new = [c for c in claims if c["lease"]["id"] not in held]
        assert len(claims) == len({c["item"]["id"] for c in claims}) <= count
        plain = [c["item"]["id"] for c in new if c["item"]["id"] not in gold]
        assert plain == expected[: len(plain)]
        assert len(claims) == count or len(plain) == len(expected)
        assert all(c["item"]["annotation"] is None for c in claims), "nobody sees what others answered"
        assert all(c["item"]["draft"] is None for c in claims if c["item"]["arm"] == "blind")
        self.remember(user, claims)

    def remember(self, user: str, claims: list[dict[str, Any]]) -> None:
        known = {lease["id"] for lease in self.leases}
        self.leases += [{**c["lease"], "user": user} for c in claims if c["lease"]["id"] not in known]

    def live(self, user: str | None = None, level: int | None = None) -> list[dict[str, Any]]:
        return [
            row for row in self.rows(
                "select id::text, item_id::text, user_id::text, level, gold from labelcrew.leases "
                "where ended_at is null and expires_at > labelcrew.now() order by token"
            )
            if user in (None, row["user_id"]) and level in (None, row["level"])
        ]  # fmt: skip

    def fault(self, lease: dict[str, Any]) -> str | None:
        """The code with which a lease is refused that holds no more."""
        [row] = self.rows(
            "select l.ended_by, l.gold, l.expires_at > labelcrew.now() as live, i.token > l.token as overtaken "
            "from labelcrew.leases l join labelcrew.items i on i.id = l.item_id where l.id = %s", lease["id"],
        )  # fmt: skip
        if row["ended_by"] is None and row["live"]:
            return None
        if row["ended_by"] == "submitted":
            return "already-submitted"
        if row["ended_by"] in ("released", "skipped"):
            return "lease-expired"
        return (
            "stale-token" if row["ended_by"] == "closed" or (row["overtaken"] and not row["gold"]) else "lease-expired"
        )

    def some_lease(self, at: int) -> dict[str, Any] | None:
        """Any lease there ever was, the newest first."""
        return self.leases[-1 - at % len(self.leases)] if self.leases else None

    def level_of(self, lease: dict[str, Any]) -> int:
        return int(self.rows("select level from labelcrew.leases where id = %s", lease["id"])[0]["level"])

    @rule(at=holds_at, label=labels)
    def answer(self, at: int, label: str) -> None:
        lease = self.some_lease(at)
        if lease is None:
            return
        code = self.fault(lease) or ("illegal-transition" if self.level_of(lease) > 1 else None)
        if code is None and self.rows(
            "select from labelcrew.annotations a where a.item_id = %s and a.current and a.level > 1 and a.user_id <> %s "
            "and not (select gold from labelcrew.leases where id = %s)", lease["item_id"], lease["user"], lease["id"],
        ):  # fmt: skip
            code = "illegal-transition"
        self.submit(code, lease, label)

    def submit(self, code: str | None, lease: dict[str, Any], label: str) -> Any:
        return self.told(
            code, "submit_annotation", actor=lease["user"], item=lease["item_id"], payload={"labels": [label]},
            labelset_version=1, lease=lease["id"], token=lease["token"],
        )  # fmt: skip

    @rule(who=people_at, label=labels)
    def work(self, who: int, label: str) -> None:
        user = self.everybody[who]
        self.claim(who, 1)
        mine = self.live(user, level=1)
        if mine:
            self.submit(None, next(known for known in self.leases if known["id"] == mine[0]["id"]), label)

    @rule(at=holds_at, wrong=st.sampled_from([-1, 1]), label=labels)
    def answer_with_another_token(self, at: int, wrong: int, label: str) -> None:
        lease = self.some_lease(at)
        if lease is not None:
            self.submit("stale-token", {**lease, "token": lease["token"] + wrong}, label)

    @rule(at=holds_at, skip=st.booleans())
    def give_back(self, at: int, skip: bool) -> None:
        lease = self.some_lease(at)
        if lease is None or self.fault(lease) is not None:
            return
        code = "illegal-transition" if skip and self.level_of(lease) > 1 else None
        reason = "because" if skip else None
        self.told(
            code, "release_lease", actor=lease["user"], lease=lease["id"], token=lease["token"], skip_reason=reason
        )

    @rule(who=people_at, which=items_at)
    def take_back_a_skip(self, who: int, which: int) -> None:
        item, user = self.one_of(which, "skipped"), self.everybody[who]
        last = self.rows(
            "select user_id::text from labelcrew.leases where item_id = %s and ended_by = 'skipped' and not gold "
            "order by ended_at desc, token desc limit 1", item["id"],
        )  # fmt: skip
        mine = item["state"] == "skipped" and last and last[0]["user_id"] == user
        back = self.told(None if mine else "nothing-to-undo", "take_back_skip", actor=user, item=item["id"])
        if back:
            self.remember(user, [back])

    @rule(who=reviewers_at, level=st.sampled_from([2, 2, 3]), count=st.integers(1, 2))
    def claim_reviews(self, who: int, level: int, count: int) -> None:
        user = self.everybody[who]
        if self.rank[user] < level:
            self.told("forbidden", "claim_reviews", actor=user, dataset=self.dataset, level=level)
            return
        held = {lease["id"] for lease in self.live(user, level=level)}
        waiting = [
            item for item in self.rows(ITEM)
            if item["state"] == {2: "annotated", 3: "reviewed"}[level] and not item["live"] and user not in item["authors"]
            and (level == 3 or item["reviewer_id"] in (None, user) or not item["waits"])
            and (level == 2 or user not in item["reviewed_by"])
        ]  # fmt: skip
        expected = [i["id"] for i in sorted(waiting, key=lambda i: level == 3 or i["reviewer_id"] != user)]
        claims = self.call("claim_reviews", actor=user, dataset=self.dataset, level=level, count=count)
        new = [c["item"]["id"] for c in claims if c["lease"]["id"] not in held]
        assert new == expected[: len(new)]
        assert len(claims) == count or len(new) == len(expected)
        self.remember(user, claims)

    def one_of(self, which: int, *states: str) -> dict[str, Any]:
        """An item, one in these states if there is any."""
        items = self.rows(ITEM)
        fit = [item for item in items if item["state"] in states] or items
        return fit[which % len(fit)]

    @rule(who=reviewers_at, which=items_at, decision=decisions, label=labels)
    def review(self, who: int, which: int, decision: str, label: str) -> None:
        item, user = self.one_of(which, "annotated", "reviewed"), self.everybody[who]
        level = {"annotated": 2, "reviewed": 3}.get(item["state"])
        params: dict[str, Any] = {"comment": "see the guidelines"}
        if decision == "corrected":
            params["payload"] = {"labels": [label]}
        same = self.rows(
            "select from labelcrew.annotations where id = %s and payload = %s", item["annotation_id"],
            Jsonb({"labels": [label]}),
        )  # fmt: skip
        code = None
        if self.rank[user] == 1:
            code = "forbidden"
        elif any(holder != user for holder in item["live"]):
            code = "conflict"
        elif level is None:
            code = "illegal-transition"
        elif self.rank[user] < level:
            code = "forbidden"
        elif user in (item["first_authors"] if level == 2 else item["authors"] + item["reviewed_by"]):
            code = "own-work"
        elif decision == "corrected" and same:
            code = "invalid"
        done = self.told(code, "review_item", actor=user, item=item["id"], decision=decision, **params)
        if done:
            want = {"rejected": {"returned"}, "approved": {"verified"}, "corrected": {"verified"}}[decision]
            if decision == "corrected" and level == 2 and self.levels == 3:
                want = {"reviewed"}
            assert done["item"]["state"] in want

    @rule(which=items_at, who=people_at, decision=decisions, label=labels, appeals=st.booleans())
    def work_is_reviewed(self, which: int, who: int, decision: str, label: str, appeals: bool) -> None:
        self.work(who % 3, label)
        self.review(3 + who % 3, which, decision, label)
        if appeals:
            self.appeal(who, which)
            self.review(5, which, decision, label)

    @rule(who=people_at, which=items_at)
    def appeal(self, who: int, which: int) -> None:
        contested = self.rows(
            "select item_id::text, author_id::text from (select distinct on (item_id) * from labelcrew.reviews "
            "where withdrawn_at is null order by item_id, number desc) r where decision <> 'approved'"
        )
        found = contested[which % len(contested)] if contested else None
        user = found["author_id"] if found and who else self.everybody[who]
        items = self.rows(ITEM)
        which = next((n for n, item in enumerate(items) if found and item["id"] == found["item_id"]), which)
        item = items[which]
        try:
            self.call("appeal_item", actor=user, item=item["id"], comment="it was right")
        except LabelCrewError as error:
            assert error.code == "illegal-transition", error  # noqa: PT017
        else:
            assert item["state"] in ("returned", "verified")
            assert self.rows(ITEM)[which]["state"] == "reviewed"
            assert user in item["first_authors"]

    @rule(who=people_at)
    def undo(self, who: int) -> None:
        user = self.everybody[who]
        try:
            back = self.call("undo_submit", actor=user, dataset=self.dataset)
        except LabelCrewError as error:
            assert error.code == "nothing-to-undo", error  # noqa: PT017
        else:
            self.remember(user, [back])

    @rule(which=items_at)
    def send_back(self, which: int) -> None:
        item = self.rows(ITEM)[which]
        code = "illegal-transition" if item["state"] in OPEN else None
        self.told(code, "return_item", actor=self.admin, item=item["id"])

    @rule(by=st.sampled_from([70, 100, 350, 600, -100]))
    def let_time_jump(self, by: int) -> None:
        self.now += by
        self.connection.execute("update labelcrew.clock set shift = make_interval(secs => %s)", [self.now])

    @rule()
    def sweep(self) -> None:
        found = self.rows(
            "select count(*) as n from labelcrew.leases where ended_at is null and expires_at <= labelcrew.now()"
        )
        assert self.call("sweep_queue")["expired"] == found[0]["n"]

    # what must hold -----------------------------------------------------------------------------------------------

    @invariant()
    def tables_agree_with_each_other(self) -> None:
        if not hasattr(self, "dataset"):
            return
        assert contradictions(self.connection) == []
        for item in self.rows(ITEM):
            assert len(item["live"]) == len(set(item["live"])), "nobody holds it twice"
            assert item["state"] in OPEN | {"skipped"} or len(item["live"]) <= 1, "one reviewer at a time"
            assert not item["gold"] or item["state"] in ("verified", "reviewed")


def test_reviews_follow_their_rules_whatever_people_do(clean_dsn: str) -> None:
    with psycopg.connect(clean_dsn, autocommit=True) as connection:
        ReviewMachine.connection, ReviewMachine.dsn = connection, clean_dsn
        run_state_machine_as_test(
            ReviewMachine,
            settings=settings(
                max_examples=30, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )
