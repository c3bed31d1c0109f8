"""The journal keeps every record it acknowledged, over restarts, receipts, full storage and rotten bytes.

Power cuts and rot on real littlefs are tried by `emulator.faults`, class journal.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reader import durable, journal
from reader.custody import Recorder, chain_hash, genesis
from reader.journal import ChainMismatch, Damaged, Gone, Journal, JournalFull, JournalLost

READER = b"reader-1"
GENESIS = genesis(READER)
EPOCH = b"epoch--1"


def body(number: int, size: int = 90) -> bytes:
    return number.to_bytes(4, "big") + bytes(number * 31 + at & 0xFF for at in range(size - 4))


def filled(root: Path, count: int = 20, segment_bytes: int = 700) -> Journal:
    kept = Journal(str(root), GENESIS, segment_bytes)
    for number in range(1, count + 1):
        assert kept.append(body(number)) == number
    return kept


def test_numbers_and_chain_go_on_over_restarts_and_files(tmp_path: Path) -> None:
    before = GENESIS
    for number in range(1, 40):
        kept = Journal(str(tmp_path / "journal"), GENESIS, 600)
        assert kept.next == number
        assert kept.tail_hash == before
        assert kept.append(body(number)) == number
        before = chain_hash(body(number))
    kept = Journal(str(tmp_path / "journal"), GENESIS, 600)
    assert [kept.read(number) for number in range(1, 40)] == [body(number) for number in range(1, 40)]
    assert all(kept.chain_hash(number) == chain_hash(body(number)) for number in range(1, 40))
    assert kept.chain_hash(0) == GENESIS


def test_only_a_receipt_with_this_chain_discards(tmp_path: Path) -> None:
    kept = filled(tmp_path / "journal")
    with pytest.raises(ChainMismatch):
        kept.release(10, bytes(16), EPOCH)
    with pytest.raises(ChainMismatch):
        kept.release(21, bytes(16), EPOCH)
    assert (kept.first, kept.released) == (1, 0)
    assert kept.release(10, chain_hash(body(10)), EPOCH)
    assert kept.released == 10
    assert kept.first <= 11
    assert not kept.release(10, chain_hash(body(10)), EPOCH)
    assert not kept.release(2, chain_hash(body(2)), EPOCH)
    again = Journal(str(tmp_path / "journal"), GENESIS, 700)
    assert (again.released, again.epoch, again.first) == (10, EPOCH, kept.first)
    for number in range(kept.first, 21):
        assert again.read(number) == body(number)
    with pytest.raises(Gone):
        again.read(kept.first - 1)


def test_a_journal_discarded_whole_still_knows_its_number_and_chain(tmp_path: Path) -> None:
    kept = filled(tmp_path / "journal")
    kept.release(20, chain_hash(body(20)), EPOCH)
    again = Journal(str(tmp_path / "journal"), GENESIS, 700)
    assert (again.next, again.tail_hash) == (21, chain_hash(body(20)))
    assert again.chain_hash(20) == chain_hash(body(20))
    assert again.append(body(21)) == 21


def test_a_rotten_receipt_releases_no_more_than_was_discarded(tmp_path: Path) -> None:
    kept = filled(tmp_path / "journal")
    kept.release(15, chain_hash(body(15)), EPOCH)
    (tmp_path / "journal" / "receipt").write_bytes(b"rot")
    again = Journal(str(tmp_path / "journal"), GENESIS, 700)
    assert again.released == again.first - 1 < 15
    assert again.release(15, chain_hash(body(15)), EPOCH)


def check_rotten(root: Path, count: int, most: int) -> int:
    """Open a rotten journal: all it gives is right and at most `most` records are damaged. Return how many."""
    kept = Journal(str(root), GENESIS, 700)
    damaged = 0
    for number in range(kept.first, kept.next):
        try:
            assert kept.read(number) == body(number), "another record was given out"
        except Damaged:
            damaged += 1
        with suppress(Gone):
            assert kept.chain_hash(number) == chain_hash(body(number))
    if kept.lost is None:
        assert kept.next == count + 1
        assert kept.tail_hash == chain_hash(body(count))
        assert kept.append(body(count + 1)) == count + 1
        again = Journal(str(root), GENESIS, 700)
        assert again.read(count + 1) == body(count + 1)
        assert again.next == count + 2
    else:
        with pytest.raises(JournalLost):
            kept.append(body(count + 1))
        damaged += count + 1 - kept.next
    assert damaged <= most
    return damaged


def restore(root: Path, files: dict[str, bytes]) -> None:
    for path in root.iterdir():
        if path.name not in files:
            path.unlink()
    for name, data in files.items():
        (root / name).write_bytes(data)


def test_one_rotten_byte_anywhere_costs_one_record_at_most_and_blocks_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(durable, "sync", lambda file: file.flush())  # ten thousand appends; nothing is cut here
    root = tmp_path / "journal"
    filled(root, 9)
    files = {path.name: path.read_bytes() for path in root.iterdir()}
    assert len(files) == 3
    damaged = 0
    for name, data in files.items():
        for at in range(len(data)):
            restore(root, files)
            rotten = bytearray(data)
            rotten[at] ^= 1 << at % 8
            (root / name).write_bytes(rotten)
            damaged += check_rotten(root, 9, 1)
    assert damaged > 0


@pytest.mark.parametrize("filler", [b"\x00", b"\xff", b"\xd5"])
def test_a_rotten_sector_costs_only_the_records_in_it(tmp_path: Path, monkeypatch: Any, filler: bytes) -> None:
    monkeypatch.setattr(durable, "sync", lambda file: file.flush())
    root = tmp_path / "journal"
    filled(root, 9)
    files = {path.name: path.read_bytes() for path in root.iterdir()}
    for name, data in files.items():
        for start in range(0, len(data), 32):
            restore(root, files)
            # 256 bytes touch three records of 154 bytes at most.
            (root / name).write_bytes(data[:start] + filler * len(data[start : start + 256]) + data[start + 256 :])
            check_rotten(root, 9, 3)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_bytes_for_a_file_never_stop_the_reader(tmp_path_factory: Any, data: st.DataObject) -> None:
    root = tmp_path_factory.mktemp("rot") / "journal"
    kept = filled(root, 6)
    names = sorted(path.name for path in root.iterdir())
    name = data.draw(st.sampled_from([*names, "receipt", "pending"]))
    (root / name).write_bytes(data.draw(st.binary(max_size=900)))
    again = Journal(str(root), GENESIS, 700)
    assert again.lost is not None or again.next == kept.next
    for number in range(again.first, again.next):
        with suppress(Damaged):
            assert again.read(number) == body(number)
    again.pending()


def test_a_number_is_not_used_again_when_the_last_file_is_gone(tmp_path: Path) -> None:
    root = tmp_path / "journal"
    kept = filled(root)
    kept.release(20, chain_hash(body(20)), EPOCH)
    for path in root.glob("*.seg"):
        path.unlink()
    again = Journal(str(root), GENESIS, 700)
    with pytest.raises(JournalLost, match="Records up to 20"):
        again.append(b"x")


def test_a_journal_that_went_back_in_time_is_lost_and_names_what_is_damaged(tmp_path: Path) -> None:
    root = tmp_path / "journal"
    filled(root, 6)
    old = {path.name: path.read_bytes() for path in root.iterdir()}
    kept = Journal(str(root), GENESIS, 700)
    for number in range(7, 13):
        kept.append(body(number))
    restore(root, old)  # as littlefs gives a folder whose log has a rotten cell
    again = Journal(str(root), GENESIS, 700)
    with pytest.raises(JournalLost, match="Records up to 12"):
        again.append(body(13))
    assert (again.first, again.next) == (1, 13)
    assert [again.read(number) for number in range(1, 7)] == [body(number) for number in range(1, 7)]
    for number in range(7, 13):
        with pytest.raises(Damaged):
            again.read(number)


def test_a_journal_that_lost_every_file_names_each_record_not_released_as_damaged(tmp_path: Path) -> None:
    root = tmp_path / "journal"
    filled(root, 6)
    restore(root, {})
    again = Journal(str(root), GENESIS, 700)
    assert (again.first, again.next) == (1, 7)
    for number in range(1, 7):
        with pytest.raises(Damaged):
            again.read(number)
    assert again.chain_hash(0) == GENESIS
    with pytest.raises(JournalLost):
        again.append(body(7))


def test_a_note_that_went_back_in_time_is_brought_up_to_date(tmp_path: Path) -> None:
    root = tmp_path / "journal"
    kept = filled(root, 3)
    note = (tmp_path / "journal.last").read_bytes()
    kept.append(body(4))
    (tmp_path / "journal.last").write_bytes(note)
    assert Journal(str(root), GENESIS, 700).append(body(5)) == 5
    (tmp_path / "journal.last").write_bytes(b"rot")
    assert Journal(str(root), GENESIS, 700).append(body(6)) == 6


def test_a_full_reader_refuses_in_words_and_keeps_what_it_has(tmp_path: Path, monkeypatch: Any) -> None:
    kept = filled(tmp_path / "journal", 3)

    class Small:
        def __getattr__(self, name: str) -> Any:
            return getattr(journal_os, name)

        def statvfs(self, path: str) -> tuple[int, ...]:
            return (4096, 4096, 100, 30, 30)

    journal_os = journal.os
    monkeypatch.setattr(journal, "os", Small())
    kept._measure()
    assert kept.room_for() == 2
    with pytest.raises(JournalFull, match="hub"):
        kept.append(b"event", keep=2)
    assert kept.append(b"event", keep=1) == 4
    monkeypatch.setattr(Small, "statvfs", lambda self, path: (4096, 4096, 100, 25, 25))
    kept._measure()
    assert kept.room_for() == 0
    with pytest.raises(JournalFull, match="hub"):
        kept.append(bytes(4096))
    assert kept.next == 5


def test_a_result_and_the_end_of_its_pending_test_are_one(tmp_path: Path) -> None:
    kept = filled(tmp_path / "journal", 3)
    assert kept.pending() is None
    kept.pending_set(b"specimen 1")
    kept.append(body(4))
    again = Journal(str(tmp_path / "journal"), GENESIS, 700)
    assert again.pending() == b"specimen 1"
    # The power goes after the result is durable and before the file of the pending test is removed.
    stale = (tmp_path / "journal" / "pending").read_bytes()
    again.append(body(5), closes=True)
    assert again.pending() is None
    (tmp_path / "journal" / "pending").write_bytes(stale)
    for number in range(6, 16):
        again.append(body(number))
    assert Journal(str(tmp_path / "journal"), GENESIS, 700).pending() is None
    assert not (tmp_path / "journal" / "pending").exists()


class Keys:
    reader_id = READER
    generation = 3

    def record_key(self, generation: int) -> bytes:
        return bytes([generation]) * 32


def test_the_recorder_seals_number_and_chain_as_the_journal_has_them(tmp_path: Path) -> None:
    kept = Journal(str(tmp_path / "journal"), GENESIS)
    recorder = Recorder(Keys(), kept, lambda count: bytes(range(count)))
    from reader.cose import open_record

    before = GENESIS
    for number in range(1, 5):
        assert recorder.write(b"plaintext %d" % number) == number
        opened = open_record({3: bytes([3]) * 32}.get, READER, kept.read(number))
        assert (opened.number, opened.previous, opened.plaintext) == (number, before, b"plaintext %d" % number)
        before = kept.tail_hash


def test_a_storage_that_fails_while_appending_spends_no_number(tmp_path: Path, monkeypatch: Any) -> None:
    kept = filled(tmp_path / "journal", 3)

    def failing(file: Any) -> None:
        raise OSError(28, "no space")

    with monkeypatch.context() as broken:
        broken.setattr(durable, "sync", failing)
        # The file system keeps half of the frame, as a full one may.
        broken.setattr(journal.frames, "mark", lambda *arguments: b"\xd5" * 10)
        with pytest.raises(OSError, match="no space"):
            kept.append(body(4))
    assert kept.next in (4, 5)
    assert kept.lost is not None or kept.append(body(kept.next)) == kept.next - 1
