"""A stand-in for Stripe's transfers, strict about the protocol: form bodies, keys, versions, idempotency, lists.

Whatever Stripe would refuse, it refuses with Stripe's own shape of error. ``faults`` makes the next requests fail: a status,
or ``"after"``, which makes the transfer and then breaks the connection before the answer.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

KEY = "sk_test_key"
CREATE = {"amount", "currency", "destination", "transfer_group", "metadata[payout]"}


@dataclass
class StripeServer:
    """What was transferred, and what to do next."""

    url: str = ""
    accounts: set[str] = field(default_factory=set)
    balance: int = 1_000_000
    transfers: list[dict[str, Any]] = field(default_factory=list)
    answers: dict[str, tuple[dict[str, str], int, dict[str, Any]]] = field(default_factory=dict)
    """By idempotency key: what was asked, and what was answered."""
    faults: list[int | str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    requests: int = 0

    def forget_keys(self) -> None:
        """As Stripe does after a day or more."""
        self.answers.clear()

    def create(self, form: dict[str, str], key: str) -> tuple[int, dict[str, Any]]:
        if key in self.answers:
            asked, status, body = self.answers[key]
            if asked != form:
                return 400, _error("idempotency_error", "", "This key was used with other parameters")
            return status, body
        status, body = self._create(form)
        if status != 429:
            self.answers[key] = (form, status, body)
        return status, body

    def _create(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if unknown := set(form) - CREATE:
            return 400, _error("invalid_request_error", "parameter_unknown", f"Received unknown parameter: {unknown}")
        if not form["amount"].isdigit() or int(form["amount"]) < 1 or form["currency"] != form["currency"].lower():
            return 400, _error("invalid_request_error", "parameter_invalid_integer", "Invalid amount or currency")
        if form["destination"] not in self.accounts:
            return 400, _error(
                "invalid_request_error", "resource_missing", f"No such destination: '{form['destination']}'"
            )
        if int(form["amount"]) > self.balance:
            return 400, _error(
                "invalid_request_error", "balance_insufficient", "You have insufficient available funds."
            )
        self.balance -= int(form["amount"])
        made = {
            "id": f"tr_{len(self.transfers) + 1}", "object": "transfer", "amount": int(form["amount"]),
            "currency": form["currency"], "destination": form["destination"], "reversed": False,
            "transfer_group": form["transfer_group"], "metadata": {"payout": form["metadata[payout]"]},
        }  # fmt: skip
        self.transfers.append(made)
        return 200, made


def _error(kind: str, code: str, message: str) -> dict[str, Any]:
    return {"error": {"type": kind, "message": message, **({"code": code} if code else {})}}


def _handler(server: StripeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def answer(self, status: int, body: dict[str, Any]) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def refused(self) -> bool:
            server.requests += 1
            if self.headers["Authorization"] != f"Bearer {KEY}":
                self.answer(401, _error("invalid_request_error", "", "Invalid API Key provided"))
                return True
            assert self.headers["Stripe-Version"]
            return False

        def do_POST(self) -> None:
            form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            assert self.headers["Content-Type"] == "application/x-www-form-urlencoded"
            if self.refused():
                return
            assert self.path == "/v1/transfers"
            with server.lock:
                fault = server.faults.pop(0) if server.faults else None
                if isinstance(fault, int):
                    status, body = fault, _error("api_error" if fault >= 500 else "rate_limit_error", "", "later")
                else:
                    status, body = server.create(form, self.headers["Idempotency-Key"])
            if fault == "after":
                self.close_connection = True
                self.connection.close()
                return
            self.answer(status, body)

        def do_GET(self) -> None:
            if self.refused():
                return
            parts = urlsplit(self.path)
            assert parts.path == "/v1/transfers"
            group = parse_qs(parts.query)["transfer_group"][0]
            data = [made for made in server.transfers if made["transfer_group"] == group]
            self.answer(200, {"object": "list", "url": "/v1/transfers", "has_more": False, "data": data})

    return Handler


@contextmanager
def running() -> Iterator[StripeServer]:
    """The stand-in on a free port."""
    server = StripeServer()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
