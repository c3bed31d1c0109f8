"""Emergency access: begun with a reason, over by itself, told to the privacy lead, reviewed by somebody else.

Clinicians and leads read every result of their organisation, so for them there is nothing to break open. Operators and
administrators read neither results nor people; when somebody is in danger and none of the others is there, they may,
for a while and in one session. It opens reading alone: what has to be done is done by whoever may. Auditors get none,
because they review it. Nothing crosses an organisation.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from server.accounts import repository as accounts
from server.accounts.permissions import May, may, require
from server.accounts.service import Viewer
from server.audit import service as audit
from server.audit.models import AuditEntry
from server.database.columns import now
from server.emergency import repository
from server.emergency.models import EmergencyAccess, PrivacyLead
from server.emergency.repository import Use
from server.problems import NotFound, Problem

REASON_MIN, REASON_MAX = 10, 1_000
NOTE_MAX = 2_000


class ReasonNeeded(Problem):
    """No reason, or one that says nothing."""

    status = 422
    code = "reason-needed"
    title = "Say why you need it"


class NoteNeeded(Problem):
    """A review without a finding."""

    status = 422
    code = "note-needed"
    title = "Say what you found"


class NobodyWatches(Problem):
    """The organisation has named no privacy lead."""

    status = 409
    code = "nobody-watches"
    title = "Emergency access is not set up"

    def __init__(self) -> None:
        super().__init__("An administrator names a privacy lead on the page Staff; until then nobody gets it.")


class GoesOn(Problem):
    """This session has emergency access already, or the use to be reviewed has not ended."""

    status = 409
    code = "emergency-goes-on"
    title = "Emergency access goes on"


class NotReviewable(Problem):
    """Nobody reviews what they did themselves, and nothing is reviewed twice."""

    status = 409
    code = "not-reviewable"
    title = "You cannot review this"


class LeadRefused(Problem):
    """That person cannot be the privacy lead."""

    status = 422
    code = "privacy-lead-refused"
    title = "That person cannot be the privacy lead"


async def begin(session: AsyncSession, viewer: Viewer, reason: str, lasts: timedelta) -> EmergencyAccess:
    """Give this session the organisation's results and people to read, once the audit log says so.

    Raises `NotAllowed`, `ReasonNeeded`, `NobodyWatches`, `GoesOn`.
    """
    require(viewer, May.USE_EMERGENCY)
    why = reason.strip()
    if not REASON_MIN <= len(why) <= REASON_MAX or "\x00" in why:
        raise ReasonNeeded(f"Use {REASON_MIN} to {REASON_MAX:,} characters.")
    lead = await repository.privacy_lead(session)
    if lead is None or not lead.active or may(lead, May.USE_EMERGENCY):
        raise NobodyWatches
    at = now()
    access = EmergencyAccess(
        organisation_id=viewer.organisation_id, account_id=viewer.account_id, sign_in=viewer.sign_in,
        role=viewer.role, reason=why, began_at=at, ends_at=at + lasts, retry_at=at,
    )  # fmt: skip
    # The reason stays out of the log: it may name somebody, and the log is kept for good.
    await _note(session, viewer, "emergency.begin", access.id, {"ends": access.ends_at.isoformat()})
    if not await repository.add(session, access):
        raise GoesOn("You have it already. It stands at the head of every page.")
    return access


async def end(session: AsyncSession, viewer: Viewer) -> None:
    """End this session's emergency access; nothing happens when it has none any more."""
    if viewer.emergency is not None:
        await _note(session, viewer, "emergency.end", viewer.emergency.id, {})
        await repository.end(session, viewer.emergency.id, now())


async def uses(session: AsyncSession, viewer: Viewer, page: int) -> tuple[list[Use], bool]:
    """A page (from 1) of all uses, those that wait for a review first, and whether there is more."""
    require(viewer, May.REVIEW_EMERGENCY)
    await _note(session, viewer, "emergency.list", "all", {"page": page})
    return await repository.uses(session, page)


async def listed(
    session: AsyncSession, viewer: Viewer, reviewed: bool | None, before: tuple[datetime, UUID] | None, most: int
) -> list[Use]:
    """Uses, the newest first, at most so many; `before` is the beginning and id of one."""
    require(viewer, May.REVIEW_EMERGENCY)
    await _note(session, viewer, "emergency.list", "all", {})
    return await repository.listed(session, reviewed, before, most)


async def standing(session: AsyncSession, viewer: Viewer, access_id: UUID) -> Use:
    """One use alone. Raises `NotFound`."""
    require(viewer, May.REVIEW_EMERGENCY)
    await _note(session, viewer, "emergency.read", access_id, {})
    return await _use(session, access_id)


async def reads(
    session: AsyncSession, viewer: Viewer, access_id: UUID, after: tuple[datetime, int] | None, most: int
) -> list[AuditEntry]:
    """What was read by a use, oldest first, at most so many; `after` is the time and number of an entry."""
    found = await standing(session, viewer, access_id)
    return await repository.reads(session, found.access, accounts.emergency_purpose(access_id), after, most)


async def one(session: AsyncSession, viewer: Viewer, access_id: UUID) -> tuple[Use, list[AuditEntry]]:
    """One use with what was read by it. Raises `NotFound`."""
    require(viewer, May.REVIEW_EMERGENCY)
    await _note(session, viewer, "emergency.read", access_id, {})
    found = await _use(session, access_id)
    return found, await repository.reads(session, found.access, accounts.emergency_purpose(access_id))


async def review(session: AsyncSession, viewer: Viewer, access_id: UUID, note: str) -> None:
    """Mark a use as reviewed. Raises `NotFound`, `NoteNeeded`, `GoesOn`, `NotReviewable`."""
    require(viewer, May.REVIEW_EMERGENCY)
    found = await _use(session, access_id)
    said = note.strip()
    if not REASON_MIN <= len(said) <= NOTE_MAX or "\x00" in said:
        raise NoteNeeded(f"Use {REASON_MIN} to {NOTE_MAX:,} characters.")
    if found.access.account_id == viewer.account_id:
        raise NotReviewable("You had this access yourself. Somebody else reviews it.")
    if goes_on(found.access):
        raise GoesOn("It can be reviewed once it is over.")
    await _note(session, viewer, "emergency.review", access_id, {})
    if not await repository.review(session, access_id, viewer.account_id, said, now()):
        raise NotReviewable("Somebody has reviewed it meanwhile. Load the page again.")


def goes_on(access: EmergencyAccess) -> bool:
    """Whether it opens pages at this moment."""
    return access.ended_at is None and access.ends_at > now()


async def name_privacy_lead(session: AsyncSession, viewer: Viewer, account_id: UUID) -> None:
    """Name who is told of every use: somebody who cannot use it. Raises `LeadRefused`."""
    require(viewer, May.MANAGE_PEOPLE)
    person = await accounts.person(session, account_id)
    if person is None or may(person.account, May.USE_EMERGENCY):
        raise LeadRefused("Choose a clinician, a clinical lead or an auditor, whose account is open.")
    await _note(session, viewer, "emergency.privacy-lead", account_id, {}, kind="account")
    lead = PrivacyLead(organisation_id=viewer.organisation_id, account_id=account_id, set_by=viewer.account_id)
    await repository.set_privacy_lead(session, lead)


async def _use(session: AsyncSession, access_id: UUID) -> Use:
    found = await repository.use(session, access_id)
    if found is None:
        raise NotFound("There is no such use of emergency access. Start again from the list.")
    return found


async def _note(
    session: AsyncSession,
    viewer: Viewer,
    action: str,
    subject: UUID | str,
    detail: dict[str, object],
    kind: str = "emergency-access",
) -> None:
    await audit.record(
        session,
        organisation_id=viewer.organisation_id,
        actor=audit.Actor("account", str(viewer.account_id)),
        action=action,
        subject_kind=kind,
        subject=str(subject),
        detail=detail,
    )
