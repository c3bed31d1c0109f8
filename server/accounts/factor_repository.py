"""All SQL of second factors, recovery codes and the rule of who needs one."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts.models import RecoveryCode, SecondFactor, SecondFactorRule


async def find(session: AsyncSession, account_id: UUID) -> SecondFactor | None:
    """A person's second factor, confirmed or not."""
    return await session.get(SecondFactor, account_id, populate_existing=True)


async def confirmed(session: AsyncSession, account_id: UUID) -> SecondFactor | None:
    """A person's second factor that is asked for at sign-in."""
    found = await find(session, account_id)
    return found if found and found.confirmed_at else None


async def begin(session: AsyncSession, factor: SecondFactor) -> bool:
    """Keep a secret that waits for its confirmation, in the place of an earlier one; False when one is confirmed."""
    values = {"secret": factor.secret, "created_at": factor.created_at, "last_step": 0}
    statement = (
        upsert(SecondFactor)
        .values(account_id=factor.account_id, organisation_id=factor.organisation_id, **values)
        .on_conflict_do_update(
            index_elements=[col(SecondFactor.account_id)],
            set_=values,
            where=col(SecondFactor.confirmed_at).is_(None),
        )
        .returning(col(SecondFactor.account_id))
    )
    return (await (await session.connection()).execute(statement)).first() is not None


async def confirm(session: AsyncSession, account_id: UUID, secret: bytes, step: int, now: datetime) -> bool:
    """Ask for it from now on; False when another secret took its place, or it is confirmed already."""
    statement = (
        update(SecondFactor)
        .where(
            col(SecondFactor.account_id) == account_id,
            col(SecondFactor.secret) == secret,
            col(SecondFactor.confirmed_at).is_(None),
        )
        .values(confirmed_at=now, last_step=step)
        .returning(col(SecondFactor.account_id))
    )
    return (await (await session.connection()).execute(statement)).first() is not None


async def take_step(session: AsyncSession, account_id: UUID, step: int) -> bool:
    """Mark the code of that step as taken; True for the one caller that did, so that a code works once."""
    statement = (
        update(SecondFactor)
        .where(col(SecondFactor.account_id) == account_id, col(SecondFactor.last_step) < step)
        .values(last_step=step)
        .returning(col(SecondFactor.account_id))
    )
    return (await (await session.connection()).execute(statement)).first() is not None


async def take_recovery(session: AsyncSession, account_id: UUID, code_hash: bytes, now: datetime) -> bool:
    """Mark a recovery code as used; True for the one caller that did."""
    statement = (
        update(RecoveryCode)
        .where(
            col(RecoveryCode.code_hash) == code_hash,
            col(RecoveryCode.account_id) == account_id,
            col(RecoveryCode.used_at).is_(None),
        )
        .values(used_at=now)
        .returning(col(RecoveryCode.code_hash))
    )
    return (await (await session.connection()).execute(statement)).first() is not None


async def keep_recovery(
    session: AsyncSession, organisation_id: UUID, account_id: UUID, code_hashes: Sequence[bytes]
) -> None:
    """Replace a person's recovery codes."""
    link = await session.connection()
    await link.execute(delete(RecoveryCode).where(col(RecoveryCode.account_id) == account_id))
    rows = [{"code_hash": one, "organisation_id": organisation_id, "account_id": account_id} for one in code_hashes]
    await link.execute(insert(RecoveryCode), rows)


async def recovery_left(session: AsyncSession, account_id: UUID) -> int:
    """How many recovery codes are unused."""
    statement = select(func.count()).where(
        col(RecoveryCode.account_id) == account_id, col(RecoveryCode.used_at).is_(None)
    )
    return (await (await session.connection()).execute(statement)).scalar_one()


async def remove(session: AsyncSession, account_id: UUID) -> bool:
    """Remove a person's second factor and recovery codes; False when there was none."""
    link = await session.connection()
    await link.execute(delete(RecoveryCode).where(col(RecoveryCode.account_id) == account_id))
    removed = await link.execute(
        delete(SecondFactor).where(col(SecondFactor.account_id) == account_id).returning(col(SecondFactor.account_id))
    )
    return removed.first() is not None


async def rule(session: AsyncSession) -> frozenset[str]:
    """The roles that need a second factor in the session's organisation."""
    rows = await (await session.connection()).execute(select(col(SecondFactorRule.role)))
    return frozenset(rows.scalars())


async def set_rule(session: AsyncSession, organisation_id: UUID, roles: Collection[str]) -> None:
    """Replace the rule."""
    link = await session.connection()
    await link.execute(delete(SecondFactorRule).where(col(SecondFactorRule.organisation_id) == organisation_id))
    if roles:
        rows = [{"organisation_id": organisation_id, "role": role} for role in roles]
        await link.execute(insert(SecondFactorRule), rows)
