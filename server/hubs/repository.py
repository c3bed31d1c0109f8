"""SQL of hubs, their enrolment codes and the assertions they have spent."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from server.database import direct, tenancy
from server.database.direct import Connection
from server.hubs.models import EnrolmentCode, Hub


async def add_code(session: AsyncSession, code: EnrolmentCode) -> None:
    """Keep a new enrolment code."""
    session.add(code)
    await session.flush()


async def code_anywhere(session: AsyncSession, code_hash: bytes) -> EnrolmentCode | None:
    """The enrolment code of that hash, whichever organisation made it."""
    await tenancy.look_up(session, "enrolment", code_hash.hex())
    return (await session.exec(select(EnrolmentCode).where(EnrolmentCode.code_hash == code_hash))).first()


_USE_CODE = text(
    """
    UPDATE enrolment_code SET used_at = :at, hub_id = :hub_id
    WHERE code_hash = :code_hash AND used_at IS NULL AND expires_at > :at RETURNING code_hash
    """
)


async def use_code(session: AsyncSession, code_hash: bytes, hub_id: bytes, at: datetime) -> bool:
    """Spend the code; False when it is spent or expired, also when two try at once."""
    parameters = {"code_hash": code_hash, "hub_id": hub_id, "at": at}
    return (await (await session.connection()).execute(_USE_CODE, parameters)).first() is not None


async def add(session: AsyncSession, hub: Hub) -> None:
    """Add a hub."""
    session.add(hub)
    await session.flush()


async def hub_anywhere(session: AsyncSession, hub_id: bytes) -> Hub | None:
    """The hub of that id, whichever organisation's it is."""
    await tenancy.look_up(session, "hub", hub_id.hex())
    return (await session.exec(select(Hub).where(Hub.hub_id == hub_id))).first()


_SPEND = text(
    """
    INSERT INTO spent_assertion (hub_id, jti_hash, organisation_id, expires_at)
    VALUES (:hub_id, :jti_hash, :organisation_id, :expires_at) ON CONFLICT DO NOTHING RETURNING hub_id
    """
)
_FORGET = text("DELETE FROM spent_assertion WHERE hub_id = :hub_id AND expires_at < :at")


async def spend(
    session: AsyncSession, hub_id: bytes, jti_hash: bytes, organisation_id: UUID, expires_at: datetime, at: datetime
) -> bool:
    """Spend an assertion's `jti`; False when it was spent before. Forgets those of this hub that are past."""
    connection = await session.connection()
    await connection.execute(_FORGET, {"hub_id": hub_id, "at": at})
    row = await connection.execute(
        _SPEND,
        {"hub_id": hub_id, "jti_hash": jti_hash, "organisation_id": organisation_id, "expires_at": expires_at},
    )
    return row.first() is not None


_REVOKE = text("UPDATE hub SET revoked_at = :at WHERE hub_id = :hub_id AND revoked_at IS NULL RETURNING hub_id")


async def revoke(session: AsyncSession, hub_id: bytes, at: datetime) -> bool:
    """Mark the hub revoked; False when it was already."""
    return (await (await session.connection()).execute(_REVOKE, {"at": at, "hub_id": hub_id})).first() is not None


_IS_KNOWN = b"SELECT 1 FROM hub WHERE hub_id = %(hub_id)s AND revoked_at IS NULL"


def is_known(connection: Connection, hub_id: bytes) -> bool:
    """True for a hub of the organisation that is entered, not revoked."""
    asked = direct.ask(connection, _IS_KNOWN, {"hub_id": hub_id}, lambda cursor: cursor.fetchone())
    return asked.result() is not None


_KNOWN = text("SELECT 1 FROM hub WHERE hub_id = :hub_id AND revoked_at IS NULL")


async def known(session: AsyncSession, hub_id: bytes) -> bool:
    """As `is_known`, for a session."""
    return (await (await session.connection()).execute(_KNOWN, {"hub_id": hub_id})).first() is not None


_EPOCH = text("SELECT epoch FROM server_epoch ORDER BY id DESC LIMIT 1")


async def epoch(session: AsyncSession) -> bytes:
    """The server's present epoch, 8 bytes."""
    return bytes((await (await session.connection()).execute(_EPOCH)).scalar_one())
