"""Which addresses of the network a webhook may reach: public ones, and private ones that the operator has allowed.

An admin of a dataset chooses the URL, and the server calls it from inside the operator's network: without this, a webhook
would be a way to reach databases and cloud metadata services there (server-side request forgery, OWASP). A name is looked
up once, all its addresses are checked, and the connection goes to one that was checked: a name server that answers
differently a moment later (DNS rebinding) changes nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from schemas.errors import ConfigurationError, Invalid, error_of

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def networks_of(names: Sequence[str]) -> tuple[Network, ...]:
    """Networks in CIDR notation. Raises ``configuration`` for one that is none."""
    try:
        return tuple(ipaddress.ip_network(name, strict=False) for name in names)
    except ValueError as wrong:
        raise ConfigurationError(f"LABELCREW_WEBHOOK_NETWORKS: {wrong}") from None


@dataclass(frozen=True, slots=True)
class Place:
    """Where to connect for a URL: an address that was checked."""

    host: str
    port: int
    address: str


def is_allowed(address: Address, allowed: Sequence[Network]) -> bool:
    """Whether it is a public address, or in one of the networks."""
    inner = _inner(address)
    if any(one.version == network.version and one in network for one in {address, inner} for network in allowed):
        return True
    return inner.is_global and not inner.is_multicast and address.is_global == inner.is_global


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def check_url(url: str) -> tuple[str, int]:
    """Host and port of a URL that a webhook may have. Raises ``invalid`` for any other."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Invalid("the URL cannot be read") from None
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise Invalid("a webhook's URL begins with https://", hint="Use https://host/path.")
    if parts.username is not None or parts.password is not None:
        raise Invalid("a webhook's URL holds no user name and no password", hint="Check the signature instead.")
    return parts.hostname, port or (443 if parts.scheme == "https" else 80)


async def find_place(url: str, allowed: Sequence[Network] = (), *, forbid_network: bool = False) -> Place:
    """An address for ``url`` that may be called; with ``forbid_network`` one of this machine's own.

    Raises ``webhook-address`` when there is none: the name is unknown, one of its addresses is private and not allowed, or
    the connection would be public and not encrypted.
    """
    host, port = check_url(url)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        raise error_of("webhook-address", f"the name {host} is not known") from None
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    if not addresses or not all(is_allowed(address, allowed) for address in addresses):
        raise error_of("webhook-address", f"{host} is not a public address", host=host)
    if forbid_network and not all(address.is_loopback for address in addresses):
        raise error_of("network-forbidden")
    inside = all(any(a.version == n.version and a in n for n in allowed) for a in addresses)
    if url.startswith("http:") and not inside:
        raise error_of("webhook-address", "without TLS only private networks that are allowed can be called", host=host)
    return Place(host, port, str(addresses[0]))
