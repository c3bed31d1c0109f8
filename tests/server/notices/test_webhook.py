"""An organisation's system is told of escalations over real HTTP: signed, by reference, again when it failed."""

import asyncio
import base64
import json
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from server import jobs
from server.database import tenancy
from server.database.columns import now
from server.followup import escalation
from server.notices import posting, signing, webhook, webhook_repository
from server.notices.posting import AddressRefused, NotTaken
from server.settings import Settings
from tests.server.conftest import ACTOR, Ward
from tests.server.followup.test_follow_up import arrive, person
from tests.server.patients.test_patients import link, register


@dataclass
class Receiver:
    """An HTTP server that keeps what it is sent and answers as it is told: a status, a redirect, or never."""

    posts: list[tuple[dict[str, str], bytes]] = field(default_factory=list[tuple[dict[str, str], bytes]])
    answer: bytes = b"HTTP/1.1 204 No Content\r\n\r\n"
    stalls: bool = False
    port: int = 0
    path: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.path = head.split(" ")[1]
            lines = [line.partition(": ")[::2] for line in head.split("\r\n")[1:] if line]
            headers = {name.lower(): value for name, value in lines}
            self.posts.append((headers, await reader.readexactly(int(headers["content-length"]))))
            if self.stalls:
                # A byte now and then, so that no single read takes long.
                while True:
                    writer.write(b"H")
                    await writer.drain()
                    await asyncio.sleep(0.05)
            writer.write(self.answer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the sender had enough, as is meant to be tested
        finally:
            writer.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?from=doorstep"

    def of(self, result_id: UUID) -> list[dict[str, Any]]:
        bodies = [json.loads(body) for _, body in self.posts]
        return [body for body in bodies if body["result"] == str(result_id)]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    yield made
    listening.close()


@pytest.fixture
def hooking(settings: Settings) -> Settings:
    return settings.model_copy(update={"webhook_private": True})


async def put(ward: Ward, settings: Settings, url: str) -> bytes:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        return base64.b64decode(await webhook.put(session, settings, ACTOR, ward.id, url))


async def escalated(ward: Ward, at: datetime) -> None:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await escalation.escalate(session, at)


async def deliver(ward: Ward, settings: Settings, at: datetime) -> int:
    return await webhook.deliver_waiting(ward.sessions, settings, ward.id, at)


async def standing(ward: Ward) -> tuple[int, int, int, str]:
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        return await webhook_repository.standing(session)


LATE = timedelta(days=2)


async def test_an_escalation_is_delivered_once_signed_and_says_nothing_of_a_person(
    ward: Ward, hooking: Settings, receiver: Receiver
) -> None:
    viewer = await person(ward)
    secret = await put(ward, hooking, receiver.url)
    result_id = await arrive(ward, specimen="SECRET-SPECIMEN")
    await link(ward, viewer, "SECRET-SPECIMEN", await register(ward, viewer))
    await escalated(ward, now() + LATE)
    assert await deliver(ward, hooking, now() + LATE) == 1
    assert await deliver(ward, hooking, now() + LATE) == 0
    [(headers, body)] = receiver.posts
    said = json.loads(body)
    assert sorted(said) == ["due_at", "href", "id", "level", "result", "type", "urgency"]
    assert (said["result"], said["level"], said["type"]) == (str(result_id), 1, "follow-up.overdue")
    assert said["href"] == f"{hooking.origin}/results/{result_id}"
    assert headers["doorstep-delivery"] == said["id"]
    assert receiver.path == "/hook?from=doorstep"
    everything = repr(receiver.posts).lower()
    assert [
        word for word in ("secret-specimen", "o'neill", "zoë", "sars", "positive", "9990000018") if word in everything
    ] == []
    signature = headers["doorstep-signature"]
    assert signing.verified(secret, signature, body, now())
    assert not signing.verified(secret, signature, body + b" ", now())
    assert not signing.verified(secret[::-1], signature, body, now())
    assert not signing.verified(secret, signature, body, now() + timedelta(minutes=6))
    assert not signing.verified(secret, signature.replace("t=1", "t=2"), body, now())
    for wrong in ("", "t=,v1=", "v1=00", "t=x,v1=y", "t=٣,v1=00", "t=9999999999999999,v1=00"):
        assert not signing.verified(secret, wrong, body, now())


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "status 500"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "status 302"),
        (b"nothing that is HTTP\r\n\r\n", "RemoteProtocolError"),
        (b"", "RemoteProtocolError"),
    ],
)
async def test_a_receiver_that_fails_gets_the_same_delivery_again_later_and_later(
    ward: Ward, hooking: Settings, receiver: Receiver, answer: bytes, why: str
) -> None:
    await person(ward)
    await put(ward, hooking, receiver.url)
    result_id = await arrive(ward)
    good, receiver.answer = receiver.answer, answer
    start = now() + LATE
    await escalated(ward, start)
    assert await deliver(ward, hooking, start) == 0
    assert await standing(ward) == (0, 1, 0, why)
    assert await deliver(ward, hooking, start + timedelta(seconds=59)) == 0
    assert len(receiver.posts) == 1
    assert await deliver(ward, hooking, start + timedelta(seconds=61)) == 0
    assert await deliver(ward, hooking, start + timedelta(seconds=120)) == 0
    assert len(receiver.posts) == 2
    receiver.answer = good
    assert await deliver(ward, hooking, start + timedelta(seconds=200)) == 1
    assert len({one["id"] for one in receiver.of(result_id)}) == 1
    assert await standing(ward) == (1, 0, 0, "")


async def test_a_receiver_that_stalls_or_drips_is_left_in_time(
    ward: Ward, hooking: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "TIMEOUT_S", 0.5)
    await person(ward)
    await put(ward, hooking, receiver.url)
    await arrive(ward)
    receiver.stalls = True
    await escalated(ward, now() + LATE)
    async with asyncio.timeout(5):
        assert await deliver(ward, hooking, now() + LATE) == 0
    assert (await standing(ward))[3] == "no answer in time"


async def test_a_delivery_that_is_never_taken_is_given_up_and_one_failure_asks_no_more_that_round(
    ward: Ward, hooking: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "TRIES_MAX", 3)
    await person(ward)
    await put(ward, hooking, receiver.url)
    receiver.answer = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
    for _ in range(2):
        await arrive(ward)
    at = now() + LATE
    await escalated(ward, at)
    assert await deliver(ward, hooking, at) == 0
    assert len(receiver.posts) == 1
    for round_ in range(1, 12):
        await deliver(ward, hooking, at + timedelta(hours=round_))
    assert len(receiver.posts) == 6
    assert await standing(ward) == (0, 0, 2, "status 503")


async def test_every_minute_s_job_delivers_and_one_receiver_that_fails_stops_no_other(
    ward: Ward, other_ward: Ward, hooking: Settings, receiver: Receiver
) -> None:
    await put(ward, hooking, "http://127.0.0.1:1/nobody-listens")
    await put(other_ward, hooking, receiver.url)
    for one in (ward, other_ward):
        await person(one)
        await arrive(one)
        # As if it had been due for long, so that the job finds it.
        async with tenancy.transaction(one.sessions, one.id) as session:
            await escalation.escalate(session, now() + LATE)
            connection = await session.connection()
            await connection.exec_driver_sql("UPDATE webhook_delivery SET retry_at = now()")
    await jobs.deliver_for_everybody(ward.sessions, hooking)
    assert (await standing(ward))[:3] == (0, 1, 0)
    assert (await standing(other_ward))[:3] == (1, 0, 0)


async def test_a_webhook_that_is_off_or_not_there_is_told_nothing(
    ward: Ward, hooking: Settings, receiver: Receiver
) -> None:
    await person(ward)
    await arrive(ward)
    await escalated(ward, now() + LATE)
    assert await standing(ward) == (0, 0, 0, "")
    await put(ward, hooking, receiver.url)
    await escalated(ward, now() + LATE * 2)
    async with tenancy.transaction(ward.sessions, ward.id) as session:
        await webhook.switch_off(session, ACTOR, ward.id)
    assert await deliver(ward, hooking, now() + LATE * 2) == 0
    assert receiver.posts == []
    assert await standing(ward) == (0, 0, 1, "switched off")


async def test_the_secret_is_of_no_use_to_whoever_has_the_database(ward: Ward, hooking: Settings) -> None:
    secret = await put(ward, hooking, "https://alerts.example.org/")
    [row] = await ward.rows("SELECT secret FROM webhook")
    assert secret not in bytes(row.secret)
    key = hooking.master_key_bytes()
    assert webhook.decrypted(key, ward.id, bytes(row.secret)) == secret
    for wrong in ((key[::-1], ward.id), (key, UUID(int=1))):
        with pytest.raises(webhook.SecretUnreadable):
            webhook.decrypted(*wrong, bytes(row.secret))


@pytest.mark.parametrize(
    "url",
    [
        "http://alerts.example.org/", "ftp://alerts.example.org/", "https://", "https://user@alerts.example.org/",
        "https://user:word@alerts.example.org/", "https://alerts.example.org/#part", "https://alerts.example.org:0/",
        "https://alerts.example.org:99999/", "https://exa mple.org/", f"https://a.example/{'x' * 500}", "alerts",
        "https://[::1", "http://127.0.0.1.example.org/", "http://10.0.0.1/",
    ],
)  # fmt: skip
def test_only_https_without_a_password_is_an_address(url: str) -> None:
    for private in (True, False):
        with pytest.raises(AddressRefused):
            posting.checked(url, private=private)


def test_plain_http_is_for_this_machine_and_only_where_the_setting_says_so() -> None:
    assert posting.checked("http://127.0.0.1:8000/x", private=True).port == 8000
    with pytest.raises(AddressRefused):
        posting.checked("http://127.0.0.1:8000/x", private=False)


@pytest.mark.parametrize(
    ("address", "open_"),
    [
        ("8.8.8.8", True), ("2606:4700::1111", True), ("127.0.0.1", False), ("10.1.2.3", False), ("172.16.0.1", False),
        ("192.168.1.1", False), ("169.254.169.254", False), ("100.64.0.1", False), ("0.0.0.0", False), ("::1", False),
        ("fe80::1%eth0", False), ("fc00::1", False), ("::ffff:127.0.0.1", False), ("::ffff:8.8.8.8", True),
        ("64:ff9b::7f00:1", False), ("2002:7f00:1::", False), ("224.0.0.1", False), ("255.255.255.255", False),
    ],
)  # fmt: skip
def test_only_addresses_of_the_open_internet_are_reached(address: str, open_: bool) -> None:
    assert posting.public(address) is open_


async def test_a_name_that_means_an_address_inside_reaches_nothing(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def found(host: str, port: int, **_: object) -> list[tuple[Any, ...]]:
        # One address is open, and the one that might be chosen is not.
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in ("127.0.0.1", "8.8.8.8")]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", found)
    with pytest.raises(NotTaken, match="address not allowed"):
        await posting.post(f"https://alerts.example.org:{receiver.port}/", b"{}", {}, private=False)
    assert receiver.posts == []


def certified(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(a server's context with a certificate for `name`, a client's that believes in it and nothing else)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    at = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(hours=1))
        .not_valid_after(at + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    both = folder / "certificate.pem"
    both.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(both)
    return serving, ssl.create_default_context(cafile=str(both))


@pytest.mark.parametrize(("name", "taken"), [("localhost", True), ("other.example.org", False)])
async def test_the_certificate_has_to_be_the_name_s_that_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, taken: bool
) -> None:
    serving, believing = certified(tmp_path, name)
    monkeypatch.setattr(posting, "context", lambda: believing)
    made = Receiver()
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=serving)
    url = f"https://localhost:{listening.sockets[0].getsockname()[1]}/"
    if taken:
        await posting.post(url, b"{}", {}, private=True)
    else:
        with pytest.raises(NotTaken, match="ConnectError"):
            await posting.post(url, b"{}", {}, private=True)
    assert len(made.posts) == int(taken)
    listening.close()
