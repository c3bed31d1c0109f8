"""Pages of registrations that a person must decide on: who it may be, and putting one aside once it is dealt with."""

import uuid as uuids
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.accounts.permissions import May, may
from server.accounts.service import Viewer
from server.accounts.viewing import allowed, allowed_posting
from server.database import tenancy
from server.patients import forms
from server.patients.service import PersonRefused
from server.problems import NotFound, Problem
from server.registrations import service, views
from server.registrations.models import Standing
from server.state import state_of
from server.web.environment import page, zone_of

router = APIRouter()

LIST = "/people/registrations"
Reading = Annotated[Viewer, Depends(allowed(May.READ_PATIENTS))]
Writing = Annotated[Viewer, Depends(allowed_posting(May.WRITE_PATIENTS))]


@router.get(LIST)
async def listed(request: Request, viewer: Reading) -> Response:
    """Registrations that wait for a person, the oldest first."""
    state = state_of(request)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        rows = await service.open_ones(session, viewer)
    zone = zone_of(state.settings)
    return page(
        request,
        "registrations.jinja",
        title="Registrations to decide on",
        undecided=[views.line(one, zone) for one in rows if one.state == Standing.UNDECIDED],
        quarantined=[views.line(one, zone) for one in rows if one.state == Standing.QUARANTINED],
    )


@router.get(f"{LIST}/{{registration_id}}")
async def one(request: Request, registration_id: str, viewer: Reading) -> Response:
    """What a registration says, and what can be done."""
    return await _shown(request, viewer, _uuid(registration_id))


@router.post(f"{LIST}/{{registration_id}}/close")
async def close(request: Request, registration_id: str, viewer: Writing) -> Response:
    """It is dealt with."""
    fields: dict[str, str] = request.state.form
    wanted = _uuid(registration_id)
    try:
        async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
            await service.close(session, viewer, wanted, fields.get("why", ""))
    except PersonRefused as problem:
        return await _shown(request, viewer, wanted, problem)
    return RedirectResponse(LIST, 303)


async def _shown(request: Request, viewer: Viewer, wanted: UUID, problem: Problem | None = None) -> Response:
    state = state_of(request)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        row, content = await service.read(session, viewer, wanted)
    zone = zone_of(state.settings)
    return page(
        request,
        "registration.jinja",
        status=problem.status if problem else 200,
        title=f"Registration of specimen {content.specimen}",
        line=views.line(row, zone),
        rows=views.said(content, zone),
        safe_contact=content.entry.safe_contact,
        fields=views.fields(content),
        may_write=may(viewer, May.WRITE_PATIENTS),
        error=forms.sentence(problem),
    )


def _uuid(text: str) -> UUID:
    try:
        return uuids.UUID(text)
    except ValueError:
        raise NotFound("There is no such registration that waits for a decision.") from None
