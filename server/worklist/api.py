"""Calls about results and what waits for somebody: the lists, one result whole, acknowledging negatives together."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request

from server.accounts.permissions import May, may
from server.accounts.service import Viewer
from server.api import access, cursors
from server.api.shapes import MISSING
from server.database import tenancy
from server.followup import schemas as follow_ups
from server.patients import schemas as people
from server.state import state_of
from server.worklist import acknowledging, schemas, service
from server.worklist.repository import Cursor
from server.worklist.schemas import (
    AcknowledgementAnswer,
    AcknowledgementAsked,
    FollowUpFilters,
    NotAcknowledged,
    ResultFilters,
    Results,
    ResultShape,
)
from server.worklist.service import Worklist
from server.worklist.waiting import Place, place_of

router = APIRouter(tags=["Results"])


@router.get("/results")
async def results(
    request: Request, viewer: access.ReadingResults, filters: Annotated[ResultFilters, Query()]
) -> Results:
    """Results, what needs a decision first, then the newest first."""
    own = cursors.of(request, viewer, filters.outcome, filters.assay)
    place = own.read(filters.cursor)
    found = await _page(request, viewer, filters, Cursor.parse(place) if place else None)
    following = own.write(found.rows[-1].cursor.text()) if found.more else None
    return Results(items=[schemas.line(row) for row in found.rows], next_cursor=following)


@router.get("/follow-ups", tags=["Follow-up"])
async def waiting(
    request: Request, viewer: access.ReadingResults, filters: Annotated[FollowUpFilters, Query()]
) -> Results:
    """What waits for somebody, by urgency, then due time."""
    own = cursors.of(request, viewer, filters.view, filters.outcome, filters.assay)
    place = own.read(filters.cursor)
    found = await _page(request, viewer, filters, Place.parse(place) if place else None, filters.view)
    following = own.write(place_of(found.rows[-1]).text()) if found.more else None
    return Results(items=[schemas.line(row) for row in found.rows], next_cursor=following)


async def _page(
    request: Request, viewer: Viewer, filters: ResultFilters, after: Cursor | Place | None, view: str = ""
) -> Worklist:
    outcome = filters.outcome.number if filters.outcome else None
    sessions = state_of(request).sessions
    return await service.read(sessions, viewer, outcome, filters.assay, after, view, filters.limit)


@router.post("/results/acknowledge")
async def acknowledge(
    request: Request, asked: AcknowledgementAsked, viewer: access.FollowingUp
) -> AcknowledgementAnswer:
    """Acknowledge plain negatives together. Sent again it changes nothing: whoever was first has acknowledged them."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        found = await acknowledging.acknowledge(session, viewer, asked.results)
    return AcknowledgementAnswer(
        acknowledged=[row.result.id for row in found.done],
        refused=[NotAcknowledged(result=row.result.id, why=why) for row, why in found.refused],
    )


@router.get("/results/{result_id}", responses=MISSING)
async def result(request: Request, result_id: UUID, viewer: access.ReadingResults) -> ResultShape:
    """One result with its trace, its custody, its follow-up and whose it is."""
    state = state_of(request)
    # A token may be narrowed to results: it reads no person then.
    reads_people = may(viewer, May.READ_PATIENTS)
    read, standing, whose = await service.result(state.sessions, state.keyring, viewer, result_id, person=reads_people)
    return schemas.result(
        read,
        follow_ups.history(standing) if standing else None,
        people.patient(whose.patient) if whose else None,
        _earlier(whose, result_id) if whose else [],
    )


def _earlier(whose: service.Whose, result_id: UUID) -> list[people.ResultRef]:
    return [
        people.result_ref(one, site, whose.corrected.get(one.id)) for one, site in whose.results if one.id != result_id
    ]
