"""The one way to a language model: OpenAI's protocol through the openai SDK, for any server that speaks it.

A call asks the cache first, then the budget, waits for one of the places at the server, and tries again what is worth
trying again: rate limits (waiting as long as Retry-After says, all calls together), server errors, cut connections,
timeouts. What it cost is counted from the server's own token counts. A refused key ends it at once.

The SDK does the protocol (authentication, connections, errors); bodies are written and read with orjson, because the
SDK's typed models would cost more processor time than everything else here together. No error or log line holds a key.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import orjson
import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from agents.account import Account
from agents.completion import Completion, read_completion, total
from agents.dialect import Dialect, Schema
from agents.failures import (
    FAILURES_IN_A_ROW,
    TRIES_AFTER_TIMEOUT,
    TRIES_BEFORE_FIRST_ANSWER,
    Transient,
    Unsupported,
    sort_failure,
)
from agents.prices import Price, price_of
from prompts import Message
from schemas.caching import CompletionCache
from schemas.errors import LabelCrewError, error_of
from schemas.settings import Settings
from schemas.spending import Spend
from schemas.world import Usage

if TYPE_CHECKING:
    import openai

OPENAI_URL = "https://api.openai.com/v1"
NO_KEY = "none"
"""Sent where no key is set: local servers take any."""

FIRST_WAIT_S = 0.5
LONGEST_BACKOFF_S = 20.0
CONNECTIONS_A_POOL = 8
DEFAULT_OUTPUT_TOKENS = 1_000
TOKENS_PER_BYTE = 0.25
"""A first guess (English); each answer's token count corrects it."""
CAUTION = 1.3
"""Reservations are this much larger than the estimate of the input."""

log = structlog.get_logger("model")


class ModelClient:
    """Calls one model on one server. Belongs to the event loop that first uses it; share it, its limits are its own."""

    def __init__(
        self,
        model: str,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        price: Price | None = None,
        concurrency: int = 64,
        timeout_s: float = 60.0,
        max_retries: int = 6,
        forbid_network: bool = False,
        cache: CompletionCache | None = None,
    ) -> None:
        """``max_retries`` counts tries after the first. Raises network-forbidden."""
        self.model = model
        self.base_url = base_url or OPENAI_URL
        self.price = price
        self.cache = cache
        self.concurrency = concurrency
        self._local = is_loopback(self.base_url)
        if forbid_network and not self._local:
            raise error_of("network-forbidden", f"{urlsplit(self.base_url).hostname} is not this machine.")
        self._api_key = api_key or NO_KEY
        self._timeout_s = timeout_s
        self._max_retries = max_retries
        self._follow_redirects = not forbid_network
        self._places = asyncio.Semaphore(concurrency)
        self._free: list[openai.AsyncOpenAI] = []
        self.dialect = Dialect()
        self._sdks: list[openai.AsyncOpenAI] = []
        self._accounts: dict[int, Account] = {}
        self._quiet_until = 0.0
        self._given_up_in_a_row = 0
        self._answered = False
        self._tokens_per_byte = TOKENS_PER_BYTE

    @classmethod
    def from_settings(
        cls, settings: Settings, model: str | None = None, *, cache: CompletionCache | None = None
    ) -> Self:
        """The client that the settings describe. Raises unknown-model when they name no server for the model."""
        name = model or settings.default_model
        if name.startswith("local/") or not (settings.openai_api_key or settings.openai_base_url):
            raise error_of("unknown-model", f"No server is configured for the model {name}.")
        base_url = settings.openai_base_url or OPENAI_URL
        return cls(
            name,
            api_key=settings.openai_api_key.get_secret_value() if settings.openai_api_key else None,
            base_url=base_url,
            price=price_of(name, overrides=settings.prices, on_this_machine=is_loopback(base_url)),
            concurrency=settings.llm_concurrency,
            timeout_s=settings.llm_timeout_s,
            max_retries=settings.llm_max_retries,
            forbid_network=settings.forbid_network,
            cache=cache,
        )

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        schema: Schema | None = None,
        max_output_tokens: int | None = None,
        logprobs: bool = False,
        temperature: float = 0.0,
        spend: Spend | None = None,
        attempt: int = 0,
    ) -> Completion:
        """One answer. With ``schema`` (OpenAI's strict subset) it is asked for as JSON and parsed, not validated.

        An answer that came but is of no use has ``problem`` set, because it was paid for. ``attempt`` keeps asking the
        same again from being answered by the cache. Raises LabelCrewError when no answer came: budget-exceeded,
        unknown-price (with a budget), model-auth, model-unreachable, model-rate-limited, model-timeout, model-error,
        unknown-model, context-overflow, content-filtered.
        """
        asked: dict[str, Any] = {
            "schema": schema, "max_output_tokens": max_output_tokens, "logprobs": logprobs, "temperature": temperature,
        }  # fmt: skip
        key = self._key(messages, asked, attempt) if self.cache is not None else ""
        if self.cache is not None:
            found = await self._look_up(self.cache, key, as_json=schema is not None)
            if found is not None:
                return found
        if spend is None:
            completion = await self._ask(messages, asked)
        else:
            completion = await self._ask_within(spend, messages, asked)
        if self.cache is not None and completion.problem is None:
            await self._keep(self.cache, key, completion)
        return completion

    def estimate_tokens(self, messages: Sequence[Message], schema: Schema | None = None) -> int:
        """About how many tokens of input this is; better after some calls, whose real counts it learns from."""
        return int(self._bytes(messages, schema) * self._tokens_per_byte) + 1

    async def close(self) -> None:
        """Close the connections."""
        sdks, self._sdks, self._free = self._sdks, [], []
        for sdk in sdks:
            await sdk.close()

    # -- the call ------------------------------------------------------------------------------------------------

    async def _ask(self, messages: Sequence[Message], asked: dict[str, Any]) -> Completion:
        wasted: list[Usage] = []
        while True:
            body = self.dialect.body(self.model, messages, **asked)
            refused: LabelCrewError
            try:
                completion = await self._send(orjson.dumps(body), messages, asked["schema"])
                completion.usage = total([*wasted, completion.usage]) if wasted else completion.usage
                problem = completion.problem
                if problem and problem.code == "answer-cut" and not completion.text and self.dialect.lift_limit(body):
                    wasted.append(completion.usage)
                    continue
                return completion
            except Unsupported as unsupported:
                log.info("model_dialect", model=self.model, refused=str(unsupported))
                if self.dialect.give_up(unsupported.named, body):
                    continue
                refused = unsupported.error
            raise refused

    async def _send(self, content: bytes, messages: Sequence[Message], schema: Schema | None) -> Completion:
        tries = self.tries()
        given_up: LabelCrewError
        try:
            completion: Completion = await tries(self._once, content, schema is not None)
        except Transient as transient:
            given_up = transient.error
        else:
            self._given_up_in_a_row = 0
            if completion.usage.input_tokens:
                seen = completion.usage.input_tokens / self._bytes(messages, schema)
                self._tokens_per_byte += 0.1 * (seen - self._tokens_per_byte)
            return completion
        self._given_up_in_a_row += 1
        if self._given_up_in_a_row >= FAILURES_IN_A_ROW:
            raise error_of("model-unreachable", f"The model's server fails every call. {given_up.detail}")
        raise given_up

    async def _once(self, content: bytes, as_json: bool) -> Completion:
        import httpx
        import openai

        async with self.connection() as sdk:
            started = time.perf_counter()
            failure: Exception
            try:
                response = await sdk.post(
                    "/chat/completions",
                    cast_to=httpx.Response,
                    content=content,
                    options={"headers": {"content-type": "application/json"}},
                )
            except openai.APIError as error:
                failure = sort_failure(error)
            else:
                self.answered()
                completion = read_completion(response.content, self.price, as_json=as_json)
                completion.usage.latency_ms = (time.perf_counter() - started) * 1000
                return completion
        # Raised out here so that no chain of causes carries the request, and with it the key, any further.
        self.note(failure)
        raise failure

    # -- what a call is made of: also for answers that stream (agents/streaming.py) --------------------------------

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[openai.AsyncOpenAI]:
        """A place at the server, when nobody was told to wait, and an SDK client to use meanwhile."""
        async with self._places:
            await self._wait_for_quiet()
            sdk = self._take_connection()
            try:
                yield sdk
            finally:
                self._free.append(sdk)

    def tries(self) -> AsyncRetrying:
        """How often, and after how long, a call that failed in passing is tried again."""
        return AsyncRetrying(
            retry=retry_if_exception_type(Transient),
            stop=self._is_enough,
            wait=_wait,
            before_sleep=_log_retry,
            reraise=True,
        )

    def answered(self) -> None:
        """The server has answered a call."""
        self._answered = True

    def note(self, failure: Exception) -> None:
        """A call failed: when the server asks to wait, everybody waits."""
        if isinstance(failure, Transient) and failure.retry_after is not None:
            self._quiet_until = max(self._quiet_until, time.monotonic() + failure.retry_after)

    @asynccontextmanager
    async def within(self, spend: Spend, most: float) -> AsyncIterator[Usage]:
        """Sets ``most`` US dollars aside for a call; what it used is to be written into what this yields."""
        account = self._accounts.setdefault(id(spend), Account(spend))
        account.users += 1
        usage = Usage()
        try:
            await account.reserve(most)
            try:
                yield usage
            finally:
                await account.settle(most, usage.cost_usd)
        finally:
            account.users -= 1
            if not account.users:
                del self._accounts[id(spend)]

    async def _wait_for_quiet(self) -> None:
        """After a Retry-After nobody calls until then, whoever of us was told."""
        quiet = self._quiet_until - time.monotonic()
        if quiet > 0:
            await asyncio.sleep(quiet)

    def _is_enough(self, state: RetryCallState) -> bool:
        assert state.outcome is not None
        failed = state.outcome.exception()
        allowed = self._max_retries + 1
        if isinstance(failed, Transient):
            if failed.error.code == "model-timeout":
                allowed = min(allowed, TRIES_AFTER_TIMEOUT)
            elif failed.error.code == "model-unreachable" and not self._answered:
                allowed = min(allowed, TRIES_BEFORE_FIRST_ANSWER)
        return state.attempt_number >= allowed

    def _take_connection(self) -> openai.AsyncOpenAI:
        """An SDK client with a connection to spare; there is one for everybody who holds a place."""
        if not self._sdks:
            self._open()
        return self._free.pop()

    def _open(self) -> None:
        """One SDK client for every few connections, last used first.

        The pool under the SDK looks at all of its connections, some of them with a system call, for every request; a
        single pool of 64 spends more time on that than on the requests.
        """
        import httpx
        import openai

        timeout = httpx.Timeout(self._timeout_s, connect=min(10.0, self._timeout_s))
        trust_env = not self._local  # a proxy is no way to this machine
        verify = httpx.create_ssl_context(trust_env=trust_env)
        for first in range(0, self.concurrency, CONNECTIONS_A_POOL):
            size = min(CONNECTIONS_A_POOL, self.concurrency - first)
            http = openai.DefaultAsyncHttpxClient(
                limits=httpx.Limits(max_connections=size, max_keepalive_connections=size),
                timeout=timeout,
                follow_redirects=self._follow_redirects,
                trust_env=trust_env,
                verify=verify,
            )
            sdk = openai.AsyncOpenAI(
                api_key=self._api_key, base_url=self.base_url, max_retries=0, timeout=timeout, http_client=http
            )
            self._sdks.append(sdk)
            self._free += [sdk] * size

    # -- cache and budget ----------------------------------------------------------------------------------------

    def _key(self, messages: Sequence[Message], asked: dict[str, Any], attempt: int) -> str:
        decides = [self.base_url, self.model, messages, asked, attempt]
        return hashlib.sha256(orjson.dumps(decides)).hexdigest()

    async def _look_up(self, cache: CompletionCache, key: str, *, as_json: bool) -> Completion | None:
        try:
            entry = (await cache.get_many([key])).get(key)
        except LabelCrewError as error:
            log.warning("completion_cache_failed", code=error.code)
            return None
        return None if entry is None else Completion.from_cache(entry, as_json=as_json)

    async def _keep(self, cache: CompletionCache, key: str, completion: Completion) -> None:
        try:
            await cache.put_many({key: completion.to_cache()})
        except LabelCrewError as error:
            log.warning("completion_cache_failed", code=error.code)

    async def _ask_within(self, spend: Spend, messages: Sequence[Message], asked: dict[str, Any]) -> Completion:
        async with self.within(spend, self.most(messages, asked["schema"], asked["max_output_tokens"])) as usage:
            completion = await self._ask(messages, asked)
            usage.cost_usd = completion.usage.cost_usd
        return completion

    def most(self, messages: Sequence[Message], schema: Schema | None, max_output_tokens: int | None) -> float:
        """The most that a call should cost, in US dollars. Raises unknown-price."""
        if self.price is None:
            raise error_of("unknown-price", f"The price of {self.model} is not known, so a budget cannot be kept.")
        input_tokens = int(self.estimate_tokens(messages, schema) * CAUTION)
        return self.price.cost(input_tokens, 0, max_output_tokens or DEFAULT_OUTPUT_TOKENS)

    def _bytes(self, messages: Sequence[Message], schema: Schema | None) -> int:
        size = sum(len(message["content"].encode(errors="replace")) for message in messages)
        return size + (len(orjson.dumps(schema)) if schema is not None else 0) + 1


def is_loopback(url: str) -> bool:
    """Whether the URL names this very machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_backoff = wait_random_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_BACKOFF_S)


def _wait(state: RetryCallState) -> float:
    assert state.outcome is not None
    failed = state.outcome.exception()
    if isinstance(failed, Transient) and failed.retry_after is not None:
        # The client stays quiet until then; a little more, and different for each call, keeps them apart after.
        return failed.retry_after + _backoff(state) / 10
    return _backoff(state)


def _log_retry(state: RetryCallState) -> None:
    assert state.outcome is not None
    log.info(
        "model_retry", reason=str(state.outcome.exception()), tried=state.attempt_number, wait_s=state.upcoming_sleep
    )
