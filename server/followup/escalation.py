"""Tells somebody when a follow-up was not acted on in time, and somebody else when that did not help.

At the due time its owner and the deputy are told, half as long again later the lead, then the leads each day until
somebody acts. What is due is in the table: however long the server was away, whoever looks next tells, and a unique
constraint sees to it that nobody is told twice of the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts.models import Account, Role
from server.followup.models import FollowUp, FollowUpPolicy
from server.notices import repository as notices
from server.notices import webhook_repository as webhooks

PORTION = 200
_SOONEST, _LATEST = timedelta(minutes=30), timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Ladder:
    """Whom a rule names, and who is there in an organisation: (id, role), the longest there first."""

    deputy: UUID | None
    lead: UUID | None
    people: tuple[tuple[UUID, str], ...]

    def told(self, level: int, owner: UUID | None) -> list[UUID]:
        """Who is told at that level, 1 being the due time; nobody only where an organisation has nobody."""
        there = {person for person, _ in self.people}
        leads = [person for person, role in self.people if role == Role.LEAD]
        named = [owner, self.deputy] if level == 1 else [owner, self.lead]
        found = [person for person in named if person in there]
        if level >= 2 and self.lead not in there:
            found += leads
        if level >= 3:
            found += leads
        if not found:
            found = leads or sorted(there)
        return list(dict.fromkeys(person for person in found if person is not None))


async def escalate(session: AsyncSession, at: datetime) -> int:
    """Write the notices of up to `PORTION` follow-ups that are due at `at`, which nobody else looks at; how many.

    In the session's transaction, which is bound to the organisation.
    """
    due = await _take(session, at)
    if not due:
        return 0
    people = await _people(session)
    there = {person for person, _ in people}
    named = await _named(session)
    written: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []
    for follow_up in due:
        follow_up.escalation += 1
        deputy, lead = named.get((follow_up.assay, follow_up.outcome, follow_up.rule)) or named.get(
            ("*", follow_up.outcome, follow_up.rule), (None, None)
        )
        told = Ladder(deputy, lead, people).told(follow_up.escalation, follow_up.owner_id)
        if told and follow_up.owner_id not in there:
            # Nobody's, or of somebody who may not sign in any more: from now on it is somebody's.
            follow_up.owner_id = told[0]
        events.append(_event(follow_up, at))
        written.extend({**events[-1], "recipient_id": recipient} for recipient in told)
        follow_up.remind_at = at + _gap(follow_up)
        session.add(follow_up)
    await notices.add(session, written)
    await webhooks.add(session, events)
    await session.flush()
    return len(due)


def _event(follow_up: FollowUp, at: datetime) -> dict[str, Any]:
    """What whoever is told is told of."""
    return {
        "organisation_id": follow_up.organisation_id,
        "result_id": follow_up.result_id,
        "opened_at": follow_up.opened_at,
        "due_at": follow_up.due_at,
        "level": follow_up.escalation,
        "urgency": follow_up.urgency,
        "created_at": at,
        "retry_at": at,
        "tries": 0,
    }


def _gap(follow_up: FollowUp) -> timedelta:
    """How long until the next are told: half of what was allowed, at least half an hour, a day at most."""
    assert follow_up.due_at is not None
    if follow_up.escalation >= 3:
        return _LATEST
    return min(_LATEST, max(_SOONEST, (follow_up.due_at - follow_up.opened_at) / 2))


async def _take(session: AsyncSession, at: datetime) -> Sequence[FollowUp]:
    statement = (
        select(FollowUp)
        .where(col(FollowUp.remind_at) <= at)
        .order_by(col(FollowUp.remind_at))
        .limit(PORTION)
        .with_for_update(skip_locked=True)
    )
    return (await PlainSession.execute(session, statement)).scalars().all()


async def _people(session: AsyncSession) -> tuple[tuple[UUID, str], ...]:
    statement = (
        select(col(Account.id), col(Account.role))
        .where(col(Account.active), col(Account.role).in_((Role.LEAD, Role.CLINICIAN)))
        .order_by(col(Account.created_at), col(Account.id))
        .limit(500)
    )
    return tuple((row[0], row[1]) for row in (await PlainSession.execute(session, statement)).all())


async def _named(session: AsyncSession) -> dict[tuple[str, int, int], tuple[UUID | None, UUID | None]]:
    """(deputy, lead) by assay, outcome and version of the organisation's own rules."""
    statement = select(
        col(FollowUpPolicy.assay),
        col(FollowUpPolicy.outcome),
        col(FollowUpPolicy.version),
        col(FollowUpPolicy.deputy_id),
        col(FollowUpPolicy.lead_id),
    )
    rows = (await PlainSession.execute(session, statement)).all()
    return {(row[0], row[1], row[2]): (row[3], row[4]) for row in rows}
