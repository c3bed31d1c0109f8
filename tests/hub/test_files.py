"""Records and receipts by file: what is exported arrives, a damaged or forged file takes nothing, and "delivered" is
still only what a receipt proves."""

import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import cbor2
import pycddl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_reader import ModelLink, ModelReader, chain_of

from hub import credentials, database, export, importing, sealed_file, status
from hub.clock import Clock, Comparison, Reading
from hub.collector import Collector
from hub.credentials import Enrolment
from hub.errors import StoreDamaged
from hub.events import Events
from hub.exchange import Receipt, Reply
from hub.registration_queue import QueueFull
from hub.sealed import read_record
from hub.sealed_file import FROM_HUB, FROM_SERVER, FileRefused, FileWriter, Head
from hub.store import Store
from hub.writer import Writer
from reader import wire

CDDL = (Path(__file__).resolve().parents[2] / "docs" / "protocol.cddl").read_text()
EPOCH, LATER = b"epoch--1", b"epoch--2"
SECRET = b"secret--" * 4


def enrolled(folder, name=b"hub-id-A"):
    folder.mkdir(exist_ok=True)
    key = credentials.new_key()
    urls = ("https://doorstep.example/token", "https://doorstep.example/exchange")
    credentials.save(folder, Enrolment(name.hex(), "Laptop", "https://doorstep.example", *urls), key)
    return key


def holding(folder, reader, hub_id=b"hub-id-A"):
    """An enrolled hub that has heard the server once and holds what the model reader has."""
    enrolled(folder, hub_id)
    now = Clock().read()
    store = Store(folder)
    store.apply(
        [], [], Reply(now.wall_ms, EPOCH, (), (), (reader.ticket(hub_id),), ()), Comparison(now.wall_ms, now, 5)
    )
    known = store.known(reader.reader_id).stored
    records = [read_record(sealed) for sealed in reader.records[known:]]
    store.keep_records(reader.reader_id, records, now.wall_ms)
    store.close()
    return folder


def rows(folder, sql):
    with sqlite3.connect(folder / database.FILE) as db:
        return db.execute(sql).fetchall()


def reader_of(count, size=300):
    reader = ModelReader()
    reader.add(count, size)
    return reader


def answer(path, *items, epoch=EPOCH, heard_ms=None):
    """A server's file."""
    heard_ms = heard_ms or Clock().read().wall_ms + 1000
    with FileWriter(path, Head(None, heard_ms, epoch, heard_ms, "server"), replace=True) as out:
        for item in items:
            out.add(FROM_SERVER, cbor2.dumps(item, canonical=True))
        out.finish()
    return path


def receipt_item(reader, number):
    return [wire.ITEM_RECEIPT, reader.reader_id, number, cbor2.dumps(["receipt", number])]


async def visit(folder, reader, hub_id=b"hub-id-A"):
    writer, clock, told = Writer(), Clock(), []
    await writer.open(folder)
    try:
        events = Events(writer, clock)
        events.listeners.append(told.append)
        link = ModelLink(reader, hub_id)
        return await Collector(writer, events, clock, hub_id).visit(reader.reader_id, link), told
    finally:
        await writer.close()


async def test_a_hub_without_a_network_gets_its_receipts_by_file_and_only_what_the_reader_took_is_delivered(tmp_path):
    reader = reader_of(7)
    folder = holding(tmp_path / "a", reader)
    made = export.export(folder, tmp_path / "out")
    assert (made.records, made.receipts) == (7, 0)
    assert status.read(folder)["undelivered"] == 7, "exporting is not delivering"

    found = importing.take(folder, answer(tmp_path / "back", receipt_item(reader, 7)))
    assert found.receipts == 1
    shown = status.read(folder)
    assert (shown["undelivered"], shown["readers"][0]["delivered"]) == (7, 0), "nobody vouches for a file"
    assert shown["readers"][0]["receipt_by_file"] == 7
    assert export.export(folder, tmp_path / "again").records == 7, "it stays queued until its receipt is proved"

    _, told = await visit(folder, reader)
    assert reader.released == 7
    shown = status.read(folder)
    assert (shown["undelivered"], shown["readers"][0]["delivered"], shown["waiting"]) == (0, 7, 0)
    assert shown["sentence"] == "Safe to close. Everything collected is delivered."
    assert [e["number"] for e in told if e["event"] == "delivered"] == [7]
    assert export.export(folder, tmp_path / "third").records == 0


async def test_a_forged_receipt_in_a_file_never_counts_and_is_told_when_the_reader_refuses_it(tmp_path):
    reader = reader_of(5)
    folder = holding(tmp_path / "a", reader)
    reader.receipt_code = wire.ERR_NOT_AUTHENTIC if hasattr(wire, "ERR_NOT_AUTHENTIC") else 12
    importing.take(folder, answer(tmp_path / "back", receipt_item(reader, 5)))
    seen, _ = await visit(folder, reader)
    assert seen.fault == "receipt-refused"
    assert status.read(folder)["undelivered"] == 5
    assert rows(folder, "SELECT * FROM receipts") == [], "it is not offered to the reader again"


def test_the_servers_own_receipt_takes_the_place_of_one_from_a_file(tmp_path):
    reader = reader_of(5)
    folder = holding(tmp_path / "a", reader)
    importing.take(folder, answer(tmp_path / "back", receipt_item(reader, 5000)))
    store, now = Store(folder), Clock().read()
    genuine = Receipt(reader.reader_id, 5, b"genuine")
    reply = Reply(now.wall_ms, EPOCH, (), (genuine,), (), ())
    store.apply([], [], reply, Comparison(now.wall_ms, now, 5))
    assert store.receipt(reader.reader_id, 0) == genuine
    store.close()
    assert status.read(folder)["undelivered"] == 0


def test_records_of_another_hub_are_carried_beside_our_own_and_offered_once(tmp_path):
    theirs, ours = reader_of(6), reader_of(3)
    a, b = holding(tmp_path / "a", theirs), holding(tmp_path / "b", ours, b"hub-id-B")
    export.export(a, tmp_path / "out")
    assert importing.take(b, tmp_path / "out").records == 6
    assert importing.take(b, tmp_path / "out").records == 0, "taken twice it changes nothing"
    store = Store(b)
    assert store.known(theirs.reader_id).stored == 0, "what was not collected here is not taken for collected"
    offers = store.offers(100, 1 << 20)
    assert [offer.sealed for offer in offers if offer.kept == "carried"] == theirs.records
    store.close()
    shown = status.read(b)
    assert shown["carried"] == 6
    assert shown["sentence"].startswith("Doorstep is not running; 9 records wait here.")
    assert export.export(b, tmp_path / "on").records == 9, "and goes on from here by file again"


def test_what_is_here_already_is_not_carried_too(tmp_path):
    reader = reader_of(4)
    a, b = holding(tmp_path / "a", reader), holding(tmp_path / "b", reader, b"hub-id-B")
    export.export(a, tmp_path / "out")
    found = importing.take(b, tmp_path / "out")
    assert (found.records, found.known) == (0, 4)


def test_receipts_travel_back_from_the_hub_that_had_a_network(tmp_path):
    reader = reader_of(4)
    a, b = holding(tmp_path / "a", reader), holding(tmp_path / "b", reader, b"hub-id-B")
    store, now = Store(b), Clock().read()
    reply = Reply(now.wall_ms, EPOCH, (), (Receipt(reader.reader_id, 4, b"sealed by the server"),), (), ())
    store.apply([], [], reply, Comparison(now.wall_ms, now, 5))
    store.close()
    export.export(b, tmp_path / "out")
    assert importing.take(a, tmp_path / "out").receipts == 1
    assert rows(a, "SELECT number, sealed, by_file FROM receipts") == [(4, b"sealed by the server", 1)]


def registration(number, message=b"sealed"):
    """A registration as the hub that made it keeps it, its id of that number; only the server reads the message."""
    id = number.to_bytes(16, "big")
    return id, cbor2.dumps([b"key-id-8", b"hub-id-A", id, message * 12], canonical=True)


def registering(folder, *numbers):
    """An enrolled hub on which people were registered."""
    enrolled(folder)
    store = Store(folder)
    for number in numbers:
        store.keep_registration(*registration(number), 1)
    store.close()
    return folder


def test_registrations_go_by_file_too_and_stay_queued_until_a_server_answers(tmp_path):
    a, b = registering(tmp_path / "a", 1, 2, 3), registering(tmp_path / "b", 3)
    made = export.export(a, tmp_path / "out")
    assert (made.records, made.registrations) == (0, 3)
    assert status.read(a)["registrations"]["waiting"] == 3
    assert importing.take(b, tmp_path / "out").registrations == 2, "one was here already"
    assert importing.take(b, tmp_path / "out").registrations == 0, "taken twice it changes nothing"
    assert sorted(rows(b, "SELECT registration_id, sealed FROM registrations")) == [registration(n) for n in (1, 2, 3)]
    assert status.read(b)["registrations"]["waiting"] == 3
    assert export.export(b, tmp_path / "on").registrations == 3, "and go on from here by file again"
    with sqlite3.connect(a / database.FILE) as db:
        db.execute("UPDATE registrations SET state = 3 WHERE id = 2")
    assert export.export(a, tmp_path / "rest").registrations == 2, "what the server holds is not sent again"


def test_a_file_with_more_registrations_than_there_is_room_for_takes_none_of_them(tmp_path, monkeypatch):
    a, b = registering(tmp_path / "a", 1, 2), registering(tmp_path / "b", 3)
    export.export(a, tmp_path / "out")
    monkeypatch.setattr("hub.registration_queue.REGISTRATIONS_MAX", 2)
    with pytest.raises(QueueFull, match="1 registrations wait here already"):
        importing.take(b, tmp_path / "out")
    assert rows(b, "SELECT registration_id FROM registrations") == [(registration(3)[0],)]


def test_a_registration_that_is_no_longer_what_was_sealed_is_not_exported(tmp_path):
    folder = registering(tmp_path / "a", 1, 2)
    with sqlite3.connect(folder / database.FILE) as db:
        db.execute("UPDATE registrations SET sealed = x'00' WHERE id = 2")
    with pytest.raises(StoreDamaged):
        export.export(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        cbor2.dumps([b"key-id-8", b"hub-id-A", b"short", b"message"]),
        cbor2.dumps([b"key-id-8", b"hub-id-A", b"i" * 16]),
        cbor2.dumps([b"key-id-8", b"hub-id-A", b"i" * 16, "message"]),
        registration(1)[1] + b"\x00",
        cbor2.dumps([b"key-id-8", b"hub-id-A", b"i" * 16, b"m" * wire.REGISTRATION_MAX]),
    ],
)
def test_a_registration_of_another_form_takes_nothing_of_the_file(small, wrong):
    with FileWriter(small / "framed", Head(b"hub-id-X", 1, None, 0, "x"), replace=True) as out:
        out.add(FROM_HUB, cbor2.dumps([wire.ITEM_RECORD, reader_of(1).records[0]], canonical=True))
        out.add(FROM_HUB, cbor2.dumps([wire.ITEM_REGISTRATION, wrong], canonical=True))
        out.finish()
    refuses(small, (small / "framed").read_bytes())


def test_a_file_from_before_the_server_was_restored_is_refused_and_a_later_one_offers_all_again(tmp_path):
    reader = reader_of(3)
    folder = holding(tmp_path / "a", reader)
    now_ms = Clock().read().wall_ms
    early = answer(tmp_path / "early", receipt_item(reader, 3), epoch=LATER, heard_ms=now_ms - 3_600_000)
    with pytest.raises(FileRefused, match="restored from a backup"):
        importing.take(folder, early)
    assert rows(folder, "SELECT * FROM receipts") == []
    store = Store(folder)
    store.apply([], [], Reply(now_ms, EPOCH, (), (Receipt(reader.reader_id, 3, b"r"),), (), ()),
                Comparison(now_ms, Reading(now_ms, 1, "boot"), 1))  # fmt: skip
    store.close()
    assert status.read(folder)["undelivered"] == 0
    found = importing.take(folder, answer(tmp_path / "late", epoch=LATER, heard_ms=now_ms + 3_600_000))
    assert found.epoch_moved
    assert status.read(folder)["undelivered"] == 3, "the restored server may hold them no longer"
    with pytest.raises(FileRefused):
        importing.take(folder, answer(tmp_path / "old", receipt_item(reader, 3), epoch=EPOCH, heard_ms=now_ms))


def test_the_file_holds_no_secret_and_is_what_the_protocol_says(tmp_path):
    reader = reader_of(200, size=1000)
    folder = holding(tmp_path / "a", reader)
    store, now = Store(folder), Clock().read()
    from hub.admission import Ticket

    store.apply([], [], Reply(now.wall_ms, EPOCH, (), (Receipt(reader.reader_id, 2, b"r"),),
                              (Ticket(reader.reader_id, 4_000_000_000, 2, SECRET),), ()),
                Comparison(now.wall_ms, now, 5))  # fmt: skip
    store.close()
    export.export(folder, tmp_path / "out")
    data = (tmp_path / "out").read_bytes()
    assert SECRET not in data
    assert reader.ticket(b"hub-id-A").secret not in data
    private = credentials.load_key(folder).as_dict(private=True)["d"]
    assert private.encode() not in data
    stream, kinds = io.BytesIO(data), []
    rule = pycddl.Schema("root = file-item\n" + re.sub(r"bstr \.cbor [a-z-]+", "bstr", CDDL))
    while stream.tell() < len(data):
        at = stream.tell()
        kinds.append(cbor2.load(stream)[0])
        rule.validate_cbor(data[at : stream.tell()])
    assert kinds == [5, *[6] * (len(kinds) - 2), 7]
    assert len(kinds) > 4, "it takes more than one frame"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A file of three records and a hub that could take it."""
    folder = tmp_path_factory.mktemp("small")
    export.export(holding(folder / "a", reader_of(3, 60)), folder / "out")
    enrolled(folder / "b", b"hub-id-B")
    return folder


FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def refuses(small, data):
    (small / "altered").write_bytes(data)
    with pytest.raises(FileRefused) as refused:
        importing.take(small / "b", small / "altered")
    assert "\n" not in str(refused.value)
    assert not (small / "b" / database.FILE).exists() or not rows(small / "b", "SELECT * FROM carried")


@FUZZ
@given(st.data())
def test_one_changed_bit_anywhere_takes_nothing_of_the_file(small, data):
    whole = bytearray((small / "out").read_bytes())
    signature = len(whole) - sealed_file.SIGNATURE_BYTES  # the server verifies it; a hub cannot
    at = data.draw(st.integers(0, signature - 1))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    refuses(small, bytes(whole))


@FUZZ
@given(st.data())
def test_a_file_that_ends_early_or_goes_on_takes_nothing(small, data):
    whole = (small / "out").read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    refuses(small, whole[:at])
    refuses(small, whole + whole[: at + 1])


@FUZZ
@given(st.binary(max_size=4096))
def test_arbitrary_bytes_are_refused_in_one_sentence(small, noise):
    refuses(small, noise)


@FUZZ
@given(
    st.lists(
        st.tuples(
            st.sampled_from([FROM_HUB, FROM_SERVER]),
            st.one_of(
                st.lists(
                    st.one_of(st.integers(0, 9), st.binary(max_size=40), st.none(), st.text(max_size=5)), max_size=6
                ),
                st.builds(lambda n: [[[[[[[[[n]]]]]]]]], st.integers(0, 9)),
                st.integers(),
            ),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_well_framed_items_that_are_not_of_the_protocol_take_nothing(small, items):
    items = [(kind, item) for kind, item in items if not of_the_protocol(kind, item)]
    with FileWriter(small / "framed", Head(b"hub-id-X", 1, None, 0, "x"), replace=True) as out:
        for kind, item in items or [(FROM_HUB, "nothing")]:
            out.add(kind, cbor2.dumps(item, canonical=True))
        out.finish()
    refuses(small, (small / "framed").read_bytes())


def of_the_protocol(kind, item):
    answers = isinstance(item, list) and len(item) == 6 and item[0] == wire.ITEM_ANSWER
    downs = isinstance(item, list) and len(item) == 4 and item[0] in (wire.ITEM_RECEIPT, wire.ITEM_DOWN)
    return kind == FROM_SERVER and (answers or downs)


def test_a_frame_that_claims_to_be_huge_costs_no_memory(small):
    head = (small / "out").read_bytes()[:120]
    start = time.perf_counter()
    refuses(small, head + b"\x85\x06\x00\x01\x5b" + (1 << 60).to_bytes(8, "big") + b"x" * 100)
    assert time.perf_counter() - start < 5


_KILLED = """
import sys, time
from pathlib import Path
from hub import export
seen = []
def progress(done, total):
    if done == 150:
        print("half", flush=True)
        time.sleep(60)
export.export(Path(sys.argv[1]), Path(sys.argv[2]), progress=progress)
"""


def test_an_export_that_is_killed_leaves_no_file_of_that_name_and_the_next_one_is_whole(tmp_path):
    folder = holding(tmp_path / "a", reader_of(300, 1000))
    arguments = [sys.executable, "-c", _KILLED, str(folder), str(tmp_path / "out")]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "out").exists()
    assert export.export(folder, tmp_path / "out").records == 300
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["out"], "nor is anything left beside it"


_FULL = """
import resource, sys
from pathlib import Path
from hub import export
from hub.sealed_file import FileRefused
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    export.export(Path(sys.argv[1]), Path(sys.argv[2]))
except FileRefused as error:
    print(error)
"""


def test_a_stick_without_room_is_named_and_nothing_is_left_on_it(tmp_path):
    folder = holding(tmp_path / "a", reader_of(300, 1000))
    arguments = [sys.executable, "-c", _FULL, str(folder), str(tmp_path / "out")]
    said = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=True).stdout
    assert said.startswith("There is no room for ")
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []


def test_a_file_that_is_there_is_written_over_only_when_meant(tmp_path):
    folder = holding(tmp_path / "a", reader_of(2))
    (tmp_path / "out").write_text("holiday photographs")
    with pytest.raises(FileRefused, match="--replace"):
        export.export(folder, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "holiday photographs"
    export.export(folder, tmp_path / "out", overwrite=True)
    assert sealed_file.check(tmp_path / "out", lambda frame: None).frames > 0


def test_a_damaged_database_exports_nothing_and_says_what_to_do(tmp_path):
    folder = holding(tmp_path / "a", reader_of(3))
    with sqlite3.connect(folder / database.FILE) as db:
        db.execute("UPDATE records SET sealed = zeroblob(length(sealed)) WHERE number = 2")
    with pytest.raises(database.StoreDamaged, match="doorstep hub run"):
        export.export(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_carrying_for_others_has_a_bound_and_says_so(tmp_path, monkeypatch):
    a, b = holding(tmp_path / "a", reader_of(9)), tmp_path / "b"
    enrolled(b, b"hub-id-B")
    export.export(a, tmp_path / "out")
    monkeypatch.setattr(importing, "CARRIED_MAX", 5)
    with pytest.raises(importing.NoRoom, match="Deliver them first"):
        importing.take(b, tmp_path / "out")


def test_the_commands_speak_in_sentences_and_json(tmp_path):
    reader = reader_of(4)
    folder = holding(tmp_path / "a", reader)
    environment = {**os.environ, "DOORSTEP_HUB_DATA": str(folder)}

    def doorstep(*arguments):
        command = [sys.executable, "-c", "from hub.command import main; main()", "hub", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    out = str(tmp_path / "out")
    done = doorstep("export", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{out} holds 4 records and 0 receipts. They stay queued here until receipts come.")
    again = doorstep("export", out)
    assert (again.returncode, "already" in again.stderr) == (1, True)
    assert json.loads(doorstep("export", out, "--replace", "--json").stdout)["records"] == 4
    taken = doorstep("import", str(answer(tmp_path / "back", receipt_item(reader, 4))), "--json")
    assert json.loads(taken.stdout)["receipts"] == 1
    missing = doorstep("import", str(tmp_path / "nowhere"))
    assert (missing.returncode, missing.stderr.count("\n")) == (1, 1)


def test_chained_records_are_what_the_model_makes():
    """The model reader used here makes chains as the hub reads them: without this the tests above prove nothing."""
    records = [read_record(sealed) for sealed in chain_of(b"reader-8", 3)]
    assert [record.previous for record in records[1:]] == [record.hash for record in records[:-1]]
