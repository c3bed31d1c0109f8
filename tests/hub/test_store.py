"""The hub's database: what was acknowledged survives kill -9, damage and a full disk are named, and history costs
nothing."""

import itertools
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from model_reader import chain_of

from hub import database
from hub.clock import Comparison, Reading
from hub.errors import AlreadyRunning, DiskFull, StoreDamaged, StoreError, StoreReadOnly
from hub.exchange import Answer, Receipt, Reply
from hub.lock import FolderLock, is_running
from hub.messages import Damaged
from hub.sealed import read_record
from hub.store import Store

READER = b"reader-8"
AT = Comparison(1_700_000_000_000, Reading(1_700_000_000_000, 5, "boot"), 1)
DAY_MS = 86_400_000


def records(count, size=300):
    return [read_record(sealed) for sealed in chain_of(READER, count, size)]


def reply(answers=(), receipts=(), epoch=b"epoch--1"):
    return Reply(AT.server_ms, epoch, tuple(answers), tuple(receipts), (), ())


def at(now_ms):
    return Comparison(now_ms, Reading(now_ms, 5, "boot"), 1)


_WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from model_reader import sealed_record
from hub.sealed import first_previous, read_record, chain_hash
from hub.store import Store
reader = b"reader-8"
store = Store(Path(sys.argv[1]))
known = store.known(reader)
number, previous = known.stored, known.hash or first_previous(reader)
while True:
    window = []
    for _ in range(3):
        number += 1
        sealed = sealed_record(reader, number, previous, 2000)
        previous = chain_hash(sealed)
        window.append(read_record(sealed))
    store.keep_records(reader, window, 1)
    print(number, previous.hex(), flush=True)
"""


def test_what_was_acknowledged_survives_kill_9_at_any_instant(tmp_path):
    chance, acknowledged = random.Random(20261121), 0
    for _ in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path), str(Path(__file__).parent)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(chance.uniform(0, 0.05))  # the instant of the kill, not a wait for anything
        process.send_signal(signal.SIGKILL)
        lines = [first, *process.stdout.read().splitlines()]
        process.wait()
        whole = [line.split() for line in lines if len(line.split()) == 2 and len(line.split()[1]) == 32]
        acknowledged, tip = int(whole[-1][0]), bytes.fromhex(whole[-1][1])
        store = Store(tmp_path)
        known = store.known(READER)
        assert known.stored in (acknowledged, acknowledged + 3)
        assert known.stored % 3 == 0
        assert store.held_hash(READER, acknowledged) == tip
        store.close()
    with sqlite3.connect(tmp_path / "hub.sqlite3") as db:
        rows = db.execute("SELECT number, sealed, previous FROM records ORDER BY number").fetchall()
        assert db.execute("SELECT kept, waiting, undelivered FROM readers").fetchone() == (len(rows),) * 3
    assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
    assert all(
        read_record(after[1]).previous == read_record(before[1]).hash for before, after in itertools.pairwise(rows)
    )


def test_the_counters_are_those_of_the_rows_after_everything(tmp_path):
    store = Store(tmp_path)
    made = records(30)
    store.keep_records(READER, [*made[:9], Damaged(10), *made[10:20]], 1)
    offers = store.offers(12, 10**9)
    store.apply(offers, [], reply([Answer(1, None)] * 12, [Receipt(READER, 12, b"r")]), AT)
    store.keep_records(READER, made[20:], 1)
    store.apply([], [], reply(receipts=[Receipt(READER, 11, b"r"), Receipt(READER, 15, b"r")]), AT)
    with sqlite3.connect(tmp_path / "hub.sqlite3") as db:
        kept, waiting, undelivered, delivered = db.execute(
            "SELECT kept, waiting, undelivered, delivered FROM readers"
        ).fetchone()
        counted = db.execute("SELECT count(*), sum(state = 0), sum(number > 15 AND state <> 3) FROM records").fetchone()
    assert (kept, waiting, undelivered) == counted
    assert delivered == 15
    store.apply([], [], reply(epoch=b"epoch--2"), AT)
    with sqlite3.connect(tmp_path / "hub.sqlite3") as db:
        assert db.execute("SELECT kept, waiting, undelivered, delivered FROM readers").fetchone() == (30, 29, 29, 0)


def test_delivered_records_are_dropped_after_thirty_days_and_others_never(tmp_path):
    store = Store(tmp_path)
    store.keep_records(READER, records(10), 1)
    offers = store.offers(8, 10**9)
    store.apply(offers, [], reply([Answer(1, None)] * 8, [Receipt(READER, 6, b"r")]), at(DAY_MS))
    assert store.prune(30 * DAY_MS) == 0
    assert store.prune(32 * DAY_MS) == 6
    assert [offer.number for offer in store.offers(10, 10**9)] == [9, 10]
    assert store.known(READER).stored == 10
    assert store.held_hash(READER, 10) is not None
    assert store.prune(10_000 * DAY_MS) == 0


def test_the_folder_and_the_file_are_the_owners_alone(tmp_path):
    Store(tmp_path / "hub").close()
    assert (tmp_path / "hub").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "hub" / database.FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("where", ["header", "schema", "record"])
def test_a_damaged_database_is_found_and_moved_aside_whole(tmp_path, where):
    store = Store(tmp_path)
    made = records(200)
    store.keep_records(READER, made, 1)
    store.close()
    file = tmp_path / database.FILE
    data = bytearray(file.read_bytes())
    at = {"header": 0, "schema": 100, "record": data.index(made[120].sealed[200:240])}[where]
    data[at : at + 20] = os.urandom(20)
    file.write_bytes(data)
    with pytest.raises(StoreDamaged):
        Store(tmp_path).offers(1000, 10**9)
    aside = database.move_aside(tmp_path)
    assert (aside / database.FILE).read_bytes()[at:] == data[at:]
    assert Store(tmp_path).known(READER).stored == 0


def test_wherever_a_database_is_damaged_nothing_altered_is_ever_offered(tmp_path):
    store = Store(tmp_path)
    made = records(100)
    store.keep_records(READER, made, 1)
    store.close()
    file = tmp_path / database.FILE
    whole, chance, found = file.read_bytes(), random.Random(7), 0
    for _ in range(60):
        data = bytearray(whole)
        at = chance.randrange(len(data))
        data[at] ^= 1 << chance.randrange(8)
        file.write_bytes(data)
        try:
            store = Store(tmp_path)
            offered = store.offers(1000, 10**9)
            store.close()
        except StoreError:
            found += 1
            continue
        assert all(offer.sealed == made[offer.number - 1].sealed for offer in offered)
    assert found > 10


def test_a_full_disk_is_named_nothing_is_half_written_and_it_goes_on_after(tmp_path):
    store = Store(tmp_path)
    made = records(60, size=3000)
    store.keep_records(READER, made[:2], 1)
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages + 10}")
    with pytest.raises(DiskFull):
        store.keep_records(READER, made[2:], 1)
    assert store.known(READER).stored == 2
    store._db.execute("PRAGMA max_page_count = 1000000")
    store.keep_records(READER, made[2:], 1)
    assert store.known(READER).stored == 60


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreReadOnly):
        Store(tmp_path / "file" / "hub")


def test_a_newer_database_is_left_alone(tmp_path):
    Store(tmp_path).close()
    with sqlite3.connect(tmp_path / database.FILE) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer Doorstep"):
        Store(tmp_path)


def test_a_write_costs_the_same_with_a_hundred_times_the_history(tmp_path):
    store = Store(tmp_path)
    made = records(20_200, size=60)

    def cost(items):
        """The steps of SQLite's machine for one window, which do not depend on how busy the computer is."""
        steps = 0

        def step():
            nonlocal steps
            steps += 1
            return 0

        store._db.set_progress_handler(step, 1)
        store.keep_records(READER, items, 1)
        offers = store.offers(50, 10**6)
        store.apply(offers, [], reply([Answer(1, None)] * len(offers), [Receipt(READER, items[-1].number, b"r")]), AT)
        store.work(READER)
        store.prune(AT.at.wall_ms)
        store._db.set_progress_handler(None, 0)
        return steps

    store.keep_records(READER, made[:100], 1)
    store.apply(store.offers(1000, 10**9), [], reply([Answer(1, None)] * 100), AT)
    early = cost(made[100:150])
    for start in range(150, 20_150, 1000):
        store.keep_records(READER, made[start : start + 1000], 1)
        offers = store.offers(1000, 10**9)
        store.apply(offers, [], reply([Answer(1, None)] * len(offers), [Receipt(READER, start + 1000, b"r")]), AT)
    late = cost(made[20_150:20_200])
    assert late < early * 1.5, f"{early} steps early, {late} late"


def test_two_hubs_cannot_share_a_folder_and_a_killed_one_leaves_no_lock(tmp_path):
    holder = (
        "import sys, time; from pathlib import Path; from hub.lock import FolderLock\n"
        "with FolderLock(Path(sys.argv[1])): print(1, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", holder, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline()
    assert is_running(tmp_path)
    with pytest.raises(AlreadyRunning, match=str(process.pid)), FolderLock(tmp_path):
        pass
    process.kill()
    process.wait()
    assert not is_running(tmp_path)
    with FolderLock(tmp_path):
        assert is_running(tmp_path)


def test_an_advertisement_with_the_start_of_a_name_does_not_cut_the_name_that_is_known(tmp_path):
    store = Store(tmp_path)
    for said, known in (("Village", "Village"), (None, "Village"), ("Villa", "Village"), ("Clinic", "Clinic")):
        store.saw(READER, said, -60, 1, 0, 0, 1)
        assert store._one("SELECT name FROM readers WHERE reader_id = ?", READER) == (known,)
    store.close()
