"""`doorstep hub export`: what this hub holds without a receipt, in a file for another hub or the server.

Nothing is marked as sent: a record stays queued until its receipt, so that a stick that is lost has lost nothing. The
file holds records sealed by the readers, registrations sealed to the server, sightings, and receipts and messages
sealed by the server: no secret of ours.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384
from joserfc.jwk import ECKey

from hub import cbor, credentials, database, exchange
from hub.clock import Clock, Comparison, Reading, Time, estimated, rebased
from hub.errors import StoreDamaged
from hub.exchange import Sighting
from hub.sealed import chain_hash
from hub.sealed_file import FROM_HUB, FROM_SERVER, SIGNATURE_BYTES, FileRefused, FileWriter, Head, Progress, silently
from reader import wire

_PORTION = 500
# No receipt covers them; what the server merely answered is not delivered. The damaged have no bytes.
_RECORDS = """
    SELECT records.id, sealed, hash FROM records JOIN readers USING (reader_id)
    WHERE records.id > ? AND state <> 3 AND number > delivered ORDER BY records.id LIMIT ?
"""
_EVIDENCE = "SELECT id, sealed, hash FROM evidence WHERE id > ? AND state = 0 ORDER BY id LIMIT ?"
# No receipt ever covers one: it stays queued until a server answers for it over a network.
_REGISTRATIONS = "SELECT id, sealed, hash FROM registrations WHERE id > ? AND state = 0 ORDER BY id LIMIT ?"
_CARRIED = """
    SELECT carried.id, sealed, hash FROM carried LEFT JOIN readers USING (reader_id)
    WHERE carried.id > ? AND number > coalesce(delivered, 0) ORDER BY carried.id LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class Exported:
    """What the file holds, in items, and its size in bytes. `sightings_left` could not be dated and stay here."""

    records: int
    registrations: int
    sightings: int
    receipts: int
    messages: int
    sightings_left: int
    size: int


def export(folder: Path, path: Path, overwrite: bool = False, progress: Progress = silently) -> Exported:
    """Write `path` whole, or not at all. `progress` is called with items written and items in all.

    Raises NotEnrolled, StoreError and its kinds, FileRefused.
    """
    enrolment, key = credentials.load(folder), credentials.load_key(folder)
    connection = database.open_reader(folder)
    if connection is None:
        raise FileRefused("There is nothing to export: this hub has stored nothing yet.")
    try:
        with database.named_errors():
            connection.execute("BEGIN")  # one view of the database, whatever a running hub stores meanwhile
            return _write(connection, bytes.fromhex(enrolment.hub_id), key, path, overwrite, progress)
    finally:
        connection.close()


def _write(connection: Any, hub_id: bytes, key: ECKey, path: Path, overwrite: bool, progress: Progress) -> Exported:
    now, last = Clock().read(), _comparison(connection)
    time = estimated(now, last)
    epoch = _setting(connection, "epoch")
    heard_ms = max(last.server_ms if last else 0, _setting(connection, "file_ms") or 0)
    head = Head(hub_id, now.wall_ms, epoch, heard_ms, f"doorstep {version('doorstep')}")
    total = connection.execute("SELECT coalesce(sum(undelivered), 0) FROM readers").fetchone()[0]
    total += connection.execute("SELECT count(*) FROM carried WHERE state = 0").fetchone()[0]
    total += connection.execute("SELECT count(*) FROM registrations WHERE state = 0").fetchone()[0]
    records = registrations = 0
    with FileWriter(path, head, overwrite) as out:
        for sealed in _sealed(connection, chain_hash, _EVIDENCE, _RECORDS, _CARRIED):
            out.add(FROM_HUB, cbor.encode([wire.ITEM_RECORD, sealed]))
            records += 1
            progress(records, max(total, records))
        for sealed in _sealed(connection, _sha256, _REGISTRATIONS):
            out.add(FROM_HUB, cbor.encode([wire.ITEM_REGISTRATION, sealed]))
            registrations += 1
            progress(records + registrations, max(total, records + registrations))
        seen, left = _sightings(connection, now, time)
        for sighting in seen:
            out.add(FROM_HUB, cbor.encode([wire.ITEM_SIGHTING, exchange.sighting_fields(sighting)]))
        receipts = connection.execute("SELECT reader_id, number, sealed FROM receipts").fetchall()
        messages = connection.execute(
            "SELECT reader_id, number, sealed FROM commands ORDER BY reader_id, number"
        ).fetchall()
        for item, rows in ((wire.ITEM_RECEIPT, receipts), (wire.ITEM_DOWN, messages)):
            for row in rows:
                out.add(FROM_SERVER, cbor.encode([item, *row]))
        size = out.finish(lambda data: _sign(key, data))
    return Exported(records, registrations, len(seen), len(receipts), len(messages), left, size)


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _sealed(connection: Any, hashed: Callable[[bytes], bytes], *selects: str) -> Iterator[bytes]:
    """What each of `selects` finds, the oldest first. Raises StoreDamaged where `hashed` is not what was noted."""
    for select in selects:
        after = 0
        while rows := connection.execute(select, (after, _PORTION)).fetchall():
            after = rows[-1][0]
            for _, sealed, hash in rows:
                if hashed(sealed) != hash:
                    raise StoreDamaged(
                        "The hub's database is damaged; nothing was exported. Run `doorstep hub run` near the readers: "
                        "it begins a new one, and they offer what they hold again."
                    )
                yield sealed


def _sightings(connection: Any, now: Reading, time: Time | None) -> tuple[list[Sighting], int]:
    """The sightings in terms of the server's clock, because nobody knows how long a file is on its way; and how many
    are left out, as all are while the hub cannot date them."""
    rows = connection.execute("SELECT sighting, wall_ms, steady_ms, boot FROM sightings ORDER BY id").fetchall()
    if time is None:
        return [], len(rows)
    ahead_ms = time.unix_ms - now.wall_ms
    seen = list[Sighting]()
    for data, wall_ms, steady_ms, boot in rows:
        sighting = Sighting(*cbor.decode(data, 1024))
        seen.append(
            replace(
                sighting,
                hub_ms=max(0, rebased(wall_ms, steady_ms, boot, now) + ahead_ms),
                uncertainty_ms=sighting.uncertainty_ms + time.uncertainty_ms,
            )
        )
    return seen, 0


def _setting(connection: Any, key: str) -> Any:
    row = connection.execute("SELECT value FROM settings WHERE key = ?", (key,)).fetchone()
    return None if row is None else cbor.decode(row[0], 65_536)


def _comparison(connection: Any) -> Comparison | None:
    value = _setting(connection, "clock")
    return None if value is None else Comparison(value[0], Reading(value[1], value[2], value[3]), value[4])


def _sign(key: ECKey, data: bytes) -> bytes:
    r, s = decode_dss_signature(key.private_key.sign(data, ECDSA(SHA384())))  # pyright: ignore[reportOptionalMemberAccess]
    half = SIGNATURE_BYTES // 2
    return r.to_bytes(half, "big") + s.to_bytes(half, "big")


def as_json(made: Exported) -> dict[str, int]:
    return asdict(made)
