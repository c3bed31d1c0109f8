"""Registering a person on a laptop: what is wrong is said by field, and what is right is sealed, queued, delivered and
never readable here."""

import asyncio
import base64
import gc
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from model_reader import chain_of
from model_server import ModelServer
from pyhpke import AEADId, CipherSuite, KDFId, KEMId, KEMKey

from hub import credentials, exchange, logbook, registration, status, web
from hub.clock import Clock
from hub.courier import BATCH_REGISTRATIONS, Courier
from hub.enrol import enrol
from hub.errors import Malformed
from hub.events import Events
from hub.exchange import Registered
from hub.registration import FIELDS, NoRegistrationKey, check, seal
from hub.registration_queue import REGISTRATIONS_MAX, Queued, QueueFull
from hub.sealed import read_record
from hub.store import Store
from hub.writer import Writer
from reader import wire

VECTORS = json.loads((Path(__file__).resolve().parents[1] / "vectors" / "registrations.json").read_text())
TODAY = date(2026, 8, 6)
GOOD = {
    "specimen": "S-7KQ2M-94XTB-M", "given": "Zoë", "family": "O'Neill", "birth[day]": "7", "birth[month]": "3",
    "birth[year]": "1980", "nhs_number": "999 000 0018", "phone": "07700 900123", "address": "1 Lane End\r\nVillage",
    "postcode": "ZZ9 7QX", "language": "Welsh", "safe_contact": "Text only", "local": "CLINIC-17", "consent": "yes",
    "consent_asked": "A test, and that its result is told", "consent_by": "A Nurse",
}  # fmt: skip
HPKE = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.AES256_GCM)


def opened(sealed, key):
    """By another implementation of HPKE than the one that seals."""
    _, hub_id, registration_id, message = cbor2.loads(sealed)
    info = b"doorstep/1 registration" + hub_id + registration_id
    context = HPKE.create_recipient_context(message[:32], KEMKey.from_pyca_cryptography_key(key), info)
    return cbor2.loads(context.open(message[32:]))


def test_a_good_form_is_sealed_so_that_only_the_servers_key_opens_it():
    assert check(GOOD, TODAY) == []
    key = X25519PrivateKey.from_private_bytes(bytes.fromhex(VECTORS["private key"]))
    hub_id = bytes.fromhex(VECTORS["hub"])
    made = seal(GOOD, bytes.fromhex(VECTORS["public key"]), hub_id, 1_780_000_000_000)
    expected = cbor2.loads(bytes.fromhex(VECTORS["plaintext"]))
    assert opened(made.sealed, key) == expected | {1: made.registration_id, 10: ""}
    assert cbor2.loads(made.sealed)[:3] == [
        cbor2.loads(bytes.fromhex(VECTORS["hex"]))[0], hub_id, made.registration_id
    ]  # fmt: skip
    again = seal(GOOD, bytes.fromhex(VECTORS["public key"]), hub_id, 1_780_000_000_000)
    assert (again.registration_id, again.sealed) != (made.registration_id, made.sealed)
    with pytest.raises(Exception, match=r"(?i)open"):
        opened(made.sealed, X25519PrivateKey.generate())


def test_the_example_of_the_protocol_opens():
    key = X25519PrivateKey.from_private_bytes(bytes.fromhex(VECTORS["private key"]))
    assert opened(bytes.fromhex(VECTORS["hex"]), key) == cbor2.loads(bytes.fromhex(VECTORS["plaintext"]))


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"specimen": ""}, "specimen", "specimen-missing"),
        ({"specimen": "abc"}, "specimen", "specimen-length"),
        ({"specimen": "a" * 33}, "specimen", "specimen-length"),
        ({"specimen": "Spécimen 1"}, "specimen", "specimen-characters"),
        ({"specimen": "OPKIT1"}, "specimen", "specimen-is-a-badge"),
        ({"specimen": "(01)02000000000015(17)291231(10)AG"}, "specimen", "specimen-is-a-cassette"),
        ({"specimen": "]d20102000000000015"}, "specimen", "specimen-is-a-cassette"),
        ({"specimen": "0102000000000015"}, "specimen", "specimen-is-a-cassette"),
        ({"specimen": "S-7KQ2M-94XTB-N"}, "specimen", "specimen-mistyped"),
        ({"specimen": "S-7QK2M-94XTB-M"}, "specimen", "specimen-mistyped"),
        ({"specimen": "S-7KQ2M-94XT0-M"}, "specimen", "specimen-mistyped"),
        ({"given": "", "family": " "}, "given", "name-missing"),
        ({"given": "x" * 101}, "given", "given-too-long"),
        ({"family": "x\x07"}, "family", "family-characters"),
        ({"safe_contact": "x" * 401}, "safe_contact", "safe-contact-too-long"),
        ({"birth[month]": "13"}, "birth", "birth-not-a-date"),
        ({"birth[day]": ""}, "birth", "birth-not-a-date"),
        ({"birth[day]": "٧"}, "birth", "birth-not-a-date"),
        ({"birth[year]": "1894"}, "birth", "birth-out-of-range"),
        ({"birth[year]": "2027"}, "birth", "birth-out-of-range"),
        ({"nhs_number": "123"}, "nhs_number", "nhs-number-length"),
        ({"nhs_number": "999 000 0019"}, "nhs_number", "nhs-number-wrong"),
        ({"nhs_number": "0000000000"}, "nhs_number", "nhs-number-wrong"),
        ({"local": "\n".join("abcde")}, "local", "local-identifiers"),
        ({"consent": ""}, "consent", "consent-missing"),
        ({"consent_asked": ""}, "consent_asked", "consent-asked-missing"),
        ({"consent_by": "x" * 101}, "consent_by", "consent-by-too-long"),
    ],
)
def test_what_is_wrong_with_a_field_is_said_with_its_code(changes, field, code):
    found = check(GOOD | changes, TODAY)
    assert [(one.field, one.code) for one in found] == [(field, code)]
    assert found[0].sentence.endswith(".")
    # Nothing of what was typed is repeated, so that no page or log shows it twice.
    assert not any(text and len(text) > 3 and text in found[0].sentence for text in changes.values())


def test_one_thing_to_know_a_person_by_is_not_enough():
    bare = {name: GOOD[name] for name in ("specimen", "family", "consent", "consent_asked", "consent_by")}
    assert [one.code for one in check(bare, TODAY)] == ["one-is-not-enough"]
    for more in ({"phone": "1"}, {"postcode": "Z"}, {"nhs_number": "9990000018"}):
        assert check(bare | more, TODAY) == []


def test_any_other_label_is_taken_as_readers_take_it_and_our_own_in_capitals():
    key = X25519PrivateKey.generate()
    for typed, written in ((" lab 00017/x ", "lab 00017/x"), ("s-7kq2m-94xtb-m", "S-7KQ2M-94XTB-M")):
        made = seal(GOOD | {"specimen": typed}, key.public_key().public_bytes_raw(), bytes(8), 1)
        assert opened(made.sealed, key)[4] == written


def test_the_fullest_form_fits_what_the_server_takes():
    wide = "\U00010348"
    longest = {**registration.LINES, **registration.NOTES, "consent_asked": 200, "consent_by": 100}
    full = GOOD | {name: wide * length for name, length in longest.items()} | {"specimen": "x" * 32}
    full["local"] = "\n".join([wide * 64] * 4)
    assert check(full, TODAY) == []
    assert set(full) <= set(FIELDS)
    made = seal(full, X25519PrivateKey.generate().public_key().public_bytes_raw(), bytes(8), 2**62)
    assert len(made.sealed) <= 8192


@pytest.fixture
def server():
    with ModelServer() as model:
        model.registrar = X25519PrivateKey.generate()
        yield model


@pytest.fixture
async def hub(server, tmp_path):
    folder = tmp_path / "hub"
    folder.mkdir()
    enrolment = await asyncio.to_thread(enrol, folder, server.code, server.url, "Test laptop")
    writer, clock, told = Writer(), Clock(), []
    await writer.open(folder)
    await writer(Store.adopt, bytes.fromhex(enrolment.hub_id))
    events = Events(writer, clock)
    events.listeners.append(told.append)
    async with web.client() as http:
        courier = Courier(
            enrolment, credentials.load_key(folder), writer, events, clock, http, poll_s=0.05, chance=random.Random(1)
        )
        yield SimpleNamespace(courier=courier, writer=writer, clock=clock, folder=folder, told=told)
    await writer.close()


async def register(hub, **changes):
    return await registration.register(hub.writer, hub.clock, GOOD | changes)


async def drain(hub):
    while await hub.courier.exchange():
        pass


def rows(hub, sql="SELECT state, problem FROM registrations ORDER BY id"):
    with sqlite3.connect(hub.folder / "hub.sqlite3") as db:
        return db.execute(sql).fetchall()


async def test_nobody_is_registered_before_a_server_that_takes_them_was_heard(hub, server):
    with pytest.raises(NoRegistrationKey):
        await register(hub)
    server.registrar = None
    await drain(hub)
    with pytest.raises(NoRegistrationKey):
        await register(hub)
    assert rows(hub) == []


async def test_a_registration_waits_until_the_server_holds_it_and_is_then_kept_as_long_as_a_record(hub, server):
    await drain(hub)
    assert await register(hub, given="") == [] == await register(hub)
    assert rows(hub) == [(0, None), (0, None)]
    found = status.read(hub.folder)
    assert (found["registrations"]["waiting"], found["registrations"]["delivered_at"]) == (2, None)
    assert found["sentence"] == "Doorstep is not running; 2 registrations wait here. Run: doorstep hub."
    await drain(hub)
    assert rows(hub) == [(3, None), (3, None)]
    found = status.read(hub.folder)["registrations"]
    assert (found["waiting"], found["delivered"], found["aside"]) == (0, 2, 0)
    assert found["delivered_at"] is not None
    day_ms = 24 * 3600 * 1000
    answered_ms = max(at for (at,) in rows(hub, "SELECT answered_ms FROM registrations"))
    await hub.writer(Store.prune, answered_ms + 30 * day_ms)
    assert len(rows(hub)) >= 1
    await hub.writer(Store.prune, answered_ms + 30 * day_ms + 1)
    assert rows(hub) == []
    assert status.read(hub.folder)["registrations"]["delivered"] == 2
    names = sorted(opened(one, server.registrar)[5] for one in server.registered.values())
    assert names == ["", "Zoë"]


async def test_an_answer_that_was_lost_leaves_it_queued_and_the_next_says_duplicate(hub, server):
    await drain(hub)
    await register(hub)
    exchange_path = "/hub/v1/exchange"

    def swallow(handler):
        server.exchange(SimpleNamespace(
            body=handler.body, headers=handler.headers, answer=lambda *_, **__: True, problem=handler.problem
        ))  # fmt: skip
        del server.misbehave[exchange_path]
        return handler.answer(502, "text/html", b"bad gateway")

    server.misbehave[exchange_path] = swallow
    with pytest.raises(Exception, match="502"):
        await hub.courier.exchange()
    assert rows(hub) == [(0, None)]
    assert len(server.registered) == 1
    await drain(hub)
    assert rows(hub) == [(3, None)]
    assert [event["duplicate"] for event in hub.told if event["event"] == "registered"] == [1]


async def test_what_the_server_sets_aside_is_told_and_kept_and_offered_again_on_a_new_epoch(hub, server):
    await drain(hub)
    await register(hub)
    server.registration_answer = lambda sealed: (4, "unknown-key")
    await drain(hub)
    assert rows(hub) == [(1, "unknown-key")]
    problems = await hub.writer(Store.problems)
    assert [(one.code, one.detail) for one in problems] == [("registration-quarantined", "unknown-key")]
    assert [event["code"] for event in hub.told if event["event"] == "problem"] == ["registration-quarantined"]
    server.registration_answer, server.epoch = lambda sealed: None, b"epoch--2"
    await drain(hub)
    await drain(hub)
    assert rows(hub) == [(3, None)]


async def test_a_server_that_went_back_to_a_backup_gets_anew_what_it_had_held(hub, server):
    await drain(hub)
    await register(hub)
    await drain(hub)
    kept = dict(server.registered)
    server.registered.clear()
    server.epoch = b"epoch--2"
    await drain(hub)
    await drain(hub)
    assert len(kept) == 1
    assert server.registered == kept
    found = status.read(hub.folder)["registrations"]
    assert (found["waiting"], found["delivered"]) == (0, 1)


def test_those_that_wait_are_not_crowded_out_by_those_that_are_held(tmp_path, monkeypatch):
    monkeypatch.setattr("hub.registration_queue.REGISTRATIONS_MAX", 3)
    monkeypatch.setattr("hub.registration_queue._HELD_MAX", 2)
    store = Store(tmp_path)
    for number in range(9):
        store.keep_registration(number.to_bytes(16, "big"), b"sealed", 1)
        with store._db:
            store._take_registration_answers(
                [Queued(number + 1, b"", b"")], [Registered(wire.HELD, None)], bytes(32), number
            )
    assert store._db.execute("SELECT id FROM registrations").fetchall() == [(8,), (9,)]
    store.close()


async def test_one_that_the_server_refuses_as_a_request_holds_up_nothing_else(hub, server):
    await drain(hub)
    for number in range(5):
        await register(hub, specimen=f"label {number}")
    records = [read_record(sealed) for sealed in chain_of(b"reader-8", 3, 300)]
    await hub.writer(Store.keep_records, b"reader-8", records, 1)
    poisoned = rows(hub, "SELECT sealed FROM registrations ORDER BY id")[2][0]
    server.refuse_record = lambda sealed: sealed == poisoned
    await drain(hub)
    assert rows(hub) == [(3, None), (3, None), (2, "bad-item"), (3, None), (3, None)]
    assert len(server.registered) == 4
    assert len(server.held[b"reader-8"]) == 3
    assert "registration-refused" in [event.get("code") for event in hub.told]


async def test_a_server_that_went_back_to_an_earlier_version_still_takes_records(hub, server):
    await drain(hub)
    await register(hub)
    server.registrar = None
    records = [read_record(sealed) for sealed in chain_of(b"reader-8", 3, 300)]
    await hub.writer(Store.keep_records, b"reader-8", records, 1)
    await drain(hub)
    assert len(server.held[b"reader-8"]) == 3
    assert rows(hub) == [(0, None)], "it waits for a server that takes it"
    server.registrar = X25519PrivateKey.generate()
    await drain(hub)
    await drain(hub)
    assert {state for state, _ in rows(hub)} == {3}


async def test_a_batch_and_the_queue_are_bounded(hub, server):
    await drain(hub)
    await register(hub)
    [(sealed,)] = rows(hub, "SELECT sealed FROM registrations")
    for number in range(BATCH_REGISTRATIONS + 10):
        id = number.to_bytes(16, "big")
        parts = cbor2.loads(sealed)
        made = cbor2.dumps([*parts[:2], id, parts[3]])
        await hub.writer(Store.keep_registration, id, made, 1)
    offered = []
    server.registration_answer = lambda sealed: offered.append(server.count("/hub/v1/exchange")) or (1, None)
    await drain(hub)
    assert max(offered.count(one) for one in set(offered)) == BATCH_REGISTRATIONS
    assert {state for state, _ in rows(hub)} == {3}
    with sqlite3.connect(hub.folder / "hub.sqlite3") as db:
        db.executemany(
            "INSERT INTO registrations (registration_id, sealed, hash, made_ms) VALUES (?, ?, ?, 1)",
            [(number.to_bytes(16, "little"), b"s", b"h") for number in range(1000, 1000 + REGISTRATIONS_MAX)],
        )
    with pytest.raises(QueueFull):
        await register(hub)


PLANTED = {
    "specimen": "PLANTED-SPECIMEN-77", "given": "Plantedgivenname", "family": "Plantedfamilyname",
    "phone": "07700 955123", "address": "77 Planted Street", "safe_contact": "Whistle plantedly",
    "local": "PLANTED-LOCAL-3", "consent_by": "Planted Nurse", "nhs_number": "9990000018",
}  # fmt: skip


def spellings(text):
    raw = text.encode()
    return (raw, text.encode("utf-16-le"), raw.hex().encode(), base64.b64encode(raw).rstrip(b"=")[:-1])


async def test_nothing_of_a_form_is_in_the_data_folder_or_stays_in_an_object(hub, server, tmp_path):
    logbook.to_file(hub.folder / "log" / "hub.log")
    await drain(hub)
    assert await register(hub, **PLANTED) == []
    wrong = await register(hub, **PLANTED, postcode="x" * 13)
    assert [one.code for one in wrong] == ["postcode-too-long"]

    def written():
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    waiting = written()
    assert any(path.name.endswith("-wal") for path in waiting), "the log of the database is looked at too"
    server.registration_answer = lambda sealed: (4, "does-not-open")
    await drain(hub)
    for content in (*waiting.values(), *written().values()):
        assert not [text for text in PLANTED.values() if any(one in content for one in spellings(text))]


async def test_nothing_of_a_form_stays_in_an_object_that_outlives_the_call(hub, server):
    await drain(hub)
    token = os.urandom(8).hex()
    names = [name for name in PLANTED if name != "nhs_number"]
    assert await register(hub, **{name: f"X {token}" for name in names}) == []
    assert await register(hub, **{name: f"X {token}" for name in names}, postcode="x" * 13) != []
    gc.collect()
    left = [
        held
        for held in gc.get_objects()
        if isinstance(held, dict | list | tuple | set)
        and any(
            isinstance(one, str) and f"X {token}" in one for one in (held.values() if isinstance(held, dict) else held)
        )
    ]
    assert left == []


_REGISTRAR = """
import sys
from pathlib import Path
from hub.registration import seal
from hub.store import Store
fields, key = eval(sys.argv[2]), bytes.fromhex(sys.argv[3])
store = Store(Path(sys.argv[1]))
while True:
    made = seal(fields, key, bytes(8), 1)
    store.keep_registration(made.registration_id, made.sealed, 1)
    print(made.registration_id.hex(), flush=True)
"""


def test_what_was_said_to_be_registered_survives_kill_9_at_any_instant(tmp_path):
    chance, key = random.Random(20260806), X25519PrivateKey.generate()
    said = set()
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", _REGISTRAR, str(tmp_path), repr(GOOD), key.public_key().public_bytes_raw().hex()],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        time.sleep(chance.uniform(0, 0.05))  # the instant of the kill, not a wait for anything
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.read().splitlines(keepends=True)
        process.wait()
        said |= {line.strip() for line in lines if line.endswith("\n")}
    store = Store(tmp_path)
    store.apply([], [], exchange.Reply(1, b"epoch--1", (), (), (), (), bytes(32)), _comparison())
    kept = {one.registration_id.hex(): one.sealed for one in store.registrations(10_000)}
    store.close()
    assert said <= set(kept)
    assert all(opened(sealed, key)[5] == "Zoë" for sealed in kept.values())


def _comparison():
    from hub.clock import Comparison, Reading

    return Comparison(1, Reading(1, 1, "boot"), 1)


def test_registrations_are_saved_from_a_database_that_was_damaged(tmp_path):
    from hub import database

    folder = tmp_path / "hub"
    store = Store(folder)
    for number in range(20):
        store.keep_registration(number.to_bytes(16, "big"), bytes([number]) * 900, 1)
    store.close()
    with sqlite3.connect(folder / "hub.sqlite3") as db:
        db.execute("UPDATE registrations SET sealed = x'00' WHERE id = 3")
    aside = database.move_aside(folder)
    fresh = Store(folder)
    assert fresh.salvage_registrations(aside) == 19
    assert fresh.salvage_registrations(aside) == 0
    assert fresh.salvage_registrations(tmp_path) == 0, "nothing to read is nothing to save"
    fresh.close()


ID = b"i" * 16


def reply(*items, key=bytes(32)):
    head = [0, {1: 1, 2: 5, 3: b"epoch--1", **({6: key} if key is not None else {})}]
    return b"".join(cbor2.dumps(item, canonical=True) for item in (head, *items))


def test_an_answer_counts_only_for_the_registration_that_it_names():
    good = exchange.read_reply(reply([8, ID, 1, None]), [], [ID])
    assert (good.registration_key, [one.disposition for one in good.registered]) == (bytes(32), [1])
    assert exchange.read_reply(reply(key=None), []).registration_key is None
    assert exchange.read_reply(reply([8, None, 4, "malformed"]), [], [ID]).registered[0].problem == "malformed"
    for wrong in (
        reply(),
        reply([8, ID, 1, None], [8, ID, 1, None]),
        reply([8, b"j" * 16, 1, None]),
        reply([8, None, 1, None]),
        reply([8, ID, 5, None]),
        reply([8, ID, 0, None]),
        reply([8, ID, True, None]),
        reply([8, ID, 4, "x" * 65]),
        reply([8, ID, 1, None], key=bytes(31)),
        reply([8, ID, 1, None], key="k"),
    ):
        with pytest.raises(Malformed):
            exchange.read_reply(wrong, [], [ID])
