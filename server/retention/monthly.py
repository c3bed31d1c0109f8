"""The monthly look: a dry run that the jobs make once a month where it is wanted, of which administrators are told.

It erases nothing. What is due is erased when a person has seen it and says so, on the page or by the command.
"""

from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlmodel.ext.asyncio.session import AsyncSession

from server.audit import service as audit
from server.audit.service import Actor
from server.database.columns import now
from server.retention import monthly_repository as repository
from server.retention import service
from server.retention.models import RetentionLook

_ACTOR = Actor("job", "monthly look at retention")


async def choose(session: AsyncSession, actor: Actor, organisation_id: UUID, *, wanted: bool) -> None:
    """Whether the look is made from now on; the first in the month in which it is chosen."""
    if await repository.wanted(session) == wanted:
        return
    await audit.record(
        session,
        organisation_id=organisation_id,
        actor=actor,
        action="retention.monthly",
        subject_kind="organisation",
        subject=str(organisation_id),
        detail={"on": wanted},
    )
    if wanted:
        await repository.want(session, organisation_id, now())
    else:
        await repository.want_no_more(session)


async def look(session: AsyncSession, organisation_id: UUID, at: datetime, zone: ZoneInfo) -> bool:
    """Make the look of the month of `at` where it is wanted and has not been made; whether it was.

    One transaction, which the caller commits: cut off anywhere it is made anew, and never twice.
    """
    month = at.astimezone(zone).date().replace(day=1)
    if not await repository.missing(session, month):
        return False
    made = RetentionLook(organisation_id=organisation_id, month=month, made_at=at)
    if not await repository.begin(session, made):
        return False
    due = {
        str(rule.kind): {"erased": rule.due.erased, "held_back": rule.due.held_back}
        for rule in await service.dry_run(session, _ACTOR, organisation_id)
        if rule.due is not None
    }
    await repository.finish(session, made.id, due)
    await repository.tell_administrators(session, made)
    return True
