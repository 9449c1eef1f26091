"""Completion cache and rate limits, on Postgres and on Redis behind Upstash's protocol: the same promises."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from schemas.caching import CompletionCache, RateLimiter
from schemas.errors import Invalid
from schemas.settings import Settings
from store.cache import PostgresCompletionCache, PostgresRateLimiter, caches_of
from store.rpc import Rpc
from store.upstash import UpstashCompletionCache, UpstashRateLimiter, connect
from tests.support import redis_rest
from tests.support.database import Clock

ANSWER: dict[str, Any] = {"text": 'Zürich 🌍 "quoted"\n', "usage": {"input_tokens": 12, "cost_usd": 0.0001}}


@pytest.fixture(params=["postgres", "upstash"])
def caches(request: pytest.FixtureRequest, pg_rpc: Rpc) -> tuple[CompletionCache, RateLimiter]:
    settings = Settings(upstash_redis_rest_url=None, upstash_redis_rest_token=None)
    if request.param == "upstash":
        settings = Settings(
            upstash_redis_rest_url=request.getfixturevalue("upstash_url"),
            upstash_redis_rest_token=SecretStr(redis_rest.TOKEN),
        )
    return caches_of(settings, pg_rpc)


def unique(name: str) -> str:
    """A key that no other test or run uses: Redis is not emptied between tests."""
    return f"{name}-{time.monotonic_ns()}"


class TestCompletions:
    async def test_what_was_put_is_got_and_the_rest_is_missing(
        self, caches: tuple[CompletionCache, RateLimiter]
    ) -> None:
        cache, _ = caches
        first, second = unique("a"), unique("b")
        await cache.put_many({first: ANSWER, second: {"text": "other"}})
        assert await cache.get_many([first, unique("absent"), second]) == {first: ANSWER, second: {"text": "other"}}

    async def test_last_one_wins(self, caches: tuple[CompletionCache, RateLimiter]) -> None:
        cache, _ = caches
        key = unique("k")
        await cache.put_many({key: {"text": "old"}})
        await cache.put_many({key: {"text": "new"}})
        assert await cache.get_many([key]) == {key: {"text": "new"}}

    async def test_nothing_asked_and_nothing_put_is_nothing(self, caches: tuple[CompletionCache, RateLimiter]) -> None:
        cache, _ = caches
        await cache.put_many({})
        assert await cache.get_many([]) == {}

    async def test_five_hundred_at_once_come_back(self, caches: tuple[CompletionCache, RateLimiter]) -> None:
        cache, _ = caches
        items = {unique(f"n{n}"): {"text": str(n)} for n in range(500)}
        await cache.put_many(items)
        assert await cache.get_many(list(items)) == items

    async def test_answer_that_cannot_be_kept_is_no_error(self, caches: tuple[CompletionCache, RateLimiter]) -> None:
        cache, _ = caches
        key = unique("broken")
        await cache.put_many({key: {"text": "half a pair \ud800"}})
        assert await cache.get_many([key]) == {}


class TestCompletionsInPostgres:
    async def test_expired_entries_are_missing_and_cleared_away(self, rpc: Rpc, clock: Clock, clean_dsn: str) -> None:
        cache = PostgresCompletionCache(rpc, ttl_seconds=60)
        await cache.put_many({"old": ANSWER})
        clock.advance(seconds=61)
        assert await cache.get_many(["old"]) == {}
        await cache.put_many({"new": ANSWER})
        with psycopg.connect(clean_dsn) as connection:
            assert connection.execute("select key from labelcrew.completions").fetchall() == [("new",)]

    async def test_same_key_twice_in_one_call_keeps_the_last(self, rpc: Rpc) -> None:
        rows = [{"key": "k", "value": {"n": n}} for n in range(5)]
        assert await rpc.call("put_completions", rows=rows) == 1
        assert await rpc.call("get_completions", keys=["k"]) == {"k": {"n": 4}}

    async def test_calls_that_put_the_same_keys_in_other_orders_do_not_lock_each_other_out(self, rpc: Rpc) -> None:
        rows = [{"key": f"k{n}", "value": {"n": n}} for n in range(300)]
        await asyncio.gather(
            *(rpc.call("put_completions", rows=rows if n % 2 else rows[::-1], ttl_seconds=60) for n in range(12))
        )
        assert len(await rpc.call("get_completions", keys=[row["key"] for row in rows])) == 300


class TestRateLimits:
    async def test_exactly_the_limit_passes_when_many_come_at_once(
        self, caches: tuple[CompletionCache, RateLimiter]
    ) -> None:
        _, limiter = caches
        key = unique("many")
        verdicts = await asyncio.gather(*(limiter.hit(key, limit=7, window_seconds=3600) for _ in range(40)))
        assert sum(verdict.allowed for verdict in verdicts) == 7
        assert sorted(v.remaining for v in verdicts if v.allowed) == list(range(7))

    async def test_refusal_says_how_long_to_wait(self, caches: tuple[CompletionCache, RateLimiter]) -> None:
        _, limiter = caches
        key = unique("wait")
        first = await limiter.hit(key, limit=2, window_seconds=3600)
        assert (first.allowed, first.remaining, first.reset_seconds) == (True, 1, 0)
        await limiter.hit(key, limit=2, window_seconds=3600)
        refused = await limiter.hit(key, limit=2, window_seconds=3600)
        assert (refused.allowed, refused.remaining) == (False, 0)
        assert 0 < refused.reset_seconds <= 2 * 3600

    async def test_keys_do_not_touch_each_other(self, caches: tuple[CompletionCache, RateLimiter]) -> None:
        _, limiter = caches
        for key in (unique("one"), unique("two")):
            assert (await limiter.hit(key, limit=1, window_seconds=3600)).allowed
            assert not (await limiter.hit(key, limit=1, window_seconds=3600)).allowed


class TestRateLimitsInPostgres:
    async def test_waiting_as_long_as_told_is_enough_and_less_is_not(self, rpc: Rpc, clock: Clock) -> None:
        limiter = PostgresRateLimiter(rpc)
        for _ in range(10):
            await limiter.hit("k", limit=10, window_seconds=3600)
            clock.advance(minutes=1)
        for _ in range(3):
            refused = await limiter.hit("k", limit=10, window_seconds=3600)
            assert not refused.allowed
            clock.advance(seconds=refused.reset_seconds - 30)
            assert not (await limiter.hit("k", limit=10, window_seconds=3600)).allowed
            clock.advance(seconds=31)
            assert (await limiter.hit("k", limit=10, window_seconds=3600)).allowed

    async def test_no_window_of_that_length_ever_sees_more_than_the_limit(self, rpc: Rpc, clock: Clock) -> None:
        """The fault of fixed windows, and of two counters: more just after a border, on top of all just before it."""
        limiter = PostgresRateLimiter(rpc)
        passed: list[int] = []
        for minute in range(0, 240, 2):
            verdict = await limiter.hit("k", limit=10, window_seconds=3600)
            passed += [minute] if verdict.allowed else []
            clock.advance(minutes=2)
        worst = max(sum(start <= minute < start + 60 for minute in passed) for start in passed)
        assert worst == 10

    async def test_window_long_past_is_forgotten(self, rpc: Rpc, clock: Clock) -> None:
        limiter = PostgresRateLimiter(rpc)
        for _ in range(3):
            await limiter.hit("k", limit=3, window_seconds=60)
        clock.advance(minutes=5)
        assert (await limiter.hit("k", limit=3, window_seconds=60)).remaining == 2

    async def test_keys_long_past_are_cleared_away(self, rpc: Rpc, clock: Clock, clean_dsn: str) -> None:
        limiter = PostgresRateLimiter(rpc)
        for n in range(5):
            await limiter.hit(f"old-{n}", limit=3, window_seconds=60)
        clock.advance(minutes=5)
        await limiter.hit("new", limit=3, window_seconds=60)
        with psycopg.connect(clean_dsn) as connection:
            assert connection.execute("select key from labelcrew.rate_limits").fetchall() == [("new",)]

    @pytest.mark.parametrize(("limit", "window"), [(0, 60), (5, 0), (-1, 60), (10_001, 60)])
    async def test_limit_or_window_of_nothing_is_invalid(self, rpc: Rpc, limit: int, window: int) -> None:
        with pytest.raises(Invalid):
            await PostgresRateLimiter(rpc).hit("k", limit=limit, window_seconds=window)


class TestUpstashAway:
    async def test_cache_is_a_miss_and_the_limiter_hands_over_to_postgres(self, pg_rpc: Rpc) -> None:
        redis = connect("http://127.0.0.1:1", "token")
        cache = UpstashCompletionCache(redis)
        await cache.put_many({"k": ANSWER})
        assert await cache.get_many(["k"]) == {}
        limiter = UpstashRateLimiter(redis, otherwise=PostgresRateLimiter(pg_rpc))
        assert (await limiter.hit("k", limit=1, window_seconds=3600)).allowed
        assert not (await limiter.hit("k", limit=1, window_seconds=3600)).allowed

    async def test_wrong_token_is_a_miss_and_is_not_logged(
        self, upstash_url: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        cache = UpstashCompletionCache(connect(upstash_url, "wrong-secret-token"))
        assert await cache.get_many(["k"]) == {}
        assert "wrong-secret-token" not in "".join(capsys.readouterr())
