"""Commands that a person has sent to a reader: numbered after whatever it has taken, whatever waits for it.

The exchange gives clock floors their numbers at the same time; the table's key decides, and who comes second moves on.
"""

from collections.abc import Callable
from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from server.database.columns import now

_LOCK = text("SELECT down_to FROM custody WHERE reader_id = :reader_id FOR UPDATE")


async def lock(session: AsyncSession, reader_id: bytes) -> None:
    """Lock the reader's custody for the transaction, so that what is decided from its queue stays true."""
    await (await session.connection()).execute(_LOCK, {"reader_id": reader_id})


_WAITS = text("SELECT count(*) FROM command WHERE reader_id = :reader_id AND kind = :kind AND taken_at IS NULL")


async def waits(session: AsyncSession, reader_id: bytes, kind: int) -> bool:
    """Whether a command of that kind is not known to be taken."""
    found = await (await session.connection()).execute(_WAITS, {"reader_id": reader_id, "kind": kind})
    return int(found.scalar_one()) > 0


_CLAIMED = text("SELECT coalesce(max(generation), 0) FROM sighting WHERE reader_id = :reader_id AND generation < :most")
# A hub that lies can make a number be skipped, not make them run out.
_CLAIMED_MAX = 1_000


async def claimed(session: AsyncSession, reader_id: bytes) -> int:
    """The highest key generation, below 1,000, that a hub says the reader has: after a restore it may be true."""
    found = await (await session.connection()).execute(_CLAIMED, {"reader_id": reader_id, "most": _CLAIMED_MAX})
    return int(found.scalar_one())


_NEXT = text(
    """
    SELECT greatest(coalesce((SELECT max(number) FROM command WHERE reader_id = :reader_id), 0), c.down_to) + 1
    FROM custody c WHERE c.reader_id = :reader_id
    """
)
_PUT = text(
    """
    INSERT INTO command (reader_id, number, organisation_id, kind, sealed, generation, created_at)
    VALUES (:reader_id, :number, :organisation_id, :kind, :sealed, :generation, :at)
    ON CONFLICT DO NOTHING RETURNING number
    """
)
_TRIES = 10


async def put(
    session: AsyncSession,
    organisation_id: UUID,
    reader_id: bytes,
    kind: int,
    generation: int,
    seal: Callable[[int], bytes],
) -> int:
    """Queue a command; its number. `seal` seals it under a number, `generation` is that of the key it does so with."""
    connection = await session.connection()
    for _ in range(_TRIES):
        number = int((await connection.execute(_NEXT, {"reader_id": reader_id})).scalar_one())
        values = {
            "reader_id": reader_id,
            "number": number,
            "organisation_id": organisation_id,
            "kind": kind,
            "sealed": seal(number),
            "generation": generation,
            "at": now(),
        }
        if (await connection.execute(_PUT, values)).first() is not None:
            return number
    raise RuntimeError("no command number could be had: others took every one of them")
