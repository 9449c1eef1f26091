"""What can be seen of the gateway while it works: one log line a request, and numbers for Prometheus.

Neither holds an item's text, a key, a password, or what stands behind a question mark: paths are logged as the route's
pattern with its ids, queries not at all.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, TextIO, cast

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from schemas.errors import LabelCrewError
from schemas.settings import Settings
from store.rpc import Rpc

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
JOB_STATES = ("queued", "running")

METRICS_MEDIA_TYPE = "text/plain; version=1.0.0; charset=utf-8"


class Metrics:
    """The numbers of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Histogram(
            "labelcrew_request_seconds",
            "Time to answer a request, by route and status.",
            ["method", "route", "status"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.calls = Histogram(
            "labelcrew_rpc_seconds",
            "Time of a call to the database, by function.",
            ["function"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.failures = Counter(
            "labelcrew_errors_total", "Errors that requests ended with, by code.", ["code"], registry=self.registry
        )
        self.jobs = Gauge(
            "labelcrew_open_jobs",
            "Jobs that wait or run, by kind and state.",
            ["kind", "state"],
            registry=self.registry,
        )
        self.workers = Gauge("labelcrew_workers", "Worker processes alive.", registry=self.registry)

    async def expose(self, rpc: Rpc) -> bytes:
        """The numbers as text. Those of the database are read now; when it does not answer they are left out."""
        self.jobs.clear()
        try:
            for job in await rpc.call("list_open_jobs", timeout=5):
                self.jobs.labels(job["kind"], job["state"]).inc()
            self.workers.set(len(await rpc.call("list_workers", timeout=5)))
        except LabelCrewError as error:
            self.failures.labels(error.code).inc()
        return generate_latest(self.registry)


class MeasuredRpc:
    """An :class:`store.rpc.Rpc` whose calls are timed."""

    def __init__(self, rpc: Rpc, metrics: Metrics) -> None:
        self._rpc = rpc
        self._calls = metrics.calls

    async def call(self, function: str, *, timeout: float | None = None, **params: Any) -> Any:  # noqa: ASYNC109
        """See :meth:`store.rpc.Rpc.call`."""
        began = time.perf_counter()
        try:
            return await self._rpc.call(function, timeout=timeout, **params)
        finally:
            self._calls.labels(function).observe(time.perf_counter() - began)

    async def close(self) -> None:
        """See :meth:`store.rpc.Rpc.close`."""
        await self._rpc.close()


def configure_logging(settings: Settings) -> None:
    """Log lines of this process: JSON, or colours where a person looks on."""
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
    level = getattr(logging, settings.log_level.upper())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendering: list[Any] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_dumps)]
        if as_json
        else [structlog.dev.ConsoleRenderer()]
    )
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Stderr())),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(level, logging.WARNING), format="%(levelname)s %(name)s %(message)s", force=True)


class _Stderr:
    """Where errors go at the moment of writing: loggers are kept for ever, streams are replaced."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def _dumps(event: Any, **_: Any) -> str:
    return orjson.dumps(event, default=str).decode()
