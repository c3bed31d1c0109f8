"""The support file: everything that an engineer needs, and nothing that was planted for this test to find."""

import json
import logging
import sqlite3
import stat
import sys
import zipfile
from pathlib import Path

import pytest
from model_reader import chain_of, sealed_record
from model_server import ModelServer

from hub import enrol, logbook
from hub.admission import Ticket
from hub.command import log_path
from hub.exchange import Command, Receipt, Reply
from hub.sealed import read_record
from hub.store import Store

sys.path.insert(0, str(Path(__file__).parent))
from test_command import doorstep
from test_on_readers import village
from test_store import AT, READER

SPECIMEN, PERSON, WORKER = "SPX-204177", "Asha Verma", "Mrs Okoro"
NOWHERE = {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent/bus"}


def bundled(folder, *more):
    """Run the command; returns what is in the file by name, as text."""
    file = folder / "problem.zip"
    done = doorstep(folder, "hub", "bundle", str(file), *more, **NOWHERE)
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


@pytest.fixture
def log(tmp_path):
    """The running hub's own log of the laptop in tmp_path."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    logbook.to_file(log_path(tmp_path / "hub"))
    yield logging.getLogger("hub.planted")
    for handler in [handler for handler in root.handlers if handler not in before]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def secrets_in(folder):
    """Everything in the data folder that must never leave it, in each form in which it could."""
    with sqlite3.connect(folder / "hub.sqlite3") as db:
        held = [row[0] for row in db.execute("SELECT secret FROM tickets")]
        for table in ("records", "evidence", "receipts", "commands"):
            held += [row[0] for row in db.execute(f"SELECT sealed FROM {table} WHERE sealed IS NOT NULL")]
        held += [row[0] for row in db.execute("SELECT hash FROM records WHERE hash IS NOT NULL")]
    lines = (folder / "hub-key.pem").read_text().splitlines()
    return held, [line for line in lines if not line.startswith("-----")]


async def test_after_a_real_transfer_it_tells_how_the_hub_is_and_nothing_about_anybody(tmp_path, log):
    async with village(tmp_path / "hub") as there:
        reader_id = await there.add(WORKER)
        await there.run(until=1)
        assert there.rows("SELECT count(*) FROM records") > [(0,)]
    store = Store(tmp_path / "hub")
    store.keep_records(READER, [read_record(sealed) for sealed in chain_of(READER, 3)], 1_700_000_000_000)
    # A record that was sealed badly would hold the specimen in the clear: even that must not get out.
    leaky = sealed_record(READER, 4, bytes(16)).replace(bytes(16), SPECIMEN.encode().ljust(16))
    assert SPECIMEN.encode() in leaky
    store.keep_evidence(READER, read_record(leaky), f"not what {SPECIMEN} was", 1)
    store.saw(READER, PERSON, -60, 5, 0, 0, 1_700_000_000_000)
    ticket = Ticket(READER, 2_000_000_000, 1, b"secret of a ticket, 32 bytes lon")
    reply = Reply(
        1, b"epoch--1", (), (Receipt(READER, 3, b"sealed receipt"),), (ticket,), (Command(READER, 1, b"c" * 40),)
    )
    store.apply([], [], reply, AT)
    store.raise_problem("reader-misbehaved", READER.hex(), f"{ticket.secret!r} {ticket.secret.hex()}", 1)
    store.close()
    for field in ("specimen", "person", "name", "ticket", "sealed"):
        log.warning("planted", extra={"fields": {field: SPECIMEN if field == "specimen" else PERSON, "reader": "aa"}})
    log.warning("planted", extra={"error": f"it sent {ticket.secret.hex()} and {leaky!r}"})
    try:
        int(SPECIMEN)
    except ValueError:
        log.exception("planted")
    with log_path(tmp_path / "hub").open("a") as file:  # as an older version may have left it
        file.write(json.dumps({"time": "then", "what": "old", "specimen": SPECIMEN, "deep": {"person": PERSON}}) + "\n")
        file.write(f"half a line about {SPECIMEN}\n")

    found = bundled(tmp_path)
    whole = "\n".join(found.values())
    blobs, lines = secrets_in(tmp_path / "hub")
    assert len(blobs) > 5
    for blob in blobs:
        for form in (blob.hex(), blob.hex().upper(), repr(blob), str(list(blob)), blob.decode("latin-1")):
            assert form not in whole
    for words in (*lines, SPECIMEN, PERSON, WORKER, "Village hall", str(tmp_path), "PRIVATE KEY", "secret of a ticket"):
        assert words not in whole, words

    status = json.loads(found["status.json"])
    assert {reader["id"] for reader in status["readers"]} == {READER.hex(), reader_id.hex()}
    assert status["hub"] == there.enrolment.hub_id
    assert status["problems"][0]["code"] == "reader-misbehaved"
    database = json.loads(found["database.json"])
    assert database["version"] == database["version_known"]
    assert dict(database["rows"])["tickets"] == 2
    assert json.loads(found["versions.json"])["doorstep"]
    assert json.loads(found["settings.json"])["data"] == "~/hub"
    assert not json.loads(found["doctor.json"])["well"]
    told = [json.loads(line) for line in found["log/hub.log"].splitlines()]
    assert {"started", "collected", "delivered", "planted"} <= {line.get("what") for line in told}
    assert "test_bundle.py" in found["log/hub.log"], "where an error came from is told"
    assert "not a line of this log" in found["log/hub.log"]
    assert "What is not in it" in found["README.txt"]


def test_a_hub_in_any_state_makes_one(tmp_path):
    found = bundled(tmp_path)
    assert json.loads(found["database.json"])["failed"] == "There is no database yet."
    with ModelServer() as server:
        enrol.enrol(tmp_path / "hub", server.code, server.url, "Hall")
    (tmp_path / "hub" / "hub.sqlite3").write_bytes(b"nonsense" * 1000)
    again = doorstep(tmp_path, "hub", "bundle", str(tmp_path / "problem.zip"), **NOWHERE)
    assert again.returncode == 2
    assert "--replace" in again.stderr
    found = bundled(tmp_path, "--replace")
    assert "StoreDamaged" in json.loads(found["database.json"])["failed"]
    assert "StoreDamaged" in json.loads(found["status.json"])["failed"]


def test_all_parts_of_a_rotated_log_are_in_it(tmp_path, log, monkeypatch):
    monkeypatch.setattr(logbook, "FILE_BYTES", 4_000)
    logbook.to_file(log_path(tmp_path / "hub"))
    for number in range(60):
        log.info("counted", extra={"number": number, "detail": "word " * 60})
    found = bundled(tmp_path)
    parts = ["log/hub.log", *(f"log/hub.log.{number}" for number in range(1, logbook.FILES))]
    assert [name for name in found if name.startswith("log/hub")] == parts
    # Whoever else has something to say at that moment is in it too, a library's last words about an earlier test.
    told = [json.loads(line) for name in reversed(parts) for line in found[name].splitlines()]
    counted = [one["number"] for one in told if one["from"] == "hub.planted"]
    assert counted == list(range(60 - len(counted), 60))
    assert len(counted) > logbook.FILES


def test_a_place_that_cannot_be_written_is_a_sentence_and_leaves_nothing(tmp_path):
    done = doorstep(tmp_path, "hub", "bundle", str(tmp_path / "nowhere" / "problem.zip"), **NOWHERE)
    assert done.returncode == 2
    assert "There is no folder" in done.stderr
    assert list(tmp_path.glob(".problem*")) == []
