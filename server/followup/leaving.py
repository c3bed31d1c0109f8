"""Hands everything that somebody who leaves still owns to somebody who stays, in the transaction of their leaving."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts.service import Viewer
from server.audit import service as audit
from server.database.columns import now
from server.followup import repository
from server.followup.models import FollowUp, FollowUpEvent
from server.followup.service import GRACE, OwnerUnknown
from server.followup.states import OPEN, Act


async def owned(session: AsyncSession, account_id: UUID) -> int:
    """How many open follow-ups that person owns."""
    statement = select(func.count()).where(
        col(FollowUp.owner_id) == account_id, col(FollowUp.state).in_([int(state) for state in OPEN])
    )
    return (await PlainSession.execute(session, statement)).scalar_one()


async def hand_over(
    session: AsyncSession, viewer: Viewer, leaving_id: UUID, successor_id: UUID | None, note: str
) -> int:
    """Give every open follow-up of `leaving_id` to `successor_id`, each with its event and audit entry; how many.

    The caller has locked the account that leaves, so that nothing new becomes theirs meanwhile, and has required what
    the viewer must be allowed. Raises `OwnerUnknown` when there is something and nobody to take it.
    """
    found = await _lock(session, leaving_id)
    if not found:
        return 0
    staying = {person[0] for person in await repository.people(session)} - {leaving_id}
    if successor_id is None or successor_id not in staying:
        raise OwnerUnknown("Choose who takes the open follow-ups over, somebody who follows up results.")
    at = now()
    for follow_up in found:
        await audit.record(
            session,
            organisation_id=viewer.organisation_id,
            actor=audit.Actor("account", str(viewer.account_id)),
            action=f"follow-up.{Act.HAND_OVER}",
            purpose="care",
            subject_kind="result",
            subject=str(follow_up.result_id),
            detail={"owner": str(successor_id)},
        )
        follow_up.owner_id = successor_id
        follow_up.version += 1
        follow_up.escalation = 0
        if follow_up.due_at is not None:
            follow_up.remind_at = max(follow_up.due_at, at + GRACE)
        session.add(follow_up)
        session.add(
            FollowUpEvent(
                organisation_id=viewer.organisation_id,
                result_id=follow_up.result_id,
                version=follow_up.version,
                at=at,
                account_id=viewer.account_id,
                act=Act.HAND_OVER,
                state=follow_up.state,
                note=note,
                detail={"owner": str(successor_id)},
            )
        )
    await session.flush()
    return len(found)


async def _lock(session: AsyncSession, account_id: UUID) -> Sequence[FollowUp]:
    statement = (
        select(FollowUp)
        .where(col(FollowUp.owner_id) == account_id, col(FollowUp.state).in_([int(state) for state in OPEN]))
        .order_by(col(FollowUp.result_id))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return (await PlainSession.execute(session, statement)).scalars().all()
