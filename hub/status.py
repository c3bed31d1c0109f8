"""What the hub holds and has delivered, read from its database beside a running hub: for a person, or as JSON."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hub import cbor, credentials, database
from hub.advice import headline
from hub.errors import NotEnrolled
from hub.lock import is_running
from hub.problems import KINDS, say
from hub.registration_queue import read_counts

_READERS = """
    SELECT reader_id, name, firmware, battery, flags, rssi, next, released, stored, delivered, waiting, undelivered,
    kept, clock_source,
        seen_ms, visited_ms, collected_ms, delivered_ms,
        (SELECT max(expiry) FROM tickets WHERE tickets.reader_id = readers.reader_id),
        (SELECT number FROM receipts WHERE receipts.reader_id = readers.reader_id AND by_file),
        images.image_id, images.size, images.held, awaited.offset, awaited.code
    FROM readers LEFT JOIN awaited USING (reader_id) LEFT JOIN images USING (image_id) ORDER BY name, reader_id
"""
# Of another hub's records those that no receipt covers: the server's answer alone is not delivery.
_CARRIED = """
    SELECT count(*) FROM carried LEFT JOIN readers USING (reader_id) WHERE number > coalesce(delivered, 0)
"""


def read(folder: Path) -> dict[str, Any]:
    """The status as JSON values. Times are ISO 8601 UTC or None for never; counts are of records. Raises StoreError."""
    try:
        enrolment = credentials.load(folder)
    except NotEnrolled:
        enrolment = None
    status: dict[str, Any] = {
        "hub": enrolment.hub_id if enrolment else None,
        "name": enrolment.name if enrolment else None,
        "server": enrolment.server if enrolment else None,
        "running": is_running(folder),
        "exchanged": None,
        "waiting": 0,
        "undelivered": 0,
        "on_readers": 0,
        "evidence": 0,
        "carried": 0,
        "registrations": {"waiting": 0, "delivered": 0, "delivered_at": None, "aside": 0},
        "readers": [],
        "problems": [],
    }
    connection = database.open_reader(folder)
    if connection is not None:
        try:
            with database.named_errors():
                connection.execute("BEGIN")
                _fill(status, connection)
        finally:
            connection.close()
    if enrolment is None:
        status["problems"].insert(0, _problem("not-enrolled", "", "", None, None, 1))
    top = headline(status)
    status["sentence"] = f"{top.text} {top.detail}".strip()
    return status


def _fill(status: dict[str, Any], connection: Any) -> None:
    for row in connection.execute(_READERS):
        (reader_id, name, firmware, battery, flags, rssi, next, released, stored, delivered, waiting, undelivered,
         kept, clock, seen, visited, collected, delivered_ms, expiry, filed, *update) = row  # fmt: skip
        on_reader = max(0, (next or 1) - 1 - max(stored, released))  # what was released went by another hub
        status["readers"].append(
            {
                "id": reader_id.hex(),
                "name": name,
                "firmware": firmware,
                "battery": battery,
                "flags": flags,
                "rssi": rssi,
                "on_reader": on_reader,
                "stored": stored,
                "delivered": delivered,
                "waiting": waiting,
                "undelivered": undelivered,
                "released": released,
                "kept": kept,
                "clock": clock,
                "seen": _when(seen),
                "visited": _when(visited),
                "collected": _when(collected),
                "delivered_at": _when(delivered_ms),
                "receipt_by_file": filed,
                "ticket_until": _when(expiry * 1000 if expiry else None),
                "ticket_expired": bool(expiry) and expiry < time.time(),
                "update": _update(*update),
            }
        )
        status["waiting"] += waiting
        status["undelivered"] += undelivered
        status["on_readers"] += on_reader
    row = connection.execute("SELECT value FROM settings WHERE key = 'exchanged_ms'").fetchone()
    status["exchanged"] = _when(cbor.decode(row[0], 64)) if row else None
    status["carried"] = connection.execute(_CARRIED).fetchone()[0]
    status["evidence"] = connection.execute("SELECT count(*) FROM evidence").fetchone()[0]
    counts = read_counts(connection)
    status["registrations"] = counts | {"delivered_at": _when(counts.pop("delivered_ms"))}
    rows = connection.execute("SELECT code, subject, detail, since_ms, last_ms, count FROM problems ORDER BY since_ms")
    status["problems"] = [_problem(*row) for row in rows]


def _update(image_id: bytes | None, size: int, held: int, offset: int, code: int) -> dict[str, Any] | None:
    """The image that a reader awaits: `held` of its bytes are here, `offset` on the reader, which said `code` last."""
    if image_id is None:
        return None
    return {"image": image_id.hex(), "size": size, "held": held, "offset": offset, "code": code}


def _problem(
    code: str, subject: str, detail: str, since_ms: int | None, last_ms: int | None, count: int
) -> dict[str, Any]:
    kind = KINDS[code]
    said = say(code, subject, detail)
    return {
        "code": code, "subject": subject, "sentence": said, "next_step": kind.next_step,
        "since": _when(since_ms), "last": _when(last_ms), "count": count,
    }  # fmt: skip


def _when(ms: int | None) -> str | None:
    """Unix ms as ISO 8601; a time that no calendar holds (a clock gone wild) is None."""
    if ms is None:
        return None
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return None
