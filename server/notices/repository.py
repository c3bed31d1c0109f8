"""All SQL of notices."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts.models import Account
from server.followup.policy import Urgency
from server.notices.models import Notice

# One message names so many; the rest come with the next.
TOLD_AT_ONCE = 50


async def add(session: AsyncSession, notices: Sequence[dict[str, Any]]) -> None:
    """Add notices; one that is there already is left as it is."""
    if notices:
        await PlainSession.execute(session, insert(Notice).on_conflict_do_nothing(), [dict(one) for one in notices])


async def recipients(session: AsyncSession, at: datetime, gather: timedelta) -> list[UUID]:
    """Who is to be told now: at once of what is urgent, of the rest at most once in `gather`, counted from the last."""
    last = (
        select(func.max(col(Notice.sent_at)))
        .where(col(Notice.recipient_id) == col(Account.id))
        .correlate(Account)
        .scalar_subquery()
    )
    statement = (
        select(col(Account.id))
        .join(Notice, col(Notice.recipient_id) == col(Account.id))
        .where(
            col(Notice.sent_at).is_(None),
            col(Notice.retry_at) <= at,
            col(Account.active),
            (col(Notice.urgency) == int(Urgency.NOW)) | func.coalesce(last <= at - gather, True),
        )
        .distinct()
    )
    return list((await PlainSession.execute(session, statement)).scalars())


async def take(session: AsyncSession, recipient_id: UUID, at: datetime) -> list[Notice]:
    """What a person is to be told and nobody else is just telling, oldest first, held for this transaction."""
    statement = (
        select(Notice)
        .where(col(Notice.recipient_id) == recipient_id, col(Notice.sent_at).is_(None), col(Notice.retry_at) <= at)
        .order_by(col(Notice.created_at), col(Notice.id))
        .limit(TOLD_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    return list((await PlainSession.execute(session, statement)).scalars())


async def address(session: AsyncSession, account_id: UUID) -> tuple[str, str] | None:
    """(name, e-mail address) of somebody who may still sign in."""
    statement = select(col(Account.name), col(Account.email)).where(col(Account.id) == account_id, col(Account.active))
    row = (await PlainSession.execute(session, statement)).one_or_none()
    return None if row is None else (row[0], row[1])


async def sent(session: AsyncSession, ids: Sequence[UUID], at: datetime) -> None:
    """They were told."""
    await PlainSession.execute(session, update(Notice).where(col(Notice.id).in_(ids)).values(sent_at=at))


async def put_off(session: AsyncSession, ids: Sequence[UUID], until: datetime) -> None:
    """They could not be told; try again at `until`."""
    statement = update(Notice).where(col(Notice.id).in_(ids)).values(retry_at=until, tries=col(Notice.tries) + 1)
    await PlainSession.execute(session, statement)


async def of_result(session: AsyncSession, result_id: UUID) -> list[tuple[Notice, str]]:
    """Every notice of a follow-up with the name of whom it is for, oldest first."""
    statement = (
        select(Notice, col(Account.name))
        .join(Account, col(Account.id) == col(Notice.recipient_id))
        .where(col(Notice.result_id) == result_id)
        .order_by(col(Notice.created_at), col(Account.name))
    )
    return [(row[0], row[1]) for row in (await PlainSession.execute(session, statement)).all()]
