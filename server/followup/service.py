"""What a person does with a follow-up: one act at a time, checked against the state it was decided on, never edited."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts.permissions import May, require
from server.accounts.service import Viewer
from server.audit import service as audit
from server.database.columns import now
from server.followup import repository, states
from server.followup.models import FollowUp, FollowUpEvent
from server.followup.states import Act, NotNow, State, Step
from server.notices import repository as notices
from server.notices.models import Notice
from server.problems import NotFound, Problem

GRACE = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a follow-up stands: its row, its owner's name, each act with who did it, each notice with who it is for."""

    follow_up: FollowUp
    owner: str | None
    events: list[tuple[FollowUpEvent, str | None]]
    told: list[tuple[Notice, str]]


class OwnerUnknown(Problem):
    """The person named does not work here, or may not follow up."""

    status = 422
    code = "owner-unknown"
    title = "That person cannot take it over"


async def act(
    session: AsyncSession, viewer: Viewer, result_id: UUID, version: int, step: Step, owner_id: UUID | None = None
) -> FollowUp:
    """Do `step` with the follow-up of a result, in the session's transaction, which is bound to the organisation.

    `version` is that of the follow-up which the person saw: `NotNow` when another act came between. `owner_id` names
    who takes over, with `Act.HAND_OVER` only. Raises `NotFound`, `NotAllowed` and what `states.following` raises.
    """
    require(viewer, May.FOLLOW_UP)
    await audit.record(
        session,
        organisation_id=viewer.organisation_id,
        actor=audit.Actor("account", str(viewer.account_id)),
        action=f"follow-up.{step.act}",
        purpose="care",
        subject_kind="result",
        subject=str(result_id),
    )
    follow_up = await repository.lock(session, result_id)
    if follow_up is None:
        raise NotFound("There is nothing to follow up for this result.")
    if follow_up.version != version:
        raise NotNow("Somebody else has just done something with it. Look at what has happened, then decide.")
    detail: dict[str, str] = {}
    if step.act is Act.HAND_OVER:
        if owner_id is None or owner_id not in {person[0] for person in await repository.people(session)}:
            raise OwnerUnknown("Choose somebody who follows up results where you work.")
        detail["owner"] = str(owner_id)
    elif owner_id is not None:
        raise OwnerUnknown("Only a handing over names another owner.")
    if step.ending is not None:
        detail["ending"] = str(step.ending)
    _move(follow_up, step, now(), viewer.account_id if owner_id is None else owner_id)
    event = FollowUpEvent(
        organisation_id=viewer.organisation_id,
        result_id=result_id,
        version=follow_up.version,
        account_id=viewer.account_id,
        act=step.act,
        state=follow_up.state,
        note=step.note.strip(),
        detail=detail,
    )
    await repository.save(session, follow_up, event)
    return follow_up


def _move(follow_up: FollowUp, step: Step, at: datetime, owner_id: UUID) -> None:
    """Apply the step to the row. Whoever acts first on what nobody owned, or what is handed to them, owns it."""
    before = State(follow_up.state)
    after = states.following(before, step, follow_up.tries, follow_up.tries_needed)
    follow_up.state = after
    follow_up.version += 1
    if step.act in (Act.HAND_OVER, Act.ACKNOWLEDGE) or follow_up.owner_id is None:
        follow_up.owner_id = owner_id
    if step.act is Act.HAND_OVER or step.act is Act.ACKNOWLEDGE:
        follow_up.escalation = 0
    if step.act is Act.ACKNOWLEDGE:
        follow_up.acknowledged_at = at
    elif step.act is Act.NOT_REACHED:
        follow_up.tries += 1
    elif step.act is Act.CONTACT:
        follow_up.contacted_at = follow_up.contacted_at or at
    elif step.act is Act.RECORD:
        follow_up.ending = step.ending
        follow_up.ended_at = at
    elif step.act is Act.REOPEN:
        _reopen(follow_up, at)
    follow_up.due_at = _due(follow_up)
    # Whoever has just acted need not be told at once that it is late.
    follow_up.remind_at = None if follow_up.due_at is None else max(follow_up.due_at, at + GRACE)


def _reopen(follow_up: FollowUp, at: datetime) -> None:
    # As long to acknowledge and to act as it was given at first, from now.
    allowed = follow_up.acknowledge_by - follow_up.opened_at, follow_up.act_by - follow_up.opened_at
    follow_up.acknowledge_by, follow_up.act_by = at + allowed[0], at + allowed[1]
    follow_up.opened_at = at
    follow_up.acknowledged_at = follow_up.contacted_at = follow_up.ended_at = None
    follow_up.ending = None
    follow_up.tries = 0
    follow_up.escalation = 0


def _due(follow_up: FollowUp) -> datetime | None:
    if follow_up.state == State.NEW:
        return follow_up.acknowledge_by
    return None if follow_up.state in repository.CLOSED_STATES else follow_up.act_by


async def read(session: AsyncSession, result_id: UUID) -> Standing | None:
    """A follow-up with its owner's name and its history; None for a result that needs none. The caller has audited."""
    found = await repository.with_owner(session, result_id)
    events = await repository.events(session, result_id)
    told = await notices.of_result(session, result_id)
    return Standing(*found, events, told) if found else None


async def look(session: AsyncSession, viewer: Viewer, result_id: UUID) -> Standing:
    """As `read`, once the audit log says who looks. Raises `NotFound`, `NotAllowed`."""
    require(viewer, May.READ_RESULTS)
    await audit.record(
        session,
        organisation_id=viewer.organisation_id,
        actor=audit.Actor("account", str(viewer.account_id)),
        action="follow-up.read",
        purpose="care",
        subject_kind="result",
        subject=str(result_id),
    )
    found = await read(session, result_id)
    if found is None:
        raise NotFound("There is nothing to follow up for this result.")
    return found
