"""Opens the follow-up of a result again because the result is another now, whatever had been done with it."""

from datetime import datetime
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts.service import Viewer
from server.followup import opening, repository
from server.followup.models import FollowUp, FollowUpEvent
from server.followup.states import Act, State
from server.results.models import Result


async def reopen(
    session: AsyncSession, viewer: Viewer, result: Result, *, outcome: int, as_for: int, note: str, at: datetime
) -> FollowUp:
    """A follow-up of `outcome`, new from `at` on, under the rule of the outcome `as_for`; its history goes on.

    Its owner stays, or the rule's has it where there was none. The caller holds the result and has audited.
    """
    plan = opening.plan_for(await opening.arrangement_of(session), result.assay, as_for, at)
    follow_up = await repository.lock(session, result.id)
    if follow_up is None:
        follow_up = FollowUp(
            result_id=result.id, organisation_id=viewer.organisation_id, site_id=result.site_id, assay=result.assay,
            outcome=outcome, urgency=int(plan.duty.rule.urgency), opened_for="correction",
            acknowledge_by=plan.acknowledge_by, act_by=plan.act_by, version=-1,
        )  # fmt: skip
    follow_up.outcome, follow_up.state = outcome, State.NEW
    follow_up.version += 1
    follow_up.urgency, follow_up.rule = int(plan.duty.rule.urgency), plan.duty.version
    follow_up.owner_id = follow_up.owner_id or plan.owner
    follow_up.opened_at = at
    follow_up.acknowledge_by, follow_up.act_by = plan.acknowledge_by, plan.act_by
    follow_up.due_at = follow_up.remind_at = plan.acknowledge_by
    follow_up.acknowledged_at = follow_up.contacted_at = follow_up.ended_at = None
    follow_up.ending = None
    follow_up.tries, follow_up.tries_needed, follow_up.escalation = 0, plan.duty.rule.tries, 0
    # Its row first: the event points at it.
    session.add(follow_up)
    await session.flush()
    await repository.save(session, follow_up, _event(viewer, result.id, follow_up, note, at))
    return follow_up


def _event(viewer: Viewer, result_id: UUID, follow_up: FollowUp, note: str, at: datetime) -> FollowUpEvent:
    return FollowUpEvent(
        organisation_id=viewer.organisation_id,
        result_id=result_id,
        version=follow_up.version,
        at=at,
        account_id=viewer.account_id,
        act=Act.REOPEN,
        state=follow_up.state,
        note=note,
    )
