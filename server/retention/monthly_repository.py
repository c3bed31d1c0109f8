"""SQL of the monthly look at what is due: whether it is wanted, each one that was made, and who is to be told of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts.models import Account, Role
from server.retention.models import RetentionLook, RetentionMonthly, RetentionNotice, RetentionRule


async def wanted(session: AsyncSession) -> bool:
    """Whether the session's organisation wants it."""
    return (await PlainSession.execute(session, select(exists(select(RetentionMonthly))))).scalar_one()


async def want(session: AsyncSession, organisation_id: UUID, at: datetime) -> None:
    """It is wanted from then on."""
    values = {"organisation_id": organisation_id, "since": at}
    await PlainSession.execute(session, upsert(RetentionMonthly).values(values).on_conflict_do_nothing())


async def want_no_more(session: AsyncSession) -> None:
    """It is not wanted any more."""
    await PlainSession.execute(session, delete(RetentionMonthly))


async def missing(session: AsyncSession, month: date) -> bool:
    """Whether it is wanted, there is a rule by which something can be due, and that month has none yet."""
    statement = select(
        exists(select(RetentionMonthly)),
        exists().where(col(RetentionRule.months).is_not(None)),
        exists().where(col(RetentionLook.month) == month),
    )
    on, ruled, made = (await PlainSession.execute(session, statement)).one()
    return on and ruled and not made


async def begin(session: AsyncSession, look: RetentionLook) -> bool:
    """Take the month; False when it is taken. Waits for another transaction that is about to take it."""
    statement = upsert(RetentionLook).values(look.model_dump()).on_conflict_do_nothing()
    return (await PlainSession.execute(session, statement.returning(col(RetentionLook.id)))).first() is not None


async def finish(session: AsyncSession, look_id: UUID, due: dict[str, Any]) -> None:
    """Write what was due."""
    await PlainSession.execute(session, update(RetentionLook).where(col(RetentionLook.id) == look_id).values(due=due))


async def tell_administrators(session: AsyncSession, look: RetentionLook) -> None:
    """Everybody who is an administrator now is to be told of it."""
    statement = select(col(Account.id)).where(col(Account.role) == Role.ADMINISTRATOR, col(Account.active))
    rows = [
        RetentionNotice(look_id=look.id, account_id=account_id, organisation_id=look.organisation_id).model_dump()
        for account_id in (await PlainSession.execute(session, statement)).scalars()
    ]
    if rows:
        await PlainSession.execute(session, insert(RetentionNotice), rows)


async def last(session: AsyncSession) -> RetentionLook | None:
    """The newest look."""
    statement = select(RetentionLook).order_by(col(RetentionLook.month).desc()).limit(1)
    return (await PlainSession.execute(session, statement)).scalar_one_or_none()


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody who is to be told of a look."""

    notice: RetentionNotice
    look: RetentionLook
    name: str
    email: str


async def untold(session: AsyncSession, at: datetime) -> Sequence[tuple[UUID, UUID]]:
    """(look, account) of who is to be told at that moment and may still sign in, the oldest first."""
    statement = (
        select(col(RetentionNotice.look_id), col(RetentionNotice.account_id))
        .join(RetentionLook, col(RetentionLook.id) == col(RetentionNotice.look_id))
        .join(Account, col(Account.id) == col(RetentionNotice.account_id))
        .where(col(RetentionNotice.sent_at).is_(None), col(RetentionNotice.retry_at) <= at, col(Account.active))
        .order_by(col(RetentionLook.month), col(RetentionNotice.account_id))
    )
    return [(row[0], row[1]) for row in (await PlainSession.execute(session, statement)).all()]


async def take(session: AsyncSession, key: tuple[UUID, UUID]) -> Waiting | None:
    """One who is to be told, held for this transaction; None where they were told, or another is just telling them."""
    look_id, account_id = key
    statement = (
        select(RetentionNotice, RetentionLook, col(Account.name), col(Account.email))
        .join(RetentionLook, col(RetentionLook.id) == col(RetentionNotice.look_id))
        .join(Account, col(Account.id) == col(RetentionNotice.account_id))
        .where(
            col(RetentionNotice.look_id) == look_id,
            col(RetentionNotice.account_id) == account_id,
            col(RetentionNotice.sent_at).is_(None),
        )
        .with_for_update(of=RetentionNotice, skip_locked=True)
    )
    row = (await PlainSession.execute(session, statement)).one_or_none()
    return None if row is None else Waiting(row[0], row[1], row[2], row[3])
