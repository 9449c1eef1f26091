"""Signing messages and sending them to the address that was checked."""

from __future__ import annotations

import base64
import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from integrations.addresses import networks_of
from integrations.webhooks import WebhookSender, new_secret, sign, verify
from tests.support import receiver as receiving
from tests.support.receiver import Receiver

HERE = networks_of(["127.0.0.0/8", "::1/128"])


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving.running() as server:
        yield server


def test_signature_is_that_of_the_specification() -> None:
    """The example of the Standard Webhooks libraries."""
    body = b'{"test": 2432232314}'
    found = sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_receiver_refuses_other_secrets_other_bodies_and_old_messages() -> None:
    secret, body = new_secret(), b"{}"
    headers = {
        "webhook-id": "m",
        "webhook-timestamp": "1000",
        "webhook-signature": f"v1,x {sign(secret, 'm', 1000, body)}",
    }
    assert verify(secret, headers, body, now=1001)
    assert not verify(new_secret(), headers, body, now=1001)
    assert not verify(secret, headers, b"{ }", now=1001)
    assert not verify(secret, {**headers, "webhook-id": "n"}, body, now=1001)
    assert not verify(secret, headers, body, now=2000)
    assert not verify(secret, {}, body)


def test_secrets_are_32_random_bytes() -> None:
    one, other = new_secret(), new_secret()
    assert one != other
    assert len(base64.b64decode(one.removeprefix("whsec_"))) == 32


async def test_message_arrives_signed(receiver: Receiver) -> None:
    secret = new_secret()
    sender = WebhookSender(HERE)
    answer = await sender.send(receiver.url, secret, "id-1", {"type": "item_verified"})
    await sender.close()
    assert (answer.delivered, answer.status) == (True, 204)
    [(headers, body)] = receiver.messages
    assert verify(secret, headers, body)
    assert (headers[":path"], headers["host"]) == ("/hook?from=labelcrew", f"127.0.0.1:{receiver.port}")


async def test_private_address_is_not_called_and_redirects_are_not_followed(receiver: Receiver) -> None:
    sender = WebhookSender()
    answer = await sender.send(receiver.url, new_secret(), "id", {})
    assert (answer.status, "not a public address" in str(answer.error)) == (None, True)
    assert receiver.messages == []
    await sender.close()
    receiver.statuses, receiver.location = [302], "http://169.254.169.254/latest"
    sender = WebhookSender(HERE)
    assert (await sender.send(receiver.url, new_secret(), "id", {})).status == 302
    await sender.close()


async def test_name_that_changes_its_address_is_not_looked_up_again(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def getaddrinfo(host: str, port: int, *_: object, **__: object) -> list[object]:
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "127.0.0.99"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    sender = WebhookSender(HERE)
    url = f"http://rebinding.example:{receiver.port}/hook"
    assert (await sender.send(url, new_secret(), "id", {})).delivered
    await sender.close()
    assert [host for host in asked if host == "rebinding.example"] == ["rebinding.example"]
    assert receiver.messages[0][0]["host"] == f"rebinding.example:{receiver.port}"


async def test_nobody_there_and_slow_answers_are_told_in_words() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        sender = WebhookSender(HERE, timeout=0.3)
        refused = await sender.send(f"http://127.0.0.1:{port}/", new_secret(), "id", {})
        assert refused.error == "no answer (ConnectError)"
        listening.listen()
        slow = await sender.send(f"http://127.0.0.1:{port}/", new_secret(), "id", {})
        assert slow.error == "it took too long to answer"
        await sender.close()


async def test_certificate_is_asked_for_by_name_and_a_wrong_one_is_refused(tmp_path: Path) -> None:
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(tmp_path))
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            try:
                connection, _ = server.accept()
                with connection:
                    context.wrap_socket(connection, server_side=True).close()
            except OSError:
                pass

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        sender = WebhookSender(HERE)
        answer = await sender.send(f"https://localhost:{server.getsockname()[1]}/", new_secret(), "id", {})
        await sender.close()
        thread.join(5)
    assert (answer.status, answer.error) == (None, "no answer (ConnectError)")
    assert names == ["localhost"]


def _certificate(folder: Path) -> Path:
    """A certificate that nobody trusts, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file
