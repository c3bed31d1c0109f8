"""SQL of assay packs and of what was sent to readers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from server.assays.models import AssayPack, AssaySending


async def loaded(session: AsyncSession) -> Sequence[AssayPack]:
    """Every pack that the organisation which is entered has loaded."""
    return (await session.exec(select(AssayPack).order_by(col(AssayPack.assay), col(AssayPack.version)))).all()


async def find(session: AsyncSession, assay: str, version: int) -> AssayPack | None:
    """The pack of that id and version."""
    query = select(AssayPack).where(AssayPack.assay == assay, AssayPack.version == version)
    return (await session.exec(query)).first()


_ADD = text(
    """
    INSERT INTO assay_pack (organisation_id, assay, version, pack, digest, loaded_at, actor_kind, actor)
    VALUES (:organisation_id, :assay, :version, :pack, :digest, :at, :actor_kind, :actor)
    ON CONFLICT DO NOTHING RETURNING version
    """
)


async def add(session: AsyncSession, pack: AssayPack) -> bool:
    """Keep a pack; False when there is one of that id and version, whoever was first."""
    values = {
        "organisation_id": pack.organisation_id, "assay": pack.assay, "version": pack.version, "pack": pack.pack,
        "digest": pack.digest, "at": pack.loaded_at, "actor_kind": pack.actor_kind, "actor": pack.actor,
    }  # fmt: skip
    return (await (await session.connection()).execute(_ADD, values)).first() is not None


_AGAIN = text(
    """
    UPDATE result SET recomputed_at = NULL, recomputation = NULL
    WHERE organisation_id = (SELECT doorstep_organisation())
      AND assay = :assay AND assay_version = :version AND recomputation = 'unknown-assay'
    """
)

_CONTROLS_AGAIN = text(_AGAIN.text.replace("UPDATE result", "UPDATE quality_test"))


async def recompute_again(session: AsyncSession, assay: str, version: int) -> int:
    """Results that could not be recomputed for want of this pack wait again, and quality-control tests; how many
    results there are."""
    connection = await session.connection()
    await connection.execute(_CONTROLS_AGAIN, {"assay": assay, "version": version})
    return (await connection.execute(_AGAIN, {"assay": assay, "version": version})).rowcount


@dataclass(frozen=True, slots=True)
class Sent:
    """The newest version of an assay sent to a reader that it has not refused. `number` is its command's."""

    reader_id: bytes
    reader: str
    assay: str
    version: int
    digest: str
    number: int
    taken_at: datetime | None
    refusal: int | None


_SENT = text(
    """
    SELECT r.reader_id, r.name, s.assay, s.version, s.digest, s.number, c.taken_at, c.refusal
    FROM assay_sending s
    JOIN command c ON c.reader_id = s.reader_id AND c.number = s.number
    JOIN reader r ON r.reader_id = s.reader_id
    WHERE s.organisation_id = (SELECT doorstep_organisation())
      AND (CAST(:assay AS text) IS NULL OR s.assay = :assay)
    ORDER BY s.assay, r.name, r.reader_id, s.number
    """
)


async def sent(session: AsyncSession, assay: str | None = None) -> list[Sent]:
    """Everything sent, of one assay or all, in the order of the readers' commands."""
    rows = await (await session.connection()).execute(_SENT, {"assay": assay})
    return [Sent(*row) for row in rows]


def note(session: AsyncSession, sending: AssaySending) -> None:
    """Note what a command carries."""
    session.add(sending)


_READERS = text(
    """
    SELECT reader_id, name FROM reader
    WHERE organisation_id = (SELECT doorstep_organisation()) AND revoked_at IS NULL ORDER BY name, reader_id
    """
)


async def readers(session: AsyncSession) -> list[tuple[bytes, str]]:
    """(id, name) of every reader of the organisation that is not revoked."""
    return [(row[0], row[1]) for row in await (await session.connection()).execute(_READERS)]
