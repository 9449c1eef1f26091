"""A crowd on two servers, one of which loses its database in the middle: exactly as many answers as asked, by as many people.

Small, so that it runs with every change; bench/crowd.py does the same with four servers, fifty people and SIGKILL.
"""

from __future__ import annotations

import asyncio
import random
import secrets

import psycopg

from schemas.errors import LabelCrewError
from store.postgres import PostgresRpc
from store.rpc import Rpc
from tests.support.queue_truth import contradictions
from tests.support.teams import Team

OVERLAP, ITEMS, PEOPLE, LEASE_S = 3, 25, 10, 20


async def test_nobody_answers_twice_and_nothing_is_lost_when_connections_are_cut(
    pg_rpc: Rpc, database_dsn: str
) -> None:
    team = await Team.of(pg_rpc, items=ITEMS, overlap=OVERLAP, lease_seconds=LEASE_S, expiry_limit=1000)
    people = [await team.member() for _ in range(PEOPLE)]
    with psycopg.connect(database_dsn) as connection:
        others = [pid for (pid,) in connection.execute("select pid from pg_stat_activity").fetchall()]
    servers = [await PostgresRpc.open(database_dsn) for _ in range(2)]
    codes: set[str] = set()

    async def ask(draw: random.Random, function: str, **params: object) -> object:
        """What any server answers; what was cut off is asked again."""
        for _ in range(100):
            try:
                return await draw.choice(servers).call(function, **params)
            except LabelCrewError as error:
                if error.code != "unavailable":
                    raise
                codes.add(error.code)
        raise AssertionError("no server answers")

    async def work(person: str, seed: int) -> None:
        draw, empty = random.Random(seed), 0
        while empty < 20:
            claims = await ask(draw, "claim_items", actor=person, dataset=team.dataset, count=1)
            assert isinstance(claims, list)
            empty = 0 if claims else empty + 1
            await asyncio.sleep(0.002 if claims else 0.02)
            for claim in claims:
                lease = claim["lease"]
                try:
                    await ask(
                        draw, "submit_annotation", actor=person, item=lease["item_id"], labelset_version=1,
                        payload={"labels": [draw.choice(["good", "bad"])]}, lease=lease["id"], token=lease["token"],
                        key=secrets.token_hex(8),
                    )  # fmt: skip
                except LabelCrewError as error:
                    codes.add(error.code)

    async def trouble() -> None:
        with psycopg.connect(database_dsn, autocommit=True) as connection:
            for n in range(6):
                await asyncio.sleep(0.1)
                connection.execute(
                    "update labelcrew.clock set shift = shift + make_interval(secs => %s)", [LEASE_S + 1]
                )
                if n % 2:
                    connection.execute(
                        "select pg_terminate_backend(pid) from pg_stat_activity "
                        "where application_name = 'labelcrew' and datname = current_database() and pid <> all (%s)",
                        [others],
                    )

    await asyncio.gather(trouble(), *(work(person, seed) for seed, person in enumerate(people)))
    for server in servers:
        await server.close()
    with psycopg.connect(database_dsn) as connection:
        assert contradictions(connection) == []
        found = connection.execute(
            "select i.state, count(a.id), count(distinct a.user_id) from labelcrew.items i "
            "left join labelcrew.annotations a on a.item_id = i.id group by i.id"
        ).fetchall()
    assert found == [("verified", OVERLAP, OVERLAP)] * ITEMS
    assert codes <= {"unavailable", "lease-expired", "stale-token", "already-submitted"}
