"""SQL of releases and of their images, which belong to no organisation, and of who awaits one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

_RELEASES = """
    SELECT image_id, model, version, release, follows, manifest_bytes, manifest_hash, size, digest,
           length(bill) AS bill_bytes, added_at
    FROM firmware_release
"""


@dataclass(frozen=True, slots=True)
class Release:
    """A release without its bytes; `bill_bytes` is None where it has no bill of materials."""

    image_id: bytes
    model: str
    version: str
    release: int
    follows: int
    manifest_bytes: int
    manifest_hash: bytes
    size: int
    digest: bytes
    bill_bytes: int | None
    added_at: datetime


_ADD = text(
    """
    INSERT INTO firmware_release (image_id, model, version, release, follows, manifest_bytes, manifest_hash, size,
                                  digest, content, bill, added_at)
    VALUES (:image_id, :model, :version, :release, :follows, :manifest_bytes, :manifest_hash, :size, :digest, :content,
            :bill, :added_at)
    ON CONFLICT DO NOTHING RETURNING image_id
    """
)


async def add(session: AsyncSession, values: Mapping[str, Any]) -> bool:
    """Keep a release; False when there is one of that image, or of that model and number, whoever was first."""
    return (await (await session.connection()).execute(_ADD, dict(values))).first() is not None


_EVERY_RELEASE = text(f"{_RELEASES} ORDER BY model, release DESC")


async def releases(session: AsyncSession) -> list[Release]:
    """Every release of the installation, by model, the newest first."""
    return [Release(*row) for row in await (await session.connection()).execute(_EVERY_RELEASE)]


_RELEASE = text(f"{_RELEASES} WHERE image_id = :image_id")


async def release(session: AsyncSession, image_id: bytes) -> Release | None:
    """One release."""
    row = (await (await session.connection()).execute(_RELEASE, {"image_id": image_id})).first()
    return None if row is None else Release(*row)


_BILL = text("SELECT bill FROM firmware_release WHERE image_id = :image_id")


async def bill(session: AsyncSession, image_id: bytes) -> bytes | None:
    """The bill of materials of a release, if it has one."""
    found = (await (await session.connection()).execute(_BILL, {"image_id": image_id})).scalar_one_or_none()
    return None if found is None else bytes(found)


_BLOCK = text(
    "SELECT substring(content FROM CAST(:begin AS integer) + 1 FOR :most) FROM firmware_release WHERE image_id = :id"
)


async def block(session: AsyncSession, image_id: bytes, begin: int, most: int) -> bytes:
    """At most so many bytes of an image, from offset `begin` on."""
    found = await (await session.connection()).execute(_BLOCK, {"id": image_id, "begin": begin, "most": most})
    return bytes(found.scalar_one())


_AWAITED = text(
    """
    SELECT f.size, m.reader_id FROM rollout o
    JOIN firmware_release f ON f.image_id = o.image_id
    JOIN rollout_reader m ON m.rollout_id = o.id AND m.active AND m.stage IN ('sent', 'awaited')
    JOIN reader r ON r.reader_id = m.reader_id AND r.revoked_at IS NULL
    WHERE o.organisation_id = (SELECT doorstep_organisation()) AND o.state = 'running' AND o.image_id = :image_id
    LIMIT 1
    """
)


async def awaited_size(session: AsyncSession, image_id: bytes) -> int | None:
    """The bytes of an image that a reader of the organisation awaits; None for any other."""
    row = (await (await session.connection()).execute(_AWAITED, {"image_id": image_id})).first()
    return None if row is None else int(row[0])


@dataclass(frozen=True, slots=True)
class Awaiting:
    """A reader that awaits an image, the image's bytes, and SHA-256 of it."""

    reader_id: bytes
    image_id: bytes
    size: int
    digest: bytes


_WHO_AWAITS = text(
    """
    SELECT m.reader_id, f.image_id, f.size, f.digest FROM rollout o
    JOIN firmware_release f ON f.image_id = o.image_id
    JOIN rollout_reader m ON m.rollout_id = o.id AND m.active AND m.stage IN ('sent', 'awaited')
    JOIN reader r ON r.reader_id = m.reader_id AND r.revoked_at IS NULL
    WHERE o.organisation_id = (SELECT doorstep_organisation()) AND o.state = 'running' AND m.reader_id > :after
    ORDER BY m.reader_id LIMIT :most
    """
)


async def who_awaits(session: AsyncSession, after: bytes, most: int) -> Sequence[Awaiting]:
    """Readers of the organisation that await an image, by id, those beyond `after`."""
    rows = await (await session.connection()).execute(_WHO_AWAITS, {"after": after, "most": most})
    return [Awaiting(*row) for row in rows]
