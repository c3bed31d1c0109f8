"""SQL of sightings: what hubs saw of readers, and what that says of the readers' state."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from server.custody.offer import SeenReader
from server.database import arrays, direct
from server.database.arrays import Array
from server.database.direct import Connection, Pending

# Column of `sighting`, attribute of `SeenReader`, and how the column is sent.
_COLUMNS: dict[str, tuple[str, Callable[[list[Any]], Array]]] = {
    "reader_id": ("reader_id", arrays.byteas),
    "boot_id": ("boot_id", arrays.byteas),
    "uptime_ms": ("uptime_ms", arrays.bigints),
    "hub_ms": ("hub_ms", arrays.bigints),
    "uncertainty_ms": ("uncertainty_ms", arrays.bigints),
    "first_number": ("first", arrays.bigints),
    "next_number": ("next", arrays.bigints),
    "released_to": ("released", arrays.bigints),
    "down_number": ("down", arrays.bigints),
    "battery_percent": ("battery_percent", arrays.smallints),
    "flags": ("flags", arrays.bigints),
    "firmware": ("firmware", arrays.texts),
    "generation": ("generation", arrays.integers),
}
_NAMES = ", ".join(_COLUMNS)
_ARRAYS = ", ".join(f"%({name})s" for name in _COLUMNS)

# A sighting's state is taken as the reader's when it is the latest, by the hub's clock corrected to the server's. It is
# a hub's word: it says nothing of what was issued, and no reader can have let go of more than it has receipts for.
_INSERT = f"""
    WITH seen AS MATERIALIZED (
        SELECT * FROM unnest({_ARRAYS}, %(seen_at)s) AS new ({_NAMES}, seen_at)
    ),
    state AS (
        UPDATE reader SET seen_at = last.seen_at, firmware = last.firmware, battery_percent = last.battery_percent,
            flags = last.flags, down_number = last.down_number
        FROM (SELECT DISTINCT ON (reader_id) * FROM seen ORDER BY reader_id, seen_at DESC) AS last
        WHERE reader.reader_id = last.reader_id AND (reader.seen_at IS NULL OR reader.seen_at <= last.seen_at)
    ),
    released AS (
        UPDATE custody SET released_to = least(said.released_to, custody.held_to)
        FROM (SELECT reader_id, max(released_to) AS released_to FROM seen GROUP BY reader_id) AS said
        WHERE custody.reader_id = said.reader_id
          AND least(said.released_to, custody.held_to) > custody.released_to
    )
    INSERT INTO sighting (organisation_id, hub_id, hub_posted_ms, received_at, {_NAMES})
    SELECT %(organisation_id)s, %(hub_id)s, %(hub_posted_ms)s, %(received_at)s, {_NAMES} FROM seen
    ON CONFLICT (reader_id, hub_id, boot_id, uptime_ms) DO NOTHING RETURNING reader_id, boot_id
""".encode()  # noqa: S608 - made of the constants above


def insert(
    connection: Connection,
    organisation_id: UUID,
    hub_id: bytes,
    hub_posted_ms: int,
    received_at: datetime,
    seen: Sequence[tuple[SeenReader, datetime]],
) -> Pending[set[tuple[bytes, bytes]]]:
    """Store sightings with when each was by the server's clock, and what they say of the readers' state.

    The (reader, boot) pairs that have a new anchor. The readers' custody must be locked.
    """
    columns = {
        name: array([getattr(one, attribute) for one, _ in seen]) for name, (attribute, array) in _COLUMNS.items()
    }
    parameters = {
        "organisation_id": organisation_id,
        "hub_id": hub_id,
        "hub_posted_ms": hub_posted_ms,
        "received_at": received_at,
        "seen_at": arrays.moments([at for _, at in seen]),
        **columns,
    }
    return direct.ask(connection, _INSERT, parameters, lambda cursor: {(row[0], row[1]) for row in cursor})
