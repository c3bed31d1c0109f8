"""`doorstep hub import`: records of another hub to carry on, and receipts and messages for the readers known here.

Nobody vouches for a file, so nothing in it is believed that cannot be proved later: records are carried beside our own
and judged by the server, and so are registrations; a receipt counts once the reader it is sealed for has taken it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub import cbor, credentials, sealed_file
from hub.clock import Clock
from hub.database import transaction
from hub.errors import HubError, Malformed
from hub.exchange import Command, Receipt, downlink
from hub.sealed import SealedRecord, is_bytes, read_record, read_registration
from hub.sealed_file import FROM_HUB, FileRefused, Frame, Head, Progress, silently
from hub.store import ASIDE, Store
from reader import wire

CARRIED_MAX = 200_000  # about 250 MB
_MESSAGES_AHEAD = 64  # beyond what the reader has taken: more than a server ever lets wait


class NoRoom(HubError):
    code = "carried-full"


@dataclass(slots=True)
class Imported:
    """What was new, in items; `known` is how many of the records were here before, `unknown` receipts of readers this
    hub has not seen.

    `epoch_moved` says that the server was restored, by which everything kept here is offered again.
    """

    records: int = 0
    known: int = 0
    registrations: int = 0
    receipts: int = 0
    messages: int = 0
    aside: int = 0
    unknown: int = 0
    epoch_moved: bool = False


@dataclass(slots=True)
class _Items:
    """The checked items of one frame; a registration is its id and its bytes. Sightings are left to the hub that made
    them: it cannot vouch through us."""

    records: list[SealedRecord]
    registrations: list[tuple[bytes, bytes]]
    receipts: list[Receipt]
    commands: list[Command]
    aside: list[tuple[bytes, int, int]]


def take(folder: Path, path: Path, progress: Progress = silently) -> Imported:
    """Import a file of a hub or of the server; taking it twice changes nothing. `progress` gets bytes done and in all.

    May run beside a running hub, which goes on with what came. Raises NotEnrolled, FileRefused, NoRoom, StoreError.
    """
    credentials.load(folder)
    checked = sealed_file.check(path, _look)
    store = _Taking(folder)
    try:
        found = Imported(epoch_moved=store.enter(path, checked.head))
        for frame in sealed_file.frames(path, checked, progress):
            items = _read(frame)
            now_ms = Clock().read().wall_ms
            new = store.carry(items.records, now_ms)
            found.records += new
            found.known += len(items.records) - new
            found.registrations += store.carry_registrations(items.registrations, now_ms)
            store.take_down(items, checked.head.epoch, found, now_ms)
        return found
    finally:
        store.close()


def _look(frame: Frame) -> None:
    _read(frame)


def _read(frame: Frame) -> _Items:
    """Raises Malformed for an item that is not of the protocol."""
    found, at = _Items([], [], [], [], []), 0
    while at < len(frame.content):
        item, at = cbor.decode_next(frame.content, at)
        match item:
            case [wire.ITEM_RECORD, bytes() as sealed] if frame.kind == FROM_HUB:
                found.records.append(read_record(sealed))
            case [wire.ITEM_REGISTRATION, bytes() as sealed] if frame.kind == FROM_HUB:
                found.registrations.append((read_registration(sealed), sealed))
            case [wire.ITEM_SIGHTING, dict()] if frame.kind == FROM_HUB:
                pass
            case [wire.ITEM_RECEIPT, reader_id, number, sealed] if frame.kind != FROM_HUB:
                found.receipts.append(Receipt(*downlink(reader_id, number, sealed)))
            case [wire.ITEM_DOWN, reader_id, number, sealed] if frame.kind != FROM_HUB:
                found.commands.append(Command(*downlink(reader_id, number, sealed)))
            case [wire.ITEM_ANSWER, int(), reader_id, number, int() as said, _] if frame.kind != FROM_HUB:
                if is_bytes(reader_id, wire.READER_ID_BYTES) and isinstance(number, int) and said in ASIDE:
                    found.aside.append((reader_id, number, said))
            case _:
                raise Malformed("it holds an item that is not of this protocol")
    return found


class _Taking(Store):
    """The store, with what only files need."""

    def enter(self, path: Path, head: Head) -> bool:
        """Go by the server's epoch that the file tells; True when that is a new one here.

        Of two epochs the one heard later by the server's clock is the present one. Raises FileRefused for a file from
        before the server was restored: what its receipts release, the server may no longer hold.
        """
        known = self.epoch()
        if head.epoch is None or head.epoch == known:
            return False
        last = self.comparison()
        heard_ms = max(last.server_ms if last else 0, self.setting("file_ms") or 0)
        if known is not None and head.heard_ms <= heard_ms:
            raise FileRefused(
                f"{path} is from before the server was restored from a backup; its receipts hold no longer. "
                "Nothing was taken. Export again and have that file answered."
            )
        with transaction(self._db):
            if known is None:
                self._set("epoch", head.epoch)
            else:
                self._new_epoch(head.epoch)
            self._set("file_ms", head.heard_ms)
        return known is not None

    def carry(self, records: Sequence[SealedRecord], now_ms: int) -> int:
        """Keep records of another hub that are not here; how many were new. Raises NoRoom."""
        if not records:
            return 0
        with transaction(self._db):
            count: Any = self._db.execute("SELECT count(*) FROM carried").fetchone()[0]
            if count + len(records) > CARRIED_MAX:
                raise NoRoom(
                    f"This hub carries {count} records of others already. Deliver them first; what was taken of this "
                    "file is kept, and the rest comes with the next import of it."
                )
            new = 0
            for record in records:
                new += self._db.execute(
                    "INSERT INTO carried (reader_id, number, hash, sealed, received_ms) SELECT ?1, ?2, ?3, ?4, ?5"
                    " WHERE NOT EXISTS"
                    " (SELECT 1 FROM records WHERE reader_id = ?1 AND number = ?2 AND hash = ?3)"
                    " ON CONFLICT DO NOTHING",
                    (record.reader_id, record.number, record.hash, record.sealed, now_ms),
                ).rowcount
        return new

    def carry_registrations(self, registrations: Sequence[tuple[bytes, bytes]], now_ms: int) -> int:
        """Queue those of another hub that are not here, beside our own; how many were new. Raises QueueFull."""
        if not registrations:
            return 0
        with transaction(self._db):
            return self._queue_registrations(registrations, now_ms)

    def take_down(self, items: _Items, epoch: bytes | None, found: Imported, now_ms: int) -> None:
        """Keep receipts and messages for readers that are known here, and what the server set aside."""
        if not (items.receipts or items.commands or items.aside) or epoch is None:
            return
        with transaction(self._db):
            for receipt in items.receipts:
                if self._down(receipt.reader_id) is None:
                    found.unknown += 1
                else:
                    found.receipts += self._take_filed(receipt, now_ms)
            for command in items.commands:
                down = self._down(command.reader_id)
                if down is not None and down < command.number <= down + _MESSAGES_AHEAD:
                    found.messages += self._db.execute(
                        "INSERT INTO commands VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                        (command.reader_id, command.number, command.sealed, now_ms),
                    ).rowcount
            for reader_id, number, said in items.aside:
                found.aside += 1
                self._note(ASIDE[said], reader_id.hex(), str(number), now_ms)

    def _take_filed(self, receipt: Receipt, now_ms: int) -> int:
        cursor = self._db.execute(
            "INSERT INTO receipts VALUES (?, ?, ?, ?, 1) ON CONFLICT DO UPDATE SET"
            " number = excluded.number, sealed = excluded.sealed, received_ms = excluded.received_ms, by_file = 1"
            " WHERE excluded.number > receipts.number",
            (receipt.reader_id, receipt.number, receipt.sealed, now_ms),
        )
        return cursor.rowcount

    def _down(self, reader_id: bytes) -> int | None:
        row = self._db.execute("SELECT down FROM readers WHERE reader_id = ?", (reader_id,)).fetchone()
        return None if row is None else row[0]
