"""Pages of people: results of nobody yet, finding and registering somebody, and one person with their results.

What is searched for is posted, never in the address: an address is kept by browsers, proxies and logs.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.accounts.permissions import May, may
from server.accounts.service import Viewer
from server.accounts.viewing import allowed, allowed_posting
from server.corrections import repository as corrections
from server.corrections import views as correction_views
from server.database import tenancy
from server.patients import forms, repository, service, views
from server.patients.service import IDENTIFIERS, PersonRefused
from server.problems import NotFound, Problem
from server.registrations import repository as registrations
from server.registrations import views as registration_views
from server.state import state_of
from server.web import formatting
from server.web.environment import page, zone_of

router = APIRouter()

Reading = Annotated[Viewer, Depends(allowed(May.READ_PATIENTS))]
Preparing = Annotated[Viewer, Depends(allowed(May.WRITE_PATIENTS))]
"""The page before a change."""
Searching = Annotated[Viewer, Depends(allowed_posting(May.READ_PATIENTS))]
Writing = Annotated[Viewer, Depends(allowed_posting(May.WRITE_PATIENTS))]


@router.get("/people/unmatched")
async def unmatched(request: Request, viewer: Reading) -> Response:
    """Results whose specimen is nobody's yet, newest first."""
    state = state_of(request)
    before = _place(request.query_params.get("before"))
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        found, more = await service.unmatched(session, viewer, before)
        undecided = await registrations.count_open(session, viewer.organisation_id)
    zone, now = zone_of(state.settings), datetime.now(UTC)
    last = found[-1] if found else None
    return page(
        request,
        "unmatched.jinja",
        title="Results of nobody yet",
        rows=[views.unmatched_line(one, zone, now) for one in found],
        may_link=may(viewer, May.WRITE_PATIENTS),
        registrations=formatting.count(undecided, "registration") if undecided else "",
        further=before is not None,
        next_href=f"/people/unmatched?before={_text(last.received_at, last.id)}" if more and last else "",
    )


@router.get("/people/find")
async def ask(request: Request, viewer: Reading) -> Response:
    """The form that finds or registers the person of a specimen."""
    return _form(request, {"specimen": request.query_params.get("specimen", "")[: service.SPECIMEN_MAX]})


@router.post("/people/find")
async def find(request: Request, viewer: Searching) -> Response:
    """Whom the details may be of; nothing is kept."""
    fields: dict[str, str] = request.state.form
    try:
        entry = forms.entry(fields)
        if may(viewer, May.WRITE_PATIENTS):
            service.usable_specimen(fields.get("specimen", ""))
        async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
            found = await service.candidates(session, viewer, entry)
    except Problem as problem:
        return _form(request, fields, problem)
    return _form(request, fields, found=[views.candidate(one, patient) for one, patient in found])


@router.post("/people/register")
async def register(request: Request, viewer: Writing) -> Response:
    """A new person, whose the specimen is from now on."""
    fields: dict[str, str] = request.state.form
    try:
        async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
            patient = await service.register(session, viewer, forms.entry(fields))
            await service.link(session, viewer, fields.get("specimen", ""), patient.id, _compared(fields))
    except Problem as problem:
        return _form(request, fields, problem, found=[])
    return RedirectResponse(f"/people/{patient.id}", 303)


@router.post("/people/{patient_id}/link")
async def link(request: Request, patient_id: str, viewer: Writing) -> Response:
    """The specimen is this person's from now on."""
    fields: dict[str, str] = request.state.form
    wanted = forms.uuid(patient_id)
    try:
        async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
            await service.link(session, viewer, fields.get("specimen", ""), wanted, _compared(fields))
    except (service.OneIsNotEnough, service.SpecimenTaken, PersonRefused) as problem:
        return await _again(request, viewer, fields, problem)
    return RedirectResponse(f"/people/{wanted}", 303)


@router.get("/people/{patient_id}")
async def one(request: Request, patient_id: str, viewer: Reading) -> Response:
    """A person with their results, newest first."""
    state = state_of(request)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        patient = await service.read(session, viewer, forms.uuid(patient_id))
        results = await repository.results_of(session, patient.id)
        changes = await repository.changes(session, patient.id)
        merged = await repository.merged_into(session, patient.id)
        registered = await registrations.of_person(session, [patient.id, *(one.id for one in merged)])
        corrected = await corrections.current(session, [result.id for result, _ in results])
    zone = zone_of(state.settings)
    return page(
        request,
        "person.jinja",
        title=views.full_name(patient),
        person=views.person(patient),
        rows=[
            views.result_line(result, site, zone, correction_views.flag_of(corrected.get(result.id)))
            for result, site in results
        ],
        history=views.history(changes, zone),
        merged=[(f"/people/{one.id}/unmerge", views.told_apart(one, zone)) for one in merged],
        registered=registration_views.of_person(registered, zone),
        may_write=may(viewer, May.WRITE_PATIENTS),
        may_erase=may(viewer, May.ERASE_PERSON),
    )


@router.get("/people/{patient_id}/change")
async def ask_change(request: Request, patient_id: str, viewer: Preparing) -> Response:
    """The form that puts right what is known of a person."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        patient = await service.read(session, viewer, forms.uuid(patient_id))
    fields = {name: getattr(patient, name) or "" for name in forms.FIELDS}
    if patient.birth_date:
        born = patient.birth_date
        fields |= dict(zip(forms.BIRTH, (str(born.day), str(born.month), str(born.year)), strict=True))
    return _change_form(request, patient.id, {**fields, "version": str(patient.version)})


@router.post("/people/{patient_id}/change")
async def change(request: Request, patient_id: str, viewer: Writing) -> Response:
    """Keep what was put right."""
    fields: dict[str, str] = request.state.form
    wanted, version = forms.uuid(patient_id), fields.get("version", "")
    if not version.isdecimal() or len(version) > 9:
        raise NotFound("This form is not complete. Load the page again.")
    try:
        async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
            await service.change(session, viewer, wanted, int(version), forms.entry(fields))
    except NotFound:
        raise
    except Problem as problem:
        return _change_form(request, wanted, fields, problem)
    return RedirectResponse(f"/people/{wanted}", 303)


@router.get("/people/specimens/unlink")
async def ask_unlink(request: Request, viewer: Preparing) -> Response:
    """The page before a specimen is said not to be of its person: that is a risk, and needs a reason."""
    return await _unlink_form(request, viewer, request.query_params.get("specimen", ""))


@router.post("/people/specimens/unlink")
async def unlink(request: Request, viewer: Writing) -> Response:
    """The specimen is nobody's again."""
    fields: dict[str, str] = request.state.form
    specimen = fields.get("specimen", "")
    try:
        async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
            await service.unlink(session, viewer, specimen, fields.get("why", ""))
    except PersonRefused as problem:
        return await _unlink_form(request, viewer, specimen, problem)
    return RedirectResponse("/people/unmatched", 303)


async def _unlink_form(request: Request, viewer: Viewer, specimen: str, problem: Problem | None = None) -> Response:
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        patient = await repository.person_of(session, specimen[: service.SPECIMEN_MAX])
        if patient is not None:
            patient = await service.read(session, viewer, patient.id)
    if patient is None:
        raise NotFound("This specimen is nobody's.")
    return page(
        request,
        "specimen-unlink.jinja",
        status=problem.status if problem else 200,
        title="Take a specimen from a person",
        specimen=specimen,
        person=views.person(patient),
        error=forms.sentence(problem),
    )


async def _again(request: Request, viewer: Viewer, fields: dict[str, str], problem: Problem) -> Response:
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        found = await service.candidates(session, viewer, forms.entry(fields))
    return _form(request, fields, problem, [views.candidate(one, patient) for one, patient in found])


def _form(
    request: Request,
    fields: Mapping[str, str],
    problem: Problem | None = None,
    found: list[views.CandidateView] | None = None,
) -> Response:
    # Whoever only reads, in an emergency, looks for the person alone.
    may_link = may(request.state.viewer, May.WRITE_PATIENTS)
    return page(
        request,
        "person-find.jinja",
        status=problem.status if problem else 200,
        title="Whose is this specimen?" if may_link else "Find a person",
        may_link=may_link,
        fields={name: fields.get(name, "") for name in (*forms.FIELDS, "specimen", *forms.BIRTH)},
        identifiers=[
            {"value": "1", "text": text, "name": f"compared-{name}", "checked": bool(fields.get(f"compared-{name}"))}
            for name, text in IDENTIFIERS.items()
        ],
        error=forms.sentence(problem),
        error_field=forms.field(problem),
        found=found,
    )


def _change_form(
    request: Request, patient_id: UUID, fields: Mapping[str, str], problem: Problem | None = None
) -> Response:
    return page(
        request,
        "person-change.jinja",
        status=problem.status if problem else 200,
        title="Put a person's entry right",
        fields={name: fields.get(name, "") for name in (*forms.FIELDS, *forms.BIRTH)},
        version=fields["version"],
        person_href=f"/people/{patient_id}",
        error=forms.sentence(problem),
        error_field=forms.field(problem),
    )


def _compared(fields: Mapping[str, str]) -> list[str]:
    return [name for name in IDENTIFIERS if fields.get(f"compared-{name}")]


def _text(at: datetime, result_id: UUID) -> str:
    return f"{round(at.timestamp() * 1_000_000)}-{result_id.hex}"


def _place(text: str | None) -> tuple[datetime, UUID] | None:
    if not text:
        return None
    micros, _, name = text.partition("-")
    try:
        whole = int(micros)
        at = datetime.fromtimestamp(whole // 1_000_000, UTC).replace(microsecond=whole % 1_000_000)
        return at, UUID(name)
    except (ValueError, OverflowError, OSError):
        raise NotFound("This place in the list does not exist. Start again from the list.") from None
