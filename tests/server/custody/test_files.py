"""A hub's file is taken as its exchange would be, once; and its answer brings the receipts that the network would."""

import io
import os
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cbor2
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from hub import credentials, export, importing
from hub.clock import Clock, Comparison
from hub.credentials import Enrolment
from hub.exchange import Reply
from hub.messages import ReaderState
from hub.sealed import read_record
from hub.store import Store
from reader import wire
from server.custody import importing as taking
from server.custody import sealed_file
from server.custody.importing import FileRefused, Imported
from server.database.direct import Pool, make_pool
from tests.server import factory
from tests.server.conftest import Database, Ward
from tests.server.custody.test_exchange import opened_down
from tests.server.registrations import sealing
from tests.server.registrations.test_taking import states

FLOOR = timedelta(hours=24)


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    made = make_pool(database.app, 2)
    made.open()
    yield made
    made.close()


def laptop(folder: Path, ward: Ward, hub_id: str | None = None) -> Path:
    """The data folder of the ward's hub, which has heard the server's clock."""
    folder.mkdir()
    address = "https://doorstep.example"
    credentials.save(folder, Enrolment(hub_id or ward.hub_id, "Laptop", address, address, address), ward.key)
    store, now = Store(folder), Clock().read()
    store.apply([], [], Reply(now.wall_ms, b"epoch-00", (), (), (), ()), Comparison(now.wall_ms, now, 5))
    store.close()
    return folder


def collected(folder: Path, reader: factory.Reader, sealed: list[bytes], uptime_ms: int = 10_000_000) -> None:
    """The hub has met the reader and stored those of its records."""
    store, now = Store(folder), Clock().read()
    records = [read_record(one) for one in sealed]
    store.keep_records(reader.reader_id, records, now.wall_ms)
    last = records[-1]
    state = ReaderState(
        reader.reader_id, 1, last.number + 1, 0, last.hash, factory.BOOT_ID,
        uptime_ms, None, 0, 80, "1.0.0", 0, 0, 100, 0, "R",
    )  # fmt: skip
    store.visited(state, now, 5)
    store.close()


async def take(ward: Ward, pool: Pool, path: Path, answer: Path | None = None) -> Imported:
    return await taking.take(ward.sessions, pool, ward.keyring, FLOOR, path, answer, True, lambda done, total: None)


async def test_a_file_is_held_and_its_answer_brings_the_receipt_and_no_ticket(
    ward: Ward, pool: Pool, tmp_path: Path
) -> None:
    reader = await ward.reader()
    folder = laptop(tmp_path / "hub", ward)
    collected(folder, reader, reader.results(1200))
    assert export.export(folder, tmp_path / "out").records == 1200
    found = await take(ward, pool, tmp_path / "out", tmp_path / "back")
    assert (found.records, found.held, found.sightings, found.receipts) == (1200, 1200, 1, 1)
    data = (tmp_path / "back").read_bytes()
    stream = io.BytesIO(data)
    items = []
    while stream.tell() < len(data):
        frame = cbor2.load(stream)
        if frame[0] == sealed_file.ITEM_FRAME:
            items += factory.items_of(frame[3])
    assert {item[0] for item in items} <= {wire.ITEM_RECEIPT, wire.ITEM_DOWN}, "a ticket is a secret"
    # The hub takes the answer; its epoch is the first it hears of this server by file.
    with sqlite3.connect(folder / "hub.sqlite3") as db:
        db.execute("DELETE FROM settings WHERE key = 'epoch'")
    assert importing.take(folder, tmp_path / "back").receipts == 1
    with sqlite3.connect(folder / "hub.sqlite3") as db:
        [(number, sealed)] = db.execute("SELECT number, sealed FROM receipts").fetchall()
    assert number == 1200
    receipt = opened_down(reader, sealed)
    assert receipt[wire.DOWN_A] == 1200


async def test_registrations_in_a_file_are_held_and_nothing_of_them_goes_back(
    ward: Ward, other_ward: Ward, pool: Pool, tmp_path: Path
) -> None:
    reader = await ward.reader()
    folder = laptop(tmp_path / "hub", ward)
    collected(folder, reader, reader.results(2))
    held = [await sealing.registered(ward, specimen=f"S-{number}") for number in range(150)]
    foreign = await sealing.registered(other_ward, specimen="S-FOREIGN")
    store = Store(folder)
    for one in (*held, foreign):
        store.keep_registration(cbor2.loads(one)[2], one, 1)
    store.close()
    assert export.export(folder, tmp_path / "out").registrations == 151
    found = await take(ward, pool, tmp_path / "out", tmp_path / "back")
    assert (found.held, found.registrations, found.registrations_set_aside) == (2, 151, 1)
    assert sorted(await states(ward)) == [("held", "")] * 150 + [("quarantined", "unknown-hub")]
    assert importing.take(folder, tmp_path / "back").registrations == 0
    with sqlite3.connect(folder / "hub.sqlite3") as db:
        assert db.execute("SELECT count(*) FROM registrations WHERE state = 0").fetchone() == (151,)
    # Over a network too, they change nothing more.
    assert await sealing.offer(ward, held[0], foreign) == [(wire.DUPLICATE, None), (wire.QUARANTINED, "unknown-hub")]
    assert (await take(ward, pool, tmp_path / "out")).registrations_set_aside == 1
    assert sorted(await states(ward)) == [("held", "")] * 150 + [("quarantined", "unknown-hub")]


async def test_taken_twice_or_by_network_too_it_changes_nothing(ward: Ward, pool: Pool, tmp_path: Path) -> None:
    reader = await ward.reader()
    sealed = reader.results(5)
    folder = laptop(tmp_path / "hub", ward)
    collected(folder, reader, sealed)
    export.export(folder, tmp_path / "out")
    await take(ward, pool, tmp_path / "out")
    again = await take(ward, pool, tmp_path / "out")
    assert (again.held, again.duplicates) == (0, 5)
    assert (await ward.exchange(sealed)).answers == [(wire.DUPLICATE, None)] * 5
    assert (await ward.rows("SELECT count(*) FROM result"))[0][0] == 5
    assert (await ward.rows("SELECT count(*) FROM sighting"))[0][0] == 1


async def test_a_sighting_by_file_keeps_its_time_however_long_the_file_was_on_its_way(
    ward: Ward, pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = await ward.reader()
    folder = laptop(tmp_path / "hub", ward)
    collected(folder, reader, reader.results(1))
    seen = datetime.now(UTC)
    export.export(folder, tmp_path / "out")
    monkeypatch.setattr(taking, "now", lambda: seen + timedelta(days=9))
    monkeypatch.setattr("server.custody.service.now", lambda: seen + timedelta(days=9))
    await take(ward, pool, tmp_path / "out")
    [row] = await ward.rows("SELECT seen_at FROM reader WHERE seen_at IS NOT NULL")
    assert abs(row[0] - seen) < timedelta(minutes=1)


async def test_an_altered_record_in_a_signed_file_is_quarantined_and_the_others_are_held(
    ward: Ward, pool: Pool, tmp_path: Path
) -> None:
    reader = await ward.reader()
    folder = laptop(tmp_path / "hub", ward)
    sealed = reader.results(3)
    collected(folder, reader, [*sealed[:2], flipped(sealed[2])])
    export.export(folder, tmp_path / "out")
    found = await take(ward, pool, tmp_path / "out", tmp_path / "back")
    assert (found.held, found.quarantined) == (2, 1)
    with sqlite3.connect(folder / "hub.sqlite3") as db:
        db.execute("DELETE FROM settings WHERE key = 'epoch'")
    assert importing.take(folder, tmp_path / "back").aside == 1


def flipped(sealed: bytes) -> bytes:
    """The same record with one bit of its tag changed."""
    return sealed[:-1] + bytes([sealed[-1] ^ 1])


async def test_a_hub_of_nobody_a_revoked_one_and_one_that_did_not_sign_are_refused(
    ward: Ward, other_ward: Ward, pool: Pool, tmp_path: Path
) -> None:
    reader = await ward.reader()
    sealed = reader.results(2)
    unknown = laptop(tmp_path / "unknown", ward, os.urandom(8).hex())
    # The other ward's hub id under our key: somebody says that it is another.
    claimed = laptop(tmp_path / "claimed", ward, other_ward.hub_id)
    revoked = laptop(tmp_path / "revoked", ward)
    for folder in (unknown, claimed, revoked):
        collected(folder, reader, sealed)
        export.export(folder, folder / "out")
    await ward.rows("UPDATE hub SET revoked_at = now() RETURNING hub_id")
    for folder in (unknown, claimed, revoked):
        with pytest.raises(FileRefused, match="import it at an enrolled hub"):
            await take(ward, pool, folder / "out", folder / "back")
        assert not (folder / "back").exists()
    assert (await ward.rows("SELECT count(*) FROM sealed_record"))[0][0] == 0


async def test_importing_is_written_to_the_audit_log(ward: Ward, pool: Pool, tmp_path: Path) -> None:
    reader = await ward.reader()
    folder = laptop(tmp_path / "hub", ward)
    collected(folder, reader, reader.results(2))
    export.export(folder, tmp_path / "out")
    await take(ward, pool, tmp_path / "out")
    [row] = await ward.rows("SELECT subject, detail FROM audit_entry WHERE action = 'custody.import'")
    assert (row[0], row[1]["held"]) == (ward.hub_id, 2)


FUZZ = hypothesis(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def refused(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(FileRefused) as said:
        sealed_file.check(path, taking.items, lambda done, total: None)
    assert "\n" not in str(said.value)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A hub's file of a few records."""
    from hub.sealed_file import FROM_HUB, FileWriter, Head

    reader = factory.Reader(os.urandom(8), os.urandom(32))
    path = tmp_path_factory.mktemp("file") / "out"
    with FileWriter(path, Head(b"hub-id-8", 1, b"epoch--1", 1, "test")) as out:
        for sealed in reader.results(3):
            out.add(FROM_HUB, cbor2.dumps([wire.ITEM_RECORD, sealed], canonical=True))
        out.finish(lambda data: bytes(96))
    return path.read_bytes()


@FUZZ
@given(st.binary(max_size=2048))
def test_arbitrary_bytes_are_refused_in_a_sentence(tmp_path: Path, noise: bytes) -> None:
    refused(tmp_path / "noise", noise)


@FUZZ
@given(st.data())
def test_a_changed_bit_or_a_cut_anywhere_is_seen(tmp_path: Path, whole: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(whole) - 97))  # what follows is the signature, which is verified apart
    changed = bytearray(whole)
    changed[at] ^= 1 << data.draw(st.integers(0, 7))
    refused(tmp_path / "changed", bytes(changed))
    refused(tmp_path / "cut", whole[:at])
    refused(tmp_path / "long", whole + whole[at:])


def test_a_length_beyond_all_memory_is_refused_before_anything_is_allocated(tmp_path: Path, whole: bytes) -> None:
    head = whole[: whole.index(b"test") + 4]
    for claimed in (b"\x5b" + (1 << 62).to_bytes(8, "big"), b"\x9b" + (1 << 62).to_bytes(8, "big"), b"\x81" * 5000):
        refused(tmp_path / "huge", head + b"\x85\x06\x00\x01" + claimed + bytes(1000))
