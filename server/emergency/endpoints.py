"""Pages of emergency access: asking for it, ending it, and the reviewing of every use."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.accounts.own_pages import role_words, sentence
from server.accounts.permissions import May
from server.accounts.service import Viewer
from server.accounts.viewing import allowed, allowed_posting
from server.audit.models import AuditEntry
from server.database import tenancy
from server.emergency import repository, service
from server.emergency.repository import Use
from server.problems import NotFound, Problem
from server.state import state_of
from server.web import formatting
from server.web.environment import page, zone_of

router = APIRouter()

Asking = Annotated[Viewer, Depends(allowed(May.USE_EMERGENCY))]
Beginning = Annotated[Viewer, Depends(allowed_posting(May.USE_EMERGENCY))]
Looking = Annotated[Viewer, Depends(allowed(May.REVIEW_EMERGENCY))]
Reviewing = Annotated[Viewer, Depends(allowed_posting(May.REVIEW_EMERGENCY))]


@dataclass(frozen=True, slots=True)
class UseView:
    href: str
    who: str
    began: str
    reviewed: bool
    goes_on: bool
    mine: bool
    facts: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ReadView:
    when: str
    what: str
    subject: str


@router.get("/emergency")
async def ask(request: Request, viewer: Asking) -> Response:
    """The page before: what it opens, that it is told, and the question why."""
    return await _ask_form(request, viewer)


@router.post("/emergency")
async def begin(request: Request, viewer: Beginning) -> Response:
    """Begin it and go to the worklist, or show the form again with what is wrong."""
    state = state_of(request)
    reason: str = request.state.form.get("reason", "")
    lasts = timedelta(minutes=state.settings.emergency_minutes)
    try:
        async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
            await service.begin(session, viewer, reason, lasts)
    except service.ReasonNeeded as refused:
        return await _ask_form(request, viewer, reason, refused)
    return RedirectResponse("/", 303)


@router.post("/emergency/end")
async def end(request: Request, viewer: Beginning) -> Response:
    """End it before its time."""
    async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
        await service.end(session, viewer)
    return RedirectResponse("/emergency?ended", 303)


@router.get("/emergency/uses")
async def uses(request: Request, viewer: Looking) -> Response:
    """Every use, those that wait for a review first."""
    state = state_of(request)
    text = request.query_params.get("page", "1")
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 4 else 0
    if number < 1:
        raise NotFound("There is no such page. Start again from the list.")
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        found, more = await service.uses(session, viewer, number)
    zone = zone_of(state.settings)
    return page(
        request,
        "emergency-uses.jinja",
        title="Emergency uses",
        uses=[_view(one, viewer, zone) for one in found],
        number=number,
        next_href=f"/emergency/uses?page={number + 1}" if more else "",
    )


@router.get("/emergency/uses/{access_id}")
async def use(request: Request, access_id: str, viewer: Looking) -> Response:
    """One use: who, why, what was read, and the review."""
    return await _use_page(request, viewer, _uuid(access_id))


@router.post("/emergency/uses/{access_id}/review")
async def review(request: Request, access_id: str, viewer: Reviewing) -> Response:
    """Mark it as reviewed, or show the page again with what is wrong."""
    wanted, note = _uuid(access_id), request.state.form.get("note", "")
    try:
        async with tenancy.transaction(state_of(request).sessions, viewer.organisation_id) as session:
            await service.review(session, viewer, wanted, note)
    except service.NoteNeeded as refused:
        return await _use_page(request, viewer, wanted, note, refused)
    return RedirectResponse(f"/emergency/uses/{wanted}?reviewed", 303)


async def _ask_form(request: Request, viewer: Viewer, reason: str = "", refused: Problem | None = None) -> Response:
    state = state_of(request)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        lead = await repository.privacy_lead(session)
    return page(
        request,
        "emergency.jinja",
        status=refused.status if refused else 200,
        title="Emergency access",
        lead=lead.name if lead and lead.active else "",
        minutes=state.settings.emergency_minutes,
        reason=reason,
        error=sentence(refused) if refused else "",
        ended="ended" in request.query_params,
    )


async def _use_page(
    request: Request, viewer: Viewer, access_id: UUID, note: str = "", refused: Problem | None = None
) -> Response:
    state = state_of(request)
    async with tenancy.transaction(state.sessions, viewer.organisation_id) as session:
        found, reads = await service.one(session, viewer, access_id)
    zone = zone_of(state.settings)
    return page(
        request,
        "emergency-use.jinja",
        status=refused.status if refused else 200,
        title="A use of emergency access",
        use=_view(found, viewer, zone),
        reads=[_read(one, zone) for one in reads],
        cut=len(reads) == repository.READS_MAX,
        note=note,
        error=sentence(refused) if refused else "",
        said="reviewed" in request.query_params,
    )


def _view(use: Use, viewer: Viewer, zone: ZoneInfo) -> UseView:
    access = use.access
    goes_on = service.goes_on(access)
    began = formatting.date_and_time(access.began_at, zone)
    ended = formatting.date_and_time(access.ended_at or access.ends_at, zone)
    facts = [
        ("Who", f"{use.who}, {role_words(access.role).lower()}"),
        ("Why", access.reason),
        ("From", began),
        ("Until", f"{ended}, goes on" if goes_on else ended),
        ("Told by mail", formatting.date_and_time(access.told_at, zone) if access.told_at else "Not yet"),
    ]
    if access.reviewed_at is not None:
        at = formatting.date_and_time(access.reviewed_at, zone)
        facts += [("Reviewed", f"{at}, by {use.reviewer}"), ("What was found", access.review_note)]
    return UseView(
        href=f"/emergency/uses/{access.id}",
        who=use.who,
        began=began,
        reviewed=access.reviewed_at is not None,
        goes_on=goes_on,
        mine=access.account_id == viewer.account_id,
        facts=facts,
    )


_READ = {
    "worklist.read": "Looked at the worklist",
    "result.read": "Read a result",
    "patient.read": "Read a person’s entry",
    "patient.search": "Looked for a person",
    "recall.read": "Looked at a recall",
    "registration.list": "Looked at the registrations to decide on",
    "registration.read": "Read a registration",
    "unmatched.read": "Looked at the results of nobody yet",
}


def _read(entry: AuditEntry, zone: ZoneInfo) -> ReadView:
    return ReadView(
        when=formatting.date_and_time(entry.at, zone),
        what=_READ.get(entry.action, entry.action),
        subject=f"{entry.subject_kind} {entry.subject}",
    )


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("There is no such use of emergency access. Start again from the list.") from None
