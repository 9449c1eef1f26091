"""The stand-in's HTTP: keep-alive connections on raw asyncio, streamed answers, and connections that break.

Raw asyncio and httptools, so that a call costs a fraction of a millisecond and the client is what a benchmark measures.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httptools
import orjson

from tests.support.openai_answers import model_object
from tests.support.openai_rules import Refused, text_of
from tests.support.openai_tools import events_of

if TYPE_CHECKING:
    from tests.support.openai_server import StandIn


@dataclass
class Call:
    """One request as it arrived."""

    at: float
    path: str
    body: dict[str, Any]
    fault: str | None = None
    status: int = 200

    @property
    def characters(self) -> int:
        """Characters of all messages."""
        return sum(len(text_of(m)) for m in self.body.get("messages", []))


class Connection(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, server: StandIn) -> None:
        self.server = server
        self.parser: Any = httptools.HttpRequestParser(self)
        self.url = b""
        self.headers: dict[bytes, bytes] = {}
        self.parts: list[bytes] = []
        self.streaming = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.server.connections.add(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.connections.discard(self.transport)
        self.server.abandoned += self.streaming
        self.streaming = False

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            self.transport.abort()
            raise error.__context__ or error from None  # a mistake of the stand-in or its brain: show it
        except httptools.HttpParserError:
            self.transport.abort()

    def on_message_begin(self) -> None:
        self.url, self.headers, self.parts = b"", {}, []

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self.parts.append(body)

    def on_message_complete(self) -> None:
        server = self.server
        path = self.url.split(b"?")[0].decode()
        method = self.parser.get_method().decode()
        fault = None
        call = Call(time.monotonic(), path, {})
        try:
            server.check_key(self.headers.get(b"authorization", b"").decode())
            if self.parts:
                try:
                    call.body = orjson.loads(b"".join(self.parts))
                except orjson.JSONDecodeError as error:
                    raise Refused(400, "We could not parse the JSON body of your request.") from error
            if (method, path) == ("POST", "/v1/chat/completions"):
                fault = call.fault = server.next_fault()
                server.counts["chat"] += 1
                if fault == "cut":
                    self._count(call)
                    self.transport.abort()
                    return
                answer = server.chat(call.body, fault)
            elif (method, path) == ("POST", "/v1/embeddings"):
                answer = server.embeddings(call.body)
            elif method == "GET" and path == "/v1/models":
                answer = {"object": "list", "data": [model_object(name) for name in sorted(server.models)]}
            elif method == "GET" and path.startswith("/v1/models/"):
                server.check_model(path.removeprefix("/v1/models/"))
                answer = model_object(path.removeprefix("/v1/models/"))
            else:
                raise Refused(404, f"Invalid URL ({method} {path})")
        except Refused as refused:
            call.status = refused.status
            self._count(call)
            self._send(refused.status, orjson.dumps(refused.body), refused.headers)
            return
        self._count(call)
        if path != "/v1/chat/completions":
            self._send(200, orjson.dumps(answer))
            return
        if fault == "hang":
            return
        server.at_once += 1
        server.most_at_once = max(server.most_at_once, server.at_once)
        loop = asyncio.get_running_loop()
        loop.call_later(server.latency, self._send_chat, answer, call.body, fault)

    def _count(self, call: Call) -> None:
        self.server.counts[call.fault or str(call.status)] += 1
        if self.server.record:
            self.server.calls.append(call)

    def _send_chat(self, answer: dict[str, Any], request: dict[str, Any], fault: str | None) -> None:
        self.server.at_once -= 1
        if self.transport.is_closing():
            return
        if request.get("stream"):
            self._stream(answer, request, fault)
            return
        raw = orjson.dumps(answer)
        if fault == "cut-midway":
            self.transport.write(_head(200, len(raw)) + raw[: len(raw) // 2])
            self.transport.close()
            return
        self._send(200, raw)

    def _send(self, status: int, raw: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.transport.write(_head(status, len(raw), headers) + raw)

    def _stream(self, answer: dict[str, Any], request: dict[str, Any], fault: str | None) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        self.transport.write(head)
        events = list(events_of(answer, request))
        if fault == "cut-midway":
            events = events[: max(1, len(events) // 2)]
        self.streaming = True
        self._next_piece(events, cut=fault == "cut-midway")

    def _next_piece(self, events: list[dict[str, Any]], *, cut: bool) -> None:
        """Sends one event after the other, in the server's pace, as long as somebody reads."""
        while events:
            if self.transport.is_closing():
                return
            self._event(events.pop(0))
            self.server.pieces_sent += 1
            if self.server.pace and events:
                asyncio.get_running_loop().call_later(self.server.pace, lambda: self._next_piece(events, cut=cut))
                return
        self.streaming = False
        if cut:
            self.transport.close()
            return
        self._chunk(b"data: [DONE]\n\n")
        self.transport.write(b"0\r\n\r\n")

    def _event(self, value: dict[str, Any]) -> None:
        self._chunk(b"data: " + orjson.dumps(value) + b"\n\n")

    def _chunk(self, data: bytes) -> None:
        self.transport.write(b"%x\r\n%b\r\n" % (len(data), data))


def _head(status: int, length: int, headers: Mapping[str, str] | None = None) -> bytes:
    extra = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    return (
        f"HTTP/1.1 {status} {'OK' if status == 200 else 'Error'}\r\ncontent-type: application/json\r\n"
        f"content-length: {length}\r\nx-request-id: req_stand_in\r\n{extra}\r\n"
    ).encode()
