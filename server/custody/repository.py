"""SQL of custody: set-based, a handful of statements whatever the size of the batch.

All but `sealed_with_key` are of the exchange, on its own connections (`server.database.direct`).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from reader import wire
from server.custody.chain import Held
from server.database import arrays, direct
from server.database.direct import Connection, Pending, Rows
from server.readers.repository import StoredKey

# Records that came out of order and wait behind a gap are walked in such portions.
WALK = 5_000


@dataclass(slots=True)  # made by the thousand, and a frozen one takes five times as long to make
class NewRecord:
    """A record that takes its place."""

    reader_id: bytes
    number: int
    generation: int
    previous: bytes
    chain_hash: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Moved:
    """What an offer says of one reader's custody: how far it is held, the highest authentic number, whether its chain
    forked, and whether anything new was heard of it.
    """

    reader_id: bytes
    held: Held
    issued_to: int
    forked: bool
    heard: bool


@dataclass(frozen=True, slots=True)
class NewQuarantine:
    """An item to quarantine."""

    reader_id: bytes | None
    number: int | None
    code: str
    sentence: str
    content: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class Known:
    """What an exchange starts from: the server's epoch, the key that registrations are sealed to, if there is one yet,
    and the keys of the readers it names that the organisation has, in the order of reader and generation."""

    epoch: bytes
    registration_key: bytes | None
    keys: list[StoredKey]


_KNOWN = b"""
    SELECT (SELECT epoch FROM server_epoch ORDER BY id DESC LIMIT 1),
           (SELECT public_key FROM registration_key k WHERE k.organisation_id = hub.organisation_id
               AND k.retired_at IS NULL),
           r.reader_id, r.site_id, r.generation, r.revoked_at IS NOT NULL, k.generation, k.encrypted
    FROM hub
    LEFT JOIN (
        unnest(%(reader_ids)s) AS named (reader_id)
        JOIN reader r ON r.reader_id = named.reader_id
        JOIN reader_key k ON k.reader_id = r.reader_id
    ) ON true
    WHERE hub.hub_id = %(hub_id)s AND hub.revoked_at IS NULL
"""


def known(connection: Connection, hub_id: bytes, reader_ids: Collection[bytes]) -> Pending[Known | None]:
    """What there is for a hub's offer that names those readers; None when the hub is unknown or revoked."""
    parameters = {"hub_id": hub_id, "reader_ids": arrays.byteas(sorted(reader_ids))}
    return direct.ask(connection, _KNOWN, parameters, _read_known)


def _read_known(rows: Rows) -> Known | None:
    if not rows:
        return None
    keys = [StoredKey(*row[2:]) for row in rows if row[2] is not None]
    return Known(rows[0][0], rows[0][1], sorted(keys, key=lambda one: (one.reader_id, one.generation)))


_KEYS = b"""
    SELECT r.reader_id, r.site_id, r.generation, r.revoked_at IS NOT NULL, k.generation, k.encrypted
    FROM unnest(%(reader_ids)s) AS named (reader_id)
    JOIN reader r ON r.reader_id = named.reader_id
    JOIN reader_key k ON k.reader_id = r.reader_id
"""


def keys(connection: Connection, reader_ids: Collection[bytes]) -> list[StoredKey]:
    """Every key of those readers of the organisation that is entered."""
    parameters = {"reader_ids": arrays.byteas(sorted(reader_ids))}
    return direct.ask(connection, _KEYS, parameters, lambda cursor: [StoredKey(*row) for row in cursor]).result()


_ANYWHERE = b"SELECT reader_id FROM reader WHERE reader_id = ANY (%(reader_ids)s)"


def known_anywhere(connection: Connection, reader_ids: Collection[bytes]) -> set[bytes]:
    """Which of those readers any organisation has. Tells no more than that."""
    direct.look_up(connection, "readers", ",".join(reader_id.hex() for reader_id in sorted(reader_ids)))
    parameters = {"reader_ids": arrays.byteas(sorted(reader_ids))}
    asked = direct.ask(connection, _ANYWHERE, parameters, lambda cursor: {row[0] for row in cursor})
    direct.look_up(connection, "none", "")
    return asked.result()


_LOCK = b"""
    SELECT reader_id, held_to, held_hash FROM custody WHERE reader_id = ANY (%(reader_ids)s)
    ORDER BY reader_id FOR UPDATE
"""


def lock(connection: Connection, reader_ids: Collection[bytes]) -> Pending[dict[bytes, Held]]:
    """Lock the readers' custody for this transaction, in the order of their ids so that two batches never deadlock."""
    parameters = {"reader_ids": arrays.byteas(sorted(reader_ids))}
    return direct.ask(connection, _LOCK, parameters, lambda cursor: {row[0]: Held(row[1], row[2]) for row in cursor})


# A statement of its own, after the lock: it must see what those that held the lock before have left. Numbers that the
# reader declared damaged and that are not passed yet come with null hashes, and with what is held there and after.
_NEIGHBOURS = f"""
    WITH damaged AS MATERIALIZED (
        SELECT e.reader_id, (e.numbers ->> 0)::bigint AS number
        FROM custody c JOIN reader_event e ON e.reader_id = c.reader_id AND e.number > c.held_to
            AND e.code = {wire.EVENT_RECORD_DAMAGED}
        WHERE c.reader_id = ANY (%(readers)s) AND (e.numbers ->> 0)::bigint > c.held_to
    )
    SELECT s.reader_id, s.number, s.previous, s.chain_hash
    FROM (
        SELECT * FROM unnest(%(reader_ids)s, %(lows)s, %(highs)s) AS offered (reader_id, low, high)
        UNION ALL SELECT reader_id, number, number + 1 FROM damaged
    ) AS wanted
    JOIN sealed_record s ON s.reader_id = wanted.reader_id AND s.number BETWEEN wanted.low AND wanted.high
    UNION ALL
    SELECT reader_id, number, NULL, NULL FROM damaged
""".encode()  # noqa: S608 - made of a constant, which a partial index has too
Neighbour = tuple[bytes, int, bytes | None, bytes | None]


def neighbours(connection: Connection, places: Collection[tuple[bytes, int]]) -> Pending[list[Neighbour]]:
    """What is held at those places, before and after them, and what is declared damaged: for `add_neighbours`."""
    runs = _runs(places)
    parameters = {
        "readers": arrays.byteas(sorted({reader_id for reader_id, _, _ in runs})),
        "reader_ids": arrays.byteas([reader_id for reader_id, _, _ in runs]),
        "lows": arrays.bigints([low for _, low, _ in runs]),
        "highs": arrays.bigints([high for _, _, high in runs]),
    }
    return direct.ask(connection, _NEIGHBOURS, parameters, lambda cursor: cursor.fetchall())


def add_neighbours(held: dict[bytes, Held], found: Iterable[Neighbour]) -> None:
    """Fill in what `neighbours` found."""
    for reader_id, number, previous, chain_hash in found:
        if previous is None or chain_hash is None:
            held[reader_id].damaged.add(number)
        else:
            held[reader_id].at[number] = (previous, chain_hash)


def _runs(places: Iterable[tuple[bytes, int]]) -> list[tuple[bytes, int, int]]:
    """(reader, low, high) that cover each place with the one before and after it, and little else."""
    runs: list[tuple[bytes, int, int]] = []
    for reader_id, number in sorted(set(places)):
        if runs and runs[-1][0] == reader_id and number - 1 <= runs[-1][2] + 1:
            runs[-1] = (reader_id, runs[-1][1], number + 1)
        else:
            runs.append((reader_id, number - 1, number + 1))
    return runs


_BEYOND = b"""
    SELECT number, previous, chain_hash FROM sealed_record
    WHERE reader_id = %(reader_id)s AND number > %(above)s ORDER BY number LIMIT %(walk)s
"""


def beyond(connection: Connection, reader_id: bytes, above: int) -> list[tuple[int, bytes, bytes]]:
    """The next records held above a number: (number, previous, hash), at most `WALK`, in order."""
    parameters = {"reader_id": reader_id, "above": above, "walk": WALK}
    return direct.ask(connection, _BEYOND, parameters, lambda cursor: cursor.fetchall()).result()


# One statement: each of its parts changes another table, and none reads what another wrote. Items quarantined before
# whose very bytes are now held leave quarantine, such as records that came before their reader's key.
_KEEP = b"""
    WITH kept AS (
        INSERT INTO sealed_record
            (reader_id, number, organisation_id, generation, previous, chain_hash, sealed, hub_id, received_at)
        SELECT reader_id, number, %(organisation_id)s, generation, previous, chain_hash, sealed, %(hub_id)s, %(at)s
        FROM unnest(
            %(reader_ids)s, %(numbers)s, %(generations)s, %(previous)s, %(hashes)s, %(sealed)s
        ) AS new (reader_id, number, generation, previous, chain_hash, sealed)
    ),
    resolved AS (
        UPDATE quarantine SET status = 'processed', processed_at = %(at)s
        WHERE organisation_id = %(organisation_id)s AND status = 'open' AND digest = ANY (%(digests)s)
          AND code IN ('unknown-reader', 'unknown-generation', 'fork')
    )
    UPDATE custody SET
        held_to = new.held_to, held_hash = new.held_hash, issued_to = greatest(custody.issued_to, new.issued_to),
        forked_at = CASE WHEN new.forked THEN coalesce(forked_at, %(at)s) ELSE forked_at END,
        heard_at = CASE WHEN new.heard THEN %(at)s ELSE heard_at END
    FROM unnest(
        %(readers)s, %(held_to)s, %(held_hashes)s, %(issued_to)s, %(forked)s, %(heard)s
    ) AS new (reader_id, held_to, held_hash, issued_to, forked, heard)
    WHERE custody.reader_id = new.reader_id
"""


def keep(
    connection: Connection,
    organisation_id: UUID,
    hub_id: bytes,
    at: datetime,
    records: Sequence[NewRecord],
    digests: Sequence[bytes],
    custody: Sequence[Moved],
) -> None:
    """Insert records whose places are free, and store how far each reader is held; custody must be locked.

    `digests` are those of the records. A place that is taken all the same is a `UniqueViolation`, which undoes the
    batch: under the lock it cannot be.
    """
    parameters = {
        "organisation_id": organisation_id,
        "hub_id": hub_id,
        "at": at,
        "reader_ids": arrays.byteas([record.reader_id for record in records]),
        "numbers": arrays.bigints([record.number for record in records]),
        "generations": arrays.integers([record.generation for record in records]),
        "previous": arrays.byteas([record.previous for record in records]),
        "hashes": arrays.byteas([record.chain_hash for record in records]),
        "sealed": arrays.byteas([record.sealed for record in records]),
        "digests": arrays.byteas(digests),
        "readers": arrays.byteas([one.reader_id for one in custody]),
        "held_to": arrays.bigints([one.held.held_to for one in custody]),
        "held_hashes": arrays.byteas([one.held.held_hash for one in custody]),
        "issued_to": arrays.bigints([one.issued_to for one in custody]),
        "forked": arrays.booleans([one.forked for one in custody]),
        "heard": arrays.booleans([one.heard for one in custody]),
    }
    direct.tell(connection, _KEEP, parameters)


_QUARANTINE = b"""
    INSERT INTO quarantine
        (organisation_id, hub_id, reader_id, number, code, sentence, content, digest, received_at, status)
    SELECT %(organisation_id)s, %(hub_id)s, reader_id, number, code, sentence, content, digest, %(at)s, 'open'
    FROM unnest(
        %(reader_ids)s, %(numbers)s, %(codes)s, %(sentences)s, %(contents)s, %(digests)s
    ) AS new (reader_id, number, code, sentence, content, digest)
    ON CONFLICT (organisation_id, digest, code) DO NOTHING
"""


def quarantine(
    connection: Connection, organisation_id: UUID, hub_id: bytes, at: datetime, items: Sequence[NewQuarantine]
) -> None:
    """Quarantine items with their bytes; what is there for the same reason stays one row."""
    parameters = {
        "organisation_id": organisation_id,
        "hub_id": hub_id,
        "at": at,
        "reader_ids": arrays.byteas([item.reader_id for item in items]),
        "numbers": arrays.bigints([item.number for item in items]),
        "codes": arrays.texts([item.code for item in items]),
        "sentences": arrays.texts([item.sentence for item in items]),
        "contents": arrays.byteas([item.content for item in items]),
        "digests": arrays.byteas([item.digest for item in items]),
    }
    direct.tell(connection, _QUARANTINE, parameters)


_HELD_BYTES = b"""
    SELECT reader_id, number, sealed FROM unnest(%(reader_ids)s, %(numbers)s) AS wanted (reader_id, number)
    JOIN sealed_record USING (reader_id, number)
"""


def held_bytes(connection: Connection, places: Sequence[tuple[bytes, int]]) -> list[tuple[bytes, int, bytes]]:
    """The sealed records at those places: (reader, number, bytes)."""
    parameters = {
        "reader_ids": arrays.byteas([place[0] for place in places]),
        "numbers": arrays.bigints([place[1] for place in places]),
    }
    return direct.ask(connection, _HELD_BYTES, parameters, lambda cursor: cursor.fetchall()).result()


_HUB_SEEN = b"UPDATE hub SET seen_at = %(at)s, software = %(software)s WHERE hub_id = %(hub_id)s"


def hub_seen(connection: Connection, hub_id: bytes, software: str, at: datetime) -> None:
    """Note that the hub posted."""
    direct.tell(connection, _HUB_SEEN, {"hub_id": hub_id, "software": software, "at": at})


_SEALED = text(
    """
    SELECT s.sealed, k.encrypted FROM sealed_record s JOIN reader_key k USING (reader_id, generation)
    WHERE s.reader_id = :reader_id AND s.number = :number
    """
)


async def sealed_with_key(connection: AsyncConnection, reader_id: bytes, number: int) -> tuple[bytes, bytes] | None:
    """A held record and the encrypted key that it was sealed under."""
    row = (await connection.execute(_SEALED, {"reader_id": reader_id, "number": number})).first()
    return None if row is None else (bytes(row.sealed), bytes(row.encrypted))
