"""A crowd at work on several servers, two of which are killed: is every item answered by exactly as many people as asked?

One Postgres, four `labelcrew serve` on it, fifty annotators who change servers as they like and turn to another when one
is gone. Every few seconds the database's clock jumps past all leases, so that whoever holds an item is refused and has
to begin anew; after a third and two thirds of the work a server is killed with SIGKILL while it answers. A request that
was cut off is sent again with the same key to another server, as the product's own client does.

Counted at the end, from the tables: answers that stand by item, people by item, and anything beside them.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from bench.tables import Table
from bench.world import COMMAND, ROOT, Wire, apart, class_names, environment, machine, percentile, texts

SERVERS, KILLED = 4, 2
ANNOTATORS, FEW = 50, 20
OVERLAP = 3
LEASE_S = 20
PAUSE_S = 0.25
"""Between two answers of one person, where the latency is measured as people see it."""

COUNT = """
select count(*) filter (where n <> %(overlap)s), count(*) filter (where people <> %(overlap)s),
  count(*) filter (where state <> 'verified'), sum(n)::bigint
from (
  select i.state, count(a.id) as n, count(distinct a.user_id) as people
  from labelcrew.items i left join labelcrew.annotations a on a.item_id = i.id
  where i.dataset_id = %(dataset)s group by i.id
) x
"""


@dataclass
class Work:
    """What the annotators of one run saw. Times in milliseconds."""

    claims: list[float] = field(default_factory=list)
    submits: list[float] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    cut_off: int = 0
    seconds: float = 0.0


@dataclass
class Place:
    """A database, the secret that all servers sign with, and where they listen."""

    dsn: str
    secret: str
    ports: list[int] = field(default_factory=list)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)


def run(quick: bool) -> list[Table]:
    """One table: latency of a few, then the crowd with its killed servers, and what the tables say about its work."""
    items, few = (300, 300) if quick else (10_000, 2_000)
    with (
        tempfile.TemporaryDirectory(prefix="lc-", dir="/tmp", ignore_cleanup_errors=True) as folder,
        ExitStack() as stack,
    ):
        place = stack.enter_context(_place(Path(folder), stack))
        apart(
            _annotate, place.ports, *_dataset(place, "warm", 400, ANNOTATORS), 400, 0.0, 1
        )  # plans, caches, the model
        calm = _dataset(place, "calm", few, FEW)
        slow = apart(_annotate, place.ports, *calm, few, PAUSE_S, 1)
        busy = _dataset(place, "busy", few, FEW)
        fast = apart(_annotate, place.ports, *busy, few, 0.0, 1)
        dataset, tokens = _dataset(place, "crowd", items, ANNOTATORS, overlap=OVERLAP)
        work, kills, jumps = asyncio.run(
            _crowd(place, dataset, tokens, items * OVERLAP, jump_every_s=1.0 if quick else 4.0)
        )
        with psycopg.connect(place.dsn) as connection:
            row = connection.execute(COUNT, {"overlap": OVERLAP, "dataset": dataset}).fetchone()
    assert row is not None
    wrong, same, open_items, answers = row
    table = Table(
        f"A crowd: {items:,} items, overlap {OVERLAP}, {ANNOTATORS} annotators, {SERVERS} servers, {KILLED} killed",
        ["what", "result", "target", "reached"],
    )
    for what, one in ((f"{FEW} annotators with a pause of {PAUSE_S} s", slow), (f"{FEW} annotators, no pause", fast)):
        for name in ("claims", "submits"):
            p95 = percentile(getattr(one, name), 0.95)
            target, reached = ("≤ 50", _word(p95 <= 50)) if one is slow else (None, None)
            table.add(
                f"{what}: {name[:-1]} p95 (p50) ms",
                f"{p95:.1f} ({percentile(getattr(one, name), 0.5):.1f})",
                target,
                reached,
            )
    table.add(f"{FEW} annotators, no pause: pairs/s", len(fast.submits) / fast.seconds, None, None)
    table.add(f"{ANNOTATORS} annotators: pairs/s, kills and jumps included", answers / work.seconds, None, None)
    table.add(f"{ANNOTATORS} annotators: claim p95 ms", percentile(work.claims, 0.95), None, None)
    table.add(f"{ANNOTATORS} annotators: submit p95 ms", percentile(work.submits, 0.95), None, None)
    table.add("answers", answers, f"{items * OVERLAP:,}", _word(answers == items * OVERLAP))
    table.add(f"items without exactly {OVERLAP} answers", wrong, "0", _word(not wrong))
    table.add("items somebody answered twice", same, "0", _word(not same))
    table.add("items not verified", open_items, "0", _word(not open_items))
    table.add("answers refused because the lease had ended", sum(work.refused.values()), None, None)
    table.add("requests cut off by a kill and sent again", work.cut_off, None, None)
    table.add("requests that failed otherwise", len(work.failed), "0", _word(not work.failed))
    table.note = (
        f"{kills} servers killed with SIGKILL, {jumps} jumps of the clock past all leases. Clients, servers and Postgres "
        f"share the machine. {machine()}" + (f" First failure: {work.failed[0]}." if work.failed else "")
    )
    return [table]


@contextmanager
def _place(folder: Path, stack: ExitStack) -> Iterator[Place]:
    """The servers on one Postgres that belongs to none of them."""
    from store.embedded import EmbeddedPostgres
    from store.migrate import migrate

    postgres = EmbeddedPostgres(folder / "pg")
    postgres.start()
    stack.callback(postgres.stop)
    with psycopg.connect(postgres.dsn_of("postgres"), autocommit=True) as connection:
        connection.execute("create database crowd")
    place = Place(postgres.dsn_of("crowd"), secrets.token_urlsafe(48))
    asyncio.run(migrate(place.dsn))
    try:
        for number in range(SERVERS):
            _start(place, folder / f"server-{number}")
        for port in place.ports:
            _until_ready(port)
        yield place
    finally:
        for process in place.processes:
            process.terminate()
        for process in place.processes:
            process.wait(60)


def _start(place: Place, folder: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [*COMMAND, "serve", "--no-browser", "--port", str(port), "--data-dir", str(folder)]
    variables = environment(
        DATABASE_URL=place.dsn, LABELCREW_JWT_SECRET=place.secret, LABELCREW_WORKERS="0", LABELCREW_LOG_LEVEL="error"
    )
    place.processes.append(
        subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    )
    place.ports.append(port)


def _until_ready(port: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("a server did not become ready")


def _dataset(place: Place, name: str, items: int, people: int, overlap: int = 1) -> tuple[str, list[str]]:
    """A dataset with this many items, and the tokens of its annotators."""

    async def make() -> tuple[str, list[str]]:
        from api.auth import LocalTokens
        from store.postgres import PostgresRpc

        store = await PostgresRpc.open(place.dsn)
        tokens = LocalTokens(place.secret.encode(), store, hours=12)
        admin = (await store.call("create_user", email=f"{name}@example.org", name="Admin"))["id"]
        settings = {"overlap": overlap, "lease_seconds": LEASE_S, "expiry_limit": 1000}
        dataset = (await store.call("create_dataset", actor=admin, name=name, settings=settings))["id"]
        classes = [{"name": name} for name in class_names()]
        await store.call("create_labelset", actor=admin, dataset=dataset, kind="classification", classes=classes)
        rows = [{"external_id": key, "text": text} for key, text in texts(items)]
        for at in range(0, items, 5000):
            await store.call(
                "create_items", actor=admin, dataset=dataset, rows=rows[at : at + 5000], want_results=False
            )
        found = []
        for n in range(people):
            email = f"{name}-{n}@example.org"
            user = await store.call("create_user", email=email, name="Annotator")
            await store.call("add_member", actor=admin, dataset=dataset, email=email, role="annotator")
            found.append(tokens.issue(user)["access_token"])
        await store.close()
        return str(dataset), found

    return asyncio.run(make())


class Person:
    """One annotator: a connection at a time, to any server that answers."""

    def __init__(self, ports: Sequence[int], token: str, seed: int, work: Work) -> None:
        self._ports, self._token, self._work = list(ports), token, work
        self.draw = random.Random(seed)
        self._wire: Wire | None = None

    async def ask(self, method: str, path: str, body: Any) -> tuple[int, Any, float]:
        """The answer of some server; a request that was cut off is sent to another."""
        while True:
            try:
                if self._wire is None:
                    self._port = self.draw.choice(self._ports)
                    self._wire = await Wire(self._port, self._token).open()
                return await self._wire.ask(method, path, body)
            except (OSError, asyncio.IncompleteReadError):
                self._work.cut_off += 1
                self._wire = None
                if len(self._ports) > 1:
                    self._ports.remove(self._port)

    async def answer_one(self, dataset: str) -> bool:
        """Claim an item and answer it; whether there was one."""
        status, found, took = await self.ask("POST", f"/v1/datasets/{dataset}/claim", {"count": 1})
        if status != 200:
            self._work.failed.append(f"claim: {status} {found.get('code')}")
            return True
        if not found["claims"]:
            return False
        self._work.claims.append(took)
        [claim] = found["claims"]
        body = {
            "payload": {"labels": [self.draw.choice(class_names())]}, "labelset_version": 1,
            "lease_id": claim["lease"]["id"], "token": claim["lease"]["token"], "key": secrets.token_hex(8),
        }  # fmt: skip
        status, found, took = await self.ask("PUT", f"/v1/items/{claim['item']['id']}/annotation", body)
        if status == 200:
            self._work.submits.append(took)
        elif found.get("code") in ("lease-expired", "stale-token"):
            self._work.refused[found["code"]] = self._work.refused.get(found["code"], 0) + 1
        else:
            self._work.failed.append(f"submit: {status} {found.get('code')}")
        return True

    async def leave_server(self) -> None:
        """Turn to another server now and then."""
        if self._wire is not None and self.draw.random() < 0.02:
            self._wire.close()
            self._wire = None


def _annotate(ports: list[int], dataset: str, tokens: list[str], count: int, pause: float, seed: int) -> Work:
    """Everybody answers until ``count`` are answered, without trouble; in a process of its own."""

    async def everybody() -> Work:
        work, left = Work(), iter(range(count))
        people = [Person(ports, token, seed + n, work) for n, token in enumerate(tokens)]

        async def one(person: Person) -> None:
            await asyncio.sleep(person.draw.random() * pause)
            for _ in left:
                await person.answer_one(dataset)
                await asyncio.sleep(pause * 2 * person.draw.random())

        began = time.perf_counter()
        await asyncio.gather(*(one(person) for person in people))
        work.seconds = time.perf_counter() - began
        return work

    return asyncio.run(everybody())


async def _crowd(
    place: Place, dataset: str, tokens: list[str], answers: int, *, jump_every_s: float
) -> tuple[Work, int, int]:
    """The crowd until all is answered, with jumps of the clock and kills on the way; kills and jumps."""
    work, done = Work(), asyncio.Event()
    people = [Person(place.ports, token, n, work) for n, token in enumerate(tokens)]

    async def one(person: Person) -> None:
        while not done.is_set():
            if not await person.answer_one(dataset):
                await asyncio.sleep(0.1)
            await person.leave_server()

    async def trouble() -> tuple[int, int]:
        kills = jumps = 0
        async with await psycopg.AsyncConnection.connect(place.dsn, autocommit=True) as connection:
            last = time.monotonic()
            while True:
                await asyncio.sleep(0.2)
                row = await (
                    await connection.execute(
                        "select count(*) from labelcrew.annotations where dataset_id = %s", [dataset]
                    )
                ).fetchone()
                stored = row[0] if row else 0
                if stored >= answers:
                    done.set()
                    return kills, jumps
                if kills < KILLED and stored > answers * (kills + 1) / (KILLED + 1):
                    os.kill(place.processes[kills].pid, signal.SIGKILL)
                    kills += 1
                if time.monotonic() - last > jump_every_s:
                    await connection.execute(
                        "update labelcrew.clock set shift = shift + make_interval(secs => %s)", [LEASE_S + 1]
                    )
                    jumps, last = jumps + 1, time.monotonic()

    began = time.perf_counter()
    watching = asyncio.create_task(trouble())
    await asyncio.gather(watching, *(one(person) for person in people))
    work.seconds = time.perf_counter() - began
    kills, jumps = watching.result()
    return work, kills, jumps


def _word(reached: bool) -> str:
    return "yes" if reached else "no"
