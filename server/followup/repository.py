"""All SQL of follow-ups as people see and move them; `opening` has what an exchange needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts.models import Account
from server.followup.models import FollowUp, FollowUpEvent, FollowUpPolicy
from server.followup.states import State

PEOPLE_MAX = 500


async def lock(session: AsyncSession, result_id: UUID) -> FollowUp | None:
    """The follow-up of that result, held for this transaction; None without one."""
    statement = select(FollowUp).where(col(FollowUp.result_id) == result_id).with_for_update()
    return (await PlainSession.execute(session, statement)).scalar_one_or_none()


async def find(session: AsyncSession, result_id: UUID) -> FollowUp | None:
    """The follow-up of that result; None without one."""
    return await session.get(FollowUp, result_id)


async def save(session: AsyncSession, follow_up: FollowUp, event: FollowUpEvent) -> None:
    """Write what an act changed, and the act."""
    session.add(follow_up)
    session.add(event)
    await session.flush()


async def events(session: AsyncSession, result_id: UUID) -> list[tuple[FollowUpEvent, str | None]]:
    """What was done, oldest first, each with the name of who did it; None for the server itself."""
    statement = (
        select(FollowUpEvent, col(Account.name))
        .outerjoin(Account, col(Account.id) == col(FollowUpEvent.account_id))
        .where(col(FollowUpEvent.result_id) == result_id)
        .order_by(col(FollowUpEvent.version))
    )
    return [(row[0], row[1]) for row in (await PlainSession.execute(session, statement)).all()]


async def people(session: AsyncSession) -> list[tuple[UUID, str, str]]:
    """(id, name, role) of everybody who may follow up, by name."""
    statement = (
        select(col(Account.id), col(Account.name), col(Account.role))
        .where(col(Account.active), col(Account.role).in_(("clinician", "lead")))
        .order_by(col(Account.name), col(Account.id))
        .limit(PEOPLE_MAX)
    )
    return [(row[0], row[1], row[2]) for row in (await PlainSession.execute(session, statement)).all()]


async def with_owner(session: AsyncSession, result_id: UUID) -> tuple[FollowUp, str | None] | None:
    """The follow-up of that result and its owner's name; None without one."""
    statement = (
        select(FollowUp, col(Account.name))
        .outerjoin(Account, col(Account.id) == col(FollowUp.owner_id))
        .where(col(FollowUp.result_id) == result_id)
    )
    row = (await PlainSession.execute(session, statement)).one_or_none()
    return None if row is None else (row[0], row[1])


@dataclass(frozen=True, slots=True)
class Counts:
    """How many wait: of the viewer, of everybody, of nobody, and past their time."""

    mine: int
    everybody: int
    unowned: int
    overdue: int


async def counts(session: AsyncSession, organisation_id: UUID, account_id: UUID, at: datetime) -> Counts:
    """The four figures above the worklist, in one statement over what is open."""
    statement = select(
        func.count().filter(col(FollowUp.owner_id) == account_id),
        func.count(),
        func.count().filter(col(FollowUp.owner_id).is_(None)),
        func.count().filter(col(FollowUp.due_at) < at),
    ).where(col(FollowUp.organisation_id) == organisation_id, col(FollowUp.due_at).is_not(None))
    row = (await PlainSession.execute(session, statement)).one()
    return Counts(*row)


async def unowned(session: AsyncSession, limit: int) -> Sequence[FollowUp]:
    """Open follow-ups that nobody owns, held for this transaction, those due first first."""
    statement = (
        select(FollowUp)
        .where(col(FollowUp.due_at).is_not(None), col(FollowUp.owner_id).is_(None))
        .order_by(col(FollowUp.due_at))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return (await PlainSession.execute(session, statement)).scalars().all()


async def current_policies(session: AsyncSession) -> list[FollowUpPolicy]:
    """The organisation's own policies in force."""
    statement = (
        select(FollowUpPolicy)
        .where(col(FollowUpPolicy.current))
        .order_by(col(FollowUpPolicy.assay), col(FollowUpPolicy.outcome))
    )
    return list((await PlainSession.execute(session, statement)).scalars().all())


async def supersede(session: AsyncSession, policy: FollowUpPolicy) -> None:
    """Put `policy` in force as the next version of what it is for."""
    same = (col(FollowUpPolicy.assay) == policy.assay, col(FollowUpPolicy.outcome) == policy.outcome)
    latest = select(func.coalesce(func.max(col(FollowUpPolicy.version)), 0)).where(*same)
    policy.version = (await PlainSession.execute(session, latest)).scalar_one() + 1
    await PlainSession.execute(
        session, update(FollowUpPolicy).where(*same, col(FollowUpPolicy.current)).values(current=False)
    )
    session.add(policy)
    await session.flush()


def worklist_filter(view: str, account_id: UUID, at: datetime) -> ColumnElement[bool]:
    """What one of the lists *mine*, *team*, *unowned*, *overdue* holds."""
    waiting = col(FollowUp.due_at).is_not(None)
    narrower: dict[str, ColumnElement[bool]] = {
        "mine": col(FollowUp.owner_id) == account_id,
        "team": waiting,
        "unowned": col(FollowUp.owner_id).is_(None),
        "overdue": col(FollowUp.due_at) < at,
    }
    return and_(waiting, narrower[view])


def after(urgency: int, due_at: datetime, result_id: UUID) -> ColumnElement[bool]:
    """What follows that place in the worklist's order: urgency, then due time, then id."""
    return or_(
        col(FollowUp.urgency) > urgency,
        and_(
            col(FollowUp.urgency) == urgency,
            tuple_(col(FollowUp.due_at), col(FollowUp.result_id)) > tuple_(due_at, result_id),
        ),
    )


ORDER: tuple[Any, ...] = (col(FollowUp.urgency), col(FollowUp.due_at), col(FollowUp.result_id))
CLOSED_STATES = (int(State.OUTCOME), int(State.CLOSED))
