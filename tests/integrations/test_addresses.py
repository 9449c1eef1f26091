"""Which addresses webhooks may reach."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest

from integrations.addresses import check_url, find_place, is_allowed, networks_of
from schemas.errors import ConfigurationError, Invalid, LabelCrewError

HERE = networks_of(["127.0.0.0/8"])


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert is_allowed(ipaddress.ip_address(address), ())


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.5", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
        "64:ff9b::7f00:1", "2002:7f00:1::", "198.18.0.1", "192.0.2.1",
    ],
)  # fmt: skip
def test_private_and_special_addresses_are_not(address: str) -> None:
    assert not is_allowed(ipaddress.ip_address(address), ())


def test_network_that_the_operator_names_is_allowed() -> None:
    allowed = networks_of(["10.1.0.0/16", "fd00::/8"])
    assert is_allowed(ipaddress.ip_address("10.1.2.3"), allowed)
    assert is_allowed(ipaddress.ip_address("::ffff:10.1.2.3"), allowed)
    assert is_allowed(ipaddress.ip_address("fd00::7"), allowed)
    assert not is_allowed(ipaddress.ip_address("10.2.0.1"), allowed)
    with pytest.raises(ConfigurationError):
        networks_of(["ten"])


@pytest.mark.parametrize(
    "url",
    ["ftp://example.org/", "file:///etc/passwd", "https://", "//x", "https://a:b@example.org/", "https://x:99999/"],
)
def test_url_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(Invalid):
        check_url(url)


async def refused(url: str, *networks: str, **options: Any) -> str:
    with pytest.raises(LabelCrewError) as raised:
        await find_place(url, networks_of(networks), **options)
    return raised.value.code


async def test_names_are_looked_up_and_every_address_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await refused("https://localhost/") == "webhook-address"
    assert await refused("https://127.0.0.1/") == "webhook-address"
    assert await refused("https://[::1]:8443/x") == "webhook-address"
    assert await refused("https://2130706433/") == "webhook-address"
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 443)) for a in ("1.1.1.1", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    assert await refused("https://both.example/") == "webhook-address"
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers[:1])
    assert (await find_place("https://one.example/")).address == "1.1.1.1"
    assert await refused("http://one.example/") == "webhook-address"
    assert await refused("https://one.example/", forbid_network=True) == "network-forbidden"


async def test_plain_http_is_for_allowed_networks_only() -> None:
    assert (await find_place("http://127.0.0.1:9/", HERE)).port == 9
