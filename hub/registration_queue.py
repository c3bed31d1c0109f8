"""Registrations on their way: sealed bytes that only the server opens, kept here as long as delivered records are,
because a server that goes back to a backup needs them anew.

A part of the store: every method is one transaction, as there.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub import cbor
from hub.database import FILE, named_errors, transaction
from hub.errors import HubError, StoreDamaged
from hub.exchange import Registered
from reader import wire

REGISTRATIONS_MAX = 5_000  # at most 40 MB
_WAITING, _ASIDE, _REFUSED, _HELD = range(4)
_HELD_MAX = 5_000  # the newest; they give way to those that wait
_COUNT = "registrations"
_KEY = "registration_key"


class QueueFull(HubError):
    code = "registrations-full"


@dataclass(frozen=True, slots=True)
class Queued:
    """A registration offered to the server: `id` is its row."""

    id: int
    registration_id: bytes
    sealed: bytes


class RegistrationQueue:
    """What the store knows of registrations."""

    _db: sqlite3.Connection

    def registration_key(self) -> bytes | None:
        """The server's key that registrations are sealed to, 32 bytes; None until a server that takes them was
        heard."""
        with named_errors():
            row = self._db.execute("SELECT value FROM settings WHERE key = ?", (_KEY,)).fetchone()
        return None if row is None else cbor.decode(row[0], 64)

    def keep_registration(self, registration_id: bytes, sealed: bytes, now_ms: int) -> None:
        """Queue one, sealed. Raises QueueFull."""
        with transaction(self._db):
            self._queue_registrations([(registration_id, sealed)], now_ms)

    def registrations(self, limit: int) -> list[Queued]:
        """The oldest that the server has not answered; none while it is not known to take them.

        Raises StoreDamaged when the bytes of one are no longer those that were sealed.
        """
        if limit == 0 or self.registration_key() is None:
            return []
        with named_errors():
            rows = self._db.execute(
                "SELECT id, registration_id, sealed, hash FROM registrations WHERE state = 0 ORDER BY id LIMIT ?",
                (limit,),
            ).fetchall()
        if any(hashlib.sha256(row[2]).digest() != row[3] for row in rows):
            raise StoreDamaged("A stored registration is not what was sealed.")
        return [Queued(*row[:3]) for row in rows]

    def has_registrations(self) -> bool:
        return bool(self.registrations(1))

    def refuse_registration(self, id: int, problem: str, now_ms: int) -> None:
        """The server refuses a request because of this one: it stays here, out of the way of the others."""
        with transaction(self._db):
            self._answer(id, _REFUSED, None, problem, now_ms)

    def salvage_registrations(self, aside: Path) -> int:
        """Take over what waits in a database that was damaged and moved to `aside`; how many. No reader has them again.

        What cannot be read, or is not what was sealed, stays in the moved file.
        """
        found = list[tuple[Any, ...]]()
        with (
            suppress(sqlite3.DatabaseError),
            closing(sqlite3.connect(f"{(aside / FILE).resolve().as_uri()}?mode=ro", uri=True)) as damaged,
        ):
            for row in damaged.execute(
                "SELECT registration_id, sealed, hash, made_ms FROM registrations WHERE state <> 3"
            ):
                if isinstance(row[1], bytes) and hashlib.sha256(row[1]).digest() == row[2]:
                    found.append(row)
        with transaction(self._db):
            return self._insert(found)

    # inside a transaction of the store ------------------------------------------------------------

    def _queue_registrations(self, sealed: Sequence[tuple[bytes, bytes]], now_ms: int) -> int:
        """Queue what is not here yet, each an id and the bytes; how many were new. Raises QueueFull."""
        new = self._insert((id, data, hashlib.sha256(data).digest(), now_ms) for id, data in sealed)
        count: int = self._db.execute("SELECT count(*) FROM registrations WHERE state <> ?", (_HELD,)).fetchone()[0]
        if count > REGISTRATIONS_MAX:  # the transaction is undone
            raise QueueFull(
                f"{count - new} registrations wait here already. Connect to a network, so that they are delivered "
                "first."
            )
        return new

    def _insert(self, rows: Iterable[tuple[Any, ...]]) -> int:
        return self._db.executemany(
            "INSERT INTO registrations (registration_id, sealed, hash, made_ms) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            rows,
        ).rowcount

    def _take_registration_answers(
        self, offered: Sequence[Queued], answers: Sequence[Registered], key: bytes | None, now_ms: int
    ) -> None:
        """Note what the server holds, and the key that it names, if any."""
        self._db.execute("DELETE FROM settings WHERE key = ?", (_KEY,))
        if key is not None:
            self._db.execute("INSERT INTO settings VALUES (?, ?)", (_KEY, cbor.encode(key)))
        held = 0
        for one, said in zip(offered, answers, strict=True):
            if said.disposition in (wire.HELD, wire.DUPLICATE):
                held += 1
                self._answer(one.id, _HELD, said.disposition, None, now_ms)
            else:
                self._answer(one.id, _ASIDE, said.disposition, said.problem, now_ms)
        if held:
            self._db.execute(
                "DELETE FROM registrations WHERE state = ? AND id NOT IN"
                " (SELECT id FROM registrations WHERE state = ? ORDER BY id DESC LIMIT ?)",
                (_HELD, _HELD, _HELD_MAX),
            )
            self._count(held, now_ms)

    def _offer_registrations_again(self) -> None:
        held = self._db.execute("UPDATE registrations SET state = 0 WHERE state = ?", (_HELD,)).rowcount
        self._db.execute("UPDATE registrations SET state = 0 WHERE state <> 0")
        self._count(-held, None)

    def _count(self, more: int, at_ms: int | None) -> None:
        """`at_ms` is when the last was delivered, None to leave that."""
        row = self._db.execute("SELECT value FROM settings WHERE key = ?", (_COUNT,)).fetchone()
        before, last_ms = cbor.decode(row[0], 64) if row else (0, None)
        self._db.execute(
            "INSERT INTO settings VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            (_COUNT, cbor.encode([max(0, before + more), last_ms if at_ms is None else at_ms])),
        )

    def _prune_registrations(self, before_ms: int) -> None:
        """What the server holds, or set aside and keeps with its bytes, goes here like an answered record."""
        self._db.execute(
            "DELETE FROM registrations WHERE state IN (?, ?) AND answered_ms < ?", (_ASIDE, _HELD, before_ms)
        )

    def _answer(self, id: int, state: int, disposition: int | None, problem: str | None, now_ms: int) -> None:
        self._db.execute(
            "UPDATE registrations SET state = ?, answered_ms = ?, disposition = ?, problem = ? WHERE id = ?",
            (state, now_ms, disposition, problem, id),
        )


def read_counts(connection: Any) -> dict[str, Any]:
    """For a status, from any connection: how many wait, were delivered and when the last (Unix ms, None for never), and
    how many the server set aside or refused."""
    waiting, aside = connection.execute(
        "SELECT coalesce(sum(state = 0), 0), coalesce(sum(state IN (1, 2)), 0) FROM registrations"
    ).fetchone()
    row = connection.execute("SELECT value FROM settings WHERE key = ?", (_COUNT,)).fetchone()
    delivered, last_ms = cbor.decode(row[0], 64) if row else (0, None)
    return {"waiting": waiting, "delivered": delivered, "delivered_ms": last_ms, "aside": aside}
