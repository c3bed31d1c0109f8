"""Calls of an auditor: searching the log, and whether it is whole."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field, StringConstraints
from starlette.requests import Request

from server.api import access, cursors
from server.api.shapes import Moment, Paged, Shape
from server.audit import looking
from server.audit.models import AuditEntry
from server.audit.repository import Search
from server.database import tenancy
from server.state import state_of

router = APIRouter(tags=["Audit"])

_Name = Annotated[str, StringConstraints(min_length=1, max_length=120, pattern=r"^[^\x00]*$")]


class AuditFilters(Paged):
    """What is looked for. `since` is included, `until` is not."""

    actor: UUID | None = Field(default=None, description="An account.")
    action: _Name | None = Field(default=None, description='Such as "result.read".')
    subject: _Name | None = Field(default=None, description="Such as the id of a result.")
    since: Moment | None = None
    until: Moment | None = None


class Entry(Shape):
    """Who did what to what, and why."""

    id: int
    at: datetime
    actor_kind: str
    actor: str
    actor_name: str
    action: str
    purpose: str | None
    subject_kind: str
    subject: str
    detail: dict[str, Any]


class Entries(Shape):
    """A page of the log, the newest first; `next_cursor` is null at the end."""

    items: list[Entry]
    next_cursor: str | None


class Verdict(Shape):
    """`broken` is the first seal that its entries do not bear; `head` the digest of the last, to be noted elsewhere."""

    whole: bool
    seals: int
    entries: int
    unsealed: int
    broken: int | None
    head: str


@router.get("/audit")
async def search(request: Request, viewer: access.ReadingAudit, filters: Annotated[AuditFilters, Query()]) -> Entries:
    """Search the log; that it was searched is written to it first."""
    own = cursors.of(request, viewer, filters.actor, filters.action, filters.subject, filters.since, filters.until)
    place = own.read(filters.cursor)
    wanted = Search(filters.actor, filters.action or "", filters.subject or "", filters.since, filters.until)
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        found, more = await looking.search(session, viewer, wanted, int(place) if place else None, filters.limit)
    return Entries(
        items=[_entry(entry, who) for entry, who in found],
        next_cursor=own.write(str(found[-1][0].id)) if more else None,
    )


@router.get("/audit/proof")
async def prove(request: Request, viewer: access.ReadingAudit) -> Verdict:
    """Whether the log is whole, computed anew."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        found = await looking.prove(session, viewer)
    return Verdict(
        whole=found.whole,
        seals=found.seals,
        entries=found.entries,
        unsealed=found.unsealed,
        broken=found.broken,
        head=found.head,
    )


def _entry(entry: AuditEntry, who: str) -> Entry:
    assert entry.id is not None, "it was read from the database"
    return Entry(
        id=entry.id,
        at=entry.at,
        actor_kind=entry.actor_kind,
        actor=entry.actor,
        actor_name=who,
        action=entry.action,
        purpose=entry.purpose,
        subject_kind=entry.subject_kind,
        subject=entry.subject,
        detail=entry.detail,
    )
