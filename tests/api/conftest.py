"""The gateway over the session's database, emptied for each test, with people of every role signed in."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from schemas.settings import Settings
from store.rpc import Rpc
from tests.support.gateway import House, open_house


@pytest_asyncio.fixture
async def house(settings: Settings, pg_rpc: Rpc) -> AsyncIterator[House]:
    """The application with a person of every role."""
    async with open_house(settings, pg_rpc) as opened:
        yield opened
