"""SQL of readers and their keys."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from server.custody.models import Custody
from server.followup.states import OPEN
from server.readers.models import Reader, ReaderKey


async def add(session: AsyncSession, reader: Reader, key: ReaderKey, custody: Custody) -> None:
    """Add a reader with its first key and its empty custody."""
    session.add(reader)
    await session.flush()
    session.add(key)
    session.add(custody)
    await session.flush()


async def find(session: AsyncSession, reader_id: bytes) -> Reader | None:
    """The reader of that id in the organisation that is entered."""
    return await session.get(Reader, reader_id)


async def add_key(session: AsyncSession, key: ReaderKey) -> None:
    """Keep another key of a reader."""
    session.add(key)
    await session.flush()


async def find_key(session: AsyncSession, reader_id: bytes, generation: int) -> ReaderKey | None:
    """A reader's key of one generation."""
    return await session.get(ReaderKey, (reader_id, generation))


_NEWEST = text("SELECT max(generation) FROM reader_key WHERE reader_id = :reader_id")


async def newest_generation(session: AsyncSession, reader_id: bytes) -> int:
    """The highest generation of which the reader has a key here."""
    return int((await (await session.connection()).execute(_NEWEST, {"reader_id": reader_id})).scalar_one())


_REVOKE = text(
    "UPDATE reader SET revoked_at = :at WHERE reader_id = :reader_id AND revoked_at IS NULL RETURNING reader_id"
)


async def revoke(session: AsyncSession, reader_id: bytes, at: datetime) -> bool:
    """Mark the reader revoked; False when it was already, or is not there."""
    found = await (await session.connection()).execute(_REVOKE, {"at": at, "reader_id": reader_id})
    return found.first() is not None


@dataclass(frozen=True, slots=True)
class StoredKey:
    """One generation of a reader's key as it is kept, with what goes with the reader."""

    reader_id: bytes
    site_id: UUID
    current_generation: int
    revoked: bool
    generation: int
    encrypted: bytes


@dataclass(frozen=True, slots=True)
class Owed:
    """What is not finished of a reader's: counts of records not held, held but not let go of, set aside, and of open
    follow-ups of its results."""

    undelivered: int
    unreleased: int
    quarantined: int
    follow_ups: int


# A hub's word about the reader's next number is taken where it says that there is more.
_OWED = text(
    """
    SELECT greatest(
            custody.issued_to,
            coalesce((SELECT max(next_number) - 1 FROM sighting WHERE sighting.reader_id = custody.reader_id), 0)
        ) - custody.held_to AS undelivered,
        custody.held_to - custody.released_to AS unreleased,
        (SELECT count(*) FROM quarantine
            WHERE quarantine.reader_id = custody.reader_id AND status = 'open') AS quarantined,
        (SELECT count(*) FROM follow_up JOIN result ON result.id = follow_up.result_id
            WHERE result.reader_id = custody.reader_id AND follow_up.state = ANY(:open)) AS follow_ups
    FROM custody WHERE custody.reader_id = :reader_id
    """
)


async def owed(session: AsyncSession, reader_id: bytes) -> Owed:
    """What of the reader's is not finished in the organisation that is entered."""
    values = {"reader_id": reader_id, "open": [int(state) for state in OPEN]}
    found = (await (await session.connection()).execute(_OWED, values)).one()
    return Owed(found.undelivered, found.unreleased, found.quarantined, found.follow_ups)
