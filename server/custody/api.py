"""Calls about custody and quarantine: who holds what, what is wrong, the proof, and processing again."""

import asyncio
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request

from server.api import access, cursors
from server.api.shapes import MISSING, JustPaged, ReaderId
from server.custody import again, looking, schemas
from server.custody.schemas import AlertFilters, Alerts, Ledger, ProofShape, Quarantine, TallyShape
from server.database import tenancy
from server.state import state_of

router = APIRouter(tags=["Custody"])


@router.get("/custody/readers")
async def readers(request: Request, viewer: access.SeeingCustody, page: JustPaged) -> Ledger:
    """Every reader: what it issued, what is held, what is missing, and what is wrong."""
    own = cursors.of(request, viewer)
    place = own.read(page.cursor)
    after = (place[16:], bytes.fromhex(place[:16])) if place else None
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        found = await looking.readers(session, viewer, after, page.limit + 1)
    shown = found[: page.limit]
    following = own.write(shown[-1].reader_id + shown[-1].name) if len(found) > page.limit else None
    return Ledger(items=[schemas.line(one) for one in shown], next_cursor=following)


@router.post("/custody/readers/{reader_id}/proof", responses=MISSING)
async def prove(request: Request, reader_id: ReaderId, viewer: access.SeeingCustody) -> ProofShape:
    """Read every record of one reader anew and follow its chain. It changes nothing."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        return schemas.proof(await looking.proof(session, viewer, bytes.fromhex(reader_id)))


@router.get("/custody/alerts")
async def alerts(request: Request, viewer: access.SeeingCustody, filters: Annotated[AlertFilters, Query()]) -> Alerts:
    """What is wrong with custody now, and what was."""
    own = cursors.of(request, viewer, filters.cleared)
    place = own.read(filters.cursor)
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        found = await looking.raised(
            session, viewer, cleared=filters.cleared, after=_place(place) if place else None, most=filters.limit + 1
        )
    shown = found[: filters.limit]
    last = shown[-1] if len(found) > filters.limit else None
    following = f"{int(last.cleared_at is None)} {last.id} {last.raised_at.isoformat()}" if last else None
    return Alerts(items=[schemas.alert(one) for one in shown], next_cursor=own.write(following) if following else None)


def _place(text: str) -> tuple[bool, datetime, int]:
    still_open, alert_id, raised_at = text.split(" ")
    return still_open == "1", datetime.fromisoformat(raised_at), int(alert_id)


@router.get("/quarantine")
async def quarantine(request: Request, viewer: access.SeeingCustody, page: JustPaged) -> Quarantine:
    """What could not be accepted or understood, why, and what to do."""
    own = cursors.of(request, viewer)
    place = own.read(page.cursor)
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        found = await looking.quarantine(session, viewer, int(place) if place else None, page.limit + 1)
    shown = found[: page.limit]
    following = own.write(str(shown[-1].id)) if len(found) > page.limit else None
    return Quarantine(items=[schemas.item(one) for one in shown], next_cursor=following)


@router.post("/quarantine/process")
async def process(request: Request, viewer: access.ProcessingQuarantine) -> TallyShape:
    """Process everything that is open again. Done twice it does no harm: what has left is not looked at any more."""
    state = state_of(request)
    tally = await asyncio.to_thread(
        again.process, state.exchange_pool, state.keyring, viewer.organisation_id, looking.actor(viewer)
    )
    state.wake.tell(viewer.organisation_id)
    return schemas.tally(tally)
