"""All SQL of emergency access."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Select, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlalchemy.orm import aliased
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts.models import Account
from server.audit.models import AuditEntry
from server.emergency.models import EmergencyAccess, PrivacyLead

PAGE_ROWS = 50
READS_MAX = 500
TOLD_AT_ONCE = 20
# An entry of the log bears the time of its own making, which may be a moment before or after that of the use.
_AROUND = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Use:
    """One use with the names of who had it and who reviewed it."""

    access: EmergencyAccess
    who: str
    reviewer: str


async def add(session: AsyncSession, access: EmergencyAccess) -> bool:
    """Keep a new use; False when the session has one that goes on."""
    ran_out = update(EmergencyAccess).where(
        col(EmergencyAccess.sign_in) == access.sign_in,
        col(EmergencyAccess.ended_at).is_(None),
        col(EmergencyAccess.ends_at) <= access.began_at,
    )
    await PlainSession.execute(session, ran_out.values(ended_at=col(EmergencyAccess.ends_at)))
    kept = insert(EmergencyAccess).values(access.model_dump()).on_conflict_do_nothing()
    return (await PlainSession.execute(session, kept.returning(col(EmergencyAccess.id)))).first() is not None


async def end(session: AsyncSession, access_id: UUID, at: datetime) -> None:
    """End a use now, unless it has ended."""
    statement = update(EmergencyAccess).where(
        col(EmergencyAccess.id) == access_id, col(EmergencyAccess.ended_at).is_(None)
    )
    await PlainSession.execute(session, statement.values(ended_at=func.least(col(EmergencyAccess.ends_at), at)))


async def uses(session: AsyncSession, page: int) -> tuple[list[Use], bool]:
    """Uses, those not reviewed first and of each the newest, of that page (from 1), and whether there is more."""
    statement = (
        _uses()
        .order_by(
            col(EmergencyAccess.reviewed_at).is_not(None),
            col(EmergencyAccess.began_at).desc(),
            col(EmergencyAccess.id),
        )
        .offset((page - 1) * PAGE_ROWS)
        .limit(PAGE_ROWS + 1)
    )
    found = [Use(row[0], row[1], row[2] or "") for row in (await PlainSession.execute(session, statement)).all()]
    return found[:PAGE_ROWS], len(found) > PAGE_ROWS


async def listed(
    session: AsyncSession, reviewed: bool | None, before: tuple[datetime, UUID] | None, most: int
) -> list[Use]:
    """Uses, the newest first, at most so many; `before` is the beginning and id of the last on the page before."""
    statement = _uses().order_by(col(EmergencyAccess.began_at).desc(), col(EmergencyAccess.id).desc()).limit(most)
    if reviewed is not None:
        statement = statement.where(col(EmergencyAccess.reviewed_at).is_not(None) == reviewed)
    if before is not None:
        statement = statement.where(tuple_(col(EmergencyAccess.began_at), col(EmergencyAccess.id)) < before)
    return [Use(row[0], row[1], row[2] or "") for row in (await PlainSession.execute(session, statement)).all()]


async def use(session: AsyncSession, access_id: UUID) -> Use | None:
    """One use."""
    row = (await PlainSession.execute(session, _uses().where(col(EmergencyAccess.id) == access_id))).one_or_none()
    return None if row is None else Use(row[0], row[1], row[2] or "")


def _uses() -> Select[EmergencyAccess, str, str]:
    reviewer = aliased(Account)
    return (
        select(EmergencyAccess, col(Account.name), col(reviewer.name))
        .join(Account, col(Account.id) == col(EmergencyAccess.account_id))
        .outerjoin(reviewer, col(reviewer.id) == col(EmergencyAccess.reviewed_by))
    )


async def reads(
    session: AsyncSession,
    access: EmergencyAccess,
    purpose: str,
    after: tuple[datetime, int] | None = None,
    most: int = READS_MAX,
) -> list[AuditEntry]:
    """What the audit log says was read by that use, oldest first; `after` is the time and number of an entry."""
    statement = (
        select(AuditEntry)
        .where(
            col(AuditEntry.at) >= access.began_at - _AROUND,
            col(AuditEntry.at) <= access.ends_at + _AROUND,
            col(AuditEntry.actor) == str(access.account_id),
            col(AuditEntry.purpose) == purpose,
        )
        .order_by(col(AuditEntry.at), col(AuditEntry.id))
        .limit(most)
    )
    if after is not None:
        statement = statement.where(tuple_(col(AuditEntry.at), col(AuditEntry.id)) > after)
    return list((await PlainSession.execute(session, statement)).scalars())


async def review(session: AsyncSession, access_id: UUID, reviewer_id: UUID, note: str, at: datetime) -> bool:
    """Mark a use as reviewed; True for the one caller that did."""
    statement = (
        update(EmergencyAccess)
        .where(col(EmergencyAccess.id) == access_id, col(EmergencyAccess.reviewed_at).is_(None))
        .values(reviewed_at=at, reviewed_by=reviewer_id, review_note=note)
        .returning(col(EmergencyAccess.id))
    )
    return (await PlainSession.execute(session, statement)).first() is not None


async def privacy_lead(session: AsyncSession) -> Account | None:
    """The privacy lead of the session's organisation."""
    statement = select(Account).join(PrivacyLead, col(PrivacyLead.account_id) == col(Account.id))
    return (await PlainSession.execute(session, statement)).scalar_one_or_none()


async def set_privacy_lead(session: AsyncSession, lead: PrivacyLead) -> None:
    """Name the privacy lead, in the place of an earlier one."""
    values = lead.model_dump(exclude={"organisation_id"})
    statement = insert(PrivacyLead).values(lead.model_dump())
    statement = statement.on_conflict_do_update(index_elements=[col(PrivacyLead.organisation_id)], set_=values)
    await PlainSession.execute(session, statement)


async def untold(session: AsyncSession, at: datetime) -> Sequence[EmergencyAccess]:
    """Uses of which the privacy lead is still to be told, oldest first, held for this transaction."""
    statement = (
        select(EmergencyAccess)
        .where(col(EmergencyAccess.told_at).is_(None), col(EmergencyAccess.retry_at) <= at)
        .order_by(col(EmergencyAccess.began_at), col(EmergencyAccess.id))
        .limit(TOLD_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    return (await PlainSession.execute(session, statement)).scalars().all()


async def told(session: AsyncSession, ids: Sequence[UUID], at: datetime) -> None:
    """The privacy lead was told."""
    await PlainSession.execute(
        session, update(EmergencyAccess).where(col(EmergencyAccess.id).in_(ids)).values(told_at=at)
    )


async def put_off(session: AsyncSession, ids: Sequence[UUID], until: datetime) -> None:
    """The privacy lead could not be told; try again at `until`."""
    statement = update(EmergencyAccess).where(col(EmergencyAccess.id).in_(ids))
    await PlainSession.execute(session, statement.values(retry_at=until, tries=col(EmergencyAccess.tries) + 1))
