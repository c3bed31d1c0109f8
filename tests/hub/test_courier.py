"""The courier over a real socket: what counts as delivered, and everything between the hub and the server that is
not the server."""

import asyncio
import gzip
import random
import socket
import sqlite3
import ssl
import time
from types import SimpleNamespace

import cbor2
import pytest
from model_reader import chain_of
from model_server import ModelServer

from hub import credentials, web
from hub.clock import Clock, Reading
from hub.courier import Courier, Failed
from hub.enrol import EnrolmentFailed, enrol
from hub.errors import UsageError
from hub.events import Events
from hub.sealed import read_record
from hub.store import Store
from hub.web import Unreachable
from hub.writer import Writer

READER = b"reader-8"
EXCHANGE, TOKEN = "/hub/v1/exchange", "/oauth/token"


@pytest.fixture
def server():
    with ModelServer() as model:
        yield model


@pytest.fixture
async def hub(server, tmp_path):
    enrolment = await asyncio.to_thread(enrol, tmp_path, server.code, server.url, "Test laptop")
    writer, clock, told = Writer(), Clock(), []
    await writer.open(tmp_path)
    events = Events(writer, clock)
    events.listeners.append(told.append)
    async with web.client() as http:
        courier = Courier(
            enrolment, credentials.load_key(tmp_path), writer, events, clock, http, poll_s=0.05, chance=random.Random(1)
        )
        yield SimpleNamespace(
            courier=courier, writer=writer, folder=tmp_path, told=told, events=events, http=http, enrolment=enrolment
        )
    await writer.close()


async def keep(hub, count, size=300, reader=READER):
    known = await hub.writer(Store.known, reader)
    old = [
        record[1]
        for record in rows(
            hub, f"SELECT number, sealed FROM records WHERE reader_id = x'{reader.hex()}' ORDER BY number"
        )
    ]
    records = [read_record(sealed) for sealed in chain_of(reader, count, size, old)[known.stored :]]
    await hub.writer(Store.keep_records, reader, records, 1)


def rows(hub, sql):
    with sqlite3.connect(hub.folder / "hub.sqlite3") as db:
        return db.execute(sql).fetchall()


def delivered(hub):
    return rows(hub, "SELECT delivered, undelivered, waiting FROM readers")[0]


async def drain(hub):
    while await hub.courier.exchange():
        pass


async def test_records_arrive_byte_for_byte_in_batches_and_receipts_make_them_delivered(hub, server):
    await keep(hub, 1200)
    await drain(hub)
    assert server.count(EXCHANGE) == 3
    assert list(server.held[READER].values()) == [
        sealed for (sealed,) in rows(hub, "SELECT sealed FROM records ORDER BY number")
    ]
    assert delivered(hub) == (1200, 0, 0)
    assert [e for e in hub.told if e["event"] == "delivered"][-1]["number"] == 1200


async def test_answers_without_a_receipt_are_not_delivery(hub, server):
    server.receipts = False
    await keep(hub, 3)
    await drain(hub)
    assert delivered(hub) == (0, 3, 0)


async def test_a_batch_stays_under_four_mebibytes(hub, server):
    await keep(hub, 1100, size=3900)
    sizes = []
    server.misbehave[EXCHANGE] = lambda handler: sizes.append(len(handler.body)) or False
    await drain(hub)
    assert max(sizes) < 4.2 * 2**20
    assert len(sizes) >= 2
    assert len(server.held[READER]) == 1100


NOT_THE_SERVER = {
    "captive portal": lambda h: h.answer(200, "text/html", b"<html>Sign in</html>"),
    "html that says cbor": lambda h: h.answer(200, "application/cbor-seq", b"<html>Sign in</html>"),
    "redirect": lambda h: h.answer(302, "text/html", b"", Location="http://127.0.0.1:1/"),
    "empty 200": lambda h: h.answer(200, "application/cbor-seq", b""),
    "header only": lambda h: h.answer(200, "application/cbor-seq", cbor2.dumps([0, {1: 1, 2: 5, 3: b"epoch--1"}])),
    "404": lambda h: h.answer(404, "text/html", b"not here"),
    "gzip bomb": lambda h: h.answer(
        200, "application/cbor-seq", gzip.compress(bytes(50_000_000)), Content_Encoding="gzip"
    ),
    "500": lambda h: h.problem(500, "internal"),
    "502 from a proxy": lambda h: h.answer(502, "text/html", b"bad gateway"),
    "503": lambda h: h.problem(503, "busy", Retry_After="7"),
    "426": lambda h: h.problem(426, "version"),
    "another version": lambda h: h.answer(200, "application/cbor-seq", cbor2.dumps([0, {1: 2, 2: 5, 3: b"epoch--1"}])),
}


def _truncated(handler):
    handler.send_response(200)
    handler.send_header("Content-Type", "application/cbor-seq")
    handler.send_header("Content-Length", "5000")
    handler.end_headers()
    handler.wfile.write(cbor2.dumps([0, {1: 1, 2: 5, 3: b"epoch--1"}]))
    handler.close_connection = True
    return True


def _endless(handler):
    handler.send_response(200)
    handler.send_header("Content-Type", "application/cbor-seq")
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(bytes(100_000))
    handler.close_connection = True
    return True


def _hang_up(handler):
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)
    return True


NOT_THE_SERVER |= {"truncated body": _truncated, "endless body": _endless, "hang up": _hang_up}


@pytest.mark.parametrize("what", NOT_THE_SERVER)
async def test_what_is_not_the_servers_whole_answer_delivers_nothing_and_is_named(hub, server, what):
    await keep(hub, 3)
    server.misbehave[EXCHANGE] = NOT_THE_SERVER[what]
    with pytest.raises((Failed, Unreachable)) as caught:
        await hub.courier.exchange()
    expected = {
        "500": "server-failed", "502 from a proxy": "server-failed", "503": "server-busy", "426": "version-too-old",
        "another version": "version-too-old", "truncated body": "server-unreachable", "hang up": "server-unreachable",
        "html that says cbor": "answer-not-understood", "empty 200": "answer-not-understood",
        "header only": "answer-not-understood",
    }  # fmt: skip
    assert caught.value.code == expected.get(what, "network-in-the-way")
    assert delivered(hub) == (0, 3, 3)
    server.misbehave.clear()
    await drain(hub)
    assert delivered(hub) == (3, 0, 0)


async def test_a_captive_portal_in_front_of_the_token_is_no_token(hub, server):
    server.misbehave[TOKEN] = NOT_THE_SERVER["captive portal"]
    with pytest.raises(Failed) as caught:
        await hub.courier.exchange()
    assert caught.value.code == "network-in-the-way"
    assert server.count(EXCHANGE) == 0


async def test_an_answer_that_never_ends_is_given_up(hub, server, monkeypatch):
    monkeypatch.setattr(web, "_WHOLE_S", 0.3)
    server.misbehave[EXCHANGE] = lambda handler: time.sleep(1) or _hang_up(handler)
    with pytest.raises(Unreachable):
        await hub.courier.exchange()


async def test_an_expired_token_is_replaced_and_a_revoked_hub_is_told(hub, server):
    await keep(hub, 2)
    await drain(hub)
    server.tokens.clear()
    await keep(hub, 2)
    await drain(hub)
    assert delivered(hub) == (4, 0, 0)
    server.tokens.clear()
    server.keys.clear()
    with pytest.raises(Failed) as caught:
        await hub.courier.exchange()
    assert caught.value.code == "server-refused"


async def test_a_laptop_with_a_wrong_clock_still_delivers_and_is_told(hub, server):
    server.clock_ms = lambda: int(time.time() * 1000) + 3 * 3_600_000
    await keep(hub, 2)
    await drain(hub)
    assert delivered(hub) == (2, 0, 0)
    assert [(e["code"], e["sentence"]) for e in hub.told if e["event"] == "problem"] == [
        ("clock-wrong", "The laptop's clock is wrong by 3 hours.")
    ]


async def test_another_epoch_offers_everything_again_and_voids_old_receipts(hub, server):
    await keep(hub, 5)
    await drain(hub)
    assert delivered(hub) == (5, 0, 0)
    server.epoch = b"epoch--2"
    for number in (4, 5):
        del server.held[READER][number]  # restored from a backup
    assert await hub.courier.exchange(), "everything waits again"
    assert await hub.writer(Store.receipt, READER, 0) is None or delivered(hub)[0] <= 3
    await drain(hub)
    assert sorted(server.held[READER]) == [1, 2, 3, 4, 5]
    assert delivered(hub) == (5, 0, 0)


async def test_one_record_that_the_server_refuses_holds_up_no_other(hub, server):
    await keep(hub, 9)
    poison = rows(hub, "SELECT sealed FROM records WHERE number = 6")[0][0]
    server.refuse_record = lambda sealed: sealed == poison
    await drain(hub)
    assert sorted(server.held[READER]) == [1, 2, 3, 4, 5, 7, 8, 9]
    assert delivered(hub) == (5, 4, 0)
    assert [e["code"] for e in hub.told if e["event"] == "problem"] == ["record-refused"]
    assert rows(hub, "SELECT count(*) FROM records WHERE number = 6 AND sealed IS NOT NULL") == [(1,)]


async def test_a_request_that_is_too_large_is_made_smaller(hub, server):
    await keep(hub, 100)
    server.misbehave[EXCHANGE] = lambda h: len(h.body) > 10_000 and h.problem(413, "too-large")
    await drain(hub)
    assert delivered(hub) == (100, 0, 0)


@pytest.mark.parametrize(
    ("answer", "code"), [((3, None), "record-conflict"), ((4, "does-not-open"), "record-quarantined")]
)
async def test_conflict_and_quarantine_are_shown_and_nothing_is_thrown_away(hub, server, answer, code):
    await keep(hub, 1)
    server.disposition = lambda sealed: answer
    await drain(hub)
    assert [problem.code for problem in await hub.writer(Store.problems)] == [code]
    assert rows(hub, "SELECT disposition, problem FROM records") == [answer]
    assert delivered(hub) == (0, 1, 0)


async def test_tickets_and_commands_are_taken(hub, server):
    server.tickets = [[READER, 2_000_000_000, 1, b"s" * 32]]
    server.commands = [[READER, 1, b"sealed command"]]
    await hub.courier.exchange()
    assert [(t.expiry, t.secret) for t in await hub.writer(Store.tickets, READER)] == [(2_000_000_000, b"s" * 32)]
    assert [c.sealed for c in await hub.writer(Store.commands, READER, 0)] == [b"sealed command"]
    await hub.courier.exchange()
    header = ModelServer.items(server, SimpleNamespace(body=server.requests[-1][2], headers=server.requests[-1][1]))[0]
    assert header[1][5] == [[READER, 2_000_000_000]]


async def test_days_without_a_server_cost_only_patience(hub, server, monkeypatch):
    await keep(hub, 4)
    monkeypatch.setattr("hub.courier.BACKOFF_FIRST_S", 0.01)
    monkeypatch.setattr("hub.courier.BACKOFF_CAP_S", 0.05)
    server.misbehave[TOKEN] = _hang_up
    task = asyncio.create_task(hub.courier.run())
    async with asyncio.timeout(5):
        while server.count(TOKEN) < 5:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert [e["code"] for e in hub.told if e["event"] == "problem"] == ["server-unreachable"], (
        "told once, not each time"
    )
    server.misbehave.clear()
    async with asyncio.timeout(5):
        # Told right after it is stored, so what is told is what is waited for.
        while not any(e["event"] == "solved" for e in hub.told):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    task.cancel()
    assert delivered(hub) == (4, 0, 0)
    assert {"event": "solved", "code": "server-unreachable"}.items() <= next(
        e for e in hub.told if e["event"] == "solved"
    ).items()


def test_back_off_spreads_and_is_capped_and_honours_what_the_server_asks():
    courier = Courier.__new__(Courier)
    courier._chance = random.Random(3)
    pauses = [courier._pause_s(20, None) for _ in range(200)]
    assert max(pauses) <= 300
    assert max(pauses) - min(pauses) > 200
    assert courier._pause_s(1, 40) >= 40
    assert courier._pause_s(1, 1e9) <= 600


async def test_a_certificate_that_does_not_verify_is_named(tmp_path):
    certificate, key = _self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with web.client() as http:
        with pytest.raises(Unreachable) as caught:
            await web.post(http, f"https://127.0.0.1:{port}/", b"", {}, 1000)
    server.close()
    assert caught.value.code == "certificate"


def _self_signed(folder):
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    )
    made = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256())
    (folder / "c.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "k.pem").write_bytes(key.private_bytes(*form))
    return folder / "c.pem", folder / "k.pem"


async def test_sightings_are_sent_once_and_in_terms_of_the_clock_as_it_is_now(hub, server):
    from hub.messages import ReaderState

    now = Clock().read()
    state = ReaderState(READER, 1, 3, 0, bytes(16), b"boot-id8", 5000, None, 0, 80, "1.0", 0, 1, 9, 0, "Test")
    moved = Reading(
        now.wall_ms - 86_400_000, now.steady_ms, now.boot
    )  # the laptop's clock was a day behind then, and was set since
    await hub.writer(Store.visited, state, moved, 7)
    await hub.courier.exchange()
    await hub.courier.exchange()
    (sighting,) = server.sightings
    assert sighting[1] == READER
    assert sighting[3] == 5000
    assert abs(sighting[4] - time.time() * 1000) < 5000
    assert sighting[5] == 7


def test_a_used_code_is_refused_in_a_sentence_and_stores_nothing(server, tmp_path):
    with pytest.raises(EnrolmentFailed) as caught:
        enrol(tmp_path, "wrong-code", server.url, "Laptop")
    assert caught.value.code == "enrolment-refused"
    assert not (tmp_path / "enrolment.json").exists()


@pytest.mark.parametrize("what", ["captive portal", "404", "500", "truncated body", "hang up"])
def test_enrolling_at_what_is_not_a_server_stores_nothing(server, tmp_path, what):
    server.misbehave["/hub/v1/enrol"] = NOT_THE_SERVER[what]
    with pytest.raises(EnrolmentFailed):
        enrol(tmp_path, server.code, server.url, "Laptop")
    assert not (tmp_path / "enrolment.json").exists()
    assert not (tmp_path / "hub-key.pem").exists()


@pytest.mark.parametrize(
    "url", ["http://example.org", "ftp://example.org", "example.org", "https://user:pass@example.org", "https://"]
)
def test_an_address_that_is_not_safe_is_refused(tmp_path, url):
    with pytest.raises(UsageError):
        enrol(tmp_path, "code-1234", url, "Laptop")


def test_enrolling_twice_needs_to_be_meant_and_the_key_is_private(server, tmp_path):
    first = enrol(tmp_path, server.code, server.url, "Laptop")
    with pytest.raises(UsageError):
        enrol(tmp_path, server.code, server.url, "Laptop")
    assert enrol(tmp_path, server.code, server.url, "Laptop", again=True).hub_id != first.hub_id
    assert (tmp_path / "hub-key.pem").stat().st_mode & 0o777 == 0o600
    assert tmp_path.stat().st_mode & 0o777 == 0o700


async def test_nothing_secret_reaches_the_log(hub, server, tmp_path, caplog):
    caplog.set_level("DEBUG", logger="hub")
    server.tickets = [[READER, 2_000_000_000, 1, b"\x5a" * 32]]
    await keep(hub, 2)
    await drain(hub)
    token = next(iter(server.tokens))
    text = "\n".join(f"{record.__dict__}" for record in caplog.records)
    assert token not in text
    assert "5a5a5a5a" not in text
    assert "PRIVATE" not in text
