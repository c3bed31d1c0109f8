"""All SQL of access tokens."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts.models import AccessToken
from server.database import tenancy
from server.database.columns import now

LISTED = 100


async def by_hash(session: AsyncSession, secret_hash: bytes) -> AccessToken | None:
    """The token whose secret has that SHA-256, in any organisation."""
    await tenancy.look_up(session, "access-token", secret_hash.hex())
    statement = select(AccessToken).where(col(AccessToken.secret_hash) == secret_hash)
    return (await PlainSession.execute(session, statement)).scalar_one_or_none()


async def add(session: AsyncSession, token: AccessToken) -> None:
    """Keep a new token."""
    session.add(token)
    await session.flush()


async def usable(session: AsyncSession, account_id: UUID, at: datetime) -> int:
    """How many tokens of that person still open something."""
    statement = select(func.count()).where(*_usable(account_id, at))
    return (await PlainSession.execute(session, statement)).scalar_one()


async def listed(session: AsyncSession, account_id: UUID, at: datetime) -> Sequence[AccessToken]:
    """A person's tokens that still open something, the newest first."""
    statement = (
        select(AccessToken)
        .where(*_usable(account_id, at))
        .order_by(col(AccessToken.created_at).desc(), col(AccessToken.id))
        .limit(LISTED)
    )
    return (await PlainSession.execute(session, statement)).scalars().all()


async def revoke(session: AsyncSession, account_id: UUID, token_id: UUID) -> bool:
    """End one token of that person; False when there is none, or it has ended."""
    at = now()
    statement = (
        update(AccessToken)
        .where(col(AccessToken.id) == token_id, *_usable(account_id, at))
        .values(revoked_at=at)
        .returning(col(AccessToken.id))
    )
    return (await (await session.connection()).execute(statement)).first() is not None


async def revoke_all(session: AsyncSession, account_id: UUID) -> None:
    """End every token of that person."""
    statement = (
        update(AccessToken)
        .where(col(AccessToken.account_id) == account_id, col(AccessToken.revoked_at).is_(None))
        .values(revoked_at=now())
    )
    await (await session.connection()).execute(statement)


async def touch(session: AsyncSession, token_id: UUID, at: datetime) -> None:
    """Note that the token was used."""
    statement = update(AccessToken).where(col(AccessToken.id) == token_id).values(used_at=at)
    await (await session.connection()).execute(statement)


def _usable(account_id: UUID, at: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        col(AccessToken.account_id) == account_id,
        col(AccessToken.revoked_at).is_(None),
        col(AccessToken.expires_at) > at,
    )
