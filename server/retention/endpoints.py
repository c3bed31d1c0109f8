"""Pages of retention: rules and what is due, changing them, a run after a warning, certificates, erasing a person."""

import json
from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.accounts.permissions import May, may
from server.accounts.service import Viewer
from server.accounts.viewing import allowed, allowed_posting
from server.audit.service import Actor
from server.database import tenancy
from server.patients import views as people
from server.problems import NotFound, Problem
from server.retention import monthly, monthly_repository, repository, service, views
from server.retention.models import Because, Kind
from server.retention.service import NotErased, RuleRefused
from server.state import state_of
from server.web import csv_file
from server.web.environment import page, zone_of

router = APIRouter()

Looking = Annotated[Viewer, Depends(allowed(May.SEE_ERASURES))]
Preparing = Annotated[Viewer, Depends(allowed(May.ERASE))]
Erasing = Annotated[Viewer, Depends(allowed_posting(May.ERASE))]
PreparingPerson = Annotated[Viewer, Depends(allowed(May.ERASE_PERSON))]
ErasingPerson = Annotated[Viewer, Depends(allowed_posting(May.ERASE_PERSON))]

# Portions done within the request, so that a small erasure is done when its page is shown; the jobs go on with others.
_AT_ONCE = 5
_MONTHLY = "Count each month what is due, and tell the administrators"
_CHOICES = (Because.ASKED, Because.ORDERED, Because.MISTAKE)


@router.get("/retention")
async def overview(request: Request, viewer: Looking) -> Response:
    """How long what is kept, what is due now, and what was erased."""
    state = state_of(request)
    zone = zone_of(state.settings)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        rules = await service.dry_run(session, _actor(viewer), viewer.organisation_id)
        erasures = await repository.listed(session)
        wanted = await monthly_repository.wanted(session)
        look = await monthly_repository.last(session)
    return page(
        request,
        "retention.jinja",
        title="Retention",
        rules=[views.rule(one) for one in rules],
        any_rule=any(one.due for one in rules),
        may_erase=may(viewer, May.ERASE),
        monthly=wanted,
        looked=views.looked(look, zone) if look else "",
        look=views.due_lines(look) if look else [],
        erasures=[views.line(one, by, zone) for one, by in erasures],
    )


@router.get("/retention/rules")
async def ask_rules(request: Request, viewer: Preparing) -> Response:
    """The form of how long what is kept."""
    return await _rules_form(request, viewer)


@router.post("/retention/rules")
async def set_rules(request: Request, viewer: Erasing) -> Response:
    """Keep the rules."""
    fields: dict[str, str] = request.state.form
    try:
        months = {kind: _months(fields, kind) for kind in Kind}
        async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
            await service.set_rules(session, _actor(viewer), viewer.organisation_id, months)
            wanted = fields.get("monthly") == "yes"
            await monthly.choose(session, _actor(viewer), viewer.organisation_id, wanted=wanted)
    except RuleRefused as problem:
        return await _rules_form(request, viewer, fields, problem)
    return RedirectResponse("/retention", 303)


@router.get("/retention/run")
async def ask_run(request: Request, viewer: Preparing) -> Response:
    """The page before a run: what would be erased now, and that it cannot be brought back."""
    return await _run_form(request, viewer)


@router.post("/retention/run")
async def run(request: Request, viewer: Erasing) -> Response:
    """Erase what the rules say now."""
    fields: dict[str, str] = request.state.form
    if fields.get("sure") != "yes":
        return await _run_form(request, viewer, NotErased("Say that you have seen what would be erased."))
    state = state_of(request)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        erasure = await service.begin_run(session, _actor(viewer), viewer.organisation_id)
    await service.go_on(state.sessions, viewer.organisation_id, erasure.id, _AT_ONCE)
    return RedirectResponse(f"/retention/{erasure.id}", 303)


@router.get("/retention/{erasure_id}")
async def certificate(request: Request, erasure_id: str, viewer: Looking) -> Response:
    """The certificate of an erasure, or how far one has come."""
    state = state_of(request)
    zone, wanted = zone_of(state.settings), _uuid(erasure_id)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        found = await repository.listed(session, wanted)
        if not found:
            raise NotFound("There is no such erasure in your organisation.")
        erasure, by = found[0]
        made = await service.certificate(session, _actor(viewer), wanted) if erasure.finished_at else None
    return page(
        request,
        "retention-certificate.jinja",
        title="Certificate of deletion" if made else "Erasure under way",
        line=views.line(erasure, by, zone),
        rows=views.certificate(erasure, by, made, zone) if made else [],
        whole=made["whole"] if made else None,
        held=erasure.held_back,
        file_href=f"/retention/{wanted}/certificate.json",
    )


@router.get("/retention/{erasure_id}/certificate.json")
async def certificate_file(request: Request, erasure_id: str, viewer: Looking) -> Response:
    """The certificate with every record and entry by reference, from which it can be done again after a restore."""
    wanted = _uuid(erasure_id)
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        made = await service.certificate(session, _actor(viewer), wanted)
    headers = csv_file.headers(f"deletion-{wanted}.json")
    return Response(json.dumps(made, indent=1), media_type="application/json", headers=headers)


@router.get("/people/{patient_id}/erase")
async def ask_person(request: Request, patient_id: str, viewer: PreparingPerson) -> Response:
    """The page before somebody is erased: what goes, or why it may not."""
    return await _person_form(request, viewer, _uuid(patient_id))


@router.post("/people/{patient_id}/erase")
async def erase_person(request: Request, patient_id: str, viewer: ErasingPerson) -> Response:
    """Erase somebody with all that is theirs."""
    fields: dict[str, str] = request.state.form
    state, wanted = state_of(request), _uuid(patient_id)
    because = next((one for one in _CHOICES if fields.get("because") == one), None)
    if because is None:
        return await _person_form(request, viewer, wanted, NotErased("Choose why."))
    try:
        async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
            erasure = await service.begin_person(session, _actor(viewer), viewer.organisation_id, wanted, because)
    except NotErased as problem:
        return await _person_form(request, viewer, wanted, problem)
    await service.go_on(state.sessions, viewer.organisation_id, erasure.id, _AT_ONCE)
    return RedirectResponse(f"/retention/{erasure.id}", 303)


async def _rules_form(
    request: Request, viewer: Viewer, given: Mapping[str, str] | None = None, problem: Problem | None = None
) -> Response:
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        kept = await repository.rules(session)
        wanted = await monthly_repository.wanted(session)
    if given is not None:
        wanted = given.get("monthly") == "yes"
    field = str(problem.extra["field"]) if problem else ""
    rows = [
        {
            "id": str(kind),
            "label": views.KINDS[kind],
            "hint": views.SINCE[kind],
            "value": given.get(kind, "") if given is not None else _shown(kept[kind].months if kind in kept else None),
        }
        for kind in Kind
    ]
    return page(
        request,
        "retention-rules.jinja",
        status=problem.status if problem else 200,
        title="How long what is kept",
        rows=rows,
        monthly=[{"value": "yes", "text": _MONTHLY, "checked": wanted}],
        errors={field: problem.detail} if problem else {},
    )


async def _run_form(request: Request, viewer: Viewer, problem: Problem | None = None) -> Response:
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        rules = await service.dry_run(session, _actor(viewer), viewer.organisation_id)
    return page(
        request,
        "retention-run.jinja",
        status=422 if problem else 200,
        title="Erase what is due",
        rules=[views.rule(one) for one in rules],
        any_rule=any(one.due for one in rules),
        errors={"sure": problem.detail} if problem else {},
    )


async def _person_form(request: Request, viewer: Viewer, patient_id: UUID, problem: Problem | None = None) -> Response:
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        patient, found = await service.of_person(session, viewer, patient_id)
    return page(
        request,
        "person-erase.jinja",
        status=problem.status if problem else 200,
        title="Erase a person",
        person=people.person(patient),
        found=found,
        why_not=service.why_not(found),
        choices=[{"value": str(one), "text": views.WHY[one]} for one in _CHOICES],
        errors={"because": problem.detail} if problem else {},
    )


def _months(fields: Mapping[str, str], kind: Kind) -> int | None:
    text = fields.get(kind, "").strip()
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 5:
        raise RuleRefused("Give a number of months, or nothing to keep it for ever.", extra={"field": str(kind)})
    return int(text)


def _shown(months: int | None) -> str:
    return "" if months is None else str(months)


def _actor(viewer: Viewer) -> Actor:
    return Actor("account", str(viewer.account_id))


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("There is nothing of this name in your organisation.") from None
