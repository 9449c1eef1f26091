"""People, invitations and tokens against a model of themselves: who comes and goes in any order, and what ends with it.

Hypothesis invents what four people do to one dataset and to one another, the owner of the installation among them. The
model says in plain Python what each call must answer; after every step roles agree, and nobody who is gone holds anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from psycopg.types.json import Jsonb

from schemas.errors import LabelCrewError
from store.errors import from_psycopg
from tests.support.database import clear
from tests.support.queue_truth import contradictions

PEOPLE = 4
OWNER, FOUNDER = 0, 1
"""Numbers of the installation's owner, who is no member at first, and of the dataset's first admin."""
RANKS = {"annotator": 1, "reviewer": 2, "super_reviewer": 3, "admin": 4}
LIFE, JUMP = 600, 250
"""Seconds: of links and tokens, and of a jump in time."""

GONE_BUT_HOLDING = """
select l.id from labelcrew.leases l
where l.ended_at is null and labelcrew.role_of(l.user_id, l.dataset_id) is null
"""
TRUST_WITHOUT_AN_ADMIN = """
select t.id from labelcrew.service_tokens t
where t.revoked_at is null and labelcrew.role_of(t.created_by, t.dataset_id) is distinct from 'admin'
union all
select i.id from labelcrew.invitations i
where i.revoked_at is null and i.accepted_at is null
  and labelcrew.role_of(i.invited_by, i.dataset_id) is distinct from 'admin'
union all
select u.id from labelcrew.users u
where u.kind = 'service' and u.active
  and not exists (select from labelcrew.service_tokens t where t.user_id = u.id and t.revoked_at is null)
"""


@dataclass
class Link:
    """An invitation or a service token, by its hash."""

    hash: str
    id: str
    by: int
    expires: int
    role: str = ""
    over: bool = False
    replaced: bool = False


class PeopleMachine(RuleBasedStateMachine):
    """The rules; ``connection`` is set by the test."""

    connection: psycopg.Connection
    dsn: str

    def call(self, function: str, **params: Any) -> Any:
        names = ", ".join(f"p_{name} => %({name})s" for name in params)
        values = {k: Jsonb(v) if isinstance(v, dict) else v for k, v in params.items()}
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

    @initialize()
    def begin(self) -> None:
        clear(self.dsn)
        self.now, self.hashes = 0, 0
        self.ids = [self.call("create_user", email=f"p{n}@example.org", name=f"P{n}")["id"] for n in range(PEOPLE)]
        self.dataset = self.call("create_dataset", actor=self.ids[FOUNDER], name="d")["id"]
        rows = '[{"text": "one"}, {"text": "two"}, {"text": "three"}]'
        self.connection.execute(
            "select labelcrew_api.create_items(%s, %s, %s)", [self.ids[FOUNDER], self.dataset, rows]
        )
        self.roles = {FOUNDER: "admin"}
        self.off: set[int] = set()
        self.links: list[Link] = []
        self.tokens: list[Link] = []

    # what the model knows -----------------------------------------------------------------------------------------

    def role(self, who: int) -> str | None:
        return None if who in self.off else self.roles.get(who)

    def refusal_of_admin(self, who: int) -> str | None:
        """Why ``who`` may not do what admins may."""
        role = self.role(who)
        return "not-found" if role is None else None if role == "admin" else "forbidden"

    def is_last_admin(self, who: int) -> bool:
        return self.role(who) == "admin" and not any(self.role(n) == "admin" for n in self.roles if n != who)

    def end_trust(self, who: int) -> None:
        for link in (*self.links, *self.tokens):
            link.over = link.over or link.by == who

    def fresh_hash(self) -> str:
        self.hashes += 1
        return f"{self.hashes:064d}"

    def works(self, link: Link) -> bool:
        return not link.over and self.now < link.expires

    # what people do -----------------------------------------------------------------------------------------------

    someone = st.integers(0, PEOPLE - 1)
    role_names = st.sampled_from(list(RANKS))

    @rule(who=someone, guest=st.integers(0, 1), role=role_names)
    def invite(self, who: int, guest: int, role: str) -> None:
        token_hash, email = self.fresh_hash(), f"guest{guest}@example.org"
        made = self.refused(
            self.refusal_of_admin(who), "create_invitation", actor=self.ids[who], dataset=self.dataset, email=email,
            role=role, token_hash=token_hash, ttl_seconds=LIFE,
        )  # fmt: skip
        if made:
            for link in self.links:
                link.over = link.over or link.id.endswith(email)
            self.links.append(Link(token_hash, f"{made['id']} {email}", who, self.now + LIFE, role))

    @rule(which=st.integers(0, 20), who=someone)
    def accept(self, which: int, who: int) -> None:
        if not self.links:
            return
        link = self.links[which % len(self.links)]
        code = "invitation-over" if not self.works(link) else "user-inactive" if who in self.off else None
        self.refused(code, "submit_invitation", token_hash=link.hash, user=self.ids[who])
        if code is None:
            link.over = True
            before = self.roles.get(who)
            self.roles[who] = link.role if before is None or RANKS[before] < RANKS[link.role] else before

    @rule(who=someone, whom=someone, role=role_names)
    def give_role(self, who: int, whom: int, role: str) -> None:
        code = self.refusal_of_admin(who)
        if code is None and role != "admin" and self.is_last_admin(whom):
            code = "last-admin"
        self.refused(
            code, "add_member", actor=self.ids[who], dataset=self.dataset, email=f"p{whom}@example.org", role=role
        )
        if code is None:
            if role != "admin" and self.role(whom) == "admin":
                self.end_trust(whom)
            self.roles[whom] = role

    @rule(who=someone, whom=someone)
    def remove(self, who: int, whom: int) -> None:
        code = self.refusal_of_admin(who)
        if who == whom and code == "forbidden":
            code = None
        if code is None and whom not in self.roles:
            code = "not-found"
        if code is None and self.is_last_admin(whom):
            code = "last-admin"
        self.refused(code, "remove_member", actor=self.ids[who], dataset=self.dataset, user=self.ids[whom])
        if code is None:
            del self.roles[whom]
            self.end_trust(whom)

    @rule(whom=st.integers(OWNER + 1, PEOPLE - 1))
    def switch_off(self, whom: int) -> None:
        takes_over = self.roles.get(whom) == "admin" and not any(
            self.role(n) == "admin" for n in self.roles if n != whom
        )
        ended = self.call("deactivate_user", actor=self.ids[OWNER], user=self.ids[whom])
        assert ended["datasets_taken_over"] == ([self.dataset] if takes_over else [])
        self.off.add(whom)
        self.end_trust(whom)
        if takes_over:
            self.roles[OWNER] = "admin"

    @rule(whom=someone)
    def switch_on(self, whom: int) -> None:
        self.call("reactivate_user", actor=self.ids[OWNER], user=self.ids[whom])
        self.off.discard(whom)

    @rule(who=someone, role=role_names)
    def make_token(self, who: int, role: str) -> None:
        token_hash = self.fresh_hash()
        made = self.refused(
            self.refusal_of_admin(who), "create_service_token", actor=self.ids[who], dataset=self.dataset, name="s",
            role=role, scopes=["read"], token_hash=token_hash, ending="abcd", ttl_seconds=LIFE,
        )  # fmt: skip
        if made:
            self.tokens.append(Link(token_hash, made["id"], who, self.now + LIFE, role))

    @rule(which=st.integers(0, 20), who=someone, grace=st.sampled_from([0, 100]))
    def replace_token(self, which: int, who: int, grace: int) -> None:
        if not self.tokens:
            return
        old = self.tokens[which % len(self.tokens)]
        code = self.refusal_of_admin(who) or ("conflict" if old.over or old.replaced else None)
        token_hash = self.fresh_hash()
        made = self.refused(
            code, "renew_service_token", actor=self.ids[who], dataset=self.dataset, token=old.id,
            token_hash=token_hash, ending="abcd", grace_seconds=grace,
        )  # fmt: skip
        if made:
            old.expires, old.replaced = min(old.expires, self.now + grace), True
            self.tokens.append(Link(token_hash, made["id"], who, self.now + LIFE, old.role))

    @rule(which=st.integers(0, 20), who=someone)
    def revoke_token(self, which: int, who: int) -> None:
        if not self.tokens:
            return
        token = self.tokens[which % len(self.tokens)]
        code = self.refusal_of_admin(who)
        self.refused(code, "delete_service_token", actor=self.ids[who], dataset=self.dataset, token=token.id)
        token.over = token.over or code is None

    @rule(who=someone)
    def claim(self, who: int) -> None:
        code = None if self.role(who) else "not-found"
        self.refused(code, "claim_items", actor=self.ids[who], dataset=self.dataset)

    @rule()
    def let_time_jump(self) -> None:
        self.now += JUMP
        self.connection.execute("update labelcrew.clock set shift = make_interval(secs => %s)", [self.now])

    # what must hold -----------------------------------------------------------------------------------------------

    @invariant()
    def roles_agree_and_nothing_outlives_its_people(self) -> None:
        if not hasattr(self, "tokens"):
            return
        found = self.connection.execute(
            "select m.user_id::text, m.role from labelcrew.members m join labelcrew.users u on u.id = m.user_id"
            " where u.kind = 'person'"
        ).fetchall()
        assert dict(found) == {self.ids[n]: role for n, role in self.roles.items()}
        assert any(self.role(n) == "admin" for n in self.roles)
        for query in (GONE_BUT_HOLDING, TRUST_WITHOUT_AN_ADMIN):
            assert self.connection.execute(query).fetchall() == []
        assert contradictions(self.connection) == []

    @invariant()
    def links_and_tokens_work_as_long_as_they_should(self) -> None:
        if not hasattr(self, "tokens"):
            return
        for link in self.links[-3:]:
            code = None if self.works(link) else "invitation-over"
            self.refused(code, "find_invitation", token_hash=link.hash)
        for token in self.tokens[-3:]:
            code = None if self.works(token) else "unauthenticated"
            self.refused(code, "find_service_token", token_hash=token.hash)


def test_people_and_their_model_agree_whoever_comes_and_goes(clean_dsn: str) -> None:
    with psycopg.connect(clean_dsn, autocommit=True) as connection:
        PeopleMachine.connection, PeopleMachine.dsn = connection, clean_dsn
        run_state_machine_as_test(
            PeopleMachine,
            settings=settings(
                max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )
