"""What the hub knows, durably: records on their way, readers, receipts, commands, tickets, sightings and problems.

Every method is one transaction: when it returns, what it wrote survives a power cut. "Delivered" is only ever moved
by a receipt.
Not for use from several threads; `hub.writer` gives the service one thread for it.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hub import cbor, database
from hub.admission import Ticket
from hub.awaited import AwaitedImages
from hub.clock import Comparison, Reading
from hub.database import transaction
from hub.errors import StoreDamaged
from hub.exchange import Answer, Command, Kept, Offer, Receipt, Reply, Sighting
from hub.messages import Damaged, ReaderState
from hub.problems import KINDS, Problem
from hub.registration_queue import Queued, RegistrationQueue
from hub.sealed import SealedRecord, chain_hash
from hub.transfer import Known
from reader import wire

SIGHTINGS_MAX = 20_000
EVIDENCE_MAX = 4_096
KEEP_DAYS = 30
_DAY_MS = 86_400_000
# In the order in which they are offered. Fixed names: no value from outside reaches a statement by them.
_TABLES: tuple[Kept, ...] = ("evidence", "records", "carried")
_WAITING = {
    table: f"SELECT id, reader_id, number, sealed, hash FROM {table} WHERE state = 0 ORDER BY id LIMIT ?"  # noqa: S608
    for table in _TABLES
}
_VISITED = """
    UPDATE readers SET name = :name, firmware = :firmware, battery = :battery, flags = :flags,
        first = :first, next = :next,
        released = :released, down = :down, generation = :generation, boot_id = :boot_id, clock_source = :clock_source,
        free = :free, seen_ms = :at_ms, visited_ms = :at_ms
    WHERE reader_id = :reader_id
"""
ASIDE = {wire.CONFLICT: "record-conflict", wire.QUARANTINED: "record-quarantined"}
WAITING, ANSWERED, REFUSED, DAMAGED = range(4)


@dataclass(frozen=True, slots=True)
class Work:
    """What the hub has for one reader, to be weighed against what the reader advertises. `image` is the id of one that
    is whole here and not yet on the reader."""

    stored: int
    receipt: int
    command: int
    down: int
    tickets: int
    expiry: int
    image: bytes | None = None


class Store(RegistrationQueue, AwaitedImages):
    def __init__(self, folder: Path) -> None:
        """Open the database in `folder` for writing. Raises StoreError and its kinds."""
        self._db = database.open_writer(folder)

    def close(self) -> None:
        self._db.close()

    # settings -------------------------------------------------------------------------------------

    def setting(self, key: str) -> Any:
        """A setting decoded from CBOR, or None."""
        row = self._one("SELECT value FROM settings WHERE key = ?", key)
        return None if row is None else cbor.decode(row[0], 65_536)

    def set_setting(self, key: str, value: Any) -> None:
        with transaction(self._db):
            self._set(key, value)

    def adopt(self, hub_id: bytes) -> None:
        """Tickets, the epoch and the server's key belong to one identity: with another one they are dropped."""
        if self.setting("hub_id") == hub_id:
            return
        with transaction(self._db):
            self._db.execute("DELETE FROM tickets")
            self._db.execute("DELETE FROM images")
            self._db.execute("DELETE FROM settings WHERE key IN ('epoch', 'registration_key')")
            self._set("hub_id", hub_id)

    def epoch(self) -> bytes | None:
        return self.setting("epoch")

    def comparison(self) -> Comparison | None:
        """The last comparison of clocks with the server."""
        value = self.setting("clock")
        return None if value is None else Comparison(value[0], Reading(value[1], value[2], value[3]), value[4])

    # collecting -----------------------------------------------------------------------------------

    def known(self, reader_id: bytes) -> Known:
        row = self._one("SELECT stored, stored_hash FROM readers WHERE reader_id = ?", reader_id)
        return Known(0, None) if row is None else Known(row[0], row[1])

    def held_hash(self, reader_id: bytes, number: int) -> bytes | None:
        """The chain hash stored at `number`, or None where it is not held (any more) or was damaged."""
        known = self.known(reader_id)
        if number == known.stored:
            return known.hash
        row = self._one("SELECT hash FROM records WHERE reader_id = ? AND number = ?", reader_id, number)
        return None if row is None else row[0]

    def keep_records(self, reader_id: bytes, items: Sequence[SealedRecord | Damaged], now_ms: int) -> None:
        """Store one window durably. The numbers rise and are beyond what is stored."""
        if not items:
            return
        with transaction(self._db):
            self._know(reader_id)
            self._db.executemany(
                "INSERT INTO records"
                " (reader_id, number, sealed, hash, previous, generation, received_ms, state, answered_ms)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [_row(reader_id, item, now_ms) for item in items],
            )
            last = items[-1]
            self._db.execute(
                "UPDATE readers SET stored = ?, stored_hash = ?, collected_ms = ? WHERE reader_id = ?",
                (last.number, last.hash if isinstance(last, SealedRecord) else None, now_ms, reader_id),
            )

    def keep_evidence(self, reader_id: bytes, record: SealedRecord, reason: str, now_ms: int) -> bool:
        """Keep bytes that dispute what is stored; returns False when exactly these are kept already or the room for
        them is used up."""
        with transaction(self._db):
            self._know(reader_id)
            kept = self._db.execute("SELECT count(*) FROM evidence WHERE reader_id = ?", (reader_id,)).fetchone()[0]
            if kept >= EVIDENCE_MAX:
                return False
            cursor = self._db.execute(
                "INSERT INTO evidence (reader_id, number, hash, sealed, reason, received_ms) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                (reader_id, record.number, record.hash, record.sealed, reason, now_ms),
            )
            return cursor.rowcount == 1

    def saw(
        self, reader_id: bytes, name: str | None, rssi: int | None, next: int, released: int, flags: int, now_ms: int
    ) -> None:
        """An advertisement: what it says is shown, never trusted. It may have room for the start of the name only."""
        with transaction(self._db):
            self._know(reader_id)
            self._db.execute(
                "UPDATE readers SET name = iif(substr(name, 1, length(:name)) = :name, name, coalesce(:name, name)),"
                " rssi = :rssi, next = :next, released = :released, flags = :flags, seen_ms = :seen"
                " WHERE reader_id = :reader_id",
                {
                    "name": name,
                    "rssi": rssi,
                    "next": next,
                    "released": released,
                    "flags": flags,
                    "seen": now_ms,
                    "reader_id": reader_id,
                },
            )

    def visited(self, state: ReaderState, at: Reading, uncertainty_ms: int) -> None:
        """The reader's state, read over an admitted link at `at`, and the sighting for the server that anchors its
        clock."""
        s = state
        sighting = Sighting(
            reader_id=s.reader_id,
            boot_id=s.boot_id,
            uptime_ms=s.uptime_ms,
            hub_ms=at.wall_ms,
            uncertainty_ms=uncertainty_ms,
            first=s.first,
            next=s.next,
            released=s.released,
            down=s.down,
            battery=s.battery,
            flags=s.flags,
            firmware=s.firmware,
            generation=s.generation,
        )
        with transaction(self._db):
            self._know(s.reader_id)
            self._db.execute(_VISITED, {**asdict(s), "at_ms": at.wall_ms})
            self._db.execute("DELETE FROM commands WHERE reader_id = ? AND number <= ?", (s.reader_id, s.down))
            cursor = self._db.execute(
                "INSERT INTO sightings (reader_id, sighting, wall_ms, steady_ms, boot) VALUES (?, ?, ?, ?, ?)",
                (s.reader_id, cbor.encode(list(asdict(sighting).values())), at.wall_ms, at.steady_ms, at.boot),
            )
            self._db.execute("DELETE FROM sightings WHERE id <= ?", ((cursor.lastrowid or 0) - SIGHTINGS_MAX,))

    # downlink -------------------------------------------------------------------------------------

    def tickets(self, reader_id: bytes) -> list[Ticket]:
        """The tickets for a reader, the newest key generation first."""
        rows = self._all(
            "SELECT expiry, generation, secret FROM tickets WHERE reader_id = ? ORDER BY generation DESC", reader_id
        )
        return [Ticket(reader_id, *row) for row in rows]

    def receipt(self, reader_id: bytes, released: int) -> Receipt | None:
        """The newest receipt, when it is beyond what the reader has released, or came in a file: such a one the reader
        is to judge in any case."""
        row = self._one(
            "SELECT number, sealed FROM receipts WHERE reader_id = ? AND (number > ? OR by_file)", reader_id, released
        )
        return None if row is None else Receipt(reader_id, *row)

    def commands(self, reader_id: bytes, down: int) -> list[Command]:
        """The server's messages that wait for a reader whose last one taken is `down`, in order."""
        rows = self._all(
            "SELECT number, sealed FROM commands WHERE reader_id = ? AND number > ? ORDER BY number LIMIT 32",
            reader_id,
            down,
        )
        return [Command(reader_id, *row) for row in rows]

    def released(self, reader_id: bytes, released: int, taken: int, now_ms: int) -> bool:
        """The reader has taken the receipt for `taken` and released so far; True when that moved what is delivered.

        Only a reader can open a receipt. One that came in a file is proved by this, and delivers as another.
        """
        with transaction(self._db):
            self._db.execute("UPDATE readers SET released = ? WHERE reader_id = ?", (released, reader_id))
            proved = self._db.execute(
                "UPDATE receipts SET by_file = 0 WHERE reader_id = ? AND number = ? AND by_file", (reader_id, taken)
            )
            if proved.rowcount == 0 or released < taken:
                return False
            self._db.execute(
                "UPDATE records SET state = 1, answered_ms = ? WHERE reader_id = ? AND number <= ? AND state = 0",
                (now_ms, reader_id, taken),
            )
            moved = self._db.execute(
                "UPDATE readers SET delivered = ?, delivered_ms = ? WHERE reader_id = ? AND delivered < ?",
                (taken, now_ms, reader_id, taken),
            )
            return moved.rowcount == 1

    def forget_receipt(self, reader_id: bytes, number: int) -> None:
        """A receipt that the reader refused: it is not offered again; the server makes another."""
        with transaction(self._db):
            self._db.execute("DELETE FROM receipts WHERE reader_id = ? AND number = ?", (reader_id, number))

    def work(self, reader_id: bytes) -> Work:
        row = self._one(
            "SELECT r.stored, coalesce((SELECT number FROM receipts WHERE reader_id = r.reader_id), 0),"
            " coalesce((SELECT max(number) FROM commands WHERE reader_id = r.reader_id), 0), r.down,"
            " (SELECT count(*) FROM tickets WHERE reader_id = r.reader_id),"
            " coalesce((SELECT max(expiry) FROM tickets WHERE reader_id = r.reader_id), 0),"
            " (SELECT image_id FROM awaited JOIN images USING (image_id)"
            " WHERE reader_id = r.reader_id AND held = size AND offset < size)"
            " FROM readers r WHERE r.reader_id = ?",
            reader_id,
        )
        return Work(0, 0, 0, 0, 0, 0) if row is None else Work(*row)

    # exchange -------------------------------------------------------------------------------------

    def offers(self, limit: int, bytes_max: int) -> list[Offer]:
        """The oldest records (and evidence) the server has not answered, at most `limit` and `bytes_max` sealed bytes.

        Raises StoreDamaged when the bytes of one are no longer those that were received.
        """
        offers: list[Offer] = []
        size = 0
        for table in _TABLES:
            for *row, hash in self._all(_WAITING[table], limit - len(offers)):
                if chain_hash(row[3]) != hash:
                    # SQLite does not notice a changed byte in a value; the reader still has the record: begin anew.
                    raise StoreDamaged("A stored record is not what was received.")
                size += len(row[3])
                if offers and size > bytes_max:
                    return offers
                offers.append(Offer(table, *row))
        return offers

    def has_offers(self) -> bool:
        return any(self._all(_WAITING[table], 1) for table in _TABLES) or self.has_registrations()

    def undelivered(self) -> int:
        """Records that no receipt covers yet."""
        return int(self._one("SELECT coalesce(sum(undelivered), 0) FROM readers")[0])

    def sightings(self, limit: int) -> list[tuple[int, Sighting, int, int, str]]:
        """The oldest sightings not yet sent: id, sighting, and the hub's clocks when it was made (wall ms, steady
        ms, boot)."""
        rows = self._all("SELECT id, sighting, wall_ms, steady_ms, boot FROM sightings ORDER BY id LIMIT ?", limit)
        return [(row[0], Sighting(*cbor.decode(row[1], 1024)), row[2], row[3], row[4]) for row in rows]

    def held_tickets(self, limit: int) -> list[tuple[bytes, int]]:
        rows = self._all("SELECT reader_id, max(expiry) FROM tickets GROUP BY reader_id LIMIT ?", limit)
        return [(row[0], row[1]) for row in rows]

    def apply(
        self,
        offers: Sequence[Offer],
        sightings: Sequence[int],
        reply: Reply,
        comparison: Comparison,
        registrations: Sequence[Queued] = (),
    ) -> dict[bytes, int]:
        """Take a whole response in one transaction; returns the readers whose delivered number moved, and to where.

        `reply` has been checked: one answer an offer, in order. Another epoch than the known one makes every
        record wait again, and voids receipts: the server that signed them no longer holds what they released.
        """
        now_ms = comparison.at.wall_ms
        with transaction(self._db):
            if reply.epoch != self.epoch():
                self._new_epoch(reply.epoch)
            for offer, answer in zip(offers, reply.answers, strict=True):
                self._answered(offer, answer, now_ms)
            self._take_registration_answers(registrations, reply.registered, reply.registration_key, now_ms)
            for said in reply.registered:
                if said.disposition in ASIDE:
                    self._note("registration-quarantined", "", said.problem or "", now_ms)
            self._db.executemany("DELETE FROM sightings WHERE id = ?", [(id,) for id in sightings])
            moved = {item.reader_id: item.number for item in reply.receipts if self._take_receipt(item, now_ms)}
            self._take_tickets(reply.tickets)
            for item in reply.commands:
                self._know(item.reader_id)
                self._db.execute(
                    "INSERT INTO commands VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET sealed = excluded.sealed"
                    " WHERE commands.sealed <> excluded.sealed",
                    (item.reader_id, item.number, item.sealed, now_ms),
                )
            at = comparison.at
            self._set("clock", [comparison.server_ms, at.wall_ms, at.steady_ms, at.boot, comparison.uncertainty_ms])
            self._set("exchanged_ms", now_ms)
        return moved

    def refuse(self, offer: Offer, problem: str, now_ms: int) -> None:
        """The server refuses a request because of this one record: it stays here, out of the way of the others."""
        with transaction(self._db):
            self._state(offer, REFUSED, now_ms, None, problem)

    def drop_sighting(self, id: int) -> None:
        with transaction(self._db):
            self._db.execute("DELETE FROM sightings WHERE id = ?", (id,))

    def prune(self, now_ms: int, keep_days: int = KEEP_DAYS) -> int:
        """Drop records that were delivered, by receipt, and answered more than `keep_days` ago; at most 1,000 a
        call."""
        with transaction(self._db):
            cursor = self._db.execute(
                "DELETE FROM records WHERE id IN (SELECT id FROM records JOIN readers USING (reader_id)"
                " WHERE state IN (1, 3) AND answered_ms < ? AND number <= delivered ORDER BY answered_ms LIMIT 1000)",
                (now_ms - keep_days * _DAY_MS,),
            )
            carried = self._db.execute(  # the hub that collected them keeps them for as long as they must be kept
                "DELETE FROM carried WHERE id IN"
                " (SELECT id FROM carried WHERE state = 1 AND answered_ms < ? ORDER BY answered_ms LIMIT 1000)",
                (now_ms - keep_days * _DAY_MS,),
            )
            self._prune_registrations(now_ms - keep_days * _DAY_MS)
            return cursor.rowcount + carried.rowcount

    # problems -------------------------------------------------------------------------------------

    def raise_problem(self, code: str, subject: str, detail: str, now_ms: int) -> bool:
        """Note a problem that stands; returns True when it is new."""
        if code not in KINDS:
            raise KeyError(code)
        with transaction(self._db):
            new = self._one("SELECT 1 FROM problems WHERE code = ? AND subject = ?", code, subject) is None
            self._note(code, subject, detail, now_ms)
        return new

    def clear_problems(self, codes: Iterable[str], subject: str) -> None:
        codes = list(codes)
        if not any(self._one("SELECT 1 FROM problems WHERE code = ? AND subject = ?", code, subject) for code in codes):
            return  # the usual case costs no write
        with transaction(self._db):
            self._db.executemany(
                "DELETE FROM problems WHERE code = ? AND subject = ?", [(code, subject) for code in codes]
            )

    def problems(self) -> list[Problem]:
        return [
            Problem(*row)
            for row in self._all(
                "SELECT code, subject, detail, since_ms, last_ms, count FROM problems ORDER BY since_ms"
            )
        ]

    # inside a transaction -------------------------------------------------------------------------

    def _know(self, reader_id: bytes) -> None:
        self._db.execute("INSERT INTO readers (reader_id) VALUES (?) ON CONFLICT DO NOTHING", (reader_id,))

    def _set(self, key: str, value: Any) -> None:
        self._db.execute(
            "INSERT INTO settings VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            (key, cbor.encode(value)),
        )

    def _note(self, code: str, subject: str, detail: str, now_ms: int) -> None:
        self._db.execute(
            "INSERT INTO problems VALUES (?, ?, ?, ?, ?, 1) ON CONFLICT DO UPDATE SET detail = excluded.detail,"
            " last_ms = excluded.last_ms, count = count + 1",
            (code, subject, detail[:200], now_ms, now_ms),
        )

    def _new_epoch(self, epoch: bytes) -> None:
        self._set("epoch", epoch)
        self._db.execute("UPDATE records SET state = 0 WHERE state IN (1, 2)")
        self._db.execute("UPDATE evidence SET state = 0")
        self._db.execute("UPDATE carried SET state = 0")
        self._offer_registrations_again()
        self._db.execute("DELETE FROM receipts")
        self._db.execute("DELETE FROM settings WHERE key = 'file_ms'")
        self._db.execute(
            "UPDATE readers SET delivered = 0, undelivered = "
            "(SELECT count(*) FROM records WHERE records.reader_id = readers.reader_id AND state <> 3)"
        )

    def _answered(self, offer: Offer, answer: Answer, now_ms: int) -> None:
        self._state(offer, ANSWERED, now_ms, answer.disposition, answer.problem)
        if answer.disposition in ASIDE:
            self._note(ASIDE[answer.disposition], offer.reader_id.hex(), str(offer.number), now_ms)

    def _state(self, offer: Offer, state: int, now_ms: int, disposition: int | None, problem: str | None) -> None:
        self._db.execute(
            f"UPDATE {offer.kept} SET state = ?, answered_ms = ?, disposition = ?, problem = ? WHERE id = ?",  # noqa: S608
            (state, now_ms, disposition, problem, offer.id),
        )

    def _take_receipt(self, receipt: Receipt, now_ms: int) -> bool:
        """Keep the newest receipt of a reader; True when it moves what is delivered."""
        self._know(receipt.reader_id)
        self._db.execute(
            "INSERT INTO receipts VALUES (?, ?, ?, ?, 0) ON CONFLICT DO UPDATE SET"
            " number = excluded.number, sealed = excluded.sealed, received_ms = excluded.received_ms, by_file = 0"
            " WHERE excluded.number >= receipts.number OR receipts.by_file",
            (receipt.reader_id, receipt.number, receipt.sealed, now_ms),
        )
        cursor = self._db.execute(
            "UPDATE readers SET delivered = ?, delivered_ms = ? WHERE reader_id = ? AND delivered < ?",
            (receipt.number, now_ms, receipt.reader_id, receipt.number),
        )
        return cursor.rowcount == 1

    def _take_tickets(self, tickets: Sequence[Ticket]) -> None:
        for ticket in tickets:
            self._know(ticket.reader_id)
            self._db.execute(
                "INSERT INTO tickets VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " expiry = excluded.expiry, secret = excluded.secret",
                (ticket.reader_id, ticket.generation, ticket.expiry, ticket.secret),
            )
            self._db.execute(  # a reader holds its last two generations
                "DELETE FROM tickets WHERE reader_id = ? AND generation < ?", (ticket.reader_id, ticket.generation - 1)
            )

    def _one(self, sql: str, *values: Any) -> Any:
        with database.named_errors():
            return self._db.execute(sql, values).fetchone()

    def _all(self, sql: str, *values: Any) -> list[Any]:
        with database.named_errors():
            return self._db.execute(sql, values).fetchall()


def _row(reader_id: bytes, item: SealedRecord | Damaged, now_ms: int) -> tuple[Any, ...]:
    if isinstance(item, Damaged):
        return (reader_id, item.number, None, None, None, None, now_ms, DAMAGED, now_ms)
    return (reader_id, item.number, item.sealed, item.hash, item.previous, item.generation, now_ms, WAITING, None)


def open_rows(folder: Path) -> sqlite3.Connection | None:
    """A read-only connection for status, or None when nothing was ever stored."""
    connection = database.open_reader(folder)
    if connection is not None:
        connection.row_factory = sqlite3.Row
    return connection
