"""What calls about emergency access take and answer."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from server.accounts.models import Role
from server.api.shapes import Paged, PersonRef, Shape, Words
from server.audit.models import AuditEntry
from server.emergency import service
from server.emergency.repository import Use


class UseFilters(Paged):
    """Which uses are listed: all, or those that were reviewed, or those that wait for it."""

    reviewed: bool | None = None


class UseShape(Shape):
    """One use: who had it, in which role, why, and until when. `ended_at` is null while it was not ended before that.

    `told_at` is when the privacy lead was told. A use is reviewed once, by somebody else; the last three are empty
    until it is.
    """

    id: UUID
    who: PersonRef
    role: Role
    reason: str
    began_at: datetime
    ends_at: datetime
    ended_at: datetime | None
    goes_on: bool
    told_at: datetime | None
    reviewed_at: datetime | None
    reviewed_by: PersonRef | None
    review_note: str


class Uses(Shape):
    """A page of uses, the newest first; `next_cursor` is null at the end."""

    items: list[UseShape]
    next_cursor: str | None


class ReadShape(Shape):
    """One thing that was read, as the audit log has it under the number `entry`."""

    entry: int
    at: datetime
    action: str
    subject_kind: str
    subject: str


class Reads(Shape):
    """A page of what was read by a use, the oldest first; `next_cursor` is null at the end."""

    items: list[ReadShape]
    next_cursor: str | None


class ReviewAsked(Shape):
    """What was found."""

    note: Annotated[Words, Field(min_length=service.REASON_MIN)]


def use(found: Use) -> UseShape:
    access = found.access
    reviewer = access.reviewed_by
    return UseShape(
        id=access.id,
        who=PersonRef(id=str(access.account_id), name=found.who),
        role=Role(access.role),
        reason=access.reason,
        began_at=access.began_at,
        ends_at=access.ends_at,
        ended_at=access.ended_at,
        goes_on=service.goes_on(access),
        told_at=access.told_at,
        reviewed_at=access.reviewed_at,
        reviewed_by=PersonRef(id=str(reviewer), name=found.reviewer) if reviewer else None,
        review_note=access.review_note,
    )


def read(entry: AuditEntry) -> ReadShape:
    assert entry.id is not None, "it was read from the database"
    return ReadShape(
        entry=entry.id,
        at=entry.at,
        action=entry.action,
        subject_kind=entry.subject_kind,
        subject=entry.subject,
    )
