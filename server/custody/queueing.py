"""Puts a command in the queue of readers: numbered, sealed for each, and carried by whichever hub comes first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from reader import wire
from server.custody import cose
from server.database.columns import now
from server.readers import keys
from server.readers.keys import Keyring

_TRIES = 5


class QueueBusy(Exception):
    """Others numbered commands for the reader again and again in between: try once more."""


@dataclass(frozen=True, slots=True)
class _End:
    reader_id: bytes
    generation: int
    encrypted: bytes
    last: int


# The custody row is locked so that two who queue for a reader go one after the other. An exchange numbers clock floors
# without that lock, so a number may still be taken meanwhile; the insertion below then finds it so.
_ENDS = text(
    """
    SELECT r.reader_id, r.generation, k.encrypted, greatest(
        c.down_to, (SELECT coalesce(max(number), 0) FROM command WHERE command.reader_id = r.reader_id)
    ) AS last
    FROM reader r
    JOIN reader_key k ON k.reader_id = r.reader_id AND k.generation = r.generation
    JOIN custody c ON c.reader_id = r.reader_id
    WHERE r.organisation_id = (SELECT doorstep_organisation()) AND r.revoked_at IS NULL
      AND r.reader_id = ANY (CAST(:reader_ids AS bytea[]))
    ORDER BY r.reader_id FOR NO KEY UPDATE OF c
    """
)
_QUEUE = text(
    """
    INSERT INTO command (reader_id, number, organisation_id, kind, sealed, generation, created_at)
    VALUES (:reader_id, :number, :organisation_id, :kind, :sealed, :generation, :at)
    ON CONFLICT DO NOTHING RETURNING number
    """
)


async def queue(
    session: AsyncSession,
    keyring: Keyring,
    organisation_id: UUID,
    reader_ids: Sequence[bytes],
    message: Mapping[int, Any],
) -> dict[bytes, int]:
    """Queue a downlink message (docs/protocol.md section 3) for each reader that is not revoked: its number by reader.

    Raises `KeyUnreadable`, `QueueBusy`.
    """
    numbers: dict[bytes, int] = {}
    left = list(reader_ids)
    for _ in range(_TRIES):
        for end in await _ends(session, left):
            if await _put(session, keyring, organisation_id, end, dict(message)):
                numbers[end.reader_id] = end.last + 1
                left.remove(end.reader_id)
        if not left or not await _ends(session, left):
            return numbers
    raise QueueBusy("Others were numbering commands for a reader at the same time. Try again.")


async def _ends(session: AsyncSession, reader_ids: Sequence[bytes]) -> list[_End]:
    rows = await (await session.connection()).execute(_ENDS, {"reader_ids": list(reader_ids)})
    return [_End(*row) for row in rows]


async def _put(
    session: AsyncSession, keyring: Keyring, organisation_id: UUID, end: _End, message: dict[int, Any]
) -> bool:
    number = end.last + 1
    key = keys.downlink_key(end.reader_id, keyring.decrypt(end.reader_id, end.generation, end.encrypted))
    values = {
        "reader_id": end.reader_id,
        "number": number,
        "organisation_id": organisation_id,
        "kind": message[wire.DOWN_TYPE],
        "sealed": cose.seal_down(end.reader_id, number, end.generation, key, message),
        "generation": end.generation,
        "at": now(),
    }
    return (await (await session.connection()).execute(_QUEUE, values)).first() is not None
