"""Upstash's REST protocol in front of a real redis-server: what upstash-redis and upstash-ratelimit speak.

``POST /`` takes one command as a JSON array, ``POST /pipeline`` and ``POST /multi-exec`` a list of them; the answer is
``{"result": …}`` or ``{"error": …}``, strings in base64 when ``Upstash-Encoding: base64`` asks for it. See
https://upstash.com/docs/redis/features/restapi. The shim turns that into RESP (https://redis.io/docs/latest/develop/
reference/protocol-spec/) and back; every command is run by Redis itself.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

TOKEN = "token-of-the-tests"


class RedisError(Exception):
    """Redis refused a command."""


class _Redis:
    """One connection, RESP2."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._file: BinaryIO = self._socket.makefile("rwb")

    def send(self, *words: object) -> Any:
        parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self._file.write(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
        self._file.flush()
        return self._read()

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def _read(self) -> Any:
        kind, rest = (line := self._file.readline().rstrip(b"\r\n"))[:1], line[1:]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return RedisError(rest.decode())
        if kind == b":":
            return int(rest)
        length = int(rest)
        if length < 0:
            return None
        if kind == b"$":
            return self._file.read(length + 2)[:-2]
        return [self._read() for _ in range(length)]


def _plain(value: Any, as_base64: bool) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode() if as_base64 else value.decode(errors="replace")
    if isinstance(value, str) and as_base64 and value != "OK":
        return base64.b64encode(value.encode()).decode()
    return [_plain(part, as_base64) for part in value] if isinstance(value, list) else value


def _answer(value: Any, as_base64: bool) -> dict[str, Any]:
    return {"error": str(value)} if isinstance(value, RedisError) else {"result": _plain(value, as_base64)}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    redis_path: Path

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        as_base64 = self.headers.get("Upstash-Encoding") == "base64"
        if not hmac.compare_digest(self.headers.get("Authorization", ""), f"Bearer {TOKEN}"):
            return self._send(401, {"error": "WRONGPASS invalid or missing auth token"})
        with contextlib.closing(_Redis(self.redis_path)) as redis:
            if self.path == "/":
                answer = _answer(redis.send(*body), as_base64)
                return self._send(400 if "error" in answer else 200, answer)
            if self.path == "/pipeline":
                return self._send(200, [_answer(redis.send(*command), as_base64) for command in body])
            if self.path == "/multi-exec":
                redis.send("MULTI")
                for command in body:
                    redis.send(*command)
                done = redis.send("EXEC")
                if isinstance(done, RedisError):
                    return self._send(400, {"error": str(done)})
                return self._send(200, [_answer(value, as_base64) for value in done])
        return self._send(404, {"error": f"no such path: {self.path}"})

    def _send(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the tests' output is for tests."""


@contextlib.contextmanager
def running(folder: Path) -> Iterator[str]:
    """Start redis-server and the shim; yields the URL for ``UPSTASH_REDIS_REST_URL`` (the token is :data:`TOKEN`)."""
    program = shutil.which("redis-server")
    assert program is not None
    path = folder / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no", "--dir", str(folder)]
    process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
    handler = type("Handler", (_Handler,), {"redis_path": path})
    try:
        deadline = time.monotonic() + 10
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            yield f"http://127.0.0.1:{server.server_address[1]}"
            server.shutdown()
    finally:
        process.terminate()
        process.wait(10)
