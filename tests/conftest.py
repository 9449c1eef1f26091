"""Fixtures for every test: a real Postgres, started once, with the product's functions over both transports.

Nothing here stands in for the database. The embedded Postgres runs in a temporary folder with fsync off (the only
setting that differs), one database serves the whole session, and each test that asks for ``rpc`` finds it empty.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest
import pytest_asyncio
from pydantic import SecretStr

from schemas.settings import Settings
from store.embedded import EmbeddedPostgres
from store.migrate import migrate
from store.postgres import PostgresRpc
from store.rpc import Rpc
from store.supabase import SupabaseRpc
from tests.support import postgrest, redis_rest
from tests.support.database import Clock, Cluster, clear

# On CI the same examples every time: a change is judged by itself, not by the day's dice. Elsewhere new ones are tried.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")


@pytest.fixture(scope="session")
def short_tmp() -> Iterator[Path]:
    """A folder with a short path that every account may reach: Postgres needs both."""
    folder = Path(tempfile.mkdtemp(prefix="lc-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--postgres-socket",
        metavar="FOLDER",
        help="run on a Postgres 15-18 with pgvector that listens in this folder and trusts postgres, not the embedded",
    )


@pytest.fixture(scope="session")
def cluster(short_tmp: Path, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The session's Postgres."""
    other: str | None = request.config.getoption("--postgres-socket")
    if other is not None:
        yield Cluster(Path(other), f"lc_{os.urandom(4).hex()}")
        return
    postgres = EmbeddedPostgres(short_tmp / "pg", conf={"fsync": "off", "shared_buffers": "64MB"})
    postgres.start()
    yield Cluster(postgres.pgdata, "lc_tests")
    postgres.stop()


@pytest.fixture(scope="session")
def database_dsn(cluster: Cluster) -> Iterator[str]:
    """The session's database as its owner, migrated, in a cluster with the roles of a Supabase project."""
    with cluster.database(cluster.name) as dsn:
        postgrest.create_supabase_roles(dsn)
        asyncio.run(migrate(dsn))
        yield dsn


@pytest.fixture
def new_database(cluster: Cluster) -> Iterator[str]:
    """The DSN of an empty database of this test's own."""
    with cluster.database(f"t_{os.urandom(6).hex()}") as dsn:
        yield dsn


@pytest.fixture
def clean_dsn(database_dsn: str) -> str:
    """The session's database, emptied."""
    clear(database_dsn)
    return database_dsn


@pytest_asyncio.fixture(scope="session")
async def _postgres_rpc(database_dsn: str) -> AsyncIterator[Rpc]:
    rpc = await PostgresRpc.open(database_dsn)
    yield rpc
    await rpc.close()


@pytest.fixture
def pg_rpc(clean_dsn: str, _postgres_rpc: Rpc) -> Rpc:
    """The direct transport on the emptied database: for tests where the transport does not matter."""
    return _postgres_rpc


@pytest.fixture(scope="session")
def supabase_url(database_dsn: str, short_tmp: Path) -> Iterator[str]:
    """Where a Supabase client finds the session's database."""
    if postgrest.binary() is None:
        pytest.skip("no PostgREST: make .build/tools brings it on Linux x64; elsewhere put it on the PATH")
    with postgrest.running(database_dsn, short_tmp / "postgrest.log") as url:
        yield url


@pytest_asyncio.fixture(scope="session")
async def _supabase_rpc(supabase_url: str) -> AsyncIterator[Rpc]:
    rpc = await SupabaseRpc.open(supabase_url, postgrest.token("service_role"))
    yield rpc
    await rpc.close()


@pytest.fixture(params=["postgres", "postgrest"])
def rpc(request: pytest.FixtureRequest, clean_dsn: str) -> Rpc:
    """The database through each transport in turn, emptied before."""
    transport = "_postgres_rpc" if request.param == "postgres" else "_supabase_rpc"
    found: Rpc = request.getfixturevalue(transport)
    return found


@pytest.fixture(scope="session")
def upstash_url(short_tmp: Path) -> Iterator[str]:
    """A Redis that speaks Upstash's REST protocol; its token is ``redis_rest.TOKEN``."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    with redis_rest.running(short_tmp) as url:
        yield url


@pytest.fixture
def clock(clean_dsn: str) -> Clock:
    """Moves the database's time."""
    return Clock(clean_dsn)


@pytest.fixture
def settings(clean_dsn: str, tmp_path: Path) -> Settings:
    """Settings of a process that uses the session's database."""
    return Settings(data_dir=tmp_path, database_url=SecretStr(clean_dsn))
