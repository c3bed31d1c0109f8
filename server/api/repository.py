"""All SQL of acts done under an Idempotency-Key."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from server.api.models import RepeatableAct


async def begin(session: AsyncSession, row: RepeatableAct) -> bool:
    """Take a key; False when it is taken. Waits for another transaction that is about to take the same."""
    statement = insert(RepeatableAct).values(row.model_dump()).on_conflict_do_nothing()
    taken = statement.returning(col(RepeatableAct.key_hash))
    return (await (await session.connection()).execute(taken)).first() is not None


async def find(session: AsyncSession, account_id: UUID, key_hash: bytes) -> RepeatableAct | None:
    """What was done under a key."""
    statement = select(RepeatableAct).where(
        col(RepeatableAct.account_id) == account_id, col(RepeatableAct.key_hash) == key_hash
    )
    return (await PlainSession.execute(session, statement)).scalar_one_or_none()


async def finish(session: AsyncSession, row: RepeatableAct, subject: UUID) -> None:
    """Write what the act made or changed."""
    statement = (
        update(RepeatableAct)
        .where(col(RepeatableAct.account_id) == row.account_id, col(RepeatableAct.key_hash) == row.key_hash)
        .values(subject=subject)
    )
    await (await session.connection()).execute(statement)


async def forget(session: AsyncSession, account_id: UUID, before: datetime) -> None:
    """Remove a person's keys from before a moment."""
    statement = delete(RepeatableAct).where(col(RepeatableAct.account_id) == account_id, col(RepeatableAct.at) < before)
    await (await session.connection()).execute(statement)
