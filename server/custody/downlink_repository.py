"""SQL of what goes down to readers: who is due what, commands, and the note of tickets issued."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from server.database import arrays, direct
from server.database.direct import Connection, Pending, Rows


@dataclass(frozen=True, slots=True)
class Carried:
    """A reader that a hub may carry, and what is due to it.

    `floor_number` is the number of a clock floor that still waits, None without one; `last_command` is the highest
    number given to any command, and `commands_wait` whether the reader is not known to have taken it.
    """

    reader_id: bytes
    generation: int
    encrypted: bytes
    held_to: int
    held_hash: bytes
    last_command: int
    floor_number: int | None
    receipt_due: bool
    ticket_due: bool
    floor_due: bool
    is_named: bool
    commands_wait: bool


@dataclass(frozen=True, slots=True)
class Applied:
    """What a reader journalled of a command: `refusal` is the protocol's error where it could not follow it."""

    reader_id: bytes
    number: int
    refusal: int | None


@dataclass(frozen=True, slots=True)
class NewCommand:
    """A sealed command to put in a reader's queue."""

    reader_id: bytes
    number: int
    kind: int
    sealed: bytes
    generation: int


# A receipt is due to a reader of the offer, whatever it last said, and to one known to hold what the server holds. A
# ticket is due when the hub named none, one that is past half its life, or one of an older key generation. What the hub
# names is looked up in documents: a join with an array compares each reader with each of its elements.
_CARRIED = b"""
    SELECT reader_id, generation, encrypted, held_to, held_hash, last_command, floor_number, receipt_due, ticket_due,
           floor_due, is_named, commands_wait
    FROM (
        SELECT r.reader_id, r.generation, k.encrypted, c.held_to, c.held_hash,
               greatest(coalesce(last.number, 0), c.down_to) AS last_command,
               CASE WHEN floor.taken_at IS NULL AND floor.number > c.down_to AND floor.number = last.number
                    THEN floor.number END AS floor_number,
               c.held_to > 0 AND (offer.is_named OR c.held_to > c.released_to) AS receipt_due,
               offer.expiry IS NULL OR offer.expiry < %(renew_before_s)s
                   OR coalesce(issued.generation, -1) < r.generation AS ticket_due,
               floor.created_at IS NULL OR floor.created_at < %(floor_before)s AS floor_due,
               offer.is_named,
               last.number IS NOT NULL AND last.taken_at IS NULL AS commands_wait,
               last.number > c.down_to AND last.taken_at IS NULL AS command_due
        FROM reader r
        JOIN reader_key k ON k.reader_id = r.reader_id AND k.generation = r.generation
        JOIN custody c ON c.reader_id = r.reader_id
        CROSS JOIN LATERAL (
            SELECT %(named)s::jsonb ? encode(r.reader_id, 'hex') AS is_named,
                   (%(tickets)s::jsonb ->> encode(r.reader_id, 'hex'))::bigint AS expiry
        ) AS offer
        LEFT JOIN LATERAL (
            SELECT generation FROM ticket_issue t
            WHERE t.hub_id = %(hub_id)s AND t.reader_id = r.reader_id AND t.expires_at = to_timestamp(offer.expiry)
            ORDER BY t.generation DESC LIMIT 1
        ) AS issued ON true
        LEFT JOIN LATERAL (
            SELECT number, taken_at FROM command WHERE command.reader_id = r.reader_id ORDER BY number DESC LIMIT 1
        ) AS last ON true
        LEFT JOIN LATERAL (
            SELECT number, taken_at, created_at FROM command
            WHERE command.reader_id = r.reader_id AND kind = 2 ORDER BY number DESC LIMIT 1
        ) AS floor ON true
        WHERE r.organisation_id = %(organisation_id)s AND r.revoked_at IS NULL
    ) AS due
    WHERE is_named OR receipt_due OR ticket_due OR floor_due OR command_due
    ORDER BY is_named DESC, receipt_due DESC, reader_id LIMIT %(limit)s
"""


def carried(
    connection: Connection,
    *,
    organisation_id: UUID,
    hub_id: bytes,
    named: Collection[bytes],
    limit: int,
    tickets: dict[bytes, int],
    renew_before_s: int,
    floor_before: datetime,
) -> Pending[list[Carried]]:
    """Readers of the organisation that is entered to which something is due by this hub, at most `limit`.

    `named` are the readers of its offer; `tickets` the expiries, Unix seconds, of the tickets it has.
    """
    parameters = {
        "organisation_id": organisation_id,
        "hub_id": hub_id,
        "named": json.dumps([reader_id.hex() for reader_id in named]),
        "limit": limit,
        "tickets": json.dumps({reader_id.hex(): expiry_s for reader_id, expiry_s in tickets.items()}),
        "renew_before_s": renew_before_s,
        "floor_before": floor_before,
    }
    return direct.ask(connection, _CARRIED, parameters, _read_carried)


def _read_carried(rows: Rows) -> list[Carried]:
    return [Carried(*row) for row in rows]


_PUT = b"""
    INSERT INTO command (reader_id, number, organisation_id, kind, sealed, generation, created_at)
    SELECT reader_id, number, %(organisation_id)s, kind, sealed, generation, %(at)s
    FROM unnest(
        %(reader_ids)s, %(numbers)s, %(kinds)s, %(sealed)s, %(generations)s
    ) AS new (reader_id, number, kind, sealed, generation)
    ORDER BY reader_id
    ON CONFLICT (reader_id, number) DO UPDATE
        SET sealed = excluded.sealed, generation = excluded.generation, created_at = excluded.created_at
        WHERE command.kind = 2 AND excluded.kind = 2 AND command.taken_at IS NULL
"""


def put_commands(connection: Connection, organisation_id: UUID, at: datetime, commands: Sequence[NewCommand]) -> None:
    """Queue commands. A clock floor that waits under the same number is replaced; nothing else ever is."""
    parameters = {
        "organisation_id": organisation_id,
        "at": at,
        "reader_ids": arrays.byteas([one.reader_id for one in commands]),
        "numbers": arrays.bigints([one.number for one in commands]),
        "kinds": arrays.smallints([one.kind for one in commands]),
        "sealed": arrays.byteas([one.sealed for one in commands]),
        "generations": arrays.integers([one.generation for one in commands]),
    }
    direct.tell(connection, _PUT, parameters)


_WAITING = b"""
    SELECT reader_id, number, sealed FROM command
    WHERE reader_id = ANY (%(reader_ids)s) AND taken_at IS NULL ORDER BY reader_id, number LIMIT %(limit)s
"""


def waiting_commands(
    connection: Connection, reader_ids: Sequence[bytes], limit: int
) -> Pending[list[tuple[bytes, int, bytes]]]:
    """Commands not known to be taken: (reader, number, sealed), in order."""
    parameters = {"reader_ids": arrays.byteas(reader_ids), "limit": limit}
    return direct.ask(connection, _WAITING, parameters, lambda cursor: cursor.fetchall())


_TAKEN = b"""
    WITH said AS MATERIALIZED (
        SELECT * FROM unnest(%(reader_ids)s, %(numbers)s, %(refusals)s) AS new (reader_id, number, refusal)
    ),
    highest AS MATERIALIZED (SELECT reader_id, max(number) AS number FROM said GROUP BY reader_id),
    known AS (
        UPDATE custody SET down_to = greatest(down_to, highest.number)
        FROM highest WHERE custody.reader_id = highest.reader_id
    )
    UPDATE command SET taken_at = %(at)s, refusal = (
        SELECT refusal FROM said WHERE said.reader_id = command.reader_id AND said.number = command.number LIMIT 1
    )
    FROM highest
    WHERE command.reader_id = highest.reader_id AND command.number <= highest.number AND command.taken_at IS NULL
"""


def commands_taken(connection: Connection, said: Sequence[Applied], at: datetime) -> None:
    """Note what readers journalled of commands: each took all up to its number, for they are taken in order.

    A reader may have taken more than are here: those were given before a backup was restored.
    """
    parameters = {
        "reader_ids": arrays.byteas([one.reader_id for one in said]),
        "numbers": arrays.bigints([one.number for one in said]),
        "refusals": arrays.smallints([one.refusal for one in said]),
        "at": at,
    }
    direct.tell(connection, _TAKEN, parameters)


_IN_USE = b"""
    UPDATE reader SET generation = new.generation
    FROM unnest(%(reader_ids)s, %(generations)s) AS new (reader_id, generation)
    WHERE reader.reader_id = new.reader_id AND reader.generation < new.generation
"""


def generation_in_use(connection: Connection, readers: Sequence[tuple[bytes, int]]) -> None:
    """Readers that seal with a newer key: from now on tickets and what goes down are of that (reader, generation)."""
    parameters = {
        "reader_ids": arrays.byteas([reader_id for reader_id, _ in readers]),
        "generations": arrays.integers([generation for _, generation in readers]),
    }
    direct.tell(connection, _IN_USE, parameters)


_NOTE_TICKETS = b"""
    INSERT INTO ticket_issue (organisation_id, hub_id, reader_id, generation, expires_at, issued_at)
    SELECT %(organisation_id)s, %(hub_id)s, reader_id, generation, %(expires_at)s, %(at)s
    FROM unnest(%(reader_ids)s, %(generations)s) AS new (reader_id, generation)
"""


def note_tickets(
    connection: Connection,
    organisation_id: UUID,
    hub_id: bytes,
    readers: Sequence[Carried],
    expires_at: datetime,
    at: datetime,
) -> None:
    """Note that the hub was given a ticket for each of the readers."""
    parameters = {
        "organisation_id": organisation_id,
        "hub_id": hub_id,
        "expires_at": expires_at,
        "at": at,
        "reader_ids": arrays.byteas([one.reader_id for one in readers]),
        "generations": arrays.integers([one.generation for one in readers]),
    }
    direct.tell(connection, _NOTE_TICKETS, parameters)
