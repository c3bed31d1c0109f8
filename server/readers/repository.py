"""SQL of readers and their keys."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from server.custody.models import Custody
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
