"""Calls of those who watch over emergency access: its uses, what was read by one, and reviewing it.

It is begun on its page only: it belongs to one session of a person who is there, and a program is never in an
emergency. A program lists and reads uses and reviews none, because a use is reviewed once: a stolen token would clear
those that somebody has still to see.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request

from server.api import access, cursors, repeating
from server.api.shapes import MISSING, MOVED, JustPaged
from server.database import tenancy
from server.emergency import schemas, service
from server.emergency.schemas import Reads, ReviewAsked, UseFilters, Uses, UseShape
from server.state import state_of

router = APIRouter(tags=["Emergency access"])


@router.get("/emergency-uses")
async def every(request: Request, viewer: access.SeeingEmergencies, filters: Annotated[UseFilters, Query()]) -> Uses:
    """The uses of emergency access."""
    own = cursors.of(request, viewer, filters.reviewed)
    place = own.read(filters.cursor)
    before = (datetime.fromisoformat(place.partition(" ")[0]), UUID(place.partition(" ")[2])) if place else None
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        found = await service.listed(session, viewer, filters.reviewed, before, filters.limit + 1)
    shown = found[: filters.limit]
    last = shown[-1].access if len(found) > filters.limit else None
    following = own.write(f"{last.began_at.isoformat()} {last.id}") if last else None
    return Uses(items=[schemas.use(one) for one in shown], next_cursor=following)


@router.get("/emergency-uses/{use_id}", responses=MISSING)
async def one(request: Request, use_id: UUID, viewer: access.SeeingEmergencies) -> UseShape:
    """One use."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        return schemas.use(await service.standing(session, viewer, use_id))


@router.get("/emergency-uses/{use_id}/reads", responses=MISSING)
async def reads(request: Request, use_id: UUID, viewer: access.SeeingEmergencies, page: JustPaged) -> Reads:
    """What was read by a use."""
    own = cursors.of(request, viewer)
    place = own.read(page.cursor)
    after = (datetime.fromisoformat(place.partition(" ")[0]), int(place.partition(" ")[2])) if place else None
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        found = [schemas.read(entry) for entry in await service.reads(session, viewer, use_id, after, page.limit + 1)]
    shown = found[: page.limit]
    following = own.write(f"{shown[-1].at.isoformat()} {shown[-1].entry}") if len(found) > page.limit else None
    return Reads(items=shown, next_cursor=following)


@router.post("/emergency-uses/{use_id}/review", responses=MOVED)
async def review(
    request: Request, use_id: UUID, asked: ReviewAsked, viewer: access.ReviewingEmergencies, key: repeating.Key = None
) -> UseShape:
    """Mark a use that is over as reviewed, with a session and not with an access token.

    It cannot be done twice: it is reviewed after it, and a key answers a retry as the first.
    """
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:

        async def done() -> UUID:
            await service.review(session, viewer, use_id, asked.note)
            return use_id

        await repeating.once(session, viewer, key, f"review {use_id}", asked, done)
        return schemas.use(await service.standing(session, viewer, use_id))
