"""Pages on which two entries are said to be one person, and taken apart again: both side by side before it is done.

Looking for the other entry is posted, as all searches for people are; the addresses hold ids only.
"""

from collections.abc import Collection
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.accounts.permissions import May
from server.accounts.service import Viewer
from server.accounts.viewing import allowed, allowed_posting
from server.database import tenancy
from server.patients import forms, repository, service, views
from server.patients.service import IDENTIFIERS, NEEDED, CannotMerge, NHSNumberTaken, OneIsNotEnough
from server.problems import Problem
from server.state import state_of
from server.web.environment import page, zone_of

router = APIRouter()

Reading = Annotated[Viewer, Depends(allowed(May.READ_PATIENTS))]
Searching = Annotated[Viewer, Depends(allowed_posting(May.READ_PATIENTS))]
Writing = Annotated[Viewer, Depends(allowed_posting(May.WRITE_PATIENTS))]


@router.get("/people/{patient_id}/merge")
async def ask(request: Request, patient_id: str, viewer: Reading) -> Response:
    """Entries that may be the same person, by what is known of this one."""
    wanted = forms.uuid(patient_id)
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        patient = await service.read(session, viewer, wanted)
        found = await service.candidates(session, viewer, service.entry_of(patient))
    return _list(request, patient, found)


@router.post("/people/{patient_id}/merge")
async def look(request: Request, patient_id: str, viewer: Searching) -> Response:
    """Entries that may be the same person, by other details; nothing is kept."""
    fields: dict[str, str] = request.state.form
    wanted = forms.uuid(patient_id)
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        patient = await service.read(session, viewer, wanted)
        try:
            found, problem = await service.candidates(session, viewer, forms.entry(fields)), None
        except Problem as refused:
            found, problem = [], refused
    return _list(request, patient, found, fields, problem)


@router.get("/people/{patient_id}/merge/{other_id}")
async def compare(request: Request, patient_id: str, other_id: str, viewer: Reading) -> Response:
    """Both entries side by side, before they are said to be one person."""
    return await _compare(request, viewer, forms.uuid(patient_id), forms.uuid(other_id))


@router.post("/people/{patient_id}/merge/{other_id}")
async def merge(request: Request, patient_id: str, other_id: str, viewer: Writing) -> Response:
    """They are one person: one entry stays as it is, and has the specimens of both."""
    fields: dict[str, str] = request.state.form
    one, other = forms.uuid(patient_id), forms.uuid(other_id)
    compared = {name for name in IDENTIFIERS if fields.get(f"compared-{name}")}
    kept = {"one": one, "other": other}.get(fields.get("kept", ""))
    try:
        if kept is None:
            raise CannotMerge("Choose the entry that stays.", extra={"field": "kept"})
        if len(compared) < NEEDED:
            raise OneIsNotEnough("Compare at least two things with the person or their papers, and say which.")
        async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
            await service.merge(session, viewer, other if kept == one else one, kept)
    except (CannotMerge, OneIsNotEnough) as problem:
        return await _compare(request, viewer, one, other, compared, fields.get("kept", ""), problem)
    return RedirectResponse(f"/people/{kept}", 303)


@router.get("/people/{patient_id}/unmerge")
async def ask_unmerge(request: Request, patient_id: str, viewer: Reading) -> Response:
    """The page before a merged entry is taken apart: both side by side, and which specimens go back."""
    return await _unmerge(request, viewer, forms.uuid(patient_id))


@router.post("/people/{patient_id}/unmerge")
async def unmerge(request: Request, patient_id: str, viewer: Writing) -> Response:
    """They are two people after all."""
    wanted = forms.uuid(patient_id)
    try:
        async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
            await service.unmerge(session, viewer, wanted)
    except NHSNumberTaken as problem:
        return await _unmerge(request, viewer, wanted, problem)
    return RedirectResponse(f"/people/{wanted}", 303)


def _list(
    request: Request,
    patient: service.Patient,
    found: list[tuple[service.Candidate, service.Patient]],
    fields: dict[str, str] | None = None,
    problem: Problem | None = None,
) -> Response:
    others = [(one, other) for one, other in found if other.id != patient.id]
    return page(
        request,
        "person-merge-find.jinja",
        status=problem.status if problem else 200,
        title="Merge with another entry",
        person=views.person(patient),
        found=[views.candidate(one, other) for one, other in others],
        fields={name: (fields or {}).get(name, "") for name in (*forms.FIELDS, *forms.BIRTH)},
        looked=fields is not None,
        error=forms.sentence(problem),
        error_field=forms.field(problem),
    )


async def _compare(
    request: Request,
    viewer: Viewer,
    one_id: UUID,
    other_id: UUID,
    compared: Collection[str] = (),
    kept: str = "",
    problem: Problem | None = None,
) -> Response:
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        one, other = await service.pair(session, viewer, one_id, other_id)
        counts = [len(await repository.specimens_of(session, entry.id)) for entry in (one, other)]
    at_kept = problem is not None and problem.extra.get("field") == "kept"
    errors = {("kept" if at_kept else "compared"): problem.detail} if problem else {}
    return page(
        request,
        "person-merge.jinja",
        status=problem.status if problem else 200,
        title="Are these one person?",
        rows=views.side_by_side(one, other),
        people=[views.person(one), views.person(other)],
        counts=counts,
        choices=[
            {
                "value": value,
                "text": views.told_apart(entry, zone_of(state_of(request).settings)),
                "checked": kept == value,
            }
            for value, entry in (("one", one), ("other", other))
        ],
        identifiers=[
            {"value": "1", "text": text, "name": f"compared-{name}", "checked": name in compared}
            for name, text in IDENTIFIERS.items()
        ],
        errors=errors,
    )


async def _unmerge(request: Request, viewer: Viewer, one_id: UUID, problem: Problem | None = None) -> Response:
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        one, into, specimens = await service.merged(session, viewer, one_id)
    return page(
        request,
        "person-unmerge.jinja",
        status=problem.status if problem else 200,
        title="Take two entries apart",
        rows=views.side_by_side(one, into),
        people=[views.person(one), views.person(into)],
        specimens=specimens,
        error=forms.sentence(problem),
    )
