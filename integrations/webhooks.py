"""Sending webhooks as Standard Webhooks does it (https://www.standardwebhooks.com), and checking one that arrived.

The headers ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature``; the signature is ``v1,`` and the base64 of
HMAC-SHA256 over ``id.timestamp.body`` with the secret's bytes. Receivers check it, refuse old timestamps, and know by the
id whether they have seen a message before.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson

from integrations.addresses import Network, find_place
from schemas.errors import LabelCrewError

TIMEOUT_S = 15.0
TOLERANCE_S = 300
PREFIX = "whsec_"


def new_secret() -> str:
    """A secret of 32 random bytes, written as Standard Webhooks writes them."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The signature of a message, as it stands in its header."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def verify(secret: str, headers: Mapping[str, str], body: bytes, *, now: float | None = None) -> bool:
    """What a receiver does: whether the message is signed by ``secret`` and not older than five minutes."""
    stamp = headers.get("webhook-timestamp", "")
    if not stamp.isdigit() or abs((time.time() if now is None else now) - int(stamp)) > TOLERANCE_S:
        return False
    expected = sign(secret, headers.get("webhook-id", ""), int(stamp), body)
    return any(hmac.compare_digest(expected, given) for given in headers.get("webhook-signature", "").split())


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a status, or the words for why there is none."""

    status: int | None
    error: str | None = None

    @property
    def delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        return self.status == httpx.codes.GONE


class WebhookSender:
    """Sends messages; holds connections. ``allowed`` are private networks that may be called."""

    def __init__(
        self, allowed: Sequence[Network] = (), *, forbid_network: bool = False, timeout: float = TIMEOUT_S
    ) -> None:
        self._allowed = allowed
        self._forbid_network = forbid_network
        # No proxy and no redirect: either would connect to an address that nobody has checked.
        self._http = httpx.AsyncClient(
            timeout=timeout, follow_redirects=False, trust_env=False,
            limits=httpx.Limits(max_connections=100, max_keepalive_connections=0),
        )  # fmt: skip

    async def send(self, url: str, secret: str, message_id: str, message: Mapping[str, Any]) -> Answer:
        """Send one message. Never raises for what the address does."""
        body = orjson.dumps(message)
        timestamp = int(time.time())
        try:
            place = await find_place(url, self._allowed, forbid_network=self._forbid_network)
            parts = urlsplit(url)
            literal = f"[{place.address}]" if ":" in place.address else place.address
            headers = {
                "Host": parts.netloc,
                "Content-Type": "application/json",
                "User-Agent": "LabelCrew-Webhooks/1",
                "webhook-id": message_id,
                "webhook-timestamp": str(timestamp),
                "webhook-signature": sign(secret, message_id, timestamp, body),
            }
            request = self._http.build_request(
                "POST",
                parts._replace(netloc=f"{literal}:{place.port}", fragment="").geturl(),
                content=body,
                headers=headers,
                extensions={"sni_hostname": place.host},  # the certificate is checked against the name
            )
            response = await self._http.send(request, stream=True)
            await response.aclose()
        except LabelCrewError as refused:
            return Answer(None, refused.detail)
        except httpx.TimeoutException:
            return Answer(None, "it took too long to answer")
        except (httpx.HTTPError, httpx.InvalidURL) as failure:
            return Answer(None, f"no answer ({type(failure).__name__})")
        return Answer(response.status_code, None if response.is_success else f"it answered {response.status_code}")

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()
